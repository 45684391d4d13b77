/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_METERING_H
#define CLOCHE_RUN_METERING_H

#include "launch/plan.h"
#include "meter/meter.h"
#include "meter/usage.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct cloche_err;
struct context;
struct metered;
struct trace_live;
struct trace_recorder;

enum metering_mode {
	METERING_AUTO,	   /* without BPF its figures are null and the report says why */
	METERING_REQUIRED, /* without BPF nothing is run */
	METERING_OFF,
};

/*
 * The meter as one run uses it, for one context at a time:
 *
 *   open → { arm (the context is prepared, no process is in it) → [ begin → … → end ]* }* → disarm
 * → close
 *
 * It must stay where it is: the armed slot points into it. In mode auto nothing here fails: why
 * tells what is missing, and the figures are not there.
 */
struct metering {
	enum metering_mode mode;
	struct meter meter;
	struct meter_context slot;
	struct trace_recorder *recorder;
	const struct policy *policy; /* of the armed context */
	const char *function;	     /* of the recording */
	int tracing;		     /* held from one traced invocation to the next; -1 */
	bool opened, armed, begun, filed;
	bool parted;   /* of processes that stay, the first part has ended */
	bool settled;  /* of the last invocation: its last thread had left its CPU for good */
	char why[160]; /* why nothing is metered; "" while it is */
};

/* Instead of metering_open: nothing is metered, and why. */
void metering_off(struct metering *m, const char *why);

/* mode: not METERING_OFF. parent: the cgroup2 directory above all contexts, whose network traffic
 * is counted. */
int metering_open(struct metering *m, enum metering_mode mode, int parent, struct cloche_err *err);
/* The reader stays from one context to the next, but for one that has failed. */
void metering_try_have(struct metering *m, int v2);
void metering_close(struct metering *m);

/* For the context that is made next: by it pid 1 knows when an invocation began, of which
 * metering_begin() was told. */
struct plan_clock metering_clock(const struct metering *m);

int metering_arm(struct metering *m, const struct context *ctx, struct cloche_err *err);
void metering_disarm(struct metering *m);

/* Where the events of an invocation go, as lines; all may be NULL. */
struct metering_trace {
	FILE *file;		 /* taken over in any case */
	FILE *kept;		 /* borrowed; for the store, which bounds it */
	struct trace_live *live; /* borrowed. What goes wrong there is never the invocation's */
	const char *function;	 /* its name, borrowed until metering_finish */
};

/* Of an invocation that begins at the next exec in the context. */
int metering_begin(struct metering *m, const struct metering_trace *to, const char *request_id,
		   struct cloche_err *err);

/* What has begun, and of which nothing has run yet or, where its processes stay, runs, is traced,
 * by somebody else who has the ring of its slot. */
int metering_trace(struct metering *m, struct cloche_err *err);

/* As trace_recorder_check() has it; policy: of the context. */
struct meter_event_denied;
bool metering_may_deny(const struct meter_event_denied *call, const void *policy);

/* Writes some of the events that are there; to be called every few milliseconds, and at once when
 * this says that there are more. Takes a millisecond at most. */
bool metering_drain(struct metering *m);

/* When its processes are frozen, since paused_ns: what they have used since then or, where they
 * went on at resumed_ns (0: they began) after they had been frozen, since that. What comes is the
 * next invocation's. */
void metering_part(struct metering *m, int64_t resumed_ns, int64_t paused_ns, struct metered *ret);

/* Whether they are all asleep: the last to freeze is so a moment after it is told. */
bool metering_at_rest(const struct metering *m);

/* When all its processes are dead; then, when the verdict is known, the end of its trace. */
void metering_end(struct metering *m, int64_t resumed_ns, struct metered *ret);
void metering_finish(struct metering *m, const char *verdict, struct metered *ret);

#endif
