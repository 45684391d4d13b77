/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_EVENTS_H
#define CLOCHE_METER_EVENTS_H

#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct meter;
struct meter_event;
struct meter_events;

/*
 * The events of one slot, read from a ring buffer of its own. Open it before meter_begin(…, trace).
 * Whether all were seen says struct meter_usage: lost is what did not fit, events what did.
 */

/* bytes: rounded up to a power of two of pages. A ring of METER_RING_BYTES for one of the first
 * slots stays with the meter, at most METER_RINGS_STAY of them: the next trace there begins without
 * the 20 ms that making one takes. */
#define METER_RING_BYTES (4 << 20)
#define METER_RINGS_STAY 8
int meter_events_open(struct meter_events **ret, const struct meter *m, uint32_t slot, size_t bytes,
		      struct cloche_err *err);

/* For poll(2): readable when there are events. */
int meter_events_fd(const struct meter_events *e);

/*
 * Hands all that is there to fn, in the order in which the kernel wrote it (which between CPUs need
 * not be the order of at_ns; sort when that matters). size tells a plain event from an exec one and
 * has been checked against the type. A negative return ends reading and is returned. max: read no
 * more than so many, 0 for all; 1 is returned when there may be more. (Who fills the ring can be
 * faster than who reads it.)
 */
int meter_events_read(struct meter_events *e, unsigned max,
		      int (*fn)(const struct meter_event *ev, size_t size, void *arg), void *arg,
		      struct cloche_err *err);

/* Takes the ring buffer from the slot and frees it; returns NULL. */
struct meter_events *meter_events_free(struct meter_events *e);

#endif
