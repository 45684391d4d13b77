/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_OBSERVER_H
#define CLOCHE_RUN_OBSERVER_H

#include "policy/policy_seen.h"
#include "trace/calls.h"

struct cloche_err;
struct context;
struct policy_stack;

/*
 * Watches which system calls a context makes under its policy, for learning. Life cycle:
 * observer_open → observer_arm (the context is prepared, no process is in it) → (invocations) →
 * observer_collect → observer_close.
 */
struct observer {
	const struct policy_stack *base; /* borrowed: what the context's policy means */
	struct calls calls;
	const uint64_t *cgroups; /* of observer_collect_of() */
	size_t n_cgroups;
	uint32_t filters;	 /* with fewer it is still what launches it */
	struct policy_seen seen; /* after observer_collect, which call by which rule of the base */
};

/*
 * Contexts of the daemon's are not there to be armed before they run: all are watched from the
 * beginning, and which cgroups are meant is said at the end; of each what came from its function's
 * exec on.
 *
 * observer_open_all → (invocations) → observer_collect_of → observer_close.
 */
int observer_open_all(struct observer *ret, const struct policy_stack *base,
		      struct cloche_err *err);
void observer_collect_of(struct observer *observer, const uint64_t *cgroup_ids, size_t n);

int observer_open(struct observer *ret, const struct policy_stack *base, struct cloche_err *err);
int observer_arm(struct observer *observer, const struct context *ctx, struct cloche_err *err);
void observer_collect(struct observer *observer);
void observer_close(struct observer *observer);

#endif
