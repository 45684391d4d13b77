/* SPDX-License-Identifier: MIT */
/* The recorder: between the ring buffer and the file, with a table of denied calls on the way. */
#include "trace/trace_recorder.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "bpf/meter_abi.h"
#include "meter/events.h"
#include "meter/usage.h"
#include "trace/trace.h"
#include "trace/trace_json.h"
#include "trace/trace_live.h"

/* A place for lines: the whole trace or as much as its bound allows. */
struct sink {
	FILE *f; /* NULL: none */
	uint64_t max_bytes, written, cut;
};

struct trace_recorder {
	struct meter_events *events;
	struct sink file; /* owned */
	struct sink kept; /* borrowed */
	struct trace_live *live;
	char request_id[40], started_at[CLOCK_ISO_LEN];
	bool began; /* the first exec was seen */
	trace_may_deny *may_deny;
	const void *may_deny_arg;
	uint64_t unseen;
	uint64_t written;
	struct trace_close how;
};

/* A look at the size now and then is exact enough for a bound and costs nothing. */
static void sink_put(struct sink *s, const struct trace_event *e)
{
	if (!s->f)
		return;
	if (s->cut || (s->written % 256 == 255 && (uint64_t)ftello(s->f) > s->max_bytes)) {
		s->cut++;
		return;
	}
	trace_json_event(s->f, e);
	s->written++;
}

static int on_event(const struct meter_event *ev, size_t size, void *arg)
{
	struct trace_recorder *r = arg;
	struct trace_event e;
	int e2;

	r->began |= ev->type == METER_EV_EXEC;
	if (!r->began)
		return 0;
	if (ev->type == METER_EV_DENIED && r->may_deny &&
	    !r->may_deny((const void *)ev, r->may_deny_arg)) {
		/* 0: it only looked like one, and the signal is on record. */
		r->unseen += ev->value != 0;
		return 0;
	}
	if (!r->file.f && !r->kept.f && !r->live)
		return 0;
	e2 = trace_event_of(ev, &e);
	if (e2)
		return e2;
	sink_put(&r->file, &e);
	sink_put(&r->kept, &e);
	if (r->live)
		trace_live_event(r->live, &e);
	trace_event_free(&e);
	r->written++;
	return 0;
}

int trace_recorder_of(struct trace_recorder **ret, struct meter_events *events, FILE *f,
		      const char *request_id, struct cloche_err *err)
{
	struct trace_recorder *r = calloc(1, sizeof(*r));

	if (!r) {
		if (f)
			(void)fclose(f);
		meter_events_free(events);
		return cloche_err_sys(err, ENOMEM, "record a trace");
	}
	r->events = events;
	r->file = (struct sink){ .f = f, .max_bytes = TRACE_FILE_BYTES };
	clock_format_iso(clock_real_ns(), r->started_at);
	(void)snprintf(r->request_id, sizeof(r->request_id), "%s", request_id);
	if (f)
		trace_json_head(f, r->request_id, r->started_at);
	*ret = r;
	return 0;
}

int trace_recorder_open(struct trace_recorder **ret, const struct meter *m, uint32_t slot, FILE *f,
			const char *request_id, size_t ring_bytes, struct cloche_err *err)
{
	struct meter_events *events;
	int e = meter_events_open(&events, m, slot, ring_bytes ? ring_bytes : METER_RING_BYTES,
				  err);

	if (e) {
		if (f)
			(void)fclose(f);
		return e;
	}
	return trace_recorder_of(ret, events, f, request_id, err);
}

void trace_recorder_keep(struct trace_recorder *r, FILE *f, uint64_t max_bytes)
{
	r->kept = (struct sink){ .f = f, .max_bytes = max_bytes };
	trace_json_head(f, r->request_id, r->started_at);
}

void trace_recorder_go_on(struct trace_recorder *r)
{
	r->began = true;
}

void trace_recorder_show(struct trace_recorder *r, struct trace_live *live)
{
	r->live = live;
}

void trace_recorder_tell(struct trace_recorder *r, const char *function, const char *verdict)
{
	r->how.function = function;
	r->how.verdict = verdict;
}

void trace_recorder_check(struct trace_recorder *r, trace_may_deny *may_deny, const void *arg)
{
	r->may_deny = may_deny;
	r->may_deny_arg = arg;
}

uint64_t trace_recorder_unseen(const struct trace_recorder *r)
{
	return r->unseen;
}

int trace_recorder_fd(const struct trace_recorder *r)
{
	return meter_events_fd(r->events);
}

int trace_recorder_drain(struct trace_recorder *r, unsigned max, struct cloche_err *err)
{
	int e = meter_events_read(r->events, max, on_event, r, err);

	if (r->live)
		trace_live_flush(r->live);
	return e;
}

static void sink_end(const struct sink *s, const struct trace_recorder *r,
		     const struct meter_usage *u)
{
	struct trace_close how = r->how;

	how.written = s->written;
	how.cut = s->cut;
	if (s->f)
		trace_json_end(s->f, u, &how);
}

int trace_recorder_let_go(struct trace_recorder *r, uint64_t *ret_events, struct cloche_err *err)
{
	int e = trace_recorder_drain(r, 0, err);

	r->events = meter_events_free(r->events);
	*ret_events = r->written;
	return e;
}

int trace_recorder_close(struct trace_recorder *r, const struct meter_usage *u,
			 uint64_t *ret_events, struct cloche_err *err)
{
	int e = 0;

	if (!r)
		return 0;
	if (r->events)
		e = trace_recorder_drain(r, 0, err);
	if (u && !e) {
		sink_end(&r->file, r, u);
		sink_end(&r->kept, r, u);
	}
	if (r->file.f) {
		bool failed = ferror(r->file.f);

		if ((fclose(r->file.f) || failed) && !e)
			e = cloche_err_sys(err, errno ? errno : EIO, "write the trace");
	}
	if (ret_events)
		*ret_events = r->written;
	meter_events_free(r->events);
	free(r);
	return e;
}
