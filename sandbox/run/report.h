/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_REPORT_H
#define CLOCHE_RUN_REPORT_H

#include <stdbool.h>
#include <stdio.h>

struct cloche_err;
struct context;
struct invocation;
struct prices_charge;
struct spec;

/* What a report tells beside the invocation itself. */
struct report_context {
	char id[37];
	const char *start; /* "cold" or "warm" */
	const char *reuse; /* "none" or "context" */
	unsigned invocation;
	const char *replaced; /* why the context before this one was given up; NULL: it was not */
};

struct report {
	const struct spec *spec;
	const struct context *ctx; /* NULL: none could be made */
	const struct invocation *inv;
	const struct report_context *context;
	const struct prices_charge *charge; /* NULL: nothing ran */
	const char *prices;		    /* the list's name */
	const char *function;		    /* its name, or NULL */
	const char *code_sha256;	    /* for the record; "": unknown; NULL: nobody asked */
	const char *untraced;		    /* what is said when nobody asked for a trace */
	const char *unrecorded; /* why the ledger has no safe record of it; NULL: all is well */
};

/* The JSON object, on one line with its newline; the caller frees it. NULL: out of memory. */
char *report_json(const struct report *report);

/* Lambda's REPORT line, with tabs, from the same figures. */
void report_line(const struct report *report, FILE *out);

#endif
