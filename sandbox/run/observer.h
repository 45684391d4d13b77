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
	struct policy_seen seen; /* after observer_collect, which call by which rule of the base */
};

/*
 * Contexts of the daemon's are counted by the daemon, by the arguments that observer_wants() says;
 * what it has counted is taken then: of the cgroups that are meant what came from their function's
 * exec on.
 */
struct observer_count {
	const struct calls_key *key;
	uint64_t count;
};
void observer_wants(const struct policy_stack *base, uint8_t ret[static CALLS_NR]);
void observer_take(struct observer *observer, const struct observer_count *counts, size_t n,
		   const uint64_t *cgroup_ids, size_t n_ids);

int observer_open(struct observer *ret, const struct policy_stack *base, struct cloche_err *err);
int observer_arm(struct observer *observer, const struct context *ctx, struct cloche_err *err);
void observer_collect(struct observer *observer);
void observer_close(struct observer *observer);

#endif
