/* SPDX-License-Identifier: MIT */
/*
 * One ring buffer for each traced slot, made here and hung into the programs' array of maps, so
 * that what is not traced costs no memory and two traces never read each other's events.
 */
#include "meter/events.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "meter/meter.h"
#include "bpf/meter_abi.h"

struct meter_events {
	struct ring_buffer *ring;
	struct meter meter; /* its dir and rings are ours */
	int tracing;
	int map;
	uint32_t slot;
	int (*fn)(const struct meter_event *ev, size_t size, void *arg);
	void *arg;
};

static size_t event_size(uint32_t type)
{
	switch (type) {
	case METER_EV_EXEC:
		return sizeof(struct meter_event_exec);
	case METER_EV_OPEN:
	case METER_EV_UNIX:
		return sizeof(struct meter_event_open);
	case METER_EV_CONNECT:
	case METER_EV_BIND:
		return sizeof(struct meter_event_addr);
	case METER_EV_DENIED:
		return sizeof(struct meter_event_denied);
	default:
		return sizeof(struct meter_event);
	}
}

/* libbpf's callback type has no const. */
static int on_event(void *arg, void *data, size_t size)
{
	struct meter_events *e = arg;
	const struct meter_event *ev = data;

	if (size < sizeof(*ev) || size < event_size(ev->type))
		return -EPROTO;
	return e->fn(ev, event_size(ev->type), e->arg);
}

int meter_events_open(struct meter_events **ret, const struct meter *m, uint32_t slot, size_t bytes,
		      struct cloche_err *err)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct meter_events *e;
	int r;

	while (size < bytes && size < (1UL << 30))
		size *= 2;
	e = calloc(1, sizeof(*e));
	if (!e)
		return cloche_err_sys(err, ENOMEM, "trace slot %u", slot);
	e->slot = slot;
	e->tracing = -1;
	e->meter = *m;
	e->meter.dir = e->meter.rings = -1;
	e->map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "cloche_ring", 0, 0, (uint32_t)size, NULL);
	if (e->map < 0) {
		r = cloche_err_sys(err, errno, "make a ring buffer of %zu bytes", size);
		goto fail;
	}
	e->ring = ring_buffer__new(e->map, on_event, e, NULL);
	if (!e->ring) {
		r = cloche_err_sys(err, errno, "map a ring buffer of %zu bytes", size);
		goto fail;
	}
	e->meter.dir = fcntl(m->dir, F_DUPFD_CLOEXEC, 3);
	e->meter.rings = fcntl(m->rings, F_DUPFD_CLOEXEC, 3);
	if (e->meter.dir < 0 || e->meter.rings < 0) {
		r = cloche_err_sys(err, errno, "trace slot %u", slot);
		goto fail;
	}
	e->tracing = meter_trace_on(&e->meter, err);
	if (e->tracing < 0) {
		r = e->tracing;
		goto fail;
	}
	if (bpf_map_update_elem(m->rings, &slot, &e->map, BPF_ANY)) {
		r = cloche_err_sys(err, errno, "trace slot %u", slot);
		goto fail;
	}
	*ret = e;
	return 0;
fail:
	meter_events_free(e);
	return r;
}

int meter_events_fd(const struct meter_events *e)
{
	return ring_buffer__epoll_fd(e->ring);
}

int meter_events_read(struct meter_events *e,
		      int (*fn)(const struct meter_event *ev, size_t size, void *arg), void *arg,
		      struct cloche_err *err)
{
	int r;

	e->fn = fn;
	e->arg = arg;
	r = ring_buffer__consume(e->ring);
	if (r < 0)
		return cloche_err_sys(err, -r, "read the trace of slot %u", e->slot);
	return 0;
}

struct meter_events *meter_events_free(struct meter_events *e)
{
	if (!e)
		return NULL;
	if (e->meter.rings >= 0)
		(void)bpf_map_delete_elem(e->meter.rings, &e->slot);
	if (e->meter.dir >= 0)
		meter_trace_off(&e->meter, &e->tracing);
	ring_buffer__free(e->ring);
	fd_close(&e->meter.rings);
	fd_close(&e->meter.dir);
	if (e->map >= 0)
		(void)close(e->map);
	free(e);
	return NULL;
}
