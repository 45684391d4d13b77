/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_REPORT_H
#define CLOCHE_RUN_REPORT_H

#include <stdbool.h>
#include <stdio.h>

struct outcome;

/* The JSON object, on one line with its newline; the caller frees it. NULL: out of memory. */
char *report_json(const struct outcome *out);

/* Lambda's REPORT line, with tabs, from the same figures. */
void report_line(const struct outcome *out, FILE *to);

/* Lambda's INIT_REPORT line, of an init that went wrong, or that nobody waited for; invoked: it was
 * a part of an invocation already. */
void report_init_line(const struct outcome *init, bool invoked, FILE *to);

#endif
