/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_SHOWING_H
#define CLOCHE_SERVE_SHOWING_H

#include "trace/trace_store.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct command;
struct launching;
struct showings;

/*
 * Kept traces (stores.h) on their way to who may read them: their owner, and root those of all. A
 * child of the launcher (chore.h) copies them into a pipe, without a look at what is in them; no
 * descriptor of a file goes to anybody, who could hold what is removed on the disk. Whoever takes
 * nothing for seconds is left, and so is whoever takes very little for long.
 *
 * By the pipe come heads, each with len bytes behind it: of a list each trace's first line and its
 * end, of one trace all of it, and at last, where all is well, a head without an id.
 */
#define SHOWINGS_MAX	8
#define SHOWINGS_OF_ONE 2 /* at a time */

struct shown {
	char id[TRACE_STORE_ID_LEN];
	uint32_t owner;
	int32_t code;	/* the errno for which there is no more: -ENOENT, -EEXIST as
			   trace_store_find() has it */
	uint64_t bytes; /* of the trace */
	int64_t at_ns;	/* when it was kept, CLOCK_REALTIME */
	uint64_t len;
};

/* The handler of SHOW. */
int showings_on_show(struct launching *l, const struct command *c, struct cloche_err *err);

/* As launching_wait() and launching_step() have it, for SHOWINGS_MAX of fds. */
int64_t showings_wait(struct launching *l, struct pollfd *fds);
void showings_step(struct launching *l);
/* There is no front any more: what its clients still take they are to take soon. */
void showings_drop(struct launching *l);
bool showings_idle(const struct launching *l);

struct showings *showings_open(void);
/* When they are idle. */
struct showings *showings_close(struct showings *s);

#endif
