/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_TRACE_PERFETTO_H
#define CLOCHE_TRACE_TRACE_PERFETTO_H

#include <stdio.h>

struct trace;

/*
 * A sorted trace in the Trace Event Format, which ui.perfetto.dev and chrome://tracing open: a
 * track of the invocation's wall time in its four parts, a counter of threads by state, and a
 * process with its threads for each process, with spans on CPU, waiting and throttled and what
 * happened as instants. 0 or -ENOMEM.
 */
int trace_perfetto_write(FILE *f, const struct trace *t);

#endif
