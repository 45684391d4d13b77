/* SPDX-License-Identifier: MIT */
/* One function per event, and a table of the states in which it counts: see the header. */
#include "run/context_machine.h"

#include <stddef.h>

struct context_machine context_machine_new(void)
{
	return (struct context_machine){ .due_ns = CONTEXT_NEVER };
}

static unsigned on_made(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	m->state = CONTEXT_READY;
	return 0;
}

static unsigned on_invoked(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	m->state = CONTEXT_BUSY;
	m->invocations++;
	return 0;
}

static unsigned end(struct context_machine *m, enum residue why)
{
	m->state = CONTEXT_ENDING;
	m->residue = why;
	m->due_ns = CONTEXT_NEVER;
	return CONTEXT_DO_KILL;
}

static unsigned on_answered(struct context_machine *m, int64_t now_ns, uint64_t residue)
{
	if (residue != RESIDUE_NONE)
		return end(m, (enum residue)residue);
	m->state = CONTEXT_VERIFYING;
	m->proved = false;
	m->due_ns = now_ns + CONTEXT_PROOF_NS;
	return CONTEXT_DO_PROVE;
}

static unsigned renew(struct context_machine *m, int64_t now_ns)
{
	m->due_ns = now_ns + CONTEXT_AGAIN_NS;
	return CONTEXT_DO_RENEW;
}

/* Once: what is being renewed is asked no more. */
static unsigned on_proved(struct context_machine *m, int64_t now_ns, uint64_t residue)
{
	if (residue != RESIDUE_NONE)
		return end(m, (enum residue)residue);
	if (m->proved)
		return 0;
	m->proved = true;
	return renew(m, now_ns);
}

static unsigned on_renewed(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	if (!m->proved)
		return 0;
	m->state = CONTEXT_READY;
	m->due_ns = CONTEXT_NEVER;
	return 0;
}

static unsigned on_freeze(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	m->state = CONTEXT_FROZEN;
	return CONTEXT_DO_FREEZE;
}

static unsigned on_thaw(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	m->state = CONTEXT_READY;
	return CONTEXT_DO_THAW;
}

static unsigned on_end(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	return end(m, RESIDUE_NONE);
}

/* What is not known counts as dirty. */
static unsigned on_failed(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	return end(m, RESIDUE_UNKNOWN);
}

/* The warden has not answered; or a cgroup was busy. */
static unsigned on_due(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	return m->proved ? renew(m, now_ns) : on_failed(m, now_ns, value);
}

static unsigned on_reaped(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	m->due_ns = now_ns + CONTEXT_AGAIN_NS;
	return CONTEXT_DO_REMOVE;
}

static unsigned on_removed(struct context_machine *m, int64_t now_ns, uint64_t value)
{
	m->state = CONTEXT_GONE;
	m->due_ns = CONTEXT_NEVER;
	return 0;
}

#define MAKING	  (1U << CONTEXT_MAKING)
#define READY	  (1U << CONTEXT_READY)
#define BUSY	  (1U << CONTEXT_BUSY)
#define VERIFYING (1U << CONTEXT_VERIFYING)
#define FROZEN	  (1U << CONTEXT_FROZEN)
#define ENDING	  (1U << CONTEXT_ENDING)
#define ALIVE	  (MAKING | READY | BUSY | VERIFYING | FROZEN)

static const struct {
	enum context_event event;
	unsigned in; /* states */
	unsigned (*handle)(struct context_machine *m, int64_t now_ns, uint64_t value);
} table[] = {
	{ CONTEXT_MADE, MAKING, on_made },	    { CONTEXT_INVOKED, READY, on_invoked },
	{ CONTEXT_ANSWERED, BUSY, on_answered },    { CONTEXT_PROVED, VERIFYING, on_proved },
	{ CONTEXT_RENEWED, VERIFYING, on_renewed }, { CONTEXT_FREEZE, READY, on_freeze },
	{ CONTEXT_THAW, FROZEN, on_thaw },	    { CONTEXT_END, ALIVE, on_end },
	{ CONTEXT_FAILED, ALIVE, on_failed },	    { CONTEXT_DUE, VERIFYING, on_due },
	{ CONTEXT_DUE, ENDING, on_reaped },	    { CONTEXT_REAPED, ENDING, on_reaped },
	{ CONTEXT_REMOVED, ENDING, on_removed },
};

unsigned context_machine_step(struct context_machine *m, enum context_event event, int64_t now_ns,
			      uint64_t value)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].event == event && table[i].in & 1U << m->state)
			return table[i].handle(m, now_ns, value);
	return 0;
}
