/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_TRACE_RECORDER_H
#define CLOCHE_TRACE_TRACE_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct cloche_err;
struct meter;
struct meter_event_denied;
struct meter_events;
struct meter_usage;
struct trace_live;
struct trace_recorder;

/*
 * From the kernel's ring buffer into a file, while the invocation runs:
 *
 *   open → meter_begin(…, trace) → [ poll fd, drain when readable ]* → meter_end → close(usage)
 *
 * The launcher's own events before the first exec are not written. No thread, no signal: whoever
 * watches the invocation drains. What comes faster than that is counted as lost.
 */

/* A hostile function makes 200 MB a second of trace; what is beyond this counts as lost. */
#define TRACE_FILE_BYTES (1ULL << 30)

/* f: where the lines go, owned by the recorder from here on also when this fails; NULL: nowhere,
 * only denials are counted. ring_bytes: 0 for METER_RING_BYTES of events.h. */
int trace_recorder_open(struct trace_recorder **ret, const struct meter *m, uint32_t slot, FILE *f,
			const char *request_id, size_t ring_bytes, struct cloche_err *err);

/* The same with a ring that is open already, taken over in any case, by who need not have opened
 * it. */
int trace_recorder_of(struct trace_recorder **ret, struct meter_events *events, FILE *f,
		      const char *request_id, struct cloche_err *err);

/* Further places, borrowed, to be named before the first drain: a file that gets no more than
 * max_bytes and then counts the rest as lost, and watchers. Whether the file was written well is
 * for its owner to see, after trace_recorder_close. */
void trace_recorder_keep(struct trace_recorder *r, FILE *f, uint64_t max_bytes);
void trace_recorder_show(struct trace_recorder *r, struct trace_live *live);

/* Of processes that stay: what comes is written from the first event on, which is no exec. */
void trace_recorder_go_on(struct trace_recorder *r);

/*
 * Whether a call that seems denied can be: the kernel may hide that a call was begun, and then one
 * that failed by itself looks like it. What cannot be is left out and counted as unseen. To be
 * named before the first drain; without it everything that seems so is written.
 */
typedef bool trace_may_deny(const struct meter_event_denied *call, const void *arg);
void trace_recorder_check(struct trace_recorder *r, trace_may_deny *may_deny, const void *arg);
uint64_t trace_recorder_unseen(const struct trace_recorder *r);

/* For the end, which trace_recorder_close writes: either may be NULL, both are borrowed. */
void trace_recorder_tell(struct trace_recorder *r, const char *function, const char *verdict);

int trace_recorder_fd(const struct trace_recorder *r);
/* max: as meter_events_read has it. */
int trace_recorder_drain(struct trace_recorder *r, unsigned max, struct cloche_err *err);

/* Drains for the last time: from then on the ring may be somebody else's. *ret_events: as below. */
int trace_recorder_let_go(struct trace_recorder *r, uint64_t *ret_events, struct cloche_err *err);

/* Drains, writes the end and closes the file. u: NULL when the invocation has no figures, then the
 * file has no end. *ret_events (may be NULL): how many were written. Frees r in any case. */
int trace_recorder_close(struct trace_recorder *r, const struct meter_usage *u,
			 uint64_t *ret_events, struct cloche_err *err);

#endif
