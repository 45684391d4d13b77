/* SPDX-License-Identifier: MIT */
/* One function per event, and a table of the states in which it counts: see the header. */
#include "run/kept_machine.h"

#include <stddef.h>

struct kept_machine kept_machine_new(void)
{
	return (struct kept_machine){ .init = true };
}

/* The first cause stands. */
static unsigned kill_for(struct kept_machine *m, enum verdict cause)
{
	if (m->killed)
		return 0;
	m->killed = true;
	m->cause = cause;
	return KEPT_DO_KILL;
}

static unsigned on_started(struct kept_machine *m, uint64_t value)
{
	m->state = KEPT_RUNNING;
	m->ran = true;
	/* The caller's wish may have come before there was anything to end. */
	return KEPT_DO_WATCH | (m->killed ? KEPT_DO_KILL : 0);
}

static unsigned on_answered(struct kept_machine *m, uint64_t value)
{
	m->answered = true;
	m->verdict = (enum verdict)value;
	m->state = KEPT_PAUSING;
	return KEPT_DO_PAUSE;
}

/* What was killed meanwhile is so after all, and is not to be counted as a part that goes on. */
static unsigned on_paused(struct kept_machine *m, uint64_t value)
{
	if (m->killed)
		return 0;
	m->state = KEPT_PARTING;
	return KEPT_DO_PART;
}

static unsigned on_parted(struct kept_machine *m, uint64_t value)
{
	m->state = KEPT_IDLE;
	return 0;
}

static unsigned on_resume(struct kept_machine *m, uint64_t value)
{
	m->state = KEPT_RUNNING;
	m->init = m->answered = false;
	return KEPT_DO_RESUME;
}

static unsigned on_over(struct kept_machine *m, uint64_t value)
{
	m->state = KEPT_READING;
	return KEPT_DO_READ;
}

/* The warden has nothing more to say, and what is left ends with it. */
static unsigned die(struct kept_machine *m)
{
	m->state = KEPT_DYING;
	return KEPT_DO_KILL;
}

/* Nothing was under way. */
static void note_idle(struct kept_machine *m)
{
	m->idle |= m->state == KEPT_IDLE;
}

static unsigned on_ended(struct kept_machine *m, uint64_t value)
{
	enum verdict limit = (enum verdict)(value & (KEPT_NOT_ALL - 1));

	note_idle(m);
	if (limit != VERDICT_OK)
		(void)kill_for(m, limit);
	return value & KEPT_NOT_ALL ? die(m) : on_over(m, 0);
}

static unsigned on_lost(struct kept_machine *m, uint64_t value)
{
	note_idle(m);
	(void)kill_for(m, VERDICT_LAUNCH_ERROR);
	return die(m);
}

/* It ended by itself, or at a limit, of which the warden will tell. */
static unsigned on_spared(struct kept_machine *m, uint64_t value)
{
	m->killed = false;
	return 0;
}

static unsigned on_cancelled(struct kept_machine *m, uint64_t value)
{
	note_idle(m);
	return kill_for(m, VERDICT_CANCELLED);
}

static unsigned on_read(struct kept_machine *m, uint64_t value)
{
	m->state = KEPT_OVER;
	return 0;
}

#define STARTING (1U << KEPT_STARTING)
#define RUNNING	 (1U << KEPT_RUNNING)
#define PAUSING	 (1U << KEPT_PAUSING)
#define PARTING	 (1U << KEPT_PARTING)
#define IDLE	 (1U << KEPT_IDLE)
#define DYING	 (1U << KEPT_DYING)
#define READING	 (1U << KEPT_READING)
#define ALIVE	 (RUNNING | PAUSING | PARTING | IDLE)

static const struct {
	enum kept_event event;
	unsigned in; /* states */
	unsigned (*handle)(struct kept_machine *m, uint64_t value);
} table[] = {
	{ KEPT_STARTED, STARTING, on_started },
	{ KEPT_FAILED, STARTING, on_over },
	{ KEPT_ANSWERED, RUNNING, on_answered },
	{ KEPT_PAUSED, PAUSING, on_paused },
	/* The warden has had it counted, which is told before anything else of it. */
	{ KEPT_PARTED, PAUSING | PARTING, on_parted },
	/* It ended when that was on its way: what came after is nobody's. */
	{ KEPT_PARTED, READING, on_read },
	{ KEPT_RESUME, IDLE, on_resume },
	{ KEPT_ENDED, ALIVE, on_ended },
	{ KEPT_LOST, STARTING | ALIVE, on_lost },
	{ KEPT_CANCELLED, STARTING | ALIVE, on_cancelled },
	{ KEPT_SPARED, STARTING | ALIVE, on_spared },
	{ KEPT_EMPTY, DYING, on_over },
	{ KEPT_READ, PAUSING | PARTING | READING, on_read },
};

unsigned kept_machine_step(struct kept_machine *m, enum kept_event event, uint64_t value)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].event == event && table[i].in & 1U << m->state)
			return table[i].handle(m, value);
	return 0;
}

enum verdict kept_machine_verdict(const struct kept_machine *m, enum verdict own)
{
	if (m->killed && m->init && m->cause == VERDICT_TIMEOUT)
		return VERDICT_INIT_TIMEOUT;
	if (m->killed)
		return m->cause;
	if (m->answered)
		return m->verdict;
	if (!m->ran)
		return VERDICT_LAUNCH_ERROR;
	/* It was there to answer, and went without, also where it says that all went well. */
	if (own == VERDICT_OK || own == VERDICT_ERROR)
		return m->init ? VERDICT_INIT_ERROR : VERDICT_ERROR;
	return own;
}
