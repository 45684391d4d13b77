/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_REPORT_H
#define CLOCHE_RUN_REPORT_H

#include <stdio.h>

struct outcome;

/* The JSON object, on one line with its newline; the caller frees it. NULL: out of memory. */
char *report_json(const struct outcome *out);

/* Lambda's REPORT line, with tabs, from the same figures. */
void report_line(const struct outcome *out, FILE *to);

#endif
