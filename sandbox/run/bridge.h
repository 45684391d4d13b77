/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_BRIDGE_H
#define CLOCHE_RUN_BRIDGE_H

#include "base/clock.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * One standard stream of a function between its pipe and the caller's descriptor: bytes are copied,
 * and nothing else crosses (a socket carries descriptors, too). One end is the pipe's, ours and
 * non-blocking; the other is the caller's and is left as it is. Never waits: a reader who is slow
 * stops the function, whose pipe is full then, and not whoever watches the function's deadline.
 */
struct bridge {
	int from, to; /* borrowed; from is -1 when no more will come */
	bool from_socket, to_socket;
	bool inward;	  /* to the function: at the end its pipe is closed */
	bool mid_line;	  /* the last byte that was passed on was no newline */
	const char *name; /* of the stream, for errors */
	size_t chunk;
	size_t at, len; /* of buf: read and not yet written */
	char buf[65536];
};

/* as: 0 to 2, which stream. pipe: the end that is ours, or -1 for a bridge that is not used.
 * outside: the caller's. */
void bridge_init(struct bridge *b, int as, int pipe, int outside);

/* What to wait for before the next bridge_move. */
struct pollfd bridge_wait(const struct bridge *b);

/*
 * To be called when poll(2) returned anything for it. 0; -errno when reading or writing fails, and
 * then this stream is over: the function's next write fails, with SIGPIPE, and its next read is at
 * the end. A reader that went away is no failure of ours.
 */
int bridge_move(struct bridge *b, struct cloche_err *err);

/*
 * The rest, when all writers are gone, as far as the reader takes it now. *ret_left: there is more,
 * for when bridge_wait() says so. Returns what bridge_move does.
 */
int bridge_drain(struct bridge *b, bool *ret_left, struct cloche_err *err);

/* Nobody reads it: what is left is lost, which is an error. */
int bridge_lose(struct bridge *b, struct cloche_err *err);

/* A reader who takes nothing for so long is not reading. */
#define BRIDGE_STALL_NS (10 * NSEC_PER_SEC)

#endif
