/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_INVOCATION_H
#define CLOCHE_RUN_INVOCATION_H

#include "run/executed.h"
#include "run/figures.h"
#include "run/invocation_machine.h"
#include "run/metering.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct context;
struct counted;
struct outcome;
struct powers;
struct spec;
struct stdio;

/*
 * One event handed to one context, from "go" to its outcome, for any loop: it never blocks, and
 * says what it waits for and until when. Whoever drives it waits so and steps it:
 *
 *	invocation_begin → { invocation_wait → poll → invocation_step }* until invocation_done
 *
 * invocation_cancel at any time ends it early. What fails on the way is a verdict, not a return
 * value. When it is done no process of it runs and the outcome is whole, but for what is not the
 * invocation's own: owner, price and record (run/session.h).
 */
struct invocation {
	struct invocation_machine machine;
	struct observed seen;
	struct executed executed;

	/* borrowed until it is done */
	struct context *ctx;
	const struct spec *spec;
	struct stdio *stdio;
	struct powers *powers;
	struct metering *metering; /* NULL: another process has it */
	struct trace_live *live;   /* NULL: nobody watches */
	struct outcome *out;

	bool finished; /* *out is whole */
	bool traced;   /* its events are written as they come */
	bool more;     /* of them are there */
};

struct invocation_options {
	const struct spec *spec;
	struct stdio *stdio;
	struct powers *powers;	   /* over the context */
	struct metering *metering; /* armed for it; NULL: another process has it */
	struct metering_trace trace;
	int64_t requested_ns; /* when it was asked for, CLOCK_MONOTONIC */
};

void invocation_begin(struct invocation *inv, struct context *ctx,
		      const struct invocation_options *options, struct outcome *out);

/* What it waits for: all of fds[] for poll(2), those that are not wanted with -1; returns until
 * when (CLOCK_MONOTONIC), INVOCATION_NEVER, or a time that has passed. */
#define INVOCATION_FDS 5
int64_t invocation_wait(const struct invocation *inv, struct pollfd fds[static INVOCATION_FDS]);

/* fds: as invocation_wait and then poll(2) left them. */
void invocation_step(struct invocation *inv, const struct pollfd fds[static INVOCATION_FDS]);

void invocation_cancel(struct invocation *inv);

/* What powers said would come. When all that is left of it dies with the warden, this says that it
 * is dead. */
void invocation_counted(struct invocation *inv, const struct counted *counted);

bool invocation_done(const struct invocation *inv);

#endif
