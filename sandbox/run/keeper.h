/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_KEEPER_H
#define CLOCHE_RUN_KEEPER_H

#include "base/err.h"
#include "launch/launcher.h"
#include "run/context_machine.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct metering;
struct observer;
struct outcome;
struct spec;

/*
 * Keeps one context, for any loop: made once, handed from invocation to invocation as long as it is
 * proved clean after each, then taken away. But for its making nothing here waits: it says what for
 * and until when, and is stepped.
 *
 *	keeper_make → { keeper_invoked → … → keeper_answered → { keeper_wait → poll → keeper_step }*
 *	until READY or GONE }* → keeper_end → { wait, step }* until GONE
 */
struct keeper {
	struct context_machine machine;
	struct context ctx;
	struct launcher *launcher; /* borrowed, as the next two */
	struct metering *metering; /* counts in its cgroups */
	struct observer *observer; /* watches its system calls; NULL: nobody does */
	unsigned renewals;	   /* tries, of the present one */
	unsigned removals;	   /* and to take it away */
	struct cloche_err left;	   /* what could not be taken away; code 0: nothing */
};

struct keeper_options {
	const struct spec *spec;    /* must outlive the context */
	struct context *blank;	    /* is dressed, and taken over in any case; NULL: none */
	struct context_options how; /* its clock is the metering's */
	struct launcher *launcher;
	struct metering *metering;
	struct observer *observer;
};

/* On failure the state is GONE and nothing is left. */
int keeper_make(struct keeper *k, const struct keeper_options *options, struct cloche_err *err);

/* It is READY, and BUSY from here on. */
void keeper_invoked(struct keeper *k);

/* The invocation is done: it is looked at, or given up at once, for what its outcome or somebody
 * who has none knows. */
void keeper_answered(struct keeper *k, const struct outcome *out);
void keeper_used(struct keeper *k, enum residue known);

/* Nobody wants it any more. */
void keeper_end(struct keeper *k);

/* *ret is for poll(2), its fd -1 when nothing is waited for; returns until when (CLOCK_MONOTONIC),
 * CONTEXT_NEVER for no end. */
int64_t keeper_wait(const struct keeper *k, struct pollfd *ret);

void keeper_step(struct keeper *k, const struct pollfd *polled);

/* Whether it is neither being looked at nor ending. */
bool keeper_is_at_rest(const struct keeper *k);

#endif
