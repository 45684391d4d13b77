/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_LEARNER_H
#define CLOCHE_SERVE_LEARNER_H

#include "trace/calls.h"

#include <stdint.h>

struct cloche_err;

/*
 * Which system calls an owner's contexts make, counted by BPF for himself (trace/calls.h): by a
 *child of the launcher (chore.h), which speaks with the owner's client by a socket of their own:
 *
 *	client  (CALLS_NR bytes: the arguments that are to tell calls apart)
 *	learner        { code }: it counts from now on, or the errno for which it does not
 *	client  (a byte, when that is enough)
 *	learner        entries, the last of which is none and has what was lost
 *
 * What is counted are processes below the owner's cgroup, each cgroup for itself. Nothing that the
 * client says is more than bits. It goes with the client, or with its patience: meanwhile the whole
 * host's system calls take the kernel's slower way, so that there is one at a time.
 */
#define LEARNER_PATIENCE_S 660

struct learner_entry {
	uint32_t is, reserved; /* is: 1, and 0 of the last */
	uint64_t count;	       /* of the last: of what had no room */
	struct calls_key key;
};

struct learner_task {
	int socket;
	uint64_t group; /* the cgroup2 id of the owner's */
};

/* The job of a chore. */
int learner_job(const void *arg, void *ret, struct cloche_err *err);

#endif
