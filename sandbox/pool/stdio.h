/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POOL_STDIO_H
#define CLOCHE_POOL_STDIO_H

#include "launch/streams.h"
#include "pool/bridge.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/*
 * The three standard streams of a function: which go in as the caller gave them and which through a
 * bridge. Life cycle: open → (any number of invocations) → close. A bridge is there for
 *   sockets          of which the function gets bytes, and by which it passes nothing but bytes
 *   standard error   that is a pipe, so that it is known whether its last line is finished
 *   output limits    each stream that can be written, so that all is counted; standard input is
 *                    given anew, for reading only, or bridged where it is a file that anybody may
 *                    open for writing
 * Two streams that go to one place share a bridge, so that their order stays.
 *
 * What a bridge has read of an input and the function has not is there for the next invocation, and
 * lost after the last.
 */
struct stdio {
	int given[3]; /* borrowed */
	struct stream kinds[3];
	int inside[3];	/* for the function; -1: the caller's own stream of that number */
	int far[3];	/* our ends of its pipes; -1: none */
	unsigned owned; /* bits of inside[] that are ours */
	int again;	/* what standard input was opened anew from; -1: it was not */
	struct bridge *bridges[3]; /* owned; NULL: none, or the one of a stream before */
	uint64_t room;		   /* left of the output limit, in this invocation */
	uint64_t limit;		   /* UINT64_MAX: none */
};

/* given: what the caller wants to be the streams. limit: bytes of output, 0: none. What may not be
 * a stream is refused: see streams.h. On failure nothing is open. */
int stdio_open(struct stdio *ret, const int given[3], uint64_t limit, struct cloche_err *err);
void stdio_close(struct stdio *s);

/* Before an invocation, and after it, when all that it wrote is passed on. */
void stdio_begin(struct stdio *s);
void stdio_end(struct stdio *s);

/*
 * Whether what is written to the caller's standard error next may come behind an unfinished line.
 * It is known of files, by their last byte, and of pipes and sockets, which are bridged; of a
 * terminal it is not, and then this is true.
 */
bool stdio_mid_line(const struct stdio *s);

#endif
