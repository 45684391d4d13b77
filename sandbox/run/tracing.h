/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_TRACING_H
#define CLOCHE_RUN_TRACING_H

#include "base/err.h"
#include "trace/trace_store.h"

#include <stdbool.h>
#include <stdio.h>

struct metering_trace;
struct outcome;
struct trace_live;

/*
 * Where the events of invocations go: to a file of the caller's, to the folder of kept traces, and
 * to whoever watches. tracing_begin → the invocation → tracing_end, as often as there are
 * invocations, then tracing_close. Start from { .dir = …, .store = -1 }. An invocation is worth
 * more than its trace: what cannot be written is told, and nothing else comes of it.
 */
struct tracing {
	const char *dir; /* of kept traces; NULL: none is kept */
	int store;
	struct trace_store_file kept;
	struct trace_live *live;
	bool wanted;		  /* of the invocation that runs: by a file or the folder */
	bool filed;		  /* its file is whole */
	struct cloche_err unkept; /* why none is kept in the folder; code 0: it is */
};

/* file: taken over; NULL: none. wanted: the caller asked for one, whether it could be opened or
 * not. run_fd: of HOST_RUN_DIR. *ret is for the invocation. */
void tracing_begin(struct tracing *t, int run_fd, FILE *file, bool wanted, const char *function,
		   struct metering_trace *ret);

/* What came of it is not all that there was: none is kept. */
void tracing_lose(struct tracing *t, const struct cloche_err *why);

/* Before the report, which tells whether there is a trace. */
void tracing_end(struct tracing *t, struct outcome *out);

void tracing_close(struct tracing *t);

#endif
