/* SPDX-License-Identifier: MIT */
/* When to ask and when to give up: see pulse.h. No system calls. */
#include "serve/pulse.h"

#define LATE_MAX 5

void pulse_begin(struct pulse *p, int64_t now_ns, unsigned late)
{
	p->times = 1U << (late < LATE_MAX ? late : LATE_MAX);
	p->heard_ns = now_ns;
	p->owing = true;
	p->asked = false;
}

void pulse_heard(struct pulse *p, int64_t now_ns)
{
	p->times = 1;
	p->heard_ns = now_ns;
	p->asked = false;
}

int64_t pulse_due(const struct pulse *p)
{
	return p->heard_ns + (p->owing || p->asked ? p->times : PULSE_IDLE_TIMES) * p->silence_ns;
}

enum pulse_wish pulse_step(struct pulse *p, bool owing, int64_t now_ns)
{
	if (owing && !p->owing && !p->asked)
		p->heard_ns = now_ns;
	p->owing = owing;
	if (now_ns < pulse_due(p))
		return PULSE_WAIT;
	if (p->asked)
		return PULSE_LOST;
	p->asked = true;
	p->heard_ns = now_ns;
	return PULSE_ASK;
}
