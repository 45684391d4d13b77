/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_TRACE_WATCH_H
#define CLOCHE_CLI_TRACE_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct cloche_err;

struct trace_watch_options {
	FILE *out;
	bool json;
	bool colour;
	int64_t for_ns;	     /* 0: until SIGINT, SIGTERM or SIGHUP */
	const char *control; /* the daemon's, of which it is to be had; NULL: here */
};

/* Shows all invocations that begin from now on, this user's of the daemon, or what root runs here:
 * `cloche trace` without an argument. */
int trace_watch(const struct trace_watch_options *opt, struct cloche_err *err);

#endif
