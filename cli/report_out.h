/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_REPORT_OUT_H
#define CLOCHE_CLI_REPORT_OUT_H

#include <stdbool.h>

struct outcome;
struct rights;

/* What is said of an outcome on standard error and in the file of --report. Start from { .verb,
 * .path, .as, .quiet, .fd = -1 }. */
struct report_out {
	const char *verb;	 /* who speaks */
	const char *path;	 /* of the report; "-": standard error, NULL: none */
	const struct rights *as; /* who opens it; NULL: us */
	bool quiet;		 /* no REPORT line */
	int fd;
};

/* Before anything runs, so that a wrong path is known early; yet it never costs the run. */
void report_out_open(struct report_out *o);
void report_out_close(struct report_out *o);

/* The REPORT line, or why there is none, and the report. */
void report_out_say(struct report_out *o, const struct outcome *out);

/* "cloche VERB: text", on a line of its own. */
void report_out_complain(const struct report_out *o, const char *text);

#endif
