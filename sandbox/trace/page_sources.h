/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_PAGE_SOURCES_H
#define CLOCHE_TRACE_PAGE_SOURCES_H

#include <stddef.h>
#include <stdio.h>

struct cloche_err;
struct json_t;
struct trace;

#define PAGE_REPORT_SCHEMA "cloche.report/1"

/* What a page is made of, in the order in which it was read: see page_write. */
struct page_sources {
	struct json_t **reports;
	struct trace *traces;
	size_t n_reports, n_traces;
};

#define cleanup_page_sources __attribute__((cleanup(page_sources_free)))

/*
 * Adds what a file holds: reports one behind the other with any blanks between them, or one trace,
 * told apart by the schema of the first object. The file is somebody's, and must be able to seek;
 * name stands for it in errors. After an error what was read before stays.
 */
int page_sources_read(struct page_sources *s, FILE *f, const char *name, struct cloche_err *err);
void page_sources_free(struct page_sources *s);

#endif
