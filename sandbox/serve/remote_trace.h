/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REMOTE_TRACE_H
#define CLOCHE_SERVE_REMOTE_TRACE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct answer;
struct outcome;
struct session_notes;

/*
 * The trace of one invocation on its way from the daemon's pipe into a file of this process's own.
 * Start from { .file = … , .pipe = -1 }; the file is taken over, NULL: none is wanted.
 *
 *	{ wait → poll → step }* with the pipe once it is there → end
 */
struct remote_trace {
	FILE *file;
	FILE *copy;  /* the same, borrowed; NULL: none */
	bool wanted; /* also where it could not be opened */
	bool kept;   /* wanted: one in the daemon's store */
	int pipe;    /* -1: none yet, or it is empty for good */
	uint64_t bytes;
	int code; /* the errno for which it could not be read */
};

void remote_trace_wait(const struct remote_trace *t, struct pollfd *ret);
void remote_trace_step(struct remote_trace *t);

/* What is left of it is read, and the file closed; whether there is a trace is said in *out and
 * *notes. answer: NULL: none came. */
void remote_trace_end(struct remote_trace *t, const struct answer *answer, struct outcome *out,
		      struct session_notes *notes);

#endif
