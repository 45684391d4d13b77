/* SPDX-License-Identifier: MIT */
/* The states of a context: what is walked every day, and what holds in every order of events. */
#include <criterion/criterion.h>

#include "run/context_machine.h"

#define EVENTS (CONTEXT_REMOVED + 1)
#define DEPTH  6

static unsigned step(struct context_machine *m, enum context_event event)
{
	return context_machine_step(m, event, 1000, RESIDUE_NONE);
}

Test(context_machine, reused_when_clean)
{
	struct context_machine m = context_machine_new();

	cr_assert_eq(step(&m, CONTEXT_MADE), 0);
	cr_assert_eq(step(&m, CONTEXT_INVOKED), 0);
	cr_assert_eq(step(&m, CONTEXT_ANSWERED), CONTEXT_DO_PROVE);
	cr_assert_eq(m.due_ns, 1000 + CONTEXT_PROOF_NS);
	cr_assert_eq(step(&m, CONTEXT_RENEWED), 0, "not before it is proved");
	cr_assert_eq(step(&m, CONTEXT_PROVED), CONTEXT_DO_RENEW);
	cr_assert_eq(m.state, CONTEXT_VERIFYING);
	cr_assert_eq(step(&m, CONTEXT_RENEWED), 0);
	cr_assert_eq(m.state, CONTEXT_READY);
	cr_assert_eq(m.due_ns, CONTEXT_NEVER);
	(void)step(&m, CONTEXT_INVOKED);
	cr_assert_eq(m.invocations, 2);
}

/* Busy, the kernel says of a cgroup: once more when it is due, for ever if need be, since who
 * counts is the driver. */
Test(context_machine, renewed_again_when_busy)
{
	struct context_machine m = context_machine_new();

	(void)step(&m, CONTEXT_MADE);
	(void)step(&m, CONTEXT_INVOKED);
	(void)step(&m, CONTEXT_ANSWERED);
	cr_assert_eq(step(&m, CONTEXT_PROVED), CONTEXT_DO_RENEW);
	for (int64_t now = 2000; now < 2010; now++) {
		cr_assert_eq(context_machine_step(&m, CONTEXT_DUE, now, 0), CONTEXT_DO_RENEW);
		cr_assert_eq(m.due_ns, now + CONTEXT_AGAIN_NS);
		cr_assert_eq(step(&m, CONTEXT_PROVED), 0, "that was asked once");
	}
	cr_assert_eq(step(&m, CONTEXT_RENEWED), 0);
	cr_assert_eq(m.state, CONTEXT_READY);
	cr_assert_eq(m.due_ns, CONTEXT_NEVER);
	/* And what is the next one's has to be proved anew. */
	(void)step(&m, CONTEXT_INVOKED);
	(void)step(&m, CONTEXT_ANSWERED);
	cr_assert_eq(step(&m, CONTEXT_DUE), CONTEXT_DO_KILL);
}

Test(context_machine, given_up_while_it_is_renewed)
{
	static const struct {
		enum context_event event;
		uint64_t value;
	} ways[] = { { CONTEXT_END, 0 }, { CONTEXT_FAILED, 0 }, { CONTEXT_PROVED, RESIDUE_SHM } };

	for (size_t i = 0; i < 3; i++) {
		struct context_machine m = context_machine_new();

		(void)step(&m, CONTEXT_MADE);
		(void)step(&m, CONTEXT_INVOKED);
		(void)step(&m, CONTEXT_ANSWERED);
		(void)step(&m, CONTEXT_PROVED);
		cr_assert_eq(context_machine_step(&m, ways[i].event, 1, ways[i].value),
			     CONTEXT_DO_KILL);
		cr_assert_eq(m.due_ns, CONTEXT_NEVER);
		cr_assert_eq(step(&m, CONTEXT_RENEWED), 0);
		cr_assert_eq(m.state, CONTEXT_ENDING);
	}
}

Test(context_machine, given_up_when_not)
{
	static const enum context_event ways[] = { CONTEXT_ANSWERED, CONTEXT_PROVED };

	for (size_t i = 0; i < 2; i++) {
		struct context_machine m = context_machine_new();

		(void)step(&m, CONTEXT_MADE);
		(void)step(&m, CONTEXT_INVOKED);
		if (ways[i] == CONTEXT_PROVED)
			(void)step(&m, CONTEXT_ANSWERED);
		cr_assert_eq(context_machine_step(&m, ways[i], 1, RESIDUE_SHM), CONTEXT_DO_KILL);
		cr_assert_eq(m.state, CONTEXT_ENDING);
		cr_assert_eq(m.residue, RESIDUE_SHM);
		cr_assert_eq(step(&m, CONTEXT_REAPED), CONTEXT_DO_REMOVE);
		/* busy, the kernel says: once more */
		cr_assert_eq(m.due_ns, 1000 + CONTEXT_AGAIN_NS);
		cr_assert_eq(step(&m, CONTEXT_DUE), CONTEXT_DO_REMOVE);
		cr_assert_eq(step(&m, CONTEXT_REMOVED), 0);
		cr_assert_eq(m.state, CONTEXT_GONE);
	}
}

Test(context_machine, a_warden_that_does_not_answer)
{
	struct context_machine m = context_machine_new();

	(void)step(&m, CONTEXT_MADE);
	(void)step(&m, CONTEXT_INVOKED);
	(void)step(&m, CONTEXT_ANSWERED);
	cr_assert_eq(step(&m, CONTEXT_DUE), CONTEXT_DO_KILL);
	cr_assert_eq(m.residue, RESIDUE_UNKNOWN);
}

Test(context_machine, frozen_while_idle)
{
	struct context_machine m = context_machine_new();

	(void)step(&m, CONTEXT_MADE);
	cr_assert_eq(step(&m, CONTEXT_FREEZE), CONTEXT_DO_FREEZE);
	cr_assert_eq(step(&m, CONTEXT_INVOKED), 0);
	cr_assert_eq(m.state, CONTEXT_FROZEN, "it has to be thawed before");
	cr_assert_eq(step(&m, CONTEXT_THAW), CONTEXT_DO_THAW);
	cr_assert_eq(m.state, CONTEXT_READY);
}

/* After an invocation there is no way back to READY but by PROVED and RENEWED, in this order. */
static void every_order(const struct context_machine *was, int proved, int depth, uint64_t *n)
{
	for (int event = 0; event < EVENTS; event++)
		for (uint64_t value = RESIDUE_NONE; value <= RESIDUE_PROCESS; value++) {
			struct context_machine m = *was;
			int is_proved = proved;
			unsigned wanted =
				context_machine_step(&m, (enum context_event)event, 1000, value);

			++*n;
			if (was->state == CONTEXT_VERIFYING && event == CONTEXT_PROVED)
				is_proved = value == RESIDUE_NONE;
			if (m.state == CONTEXT_BUSY)
				is_proved = 0;
			if (wanted & CONTEXT_DO_RENEW)
				cr_assert(is_proved && m.state == CONTEXT_VERIFYING,
					  "renewed without a proof");
			if (m.state == CONTEXT_VERIFYING || wanted & CONTEXT_DO_REMOVE)
				cr_assert(m.due_ns < CONTEXT_NEVER, "waits for ever");
			if (was->state == CONTEXT_VERIFYING && m.state == CONTEXT_READY)
				cr_assert(event == CONTEXT_RENEWED && is_proved,
					  "ready again without a proof");
			if (was->state == CONTEXT_BUSY)
				cr_assert(m.state != CONTEXT_READY && m.state != CONTEXT_FROZEN);
			if (was->state >= CONTEXT_ENDING)
				cr_assert(m.state >= was->state, "what ends does not come back");
			if (was->state == CONTEXT_GONE)
				cr_assert(wanted == 0 && m.state == CONTEXT_GONE);
			if (wanted & CONTEXT_DO_KILL)
				cr_assert(m.state == CONTEXT_ENDING && was->state < CONTEXT_ENDING);
			if (depth > 1 && (m.state != was->state || is_proved != proved || wanted))
				every_order(&m, is_proved, depth - 1, n);
		}
}

Test(context_machine, every_order_of_events)
{
	struct context_machine m = context_machine_new();
	uint64_t n = 0;

	every_order(&m, 0, DEPTH, &n);
	cr_assert(n > 1000, "only %lu orders were tried", (unsigned long)n);
}

Test(context_machine, it_always_ends)
{
	for (int first = 0; first < EVENTS; first++)
		for (int second = 0; second < EVENTS; second++)
			for (int third = 0; third < EVENTS; third++) {
				struct context_machine m = context_machine_new();

				(void)step(&m, (enum context_event)first);
				(void)step(&m, (enum context_event)second);
				(void)step(&m, (enum context_event)third);
				(void)step(&m, CONTEXT_END);
				(void)step(&m, CONTEXT_REAPED);
				(void)step(&m, CONTEXT_REMOVED);
				cr_assert_eq(m.state, CONTEXT_GONE);
			}
}
