/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REMOTE_STREAMS_H
#define CLOCHE_SERVE_REMOTE_STREAMS_H

#include "base/err.h"
#include "run/stdio.h"

#include <stdbool.h>

struct spec;

/*
 * A client's standard streams. What a function may have as it is goes to the daemon so; what is to
 * be copied (run/stdio.h) this process copies, and what goes to the daemon is the pipe's end. So
 * nobody but the client reads or writes what is the client's: whoever holds it up holds up himself.
 *
 *	open → { stdio_begin → { stdio_wait → poll → stdio_move }* → settle → stdio_end }* → close
 */
struct remote_streams {
	int given[3];
	const struct spec *spec; /* borrowed */
	struct stdio stdio;
	struct cloche_err unfit; /* its code: one may not be a stream, and nothing is open */
	unsigned copied;	 /* bits of the files that are not handed on */
};

void remote_streams_open(struct remote_streams *s, const struct spec *spec, const int given[3]);
void remote_streams_close(struct remote_streams *s);

/* unknown: bits of those of which the daemon says so. False: it could have had none of these.
 * Else all is anew, and the daemon is to be asked again. */
bool remote_streams_copy(struct remote_streams *s, unsigned unknown);

/* What is sent; and bits of those that are this process's controlling terminal. */
void remote_streams_fds(const struct remote_streams *s, int ret[static 3]);
unsigned remote_streams_own_terminals(const struct remote_streams *s);

/* The function is dead: the rest of its output. A reader that takes nothing is waited for as run/
 * invocation_machine.h has it: until cancel_fd is readable; of what was killed, which is hurried,
 * for a while; of what was cancelled not at all. *first as in stdio.h. */
enum remote_patience { PATIENCE_FULL, PATIENCE_HURRIED, PATIENCE_NONE };
void remote_streams_settle(struct remote_streams *s, enum remote_patience patience, int cancel_fd,
			   struct cloche_err *first);

#endif
