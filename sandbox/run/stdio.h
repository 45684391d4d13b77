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
 * where it is a file that anybody may open for writing
 *   what is asked for   of a file that whoever passes the streams on does not know
 * Two streams that go to one place share a bridge, so that their order stays.
 *
 * What a bridge has read of an input and the function has not is there for the next invocation;
 * after the last a file goes on where the function left it, of all else it is lost.
 *
 * The ends inside may be another process's to give (serve/remote_streams.h), who copies nothing:
 * there stdio_pass makes one without bridges.
 */
struct stdio_options {
	int given[3];	 /* what the caller wants to be the streams */
	uint64_t limit;	 /* bytes of output, 0: none */
	bool files;	 /* a limit of file sizes is to hold for them */
	unsigned copied; /* bits of those that are bridged though they could go in as they are */
};

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
	unsigned copied;	   /* as in the options */
};

/* Nothing that is open. */
#define STDIO_NONE                                 \
	((struct stdio){ .inside = { -1, -1, -1 }, \
			 .far = { -1, -1, -1 },    \
			 .again = -1,              \
			 .names = STREAM_NAMES_NONE })

/* What may not be a stream is refused: see streams.h. On failure nothing is open. */
int stdio_open(struct stdio *ret, const struct stdio_options *o, struct cloche_err *err);
void stdio_close(struct stdio *s);

/* Those, as they are; borrowed. Only begin, end, move and close are for it. */
void stdio_pass(struct stdio *ret, const int given[3]);

/* What the function gets as its stream i. */
int stdio_inside(const struct stdio *s, int i);

/* Before a context begins, whose user on the host is id: it can open its streams by name, too, as
 * far as launch/stream_names.h has it; inside[] may change. The one before has ended. */
void stdio_try_give_names(struct stdio *s, int run_fd, uid_t id);

/* Before an invocation, and after it, when all that it wrote is passed on. */
void stdio_begin(struct stdio *s);
void stdio_end(struct stdio *s);

/*
 * The bridges, as bridge.h has them: what to wait for (inward: also for the input; all: also for
 * what is not read yet); what poll(2) said; the rest of the output
 * when nobody writes any more: true: more is there, for when stdio_wait says so; and nobody reads
 * it. *first becomes why something could not be passed on, where it is not set yet.
 */
void stdio_wait(const struct stdio *s, bool inward, bool all, struct pollfd ret[static 3]);
void stdio_move(struct stdio *s, const struct pollfd fds[static 3], struct cloche_err *first);
bool stdio_drain(struct stdio *s, struct cloche_err *first);
void stdio_lose(struct stdio *s, struct cloche_err *first);

/*
 * Whether what is written to the caller's standard error next may come behind an unfinished line.
 * It is known of files, by their last byte, and of pipes and sockets, which are bridged; of a
 * terminal it is not, and then this is true.
 */
bool stdio_mid_line(const struct stdio *s);

#endif
