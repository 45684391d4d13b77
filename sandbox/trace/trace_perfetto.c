/* SPDX-License-Identifier: MIT */
/*
 * Trace Event Format (docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU):
 * one JSON object, times in us. Chrome takes the colours by cname, Perfetto makes its own from the
 * names.
 *
 * Readers take a time as a double, and a stretch as a start and a length. In decimal ns the sum of
 * the two is a hair more or less than the start of the next stretch: DevTools then draws that one
 * as nested, Perfetto, which cuts off to ns, drops it. So times are rounded up to 1/2048 us, which
 * doubles hold and add exactly: what touches still does, and both cutting off and rounding a time
 * to ns give the ns that it was.
 */
#include "trace/trace_perfetto.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/meter_abi.h"
#include "trace/trace.h"
#include "trace/trace_json.h"
#include "trace/trace_spans.h"
#include "trace/trace_text.h"

/* A process of its own for what belongs to the whole: no kernel gives the number 0 to a function.
 */
#define WHOLE_PID 0

#define GRID	  2048	   /* parts of a us */
#define GRID_UNIT 48828125 /* 1/2048 in the 11th decimal, all that it has: 5 to the power of 11 */

struct out {
	FILE *f;
	const struct trace *t;
	bool more;
};

static uint64_t grid_of(const struct out *o, uint64_t at_ns)
{
	uint64_t ns = at_ns > o->t->begin_ns ? at_ns - o->t->begin_ns : 0;

	return ns / 1000 * GRID + (ns % 1000 * GRID + 999) / 1000;
}

static void put_time(struct out *o, const char *key, uint64_t grid)
{
	(void)fprintf(o->f, ",\"%s\":%" PRIu64 ".%011" PRIu64, key, grid / GRID,
		      grid % GRID * GRID_UNIT);
}

/* Opens an event up to its time; the caller adds members and the brace. */
static void begin(struct out *o, const char *phase, uint32_t pid, uint32_t tid, uint64_t at_ns)
{
	(void)fprintf(o->f, "%s\n{\"ph\":\"%s\",\"pid\":%u,\"tid\":%u", o->more ? "," : "", phase,
		      pid, tid);
	put_time(o, "ts", grid_of(o, at_ns));
	o->more = true;
}

static void name(struct out *o, const char *clean)
{
	(void)fputs(",\"name\":", o->f);
	trace_json_string(o->f, clean);
}

static void meta(struct out *o, const char *what, uint32_t pid, uint32_t tid, const char *clean)
{
	begin(o, "M", pid, tid, 0);
	(void)fprintf(o->f, ",\"name\":\"%s\",\"args\":{\"name\":", what);
	trace_json_string(o->f, clean);
	(void)fputs("}}", o->f);
}

/* ---- names: the last that each had, which for a process is its program --------------------- */

static int by_tid(const void *a, const void *b)
{
	const struct trace_event *x = *(const struct trace_event *const *)a;
	const struct trace_event *y = *(const struct trace_event *const *)b;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return (x > y) - (x < y);
}

static int put_names(struct out *o)
{
	const struct trace *t = o->t;
	const struct trace_event **order = calloc(t->n + 1, sizeof(void *));

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++)
		order[i] = &t->events[i];
	qsort(order, t->n, sizeof(void *), by_tid);
	for (size_t i = 0; i < t->n; i++) {
		const struct trace_event *e = order[i];

		if (!e->tid || (i + 1 < t->n && order[i + 1]->tid == e->tid))
			continue;
		meta(o, "thread_name", e->pid, e->tid, e->comm);
		if (e->tid == e->pid)
			meta(o, "process_name", e->pid, e->tid, e->comm);
	}
	free(order);
	meta(o, "process_name", WHOLE_PID, WHOLE_PID, "invocation");
	meta(o, "thread_name", WHOLE_PID, WHOLE_PID, "wall time");
	begin(o, "M", WHOLE_PID, WHOLE_PID, 0);
	(void)fputs(",\"name\":\"process_sort_index\",\"args\":{\"sort_index\":-1}}", o->f);
	return 0;
}

/* ---- spans -------------------------------------------------------------------------------- */

/* Whole events, not pairs: not every reader finds the name of an end. */
static void put_stretch(struct out *o, uint32_t pid, uint32_t tid, uint64_t from_ns, uint64_t to_ns)
{
	begin(o, "X", pid, tid, from_ns);
	put_time(o, "dur", grid_of(o, to_ns) - grid_of(o, from_ns));
}

static void put_span(struct out *o, const struct trace_span *s)
{
	static const char *const colour[] = { "good", "bad", "terrible" };

	put_stretch(o, s->pid, s->tid, s->from_ns, s->to_ns);
	(void)fprintf(o->f, ",\"cat\":\"cpu\",\"cname\":\"%s\"", colour[s->state]);
	name(o, span_state_text(s->state));
	if (s->state == SPAN_RUNNING)
		(void)fprintf(o->f, ",\"args\":{\"cpu\":%u}", s->cpu);
	(void)putc_unlocked('}', o->f);
}

static void put_part(struct out *o, const struct trace_part *p)
{
	static const char *const colour[] = { "good", "terrible", "bad", "grey" };

	put_stretch(o, WHOLE_PID, WHOLE_PID, p->from_ns, p->to_ns);
	(void)fprintf(o->f, ",\"cat\":\"wall\",\"cname\":\"%s\"", colour[p->part]);
	name(o, part_text(p->part));
	(void)putc_unlocked('}', o->f);
}

struct edge {
	uint64_t at_ns;
	enum span_state state;
	int change;
};

static int by_edge(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

/* How many threads were in which state, as one stacked counter. */
static int put_counter(struct out *o, const struct trace_span *spans, size_t n)
{
	struct edge *edges = calloc(2 * n + 1, sizeof(*edges));
	long count[SPAN_STATES] = { 0 };

	if (!edges)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		edges[2 * i] = (struct edge){ spans[i].from_ns, spans[i].state, 1 };
		edges[2 * i + 1] = (struct edge){ spans[i].to_ns, spans[i].state, -1 };
	}
	qsort(edges, 2 * n, sizeof(*edges), by_edge);
	for (size_t i = 0; i < 2 * n; i++) {
		count[edges[i].state] += edges[i].change;
		if (i + 1 < 2 * n && edges[i + 1].at_ns == edges[i].at_ns)
			continue;
		begin(o, "C", WHOLE_PID, WHOLE_PID, edges[i].at_ns);
		(void)fprintf(o->f,
			      ",\"name\":\"threads\",\"args\":{\"%s\":%ld,\"%s\":%ld,\"%s\":%ld}}",
			      span_state_text(SPAN_RUNNING), count[SPAN_RUNNING],
			      span_state_text(SPAN_WAITING), count[SPAN_WAITING],
			      span_state_text(SPAN_THROTTLED), count[SPAN_THROTTLED]);
	}
	free(edges);
	return 0;
}

static int put_spans(struct out *o)
{
	struct trace_span *spans = NULL;
	struct trace_part *parts = NULL;
	size_t n = 0, m = 0;
	int r = trace_spans(o->t, &spans, &n);

	if (!r)
		r = trace_parts(o->t, spans, n, &parts, &m);
	for (size_t i = 0; i < m; i++)
		put_part(o, &parts[i]);
	for (size_t i = 0; i < n; i++)
		put_span(o, &spans[i]);
	if (!r)
		r = put_counter(o, spans, n);
	free(parts);
	free(spans);
	return r;
}

static void put_instant(struct out *o, const struct trace_event *e)
{
	const char *type = trace_type_text(e->type);
	char what[8192];

	if (!*trace_text_event(e, what, sizeof(what)))
		return;
	begin(o, "i", e->tid ? e->pid : WHOLE_PID, e->tid ? e->tid : WHOLE_PID, e->at_ns);
	(void)fprintf(o->f, ",\"s\":\"t\",\"cat\":\"%s\"", type ? type : "?");
	name(o, type ? type : "?");
	(void)fputs(",\"args\":{\"what\":", o->f);
	trace_json_string(o->f, what);
	(void)fputs("}}", o->f);
}

int trace_perfetto_write(FILE *f, const struct trace *t)
{
	struct out o = { .f = f, .t = t };
	int r;

	(void)fputs("{\"displayTimeUnit\":\"ms\",\"otherData\":{\"request_id\":", f);
	trace_json_string(f, t->request_id);
	(void)fputs(",\"started_at\":", f);
	trace_json_string(f, t->started_at);
	(void)fprintf(f, ",\"lost\":%" PRIu64 ",\"complete\":%s},\"traceEvents\":[", t->lost,
		      t->complete ? "true" : "false");
	r = put_names(&o);
	if (!r)
		r = put_spans(&o);
	for (size_t i = 0; !r && i < t->n; i++)
		put_instant(&o, &t->events[i]);
	(void)fputs("\n]}\n", f);
	return r;
}
