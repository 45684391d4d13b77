/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POOL_OUTPUT_H
#define CLOCHE_POOL_OUTPUT_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * One stream of a function whose output is counted: from its pipe to where the caller wants it.
 * Never waits: a reader who is slow stops the function, whose pipe is full then, and not whoever
 * watches the function's deadline.
 */
struct output {
	int in; /* borrowed, non-blocking; -1: there is no more */
	int to; /* borrowed */
	size_t chunk;
	size_t from, len; /* of buf: read and not yet written */
	char buf[65536];
};

/* in: -1 for a stream that is not copied. */
void output_init(struct output *o, int in, int to);

/* What to wait for before the next output_move. */
struct pollfd output_wait(const struct output *o);

/*
 * To be called when poll(2) returned anything for it. *room: how much all streams may still write,
 * taken down here. 0; 1: the function wrote more than that, and only what fits is passed on; -errno
 * when reading or writing fails, and then this stream is over: in becomes a descriptor of nothing,
 * so that the function's next write fails, with SIGPIPE. A reader that went away is no failure of
 * ours.
 */
int output_move(struct output *o, uint64_t *room, struct cloche_err *err);

/* The rest, when all writers are gone. Waits for the reader until cancel_fd is readable. Returns
 * what output_move does. */
int output_flush(struct output *o, uint64_t *room, int cancel_fd, struct cloche_err *err);

#endif
