/* SPDX-License-Identifier: MIT */
/* From what is known of an end to its verdict: see verdict.h. No system calls. */
#include "run/verdict.h"

#include <signal.h>
#include <sys/wait.h>

const char *verdict_text(enum verdict verdict)
{
	static const char *const text[] = {
		[VERDICT_OK] = "ok",
		[VERDICT_ERROR] = "error",
		[VERDICT_SIGNAL] = "signal",
		[VERDICT_TIMEOUT] = "timeout",
		[VERDICT_CPU_TIMEOUT] = "cpu_timeout",
		[VERDICT_OOM] = "oom",
		[VERDICT_PIDS] = "pids",
		[VERDICT_OUTPUT_LIMIT] = "output_limit",
		[VERDICT_DENIED] = "denied",
		[VERDICT_INIT_ERROR] = "init_error",
		[VERDICT_INIT_TIMEOUT] = "init_timeout",
		[VERDICT_LAUNCH_ERROR] = "launch_error",
		[VERDICT_CANCELLED] = "cancelled",
	};

	return text[verdict];
}

static bool counted(uint64_t v)
{
	return v != UINT64_MAX && v > 0;
}

/* The meter knows whom the kernel killed, but not all that has it kill; the cgroup, that memory was
 * the reason, but not who died of it. */
static bool by_oom(const struct ending *end)
{
	return end->metered ? end->main_oom && end->oom_kills != 0 : counted(end->oom_kills);
}

static enum verdict of_signal(const struct ending *end, int sig)
{
	/* By the kernel for memory, or for us: from inside one looks like the other. */
	if (sig == SIGKILL && end->refused > 0 && !counted(end->oom_kills))
		return VERDICT_DENIED;
	if (sig == SIGKILL && by_oom(end))
		return VERDICT_OOM;
	if (sig == SIGSYS && end->policy_kills && (!end->metered || end->main_policy))
		return VERDICT_DENIED;
	if (sig == SIGABRT && counted(end->pids_denied))
		return VERDICT_PIDS;
	return VERDICT_SIGNAL;
}

enum verdict verdict_of(const struct ending *end)
{
	if (end->killed)
		return end->cause;
	if (!end->ran)
		return VERDICT_LAUNCH_ERROR;
	if (end->output_cut)
		return VERDICT_OUTPUT_LIMIT;
	if (end->denied_most)
		return VERDICT_DENIED;
	if (WIFSIGNALED(end->status))
		return of_signal(end, WTERMSIG(end->status));
	return end->status ? VERDICT_ERROR : VERDICT_OK;
}
