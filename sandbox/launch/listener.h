/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_LISTENER_H
#define CLOCHE_LAUNCH_LISTENER_H

#include "base/process.h"

#include <stdbool.h>
#include <stdint.h>

struct plan;

/* Sockets that are asked for (asked_sockets.h) cost more than to be told no; from then on to ask is
 * denied. */
#define LISTENER_MADE_MAX 10000

/*
 * The listener of a policy (seccomp_unotify(2)), in the warden, which nobody else has: each call
 * that asks it fails with EPERM, which is all that its caller gets, and is counted
 * (plan->shared->denials). The caller's memory is not looked at, so that nothing can change between
 * the check and the use.
 *
 * A socket that may be had by asking is made and given by a child of the warden, the maker, as to
 * give one is to wait for who asked, who may not have a CPU; the warden has a deadline to keep. It
 * is there from the first such question to the end of the invocation, and makes one at a time;
 * until that is given, whoever asks waits. It has no descriptor but what it needs, is in no cgroup
 * of the function's, and no wait for a function's process meets it (its end is no SIGCHLD).
 */
struct listener {
	const struct plan *plan;
	int fd;	       /* -1: there is none */
	bool clocked;  /* plan->clock knows of the function process */
	bool deserted; /* nobody is left who could ask */
	struct process maker;
	int to_maker, from_maker;
	bool making;	   /* for this one: */
	uint64_t made_for; /* the kernel numbers the calls */
	uint64_t next_id;  /* 0: not known */
};

#define LISTENER_NONE \
	((struct listener){ .fd = -1, .maker = { .pidfd = -1 }, .to_maker = -1, .from_maker = -1 })

/* Takes fd over; -1: the policy has none. */
void listener_open(struct listener *ret, const struct plan *plan, int fd, bool clocked);

/* What to wait for: somebody asks, the maker says something or has ended; -1: nothing now. */
int listener_asked(const struct listener *l);
int listener_made(const struct listener *l);

/* What poll(2) said of the first: takes one call. -errno when it could not be answered: its caller
 * then waits for ever and must be killed. */
int listener_take(struct listener *l, short revents);

/* Of the second: what an ended maker left unanswered is answered. As above. */
int listener_hear(struct listener *l);

/* When no process is left that could ask: before that, who asks would be told ENOSYS, and the meter
 * reads what the kernel keeps for as long as this is open. Ends the maker. */
void listener_close(struct listener *l);

#endif
