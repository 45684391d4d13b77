/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_TRACE_SPANS_H
#define CLOCHE_TRACE_TRACE_SPANS_H

#include <stddef.h>
#include <stdint.h>

struct trace;

/*
 * From events to stretches of time, for whatever draws: what each thread was doing, and which part
 * of the wall time it all was. Sleep is where a thread has no span.
 */
enum span_state { SPAN_RUNNING, SPAN_WAITING, SPAN_THROTTLED, SPAN_STATES };

struct trace_span {
	uint64_t from_ns;
	uint64_t to_ns;
	uint32_t pid;
	uint32_t tid;
	uint32_t cpu; /* SPAN_RUNNING */
	enum span_state state;
	/* SPAN_RUNNING: so much of its beginning is the thread's CPU time and not the invocation's
	 * busy time: see METER_EV_OFF. */
	uint32_t beside_ns;
};

/* "on CPU", "waiting", "throttled". */
const char *span_state_text(enum span_state state);

/* Of a sorted trace: ordered by thread, then by time, none overlapping another of its thread. The
 * caller frees *ret. What lost events make unknown is left out. -ENOMEM. */
int trace_spans(const struct trace *t, struct trace_span **ret, size_t *ret_n);

enum part { PART_BUSY, PART_QUOTA, PART_CONTENTION, PART_IDLE, PARTS };

struct trace_part {
	uint64_t from_ns;
	uint64_t to_ns;
	enum part part;
};

/* "busy", "held by its quota", "waiting for others", "idle". */
const char *part_text(enum part part);

/* From begin to end without a gap. The caller frees *ret. -ENOMEM. */
int trace_parts(const struct trace *t, const struct trace_span *spans, size_t n,
		struct trace_part **ret, size_t *ret_n);

#endif
