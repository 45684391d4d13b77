/* SPDX-License-Identifier: MIT */
/*
 * One ring buffer for each traced slot, made here and hung into the programs' array of maps, so
 * that what is not traced costs no memory and two traces never read each other's events.
 *
 * To hang one in or take it out is to wait until no program looks at the array any more (RCU, 10 to
 * 30 ms). So the usual ring of the first few slots stays, pinned beside the meter: whoever traces
 * there next finds it. The slot is its user's alone, so the ring is, too.
 */
#include "meter/events.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "bpf/meter_abi.h"
#include "meter/meter.h"

struct meter_events {
	struct ring_buffer *ring;
	struct meter meter; /* its dir and rings are ours */
	int tracing;
	int map;
	uint32_t slot;
	bool stays;
	unsigned left; /* to be read yet; 0: no bound */
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

	int r;

	if (size < sizeof(*ev) || size < event_size(ev->type))
		return -EPROTO;
	r = e->fn(ev, event_size(ev->type), e->arg);
	/* This one counts as read: libbpf moves on before it calls. */
	return r == 0 && e->left && --e->left == 0 ? -ECANCELED : r;
}

static int nothing(const struct meter_event *ev, size_t size, void *arg)
{
	(void)ev;
	(void)size;
	(void)arg;
	return 0;
}

static const char *ring_pin(const struct meter_events *e, char path[static 160])
{
	(void)snprintf(path, 160, "%s/ring_%u", e->meter.path, e->slot);
	return path;
}

/* The ring that stayed and is in its place. */
static bool find_ring(struct meter_events *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info), id = 0;
	char path[160];

	e->map = bpf_obj_get(ring_pin(e, path));
	if (e->map < 0)
		return false;
	if (!bpf_obj_get_info_by_fd(e->map, &info, &len) && info.type == BPF_MAP_TYPE_RINGBUF &&
	    !bpf_map_lookup_elem(e->meter.rings, &e->slot, &id) && id == info.id)
		return true;
	(void)unlink(path);
	fd_close(&e->map);
	return false;
}

static int make_ring(struct meter_events *e, size_t size, struct cloche_err *err)
{
	char path[160];

	e->map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "cloche_ring", 0, 0, (uint32_t)size, NULL);
	if (e->map < 0)
		return cloche_err_sys(err, errno, "make a ring buffer of %zu bytes", size);
	if (bpf_map_update_elem(e->meter.rings, &e->slot, &e->map, BPF_ANY))
		return cloche_err_sys(err, errno, "trace slot %u", e->slot);
	/* Not pinned, it goes at the end like the others. */
	e->stays = e->stays && !bpf_obj_pin(e->map, ring_pin(e, path));
	return 0;
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
	e->map = -1;
	e->stays = size == METER_RING_BYTES && slot < METER_RINGS_STAY;
	e->meter.dir = fcntl(m->dir, F_DUPFD_CLOEXEC, 3);
	e->meter.rings = fcntl(m->rings, F_DUPFD_CLOEXEC, 3);
	if (e->meter.dir < 0 || e->meter.rings < 0) {
		r = cloche_err_sys(err, errno, "trace slot %u", slot);
		goto fail;
	}
	r = e->stays && find_ring(e) ? 0 : make_ring(e, size, err);
	if (r < 0)
		goto fail;
	e->ring = ring_buffer__new(e->map, on_event, e, NULL);
	if (!e->ring) {
		r = cloche_err_sys(err, errno, "map a ring buffer of %zu bytes", size);
		goto fail;
	}
	e->tracing = meter_trace_on(&e->meter, err);
	r = e->tracing < 0 ? e->tracing : 0;
	/* What somebody left who was killed while he traced. */
	if (r == 0)
		r = meter_events_read(e, 0, nothing, NULL, err);
	if (r < 0)
		goto fail;
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

int meter_events_read(struct meter_events *e, unsigned max,
		      int (*fn)(const struct meter_event *ev, size_t size, void *arg), void *arg,
		      struct cloche_err *err)
{
	int r;

	e->fn = fn;
	e->arg = arg;
	e->left = max;
	r = ring_buffer__consume(e->ring);
	if (r == -ECANCELED && max)
		return 1;
	if (r < 0)
		return cloche_err_sys(err, -r, "read the trace of slot %u", e->slot);
	return 0;
}

struct meter_events *meter_events_free(struct meter_events *e)
{
	if (!e)
		return NULL;
	if (e->meter.rings >= 0 && !e->stays)
		(void)bpf_map_delete_elem(e->meter.rings, &e->slot);
	if (e->meter.dir >= 0)
		meter_trace_off(&e->meter, &e->tracing);
	ring_buffer__free(e->ring);
	fd_close(&e->meter.rings);
	fd_close(&e->meter.dir);
	fd_close(&e->map);
	free(e);
	return NULL;
}
