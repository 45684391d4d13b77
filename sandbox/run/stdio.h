/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_STDIO_H
#define CLOCHE_RUN_STDIO_H

#include "launch/stream_names.h"
#include "launch/streams.h"
#include "run/bridge.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/*
 * The three standard streams of a function: which go in as the caller gave them and which through a
 * bridge. Life cycle: open → (any number of invocations) → close. A bridge is there for
 *   sockets          of which the function gets bytes, and by which it passes nothing but bytes
 *   standard error   that is a pipe, so that it is known whether its last line is finished
 *   output           that is a file and open for writing only: a pipe can be opened by name for
 *                    just that, and then nothing in the file is read, cut off or written over
 *   output limits    each stream that can be written, since what counts them (launch/output.h)
 * needs a pipe that never makes it wait; standard input is given anew, for reading only, or bridged
 * where it is a file that anybody may open for writing Two streams that go to one place share a
 * bridge, so that their order stays.
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
	bool named;	/* that was for its name */
	struct stream_names names;
	struct bridge *bridges[3]; /* owned; NULL: none, or the one of a stream before */
	uint64_t limit;		   /* UINT64_MAX: none */
	bool files;		   /* an output that is a file goes in as it is */
};

/* given: what the caller wants to be the streams. limit: bytes of output, 0: none. files: a limit
 * of file sizes is to hold for them. What may not be a stream is refused: see streams.h. On failure
 * nothing is open. */
int stdio_open(struct stdio *ret, const int given[3], uint64_t limit, bool files,
	       struct cloche_err *err);
void stdio_close(struct stdio *s);

/* Before a context begins, whose user on the host is id: it can open its streams by name, too, as
 * far as launch/stream_names.h has it; inside[] may change. The one before has ended. */
void stdio_try_give_names(struct stdio *s, int run_fd, uid_t id);

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
