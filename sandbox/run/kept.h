/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_KEPT_H
#define CLOCHE_RUN_KEPT_H

#include "launch/proof.h"
#include "run/executed.h"
#include "run/figures.h"
#include "run/kept_machine.h"
#include "run/metering.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct context;
struct counted;
struct outcome;
struct powers;
struct spec;

/*
 * A function process that stays from one event to the next, frozen in between: its init, then any
 * number of invocations, each with an outcome of its own, for any loop. Nothing here blocks or
 * knows how events and responses come to it (runtime/); whoever does tells what comes of that:
 *
 *	kept_begin → … it asks for its first event → kept_pause → … KEPT_IDLE: *out is that of init
 *	{ kept_resume → … it asks for the next event → kept_pause → … KEPT_IDLE: *out is whole }*
 *	at any time: KEPT_OVER: *out is whole, and nothing of it runs any more
 *
 * and meanwhile, again and again: kept_wait → poll → kept_step; then it looks at kept_state().
 *
 * The context was made of a spec with kept. Its deadline is held by the warden, also when nobody
 * drives this: that of init from the first instruction on, an invocation's from the instant of its
 * RESUME. What is KEPT_IDLE waits for its warden's end, too: somebody may kill it.
 *
 * The event is best given right before kept_resume(): what is frozen reads it when it goes on, and
 * need not sleep until it comes. k->ctx->api is the Runtime API's listening socket from
 *KEPT_RUNNING of init on
 * (-1: there is none, see spec.api); it is the context's, and closed with it. It is -1 after
 * whoever took it (TAKE_FD).
 */
struct kept {
	struct kept_machine machine;
	struct observed seen; /* of the present part: of init, or an invocation */
	struct executed executed;

	/* borrowed until it is over */
	struct context *ctx;
	struct powers *powers;
	struct outcome *out;  /* of the present part */
	bool whole;	      /* *out is */
	int64_t at_ns;	      /* when the present part began, CLOCK_MONOTONIC; 0: not yet */
	int64_t timeout_ns;   /* of the present part */
	int64_t asked_ns;     /* when it was asked to go on with it; 0: it began by itself */
	uint32_t dismissed;   /* there is no other: how (launch/warden.h); 0: there is */
	bool zygote;	      /* spec.zygote */
	enum residue residue; /* KEPT_IDLE: what an event has left that the next one could find;
				 known of a zygote alone */
};

struct kept_options {
	const struct spec *spec; /* of the process; its timeout is init's, KEPT_INIT_MAX_NS at most
				    (spec_check) */
	const int *streams;	 /* three, which stay the caller's; for all of its life */
	struct powers *powers;	 /* over the context */
	int64_t requested_ns;	 /* when it was asked for, CLOCK_MONOTONIC */
};

/* GO: its init begins. out: as the next invocation's, the caller fills in what it knows itself, and
 * it stays where it is until it is whole. */
void kept_begin(struct kept *k, struct context *ctx, const struct kept_options *options,
		struct outcome *out);

/*
 * It is KEPT_IDLE, and the next invocation begins now, which has so long: RESUME. requested_ns: of
 * this one. False: it is not idle any more (KEPT_OVER: it was killed meanwhile, and this is no
 * invocation that has begun: *out is not touched).
 */
bool kept_resume(struct kept *k, int64_t timeout_ns, int64_t requested_ns, struct outcome *out);

/*
 * It is KEPT_IDLE, and not wanted any more: it is told so by SIGTERM, as runtimes expect, and has
 * so long to come to its end: KEPT_OVER. What it does then is in no outcome. False: as above.
 */
bool kept_dismiss(struct kept *k, int64_t grace_ns);

/* The same at once, without a word to it and without CPU time for it. What is left of it makes its
 * context unclean; that it was ended so does not. */
bool kept_stop(struct kept *k);

/*
 * It is KEPT_RUNNING and has asked for the next event, or is to be stopped for another reason: what
 * is over is over, with what was answered: VERDICT_OK, VERDICT_ERROR, or of init VERDICT_OK,
 * VERDICT_INIT_ERROR. Before that its end would be the verdict; from here on only a limit that is
 * hit before it is frozen is.
 */
void kept_pause(struct kept *k, enum verdict answered);

/* Ends it, whatever it does: KEPT_OVER comes, where something was under way with
 * VERDICT_CANCELLED. */
void kept_cancel(struct kept *k);

/* For poll(2): fds[], those that are not wanted with -1; returns until when (CLOCK_MONOTONIC), or
 * KEPT_NEVER. */
#define KEPT_FDS 2
int64_t kept_wait(const struct kept *k, struct pollfd fds[static KEPT_FDS]);

/* fds: as kept_wait and then poll(2) left them. */
void kept_step(struct kept *k, const struct pollfd fds[static KEPT_FDS]);

/* What powers->part() or powers->counted() said would come; parted: it was frozen, and goes on.
 * Not so: it is dead, and whoever asked for a part has its end. */
void kept_counted(struct kept *k, const struct counted *counted, bool parted);

static inline enum kept_state kept_state(const struct kept *k)
{
	return k->machine.state;
}

/* Between KEPT_RUNNING and the next KEPT_IDLE or KEPT_OVER: when the present part began, which is
 * what a deadline that is told to the function counts from; 0: it is not known yet. */
int64_t kept_began_ns(const struct kept *k);

#endif
