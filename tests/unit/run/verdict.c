/* SPDX-License-Identifier: MIT */
/* Every verdict, and what comes before what. */
#include <criterion/criterion.h>
#include <signal.h>

#include "run/verdict.h"

#define EXITED(n) ((n) << 8)
#define DIED(n)	  (n)
#define DUMPED(n) ((n) | 0x80)
#define UNKNOWN	  UINT64_MAX
#define CASE(want, ...)                          \
	{                                        \
		__LINE__, VERDICT_##want,        \
		{                                \
			.ran = true, __VA_ARGS__ \
		}                                \
	}
#define METERED .metered = true
#define NEVER_RAN(want, ...)              \
	{                                 \
		__LINE__, VERDICT_##want, \
		{                         \
			__VA_ARGS__       \
		}                         \
	}

static const struct {
	int line;
	enum verdict want;
	struct ending end;
} cases[] = {
	/* how it ended */
	CASE(OK, METERED),
	CASE(ERROR, METERED, .status = EXITED(1)),
	CASE(ERROR, METERED, .status = EXITED(255)),
	CASE(SIGNAL, METERED, .status = DIED(SIGTERM)),
	CASE(SIGNAL, METERED, .status = DUMPED(SIGSEGV)),
	CASE(SIGNAL, METERED, .status = DIED(SIGKILL)),

	/* a limit that was met, and an end of its own */
	CASE(OK, METERED, .oom_kills = 1, .pids_denied = 1),
	CASE(ERROR, METERED, .status = EXITED(7), .oom_kills = 1),
	CASE(ERROR, METERED, .status = EXITED(137), .oom_kills = 1),
	CASE(ERROR, METERED, .status = EXITED(7), .pids_denied = 1),
	CASE(ERROR, .status = EXITED(7), .oom_kills = 1, .pids_denied = 1),
	CASE(SIGNAL, METERED, .status = DIED(SIGTERM), .oom_kills = 1, .pids_denied = 1),
	/* it was chosen, but was on its way out by itself */
	CASE(ERROR, METERED, .main_oom = true, .status = EXITED(7), .oom_kills = 1),

	/* oom: whose SIGKILL it was */
	CASE(OOM, METERED, .main_oom = true, .status = DIED(SIGKILL), .oom_kills = 1),
	CASE(OOM, METERED, .main_oom = true, .status = DIED(SIGKILL), .oom_kills = UNKNOWN),
	CASE(SIGNAL, METERED, .status = DIED(SIGKILL), .oom_kills = 1),
	CASE(SIGNAL, METERED, .main_oom = true, .status = DIED(SIGKILL)),
	CASE(OOM, .status = DIED(SIGKILL), .oom_kills = 1),
	CASE(SIGNAL, .status = DIED(SIGKILL)),
	CASE(SIGNAL, .status = DIED(SIGKILL), .oom_kills = UNKNOWN),
	CASE(SIGNAL, METERED, .status = DIED(SIGKILL), .pids_denied = 1),

	/* denied: whose SIGSYS it was */
	CASE(DENIED, METERED, .main_policy = true, .policy_kills = true, .status = DUMPED(SIGSYS)),
	CASE(SIGNAL, METERED, .policy_kills = true, .status = DIED(SIGSYS)),
	CASE(SIGNAL, METERED, .main_policy = true, .status = DIED(SIGSYS)),
	CASE(DENIED, .policy_kills = true, .status = DIED(SIGSYS)),
	CASE(SIGNAL, .status = DIED(SIGSYS)),
	CASE(ERROR, METERED, .main_policy = true, .policy_kills = true, .status = EXITED(159)),

	/* denied: file locks */
	CASE(DENIED, METERED, .refused = 1, .status = DIED(SIGKILL)),
	CASE(ERROR, METERED, .refused = 1, .status = EXITED(1)),
	CASE(DENIED, METERED, .refused = 1, .main_oom = true, .status = DIED(SIGKILL)),
	CASE(DENIED, .refused = 1, .oom_kills = UNKNOWN, .status = DIED(SIGKILL)),
	CASE(OOM, METERED, .refused = 1, .main_oom = true, .oom_kills = 1, .status = DIED(SIGKILL)),

	/* pids */
	CASE(PIDS, METERED, .status = DIED(SIGABRT), .pids_denied = 1),
	CASE(PIDS, .status = DUMPED(SIGABRT), .pids_denied = 3),
	CASE(SIGNAL, METERED, .status = DIED(SIGABRT)),
	CASE(SIGNAL, METERED, .status = DIED(SIGABRT), .pids_denied = UNKNOWN),
	CASE(SIGNAL, METERED, .status = DIED(SIGABRT), .oom_kills = 1),

	/* what we found after the end comes before how that was */
	CASE(OUTPUT_LIMIT, METERED, .output_cut = true),
	CASE(OUTPUT_LIMIT, METERED, .output_cut = true, .denied_most = true, .status = EXITED(1)),
	CASE(OUTPUT_LIMIT, METERED, .output_cut = true, .main_oom = true, .oom_kills = 1,
	     .status = DIED(SIGKILL)),
	CASE(DENIED, METERED, .denied_most = true),
	CASE(DENIED, METERED, .denied_most = true, .main_oom = true, .oom_kills = 1,
	     .status = DIED(SIGKILL)),

	/* what we did comes before all */
	CASE(TIMEOUT, METERED, .killed = true, .cause = VERDICT_TIMEOUT, .status = DIED(SIGKILL)),
	CASE(TIMEOUT, METERED, .killed = true, .cause = VERDICT_TIMEOUT, .main_oom = true,
	     .oom_kills = 1, .status = DIED(SIGKILL)),
	CASE(TIMEOUT, METERED, .killed = true, .cause = VERDICT_TIMEOUT, .output_cut = true),
	CASE(CPU_TIMEOUT, METERED, .killed = true, .cause = VERDICT_CPU_TIMEOUT, .pids_denied = 9,
	     .status = DIED(SIGKILL)),
	CASE(CANCELLED, METERED, .killed = true, .cause = VERDICT_CANCELLED, .denied_most = true,
	     .status = DIED(SIGKILL)),
	CASE(OUTPUT_LIMIT, METERED, .killed = true, .cause = VERDICT_OUTPUT_LIMIT,
	     .status = DIED(SIGKILL), .oom_kills = 1),
	CASE(DENIED, METERED, .killed = true, .cause = VERDICT_DENIED, .status = DIED(SIGKILL)),
	CASE(LAUNCH_ERROR, .killed = true, .cause = VERDICT_LAUNCH_ERROR),

	/* it never came to its command */
	NEVER_RAN(LAUNCH_ERROR, METERED),
	NEVER_RAN(LAUNCH_ERROR, METERED, .status = DIED(SIGKILL), .oom_kills = 1),
	NEVER_RAN(CANCELLED, .killed = true, .cause = VERDICT_CANCELLED),
};

Test(verdict, every_end_has_one)
{
	bool seen[VERDICT_CANCELLED + 1] = { false };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum verdict got = verdict_of(&cases[i].end);

		cr_expect_eq(got, cases[i].want, "line %d: %s, not %s", cases[i].line,
			     verdict_text(got), verdict_text(cases[i].want));
		seen[cases[i].want] = true;
	}
	/* Of a process that is kept alone: kept_machine_verdict. */
	seen[VERDICT_INIT_ERROR] = seen[VERDICT_INIT_TIMEOUT] = true;
	for (size_t v = 0; v <= VERDICT_CANCELLED; v++)
		cr_expect(seen[v], "no case ends as %s", verdict_text((enum verdict)v));
}
