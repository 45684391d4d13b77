/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_PAGE_PICTURE_H
#define CLOCHE_TRACE_PAGE_PICTURE_H

#include <stdint.h>
#include <stdio.h>

#include "trace/trace_spans.h"

struct trace;

/* The pictures of a page: SVG in the page's own colours (classes p0 to p3 are the parts of the wall
 * time, s0 to s2 the states of a thread). */

/* What each part is called in the page, and its share as a bar with a legend. */
void picture_bar(FILE *f, const uint64_t part_ns[PARTS]);

/* The timeline: the wall time's parts, below it a row for each thread. 0 or -ENOMEM. */
int picture_timeline(FILE *f, const struct trace *t);

/* Text as HTML, in an attribute too. It is made clean first. */
void picture_text(FILE *f, const char *text);

/* "12.345 ms", in the unit that suits. */
const char *picture_time(char buf[static 32], uint64_t ns);

#endif
