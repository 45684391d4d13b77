/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_TRACE_FROM_H
#define CLOCHE_CLI_TRACE_FROM_H

#include <stdint.h>
#include <stdio.h>

#include "serve/remote.h"

struct cloche_err;

/*
 * Where kept traces are: in a folder, or with the daemon. The folder is the one that was given,
 * else that of $CLOCHE_TRACES, else root's own; but who is not root, or has $CLOCHE_CONTROL, asks
 * the daemon where no folder was named: for his own, root for those of all.
 */
struct trace_from {
	const char *dir; /* NULL: the daemon */
	bool named;	 /* somebody said so */
	bool all;	 /* the daemon's, of all owners */
	struct remote remote;
};

/* given: by --dir; NULL: it was not. */
int trace_from_open(const char *given, struct trace_from *ret, struct cloche_err *err);
void trace_from_close(struct trace_from *from);

/* The one whose id begins so, for reading once; name: what it is called in errors. */
FILE *trace_from_find(struct trace_from *from, const char *id, char *name, size_t size,
		      struct cloche_err *err);

/* Each with what its head and end say, of a folder the oldest first, of the daemon an owner's the
 * oldest first; id NULL: there is none. The daemon's are read, and `each` called, in a process
 * without rights (cli/reading.h): it says what it has to say to `to`, which comes to out. */
struct trace;
typedef void trace_from_each(void *arg, FILE *to, uint32_t owner, const char *id,
			     const struct trace *t);
int trace_from_list(struct trace_from *from, trace_from_each *each, void *arg, FILE *out,
		    struct cloche_err *err);

#endif
