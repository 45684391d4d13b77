/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_DISMISSING_H
#define CLOCHE_SERVE_DISMISSING_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct front;
struct held;

/*
 * The end of function processes that are kept, idle, and not wanted any more: each is told by
 * SIGTERM, as Lambda tells those whose extensions are internal ones, and has as long as there to
 * come to its end by itself, with its own CPU time and memory, in nobody's invocation
 * (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html, "Shutdown phase").
 * What it writes is in the function's log. Where its room is waited for (held_make_room), or the
 * host is short of memory, there is no such time, and it is killed. A zygote is not told: what it
 * is there for are its forks, and none is there.
 *
 * So many have it at a time, and the others wait frozen: a crowd that goes on at once would take
 * the CPUs of those that answer, and end at once.
 */
#define DISMISSING_GRACE_NS (500 * NSEC_PER_MSEC)
#define DISMISSING_MAX	    16

struct dismissing {
	struct held *first, **last; /* those that wait: next_dismissed; last: NULL as first */
	unsigned n;		    /* those that have been told */
	bool turning;
};

enum dismissal {
	DISMISSAL_NONE,
	DISMISSAL_WAITS,
	DISMISSAL_TOLD,
};

/* False: nothing in it is to be told. Else it is when it is its turn (dismissing_go_on), and
 * held_end_now() is called when it is over. */
bool dismissing_begin(struct front *f, struct held *h);
void dismissing_go_on(struct front *f);

/* It is over, however. */
void dismissing_end(struct front *f, struct held *h);

bool dismissing_any(const struct dismissing *d);

/* Somebody waits for the room that one takes (of the owner's, or POOL_ANY), which has no time any
 * more. False: there is none. */
bool dismissing_cut_short(struct front *f, uint32_t owner);

#endif
