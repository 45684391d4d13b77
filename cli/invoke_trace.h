/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_INVOKE_TRACE_H
#define CLOCHE_CLI_INVOKE_TRACE_H

#include "run/session.h"
#include "run/tracing.h"
#include "serve/remote_trace.h"

#include <stdbool.h>

struct outcome;
struct remote_event;
struct rights;

/* The trace of an invocation of a deployed function, which comes from the daemon: into a file of
 * the caller's, into a folder of kept ones that he has named, or is kept by the daemon. Start from
 * { .path, .keep }. */
struct invoke_trace {
	const char *path; /* NULL: no file */
	bool keep;
	bool opened; /* the file was */
	struct tracing tracing;
	struct remote_trace remote;
	struct session_notes notes;
};

/* as: who opens the file. What cannot be opened is said, and *event goes on. */
void invoke_trace_begin(struct invoke_trace *t, const char *function, const struct rights *as,
			struct remote_event *event);

/* Behind the answer, before the report; then what is to be said of it. */
void invoke_trace_end(struct invoke_trace *t, struct outcome *out);
void invoke_trace_say(const struct invoke_trace *t, const struct outcome *out);

#endif
