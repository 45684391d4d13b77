/* SPDX-License-Identifier: MIT */
/* One function per event, and a table of the states in which it counts: see the header. */
#include "run/invocation_machine.h"

#include "base/clock.h"

struct invocation_machine invocation_machine_new(int64_t stall_ns)
{
	return (struct invocation_machine){ .stall_ns = stall_ns, .due_ns = INVOCATION_NEVER };
}

/* The first cause stands. */
static unsigned kill_for(struct invocation_machine *m, enum verdict cause)
{
	if (m->killed)
		return 0;
	m->killed = true;
	m->cause = cause;
	m->due_ns = INVOCATION_NEVER;
	return INVOCATION_DO_KILL;
}

/* What was written before a deadline is not to hold up for ever who is to keep it; what a function
 * wrote up to its output limit is what it was asked for. */
static bool is_hurried(const struct invocation_machine *m)
{
	return m->killed && m->cause != VERDICT_OUTPUT_LIMIT;
}

static void wait_for_reader(struct invocation_machine *m, int64_t now_ns)
{
	m->due_ns = is_hurried(m) ? now_ns + m->stall_ns : INVOCATION_NEVER;
}

static unsigned on_started(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	unsigned wanted = INVOCATION_DO_WATCH;

	m->state = INVOCATION_RUNNING;
	m->ran = true;
	/* The caller's wish may have come before there was anything to end. */
	return m->killed ? wanted | INVOCATION_DO_KILL : wanted;
}

static unsigned on_over(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	m->state = m->cancelled ? INVOCATION_READING : INVOCATION_DRAINING;
	m->due_ns = INVOCATION_NEVER;
	if (!m->cancelled)
		wait_for_reader(m, now_ns);
	/* Also of what was cancelled: as far as somebody takes it at once. */
	return INVOCATION_DO_READ | INVOCATION_DO_DRAIN;
}

/* The warden has nothing more to say, and what is left ends with it. */
static unsigned die(struct invocation_machine *m)
{
	m->state = INVOCATION_DYING;
	m->due_ns = INVOCATION_NEVER;
	return INVOCATION_DO_KILL;
}

static unsigned on_ended(struct invocation_machine *m, int64_t now_ns, uint64_t how)
{
	if (how & INVOCATION_BY_DEADLINE)
		(void)kill_for(m, VERDICT_TIMEOUT);
	if (how & INVOCATION_BY_CPU_TIME)
		(void)kill_for(m, VERDICT_CPU_TIMEOUT);
	if (how & INVOCATION_BY_DENIALS)
		(void)kill_for(m, VERDICT_DENIED);
	if (how & INVOCATION_BY_OUTPUT)
		(void)kill_for(m, VERDICT_OUTPUT_LIMIT);
	m->cut = how & INVOCATION_WAS_CUT;
	m->more = how & INVOCATION_MORE;
	return how & INVOCATION_NOT_ALL ? die(m) : on_over(m, now_ns, 0);
}

static unsigned on_lost(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	(void)kill_for(m, VERDICT_LAUNCH_ERROR);
	return die(m);
}

/* It ended by itself, or at its deadline, of which the warden will tell. */
static unsigned on_spared(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	m->killed = false;
	return 0;
}

/* The caller may have asked before: then nothing is to be waited for after the end. */
static unsigned on_cancelled(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	m->cancelled = true;
	return kill_for(m, VERDICT_CANCELLED);
}

/* No reader is waited for any more. */
static void leave_output(struct invocation_machine *m)
{
	m->state = m->read ? INVOCATION_DONE : INVOCATION_READING;
	m->due_ns = INVOCATION_NEVER;
}

/* Whoever wants an end does not wait for a reader either. */
static unsigned on_cancelled_late(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	m->cancelled = true;
	if (m->state == INVOCATION_DRAINING)
		leave_output(m);
	return 0;
}

static unsigned on_stalled(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	leave_output(m);
	return INVOCATION_DO_LOSE;
}

static unsigned on_passed(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	m->more = false;
	return INVOCATION_DO_DRAIN;
}

static unsigned on_moved(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	wait_for_reader(m, now_ns);
	return 0;
}

static unsigned on_drained(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	if (m->more)
		return on_moved(m, now_ns, value);
	leave_output(m);
	return 0;
}

static unsigned on_read(struct invocation_machine *m, int64_t now_ns, uint64_t value)
{
	m->read = true;
	if (m->state == INVOCATION_READING)
		m->state = INVOCATION_DONE;
	return 0;
}

#define LAUNCHING (1U << INVOCATION_LAUNCHING)
#define RUNNING	  (1U << INVOCATION_RUNNING)
#define DYING	  (1U << INVOCATION_DYING)
#define DRAINING  (1U << INVOCATION_DRAINING)
#define READING	  (1U << INVOCATION_READING)

static const struct {
	enum invocation_event event;
	unsigned in; /* states */
	unsigned (*handle)(struct invocation_machine *m, int64_t now_ns, uint64_t value);
} table[] = {
	{ INVOCATION_STARTED, LAUNCHING, on_started },
	{ INVOCATION_FAILED, LAUNCHING, on_over },
	{ INVOCATION_ENDED, RUNNING, on_ended },
	{ INVOCATION_LOST, LAUNCHING | RUNNING, on_lost },
	{ INVOCATION_SPARED, LAUNCHING | RUNNING, on_spared },
	{ INVOCATION_EMPTY, DYING, on_over },
	{ INVOCATION_CANCELLED, LAUNCHING | RUNNING | DYING, on_cancelled },
	{ INVOCATION_CANCELLED, DRAINING | READING, on_cancelled_late },
	{ INVOCATION_DUE, DRAINING, on_stalled },
	{ INVOCATION_PASSED, DRAINING, on_passed },
	{ INVOCATION_MOVED, DRAINING, on_moved },
	{ INVOCATION_DRAINED, DRAINING, on_drained },
	{ INVOCATION_READ, DRAINING | READING, on_read },
};

unsigned invocation_machine_step(struct invocation_machine *m, enum invocation_event event,
				 int64_t now_ns, uint64_t value)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].event == event && table[i].in & 1U << m->state)
			return table[i].handle(m, now_ns, value);
	return 0;
}
