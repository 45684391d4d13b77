/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_TRACE_H
#define CLOCHE_CLI_RUN_TRACE_H

#include "trace/trace_store.h"

#include <stdbool.h>

struct invocation;
struct metering_trace;
struct run_options;
struct trace_live;

/*
 * Where `cloche run` sends the events of its invocations: to a file, the folder of kept traces, and
 * to whoever watches. run_trace_begin → the invocation → run_trace_end, as often as there are
 * invocations, then run_trace_close. Start from { .store = -1 }. None of it ever costs the run.
 */
struct run_trace {
	unsigned files;
	int store;
	struct trace_store_file kept;
	struct trace_live *live;
	bool said;
	bool opened; /* the file of --trace, for the invocation that runs */ /* that something is
										not kept */
};

/* *ret is for invocation_run. run_fd: of HOST_RUN_DIR. */
void run_trace_begin(struct run_trace *trace, const struct run_options *opt, int run_fd,
		     struct metering_trace *ret);

/* Before the report, which tells whether there is a trace. */
void run_trace_end(struct run_trace *trace, const struct run_options *opt, struct invocation *inv);

void run_trace_close(struct run_trace *trace);

#endif
