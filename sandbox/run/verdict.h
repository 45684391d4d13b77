/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_VERDICT_H
#define CLOCHE_RUN_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

/* The one reason why an invocation ended. */
enum verdict {
	VERDICT_OK,
	VERDICT_ERROR,
	VERDICT_SIGNAL,
	VERDICT_TIMEOUT,
	VERDICT_CPU_TIMEOUT,
	VERDICT_OOM,
	VERDICT_PIDS,
	VERDICT_OUTPUT_LIMIT,
	VERDICT_DENIED,
	VERDICT_INIT_ERROR, /* of a process that is kept: what it does before its first event ... */
	VERDICT_INIT_TIMEOUT, /* ... failed, or took too long */
	VERDICT_LAUNCH_ERROR,
	VERDICT_CANCELLED,
};

const char *verdict_text(enum verdict verdict);

/* What is known of an end, from three sides. */
struct ending {
	/* what we did */
	bool killed;	    /* we ended it ... */
	enum verdict cause; /* ... for this */
	bool output_cut; /* it wrote more than the output limit, seen after its end at the latest */
	bool denied_most; /* it made more denied calls than are let pass; as above */

	/* what the kernel knows */
	bool metered;	      /* the next two are known */
	bool main_oom;	      /* the OOM killer's victim was the function's own process */
	bool main_policy;     /* the policy killed the function's own process */
	uint64_t oom_kills;   /* in the whole context; UINT64_MAX: not known */
	uint64_t pids_denied; /* forks refused by the limit; as above */
	bool policy_kills; /* the policy has calls that it kills for, or killed for one of another
			      architecture, as every policy does */
	uint64_t refused;  /* processes killed for too many locks or connections */

	/* how the function's own process, the one that was started, ended */
	bool ran;   /* it came to its command */
	int status; /* as wait4(2) */
};

/*
 * What we did comes before all else. Then only what ended the function's own process counts: who
 * exits has ended by itself, whatever became of its children and whatever it was refused, and a
 * signal that it died of is one of
 *   oom     SIGKILL, and the OOM killer sent it; without the meter: and the OOM killer killed
 *           something in the context
 *   denied  SIGSYS, and the policy sent it; without the meter: and the policy has such calls; or
 *           SIGKILL, and processes were killed for too many locks or
 *           connections, and none for memory
 *   pids    SIGABRT, and forks were refused: it gave up, as runtimes do that cannot go on without
 *           another process or thread
 *   signal  any other
 */
enum verdict verdict_of(const struct ending *end);

#endif
