/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_PULSE_H
#define CLOCHE_SERVE_PULSE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether somebody who is to say something still lives. Pure: told of the time (CLOCK_MONOTONIC),
 * says what is to be done. Who owes something and says nothing for silence_ns is asked, and has as
 * long again to answer; who seems to owe nothing is asked now and then, as it may have taken on
 * what nobody else knows of.
 */
#define PULSE_IDLE_TIMES 6 /* as long may such a one say nothing */

struct pulse {
	int64_t silence_ns;
	int64_t heard_ns; /* its last word; or when it was asked, or began to owe something */
	unsigned times;	  /* as long has its first word, and the answer when it is asked for that */
	bool owing, asked;
};

enum pulse_wish { PULSE_WAIT, PULSE_ASK, PULSE_LOST };

/* A new one, which owes its first word. late: so many before it were given up since that did not
 * come in time; each has twice the time of the one before, up to 32 times: on a host that is that
 * slow none would ever begin. */
void pulse_begin(struct pulse *p, int64_t now_ns, unsigned late);

/* It said something. */
void pulse_heard(struct pulse *p, int64_t now_ns);

enum pulse_wish pulse_step(struct pulse *p, bool owing, int64_t now_ns);

/* When to step next. */
int64_t pulse_due(const struct pulse *p);

#endif
