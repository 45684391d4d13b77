/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_FIGURES_H
#define CLOCHE_RUN_FIGURES_H

#include "launch/cgroup.h"
#include "run/verdict.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct outcome;

/* What was seen of one invocation, by the cgroup, by the warden and by whoever drove it. */
struct observed {
	/* its cgroup, before it and when all of it was dead */
	struct cgroup_usage before, after;
	bool fresh_peak; /* the memory peak began anew with it */

	/* the warden */
	bool ran;
	int64_t start_ns;	/* the call of execve */
	uint64_t launch_cpu_ns; /* CPU time until then, in the cgroup and in rusage: ours */
	bool told;		/* it told how it ended: */
	int status;
	struct rusage rusage;
	int64_t end_ns;	     /* of the function's own process */
	int64_t dead_ns;     /* of its last process, or when that was seen */
	int64_t deadline_ns; /* when it was ended for that; 0 */
	bool left_processes;
	bool with_warden; /* its last processes ended with it */

	/* whoever drove it */
	bool killed;
	enum verdict cause;
	bool output_cut;
	int64_t requested_ns; /* when it was asked for */
	bool policy_kills;    /* the policy has calls that it kills for */
	bool forked; /* what ran was a fork of the function's own process, which ends as that did */
};

/*
 * From what was seen to what the outcome says: usage, times, the number of denials, the verdict.
 * Pure: the metered figures, the refused ones and the denials that were counted are in *out before.
 */
void figures_of(const struct observed *seen, struct outcome *out);

/* What a cgroup has counted since an earlier time, without so much CPU time of ours. */
struct cgroup_usage figures_since(const struct cgroup_usage *now, const struct cgroup_usage *before,
				  uint64_t ours_ns);

#endif
