/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_OUTPUT_H
#define CLOCHE_LAUNCH_OUTPUT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/*
 * The limit on what a function writes to standard output and standard error together, kept by the
 * warden: the function writes into a pipe of the warden's, which moves what fits into the pipe that
 * its driver gave (splice(2), nothing is copied) and never waits for its reader. Whoever drives
 * delivers; what he does, or that he does nothing, lets no byte more through.
 *
 *   open → [ poll what output_watch() says, move ]* → drain, when no writer is left →
 *          [ the same, while there is more ]* → close
 */
struct output {
	uint64_t room; /* bytes that may still pass */
	bool limited;  /* else the rest says nothing */
	bool cut;      /* more was written than that */
	int code;      /* an errno: it cannot go on, for no fault of who writes or reads; 0 */
	struct output_pipe {
		int from, to; /* ours; -1: over, or the other one has it */
		bool full;    /* the driver's pipe takes no more for now */
	} pipes[2];
};

#define OUTPUT_PIPES 2
#define OUTPUT_FDS   (2 * OUTPUT_PIPES)
#define OUTPUT_NONE  ((struct output){ .pipes = { { -1, -1, false }, { -1, -1, false } } })

/* Of streams 1 and 2, which are the driver's pipes and become the warden's own; two that are one
 * stay one. limit: bytes; UINT64_MAX: none, and nothing is done. -EINVAL: one is no pipe. On
 * failure it is to be closed. */
int output_open(struct output *ret, uint64_t limit, struct cloche_err *err);

/* What to wait for, as far as .fd is not -1. */
void output_watch(const struct output *o, struct pollfd ret[static OUTPUT_FDS]);

/* What there is and fits. True: more was written than may pass, for the first time. */
bool output_move(struct output *o);

/* Nobody writes any more: the same, and *ret_more: something is still to be passed on, when the
 * driver's pipe takes it. Once, cut is final. */
void output_drain(struct output *o, bool *ret_more);

/* Nobody writes for a while, and what there is and fits is passed on; *ret_more: not all of it.
 * True: as of output_move. Then so much may pass anew. */
bool output_pass(struct output *o, bool *ret_more);
void output_renew(struct output *o, uint64_t limit);

void output_close(struct output *o);

#endif
