/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_COUNTS_H
#define CLOCHE_SERVE_COUNTS_H

#include "run/verdict.h"
#include "serve/limit.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct listing;
struct outcome;

/*
 * What the front has counted since it began, and its text for Prometheus (its "text exposition
 * format", version 0.0.4). Names and labels are stable; a front that is replaced begins at 0, as
 * such counters may.
 */
#define COUNTS_VERDICTS (VERDICT_CANCELLED + 1)
#define COUNTS_BUCKETS	10 /* the last one: all */

struct counts {
	uint64_t verdicts[COUNTS_VERDICTS];
	uint64_t refused[LIMITS];
	uint64_t records, unrecorded;
	uint64_t cpu_ns; /* of functions, when they have ended */
	uint64_t launches[COUNTS_BUCKETS], launch_ns;
};

/* An invocation that is over and booked. */
void counts_outcome(struct counts *c, const struct outcome *out);

/* all: root's view of the contexts. */
void counts_write(const struct counts *c, const struct listing *all, FILE *to);

#endif
