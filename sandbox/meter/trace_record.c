/* SPDX-License-Identifier: MIT */
/* The recorder: between the ring buffer and the file, with a table of denied calls on the way. */
#include "meter/trace_record.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "bpf/meter_abi.h"
#include "meter/events.h"
#include "meter/trace.h"
#include "meter/trace_json.h"
#include "meter/usage.h"

struct trace_recorder {
	struct meter_events *events;
	FILE *f;
	bool began; /* the first exec was seen */
	uint64_t written;
	uint64_t denied_more;
	size_t denied_n;
	struct trace_denied denied[TRACE_DENIED_MAX];
};

static void count_denied(struct trace_recorder *r, const struct meter_event_denied *d)
{
	struct trace_denied *t;

	for (size_t i = 0; i < r->denied_n; i++) {
		t = &r->denied[i];
		if (t->number == d->ev.arg && t->result == (int64_t)d->ev.value) {
			t->count++;
			return;
		}
	}
	if (r->denied_n == TRACE_DENIED_MAX) {
		r->denied_more++;
		return;
	}
	t = &r->denied[r->denied_n++];
	*t = (struct trace_denied){ .number = d->ev.arg,
				    .result = (int64_t)d->ev.value,
				    .count = 1 };
	memcpy(t->args, d->args, sizeof(t->args));
}

static int on_event(const struct meter_event *ev, size_t size, void *arg)
{
	struct trace_recorder *r = arg;
	struct trace_event e;
	int e2;

	r->began |= ev->type == METER_EV_EXEC;
	if (!r->began)
		return 0;
	if (ev->type == METER_EV_DENIED)
		count_denied(r, (const void *)ev);
	if (!r->f)
		return 0;
	e2 = trace_event_of(ev, &e);
	if (e2)
		return e2;
	trace_json_event(r->f, &e);
	trace_event_free(&e);
	r->written++;
	return 0;
}

int trace_recorder_open(struct trace_recorder **ret, const struct meter *m, uint32_t slot, FILE *f,
			const char *request_id, size_t ring_bytes, struct cloche_err *err)
{
	struct trace_recorder *r = calloc(1, sizeof(*r));
	char iso[CLOCK_ISO_LEN];
	int e;

	if (!r) {
		if (f)
			(void)fclose(f);
		return cloche_err_sys(err, ENOMEM, "trace slot %u", slot);
	}
	r->f = f;
	e = meter_events_open(&r->events, m, slot, ring_bytes ? ring_bytes : TRACE_RING_BYTES, err);
	if (e) {
		(void)trace_recorder_close(r, NULL, NULL, NULL);
		return e;
	}
	if (f) {
		clock_format_iso(clock_real_ns(), iso);
		trace_json_head(f, request_id, iso);
	}
	*ret = r;
	return 0;
}

int trace_recorder_fd(const struct trace_recorder *r)
{
	return meter_events_fd(r->events);
}

int trace_recorder_drain(struct trace_recorder *r, struct cloche_err *err)
{
	return meter_events_read(r->events, on_event, r, err);
}

const struct trace_denied *trace_recorder_denied(const struct trace_recorder *r, size_t *ret_n,
						 uint64_t *ret_more)
{
	*ret_n = r->denied_n;
	*ret_more = r->denied_more;
	return r->denied;
}

int trace_recorder_close(struct trace_recorder *r, const struct meter_usage *u,
			 uint64_t *ret_events, struct cloche_err *err)
{
	int e = 0;

	if (!r)
		return 0;
	if (r->events)
		e = trace_recorder_drain(r, err);
	if (r->f && u && !e)
		trace_json_end(r->f, u, r->written);
	if (r->f) {
		bool failed = ferror(r->f);

		if ((fclose(r->f) || failed) && !e)
			e = cloche_err_sys(err, errno ? errno : EIO, "write the trace");
	}
	if (ret_events)
		*ret_events = r->written;
	meter_events_free(r->events);
	free(r);
	return e;
}
