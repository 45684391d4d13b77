/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CHORE_H
#define CLOCHE_SERVE_CHORE_H

#include "base/process.h"

#include <stddef.h>

struct cloche_err;
struct launcher;

/*
 * What takes the launcher longer than it may wait: done by a child of it, with its rights and
 * nothing that it has open or shares, which says what came of it as one value of a fixed size and
 * ends. It dies with the launcher.
 *
 *	chore_begin → { poll for process.pidfd → chore_done } until it is
 */
struct chore {
	struct process process;
	int result; /* -1: there is none */
};

#define CHORE_NONE ((struct chore){ PROCESS_NONE, -1 })
#define CHORE_ROOM 512

/* In the child: 0, or -errno and *err; ret has CHORE_ROOM bytes, all 0. */
typedef int chore_job(const void *arg, void *ret, struct cloche_err *err);

/* Of descriptors it keeps 0 to 2 and keep[0] to keep[n - 1], n at most CHORE_KEEP. */
#define CHORE_KEEP 8
int chore_begin(struct chore *ret, struct launcher *launcher, chore_job *job, const void *arg,
		const int keep[], size_t n, struct cloche_err *err);

/* -EAGAIN: not yet. Else it is reaped, and what is returned is what came of it: with 0 size bytes
 * are in *ret. -EIO: it died. */
int chore_done(struct chore *chore, void *ret, size_t size, struct cloche_err *err);

/* SIGKILL, or a request to end by itself (SIGTERM): it is to be waited for all the same. */
void chore_kill(const struct chore *chore);
void chore_end(const struct chore *chore);

#endif
