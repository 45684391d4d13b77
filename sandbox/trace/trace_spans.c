/* SPDX-License-Identifier: MIT */
/*
 * Spans of threads and parts of the wall time, rebuilt from a trace's events. The figures of the
 * report come from the kernel's sums and not from here: a trace that lost events draws short.
 */
#include "trace/trace_spans.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bpf/meter_abi.h"
#include "trace/trace.h"
#include "trace/trace_threads.h"

const char *span_state_text(enum span_state state)
{
	static const char *const text[] = { "on CPU", "waiting", "throttled" };

	return text[state];
}

const char *part_text(enum part part)
{
	static const char *const text[] = { "busy", "held by its quota", "waiting for others",
					    "idle" };

	return text[part];
}

/* The quota took all who wait, or let them go. */
struct turn {
	uint64_t at_ns;
	bool held;
};

struct spans {
	const struct trace *t;
	struct turn *turns;
	size_t n_turns;
	struct trace_span *v;
	size_t n, room;
	bool failed; /* no memory */
};

static void span_add(struct spans *s, const struct trace_event *e, enum span_state state,
		     uint64_t from_ns, uint64_t to_ns)
{
	if (from_ns < s->t->begin_ns)
		from_ns = s->t->begin_ns;
	if (to_ns > s->t->end_ns)
		to_ns = s->t->end_ns;
	if (from_ns >= to_ns)
		return;
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 256;
		struct trace_span *v = reallocarray(s->v, room, sizeof(*v));

		s->failed |= !v;
		if (!v)
			return;
		s->v = v;
		s->room = room;
	}
	s->v[s->n++] = (struct trace_span){ .from_ns = from_ns,
					    .to_ns = to_ns,
					    .pid = e->pid,
					    .tid = e->tid,
					    .cpu = e->cpu,
					    .state = state };
}

static void run_add(struct spans *s, const struct trace_event *e, uint64_t from_ns, uint64_t to_ns,
		    uint32_t beside_ns)
{
	size_t n = s->n;

	span_add(s, e, SPAN_RUNNING, from_ns, to_ns);
	if (s->n > n)
		s->v[n].beside_ns = beside_ns;
}

static bool is_turn(const struct trace_event *e)
{
	return e->type == METER_EV_UNTHROTTLE ||
	       (e->type == METER_EV_OFF && e->arg == METER_OFF_THROTTLED_ALL);
}

static int turns_find(struct spans *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->t->n; i++)
		n += is_turn(&s->t->events[i]);
	s->turns = calloc(n + 1, sizeof(*s->turns));
	if (!s->turns)
		return -ENOMEM;
	for (size_t i = 0; i < s->t->n; i++) {
		const struct trace_event *e = &s->t->events[i];

		if (is_turn(e))
			s->turns[s->n_turns++] = (struct turn){ e->at_ns, e->type == METER_EV_OFF };
	}
	return 0;
}

/* The first turn after at_ns. */
static size_t turn_after(const struct spans *s, uint64_t at_ns)
{
	size_t low = 0, high = s->n_turns;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->turns[middle].at_ns <= at_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Held back by the quota at first, or by others; the turns after that change which. */
static void wait_add(struct spans *s, const struct trace_event *e, bool held, uint64_t from_ns,
		     uint64_t to_ns)
{
	for (size_t k = turn_after(s, from_ns); k < s->n_turns && s->turns[k].at_ns < to_ns; k++) {
		if (held == s->turns[k].held)
			continue;
		span_add(s, e, held ? SPAN_THROTTLED : SPAN_WAITING, from_ns, s->turns[k].at_ns);
		from_ns = s->turns[k].at_ns;
		held = s->turns[k].held;
	}
	span_add(s, e, held ? SPAN_THROTTLED : SPAN_WAITING, from_ns, to_ns);
}

static bool off_held(const struct trace_event *off)
{
	return off->arg == METER_OFF_THROTTLED || off->arg == METER_OFF_THROTTLED_ALL;
}

/* Did the quota hold the thread as its wait began, at since_ns with the event `queued`, if any? */
static bool began_held(const struct spans *s, const struct trace_event *queued,
		       const struct trace_event *on, uint64_t since_ns)
{
	/* Without a turn between the two, what is true of the end is so of the beginning; a turn of
	 * the same date as the beginning may have come before it or after. */
	if (turn_after(s, since_ns) == turn_after(s, on->at_ns))
		return on->arg & METER_ON_HELD;
	return on->arg & METER_ON_BEGAN_HELD || (queued && off_held(queued));
}

/* How much before its ON a slice began, which the OFF at its end tells. */
static uint64_t slice_early(const struct trace_event *const *on,
			    const struct trace_event *const *end)
{
	const struct trace_event *const *e = on + 1;

	while (e < end && (*e)->type != METER_EV_ON && (*e)->type != METER_EV_OFF)
		e++;
	return e < end && (*e)->type == METER_EV_OFF ? (*e)->value : 0;
}

static void thread_spans(struct spans *s, const struct trace_thread *thread,
			 const struct trace_event *const *e)
{
	const struct trace_event *on = NULL, *queued = NULL;
	uint64_t on_ns = 0, early;
	uint32_t beside = 0;

	for (size_t i = 0; i < thread->n; i++) {
		if (e[i]->type == METER_EV_ON) {
			uint64_t since = queued ? queued->at_ns : e[i]->value;

			early = slice_early(e + i, e + thread->n);
			on_ns = e[i]->at_ns - (uint32_t)early;
			beside = (uint32_t)(early >> 32);
			if (since && !on)
				wait_add(s, e[i], began_held(s, queued, e[i], since), since, on_ns);
			on = e[i];
			queued = NULL;
		} else if (e[i]->type == METER_EV_OFF) {
			/* The first that is seen of who was running when it all began; of who was
			 * born later, an ON was not reported, and nothing says since when. */
			if (on || (i == 0 && !thread->born))
				run_add(s, on ? on : e[i], on ? on_ns : s->t->begin_ns, e[i]->at_ns,
					on ? beside : 0);
			on = NULL;
			queued = off_held(e[i]) || e[i]->arg == METER_OFF_PREEMPTED ? e[i] : NULL;
		} else if (!on || on->tid != e[i]->tid) {
			/* It execs, so it runs: the beginning cut its slice in two, or the ON was
			 * not reported. And it may have got another number. */
			if (on)
				run_add(s, on, on_ns, e[i]->at_ns, beside);
			on = e[i];
			on_ns = on->at_ns;
			beside = 0;
			queued = NULL;
		}
	}
	if (on)
		run_add(s, on, on_ns, thread->end_ns, beside);
	else if (queued)
		wait_add(s, queued, off_held(queued), queued->at_ns, thread->end_ns);
}

static int by_thread(const void *a, const void *b)
{
	const struct trace_span *x = a, *y = b;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return (x->from_ns > y->from_ns) - (x->from_ns < y->from_ns);
}

int trace_spans(const struct trace *t, struct trace_span **ret, size_t *ret_n)
{
	cleanup_threads struct trace_threads threads;
	struct spans s = { .t = t };
	int r = trace_threads(t, &threads);

	if (r == 0)
		r = turns_find(&s);
	for (size_t i = 0; r == 0 && i < threads.n; i++)
		thread_spans(&s, &threads.v[i], threads.events + threads.v[i].first);
	free(s.turns);
	if (r < 0 || s.failed) {
		free(s.v);
		return -ENOMEM;
	}
	if (s.n)
		qsort(s.v, s.n, sizeof(*s.v), by_thread);
	*ret = s.v;
	*ret_n = s.n;
	return 0;
}

/* ---- parts of the wall time --------------------------------------------------------------- */

struct edge {
	uint64_t at_ns;
	enum span_state state;
	int change;
	enum span_state ends; /* another of the thread's ends here; SPAN_STATES: none */
};

static int by_edge(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

static enum part part_of(const long count[SPAN_STATES])
{
	if (count[SPAN_RUNNING])
		return PART_BUSY;
	if (count[SPAN_WAITING])
		return PART_CONTENTION;
	return count[SPAN_THROTTLED] ? PART_QUOTA : PART_IDLE;
}

int trace_parts(const struct trace *t, const struct trace_span *spans, size_t n,
		struct trace_part **ret, size_t *ret_n)
{
	struct trace_part *parts = calloc(3 * n + 2, sizeof(*parts));
	struct edge *edges = calloc(3 * n + 1, sizeof(*edges));
	long count[SPAN_STATES] = { 0 };
	uint64_t from = t->begin_ns;
	size_t m = 0, k = 0;

	if (!parts || !edges) {
		free(parts);
		free(edges);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t start = spans[i].from_ns, beside = spans[i].beside_ns;

		/* Its CPU time, but it waited for all that could be seen. */
		if (beside) {
			edges[k++] = (struct edge){ start, SPAN_WAITING, 1, SPAN_STATES };
			start += beside;
		}
		edges[k++] = (struct edge){ start, spans[i].state, 1,
					    beside ? SPAN_WAITING : SPAN_STATES };
		edges[k++] = (struct edge){ spans[i].to_ns, spans[i].state, -1, SPAN_STATES };
	}
	edges[k++] = (struct edge){ .at_ns = t->end_ns, .ends = SPAN_STATES };
	qsort(edges, k, sizeof(*edges), by_edge);
	for (size_t i = 0; i < k; i++) {
		enum part p = part_of(count);

		if (edges[i].at_ns > from) {
			if (m && parts[m - 1].part == p)
				parts[m - 1].to_ns = edges[i].at_ns;
			else
				parts[m++] = (struct trace_part){ from, edges[i].at_ns, p };
			from = edges[i].at_ns;
		}
		count[edges[i].state] += edges[i].change;
		if (edges[i].ends != SPAN_STATES)
			count[edges[i].ends]--;
	}
	free(edges);
	*ret = parts;
	*ret_n = m;
	return 0;
}
