/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_TRACE_TEXT_H
#define CLOCHE_TRACE_TRACE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct trace;
struct trace_event;

/* A sorted trace for reading: a timeline relative to the beginning, the figures below it. cpu: also
 * each stretch on a CPU, of which there can be very many. 0 or -ENOMEM. */
int trace_text_write(FILE *f, const struct trace *t, bool cpu);

/* What happened, without when and who: "exec /bin/sh -c 'ls -l'", "open '/tmp/x' failed: EACCES".
 * Clean text, cut to size; "" for switches, which are no news on their own. */
const char *trace_text_event(const struct trace_event *ev, char *buf, size_t size);

#endif
