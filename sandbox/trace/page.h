/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_PAGE_H
#define CLOCHE_TRACE_PAGE_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

struct trace;

/*
 * One HTML page of reports (cloche.report/1 objects) and sorted traces, which belong together by
 * their request id; a trace without a report is shown on its own. The page asks for nothing from
 * outside and runs no script, and says so to the browser. All that it shows is escaped: a function
 * wrote some of it. 0 or -ENOMEM; whether the writing went well says ferror(3).
 */
int page_write(FILE *f, json_t *const *reports, size_t n_reports, const struct trace *traces,
	       size_t n_traces);

#endif
