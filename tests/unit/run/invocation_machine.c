/* SPDX-License-Identifier: MIT */
/*
 * The states of an invocation: the ways that are walked every day, one by one, and then every order
 * of events up to a depth, each held to what must hold in all of them.
 */
#include <criterion/criterion.h>

#include "run/invocation_machine.h"

#define STALL 500

static struct invocation_machine begun(void)
{
	return invocation_machine_new(STALL);
}

static unsigned step(struct invocation_machine *m, enum invocation_event event)
{
	return invocation_machine_step(m, event, 1000, 0);
}

Test(invocation_machine, a_usual_one)
{
	struct invocation_machine m = begun();

	cr_assert_eq(step(&m, INVOCATION_STARTED), INVOCATION_DO_WATCH);
	cr_assert_eq(step(&m, INVOCATION_ENDED), INVOCATION_DO_READ | INVOCATION_DO_DRAIN);
	cr_assert_eq(m.due_ns, INVOCATION_NEVER); /* a slow reader has all the time */
	cr_assert_eq(step(&m, INVOCATION_READ), 0);
	cr_assert_eq(step(&m, INVOCATION_DRAINED), 0);
	cr_assert_eq(m.state, INVOCATION_DONE);
	cr_assert(m.ran && !m.killed);
}

/* They are asked of another process, which takes its time: nobody is told before they are there. */
Test(invocation_machine, figures_that_come_last_are_waited_for)
{
	struct invocation_machine m = begun();

	(void)step(&m, INVOCATION_STARTED);
	(void)invocation_machine_step(&m, INVOCATION_ENDED, 7000, INVOCATION_BY_DEADLINE);
	cr_assert_eq(step(&m, INVOCATION_DRAINED), 0);
	cr_assert_eq(m.state, INVOCATION_READING);
	cr_assert_eq(m.due_ns, INVOCATION_NEVER);
	cr_assert_eq(step(&m, INVOCATION_CANCELLED), 0);
	cr_assert_eq(m.state, INVOCATION_READING);
	cr_assert_eq(step(&m, INVOCATION_READ), 0);
	cr_assert_eq(m.state, INVOCATION_DONE);
	cr_assert_eq(m.cause, VERDICT_TIMEOUT);
}

Test(invocation_machine, a_wish_that_comes_before_the_start_is_granted_at_it)
{
	struct invocation_machine m = begun();

	cr_assert_eq(step(&m, INVOCATION_CANCELLED), INVOCATION_DO_KILL);
	cr_assert_eq(step(&m, INVOCATION_STARTED), INVOCATION_DO_WATCH | INVOCATION_DO_KILL);
	cr_assert_eq(step(&m, INVOCATION_ENDED), INVOCATION_DO_READ | INVOCATION_DO_DRAIN);
	cr_assert_eq(step(&m, INVOCATION_READ), 0);
	cr_assert_eq(m.state, INVOCATION_DONE); /* whoever wants an end waits for no reader */
}

Test(invocation_machine, the_deadline_is_the_wardens_word)
{
	struct invocation_machine m = begun();

	(void)step(&m, INVOCATION_STARTED);
	(void)invocation_machine_step(&m, INVOCATION_ENDED, 7000, INVOCATION_BY_DEADLINE);
	cr_assert(m.killed && m.cause == VERDICT_TIMEOUT);
	cr_assert_eq(m.due_ns, 7000 + STALL);
	(void)invocation_machine_step(&m, INVOCATION_MOVED, 7400, 0);
	cr_assert_eq(m.due_ns, 7400 + STALL);
	cr_assert_eq(step(&m, INVOCATION_READ), 0);
	cr_assert_eq(m.state, INVOCATION_DRAINING);
	cr_assert_eq(step(&m, INVOCATION_DUE), INVOCATION_DO_LOSE);
	cr_assert_eq(m.state, INVOCATION_DONE);
}

Test(invocation_machine, the_other_limits_are_the_wardens_word_too)
{
	static const struct {
		unsigned how;
		enum verdict cause;
	} limits[] = { { INVOCATION_BY_CPU_TIME, VERDICT_CPU_TIMEOUT },
		       { INVOCATION_BY_DENIALS, VERDICT_DENIED } };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct invocation_machine m = begun();

		(void)step(&m, INVOCATION_STARTED);
		cr_assert_eq(invocation_machine_step(&m, INVOCATION_ENDED, 7000, limits[i].how),
			     INVOCATION_DO_READ | INVOCATION_DO_DRAIN);
		cr_assert(m.killed && m.cause == limits[i].cause);
		cr_assert_eq(m.due_ns, 7000 + STALL);
	}
}

Test(invocation_machine, the_first_cause_stands)
{
	struct invocation_machine m = begun();

	(void)step(&m, INVOCATION_STARTED);
	cr_assert_eq(step(&m, INVOCATION_CANCELLED), INVOCATION_DO_KILL);
	cr_assert_eq(step(&m, INVOCATION_CANCELLED), 0);
	(void)invocation_machine_step(&m, INVOCATION_ENDED, 1, INVOCATION_BY_DEADLINE);
	cr_assert_eq(m.cause, VERDICT_CANCELLED);
}

/* What it wrote up to its limit it was asked for: the reader is waited for. */
Test(invocation_machine, output_up_to_the_limit_is_not_hurried)
{
	struct invocation_machine m = begun();

	(void)step(&m, INVOCATION_STARTED);
	(void)invocation_machine_step(&m, INVOCATION_ENDED, 1,
				      INVOCATION_BY_OUTPUT | INVOCATION_WAS_CUT);
	cr_assert_eq(m.due_ns, INVOCATION_NEVER);
	cr_assert_eq(m.cause, VERDICT_OUTPUT_LIMIT);
	cr_assert(m.cut);
}

/* What the warden still has comes before the end; not for who wants none of it. */
Test(invocation_machine, the_rest_of_an_output_is_waited_for)
{
	struct invocation_machine m = begun();

	(void)step(&m, INVOCATION_STARTED);
	(void)invocation_machine_step(&m, INVOCATION_ENDED, 1, INVOCATION_MORE);
	(void)step(&m, INVOCATION_READ);
	(void)step(&m, INVOCATION_DRAINED);
	cr_assert_eq(m.state, INVOCATION_DRAINING);
	cr_assert_eq(step(&m, INVOCATION_PASSED), INVOCATION_DO_DRAIN);
	(void)step(&m, INVOCATION_DRAINED);
	cr_assert_eq(m.state, INVOCATION_DONE);

	m = begun();
	(void)step(&m, INVOCATION_STARTED);
	(void)invocation_machine_step(&m, INVOCATION_ENDED, 1, INVOCATION_MORE);
	(void)step(&m, INVOCATION_READ);
	(void)step(&m, INVOCATION_CANCELLED);
	cr_assert_eq(m.state, INVOCATION_DONE);
}

Test(invocation_machine, a_lost_warden_is_waited_for_until_nothing_is_left)
{
	struct invocation_machine m = begun();

	(void)step(&m, INVOCATION_STARTED);
	cr_assert_eq(step(&m, INVOCATION_LOST), INVOCATION_DO_KILL);
	cr_assert_eq(m.state, INVOCATION_DYING);
	cr_assert_eq(step(&m, INVOCATION_DRAINED), 0);
	cr_assert_eq(step(&m, INVOCATION_EMPTY), INVOCATION_DO_READ | INVOCATION_DO_DRAIN);
	cr_assert_eq(m.cause, VERDICT_LAUNCH_ERROR);
}

Test(invocation_machine, a_kill_that_comes_too_late_is_not_the_cause)
{
	struct invocation_machine m = begun();

	(void)step(&m, INVOCATION_STARTED);
	cr_assert_eq(step(&m, INVOCATION_CANCELLED), INVOCATION_DO_KILL);
	cr_assert_eq(step(&m, INVOCATION_SPARED), 0);
	(void)step(&m, INVOCATION_ENDED);
	cr_assert_not(m.killed);
}

Test(invocation_machine, what_dies_with_the_warden_is_waited_for)
{
	struct invocation_machine m = begun();

	(void)step(&m, INVOCATION_STARTED);
	cr_assert_eq(invocation_machine_step(&m, INVOCATION_ENDED, 1, INVOCATION_NOT_ALL),
		     INVOCATION_DO_KILL);
	cr_assert_eq(m.state, INVOCATION_DYING);
	cr_assert_not(m.killed);
	cr_assert_eq(step(&m, INVOCATION_EMPTY), INVOCATION_DO_READ | INVOCATION_DO_DRAIN);
}

/* ---- every order ---- */

#define EVENTS (INVOCATION_READ + 1)
#define DEPTH  6

struct past {
	unsigned reads, kills, watches;
	bool killed;
	enum verdict cause;
};

static bool same(const struct invocation_machine *a, const struct invocation_machine *b)
{
	return a->state == b->state && a->ran == b->ran && a->killed == b->killed &&
	       a->cause == b->cause && a->cut == b->cut && a->cancelled == b->cancelled &&
	       a->read == b->read && a->due_ns == b->due_ns;
}

/* What must hold after each step, whatever the order. */
static void check(const struct invocation_machine *was, const struct invocation_machine *m,
		  enum invocation_event event, unsigned wanted, const struct past *p)
{
	cr_assert(p->reads <= 1, "figures are read once");
	cr_assert(p->watches <= 1);
	cr_assert(m->state >= was->state, "no state comes back");
	if (was->state == INVOCATION_DONE)
		cr_assert(wanted == 0 && same(was, m), "the end is the end");
	if (m->state >= INVOCATION_DRAINING)
		cr_assert(p->reads == 1, "nothing is passed on before its figures are asked for");
	if (m->state == INVOCATION_DONE)
		cr_assert(m->read, "nobody is told before they are there");
	if (m->state == INVOCATION_READING)
		cr_assert(m->due_ns == INVOCATION_NEVER && !m->read);
	if (was->state >= INVOCATION_DRAINING)
		cr_assert(!(wanted & INVOCATION_DO_KILL), "nothing runs that could be killed");
	if (wanted & INVOCATION_DO_KILL)
		cr_assert(m->killed || m->state == INVOCATION_DYING);
	if (p->killed && event != INVOCATION_SPARED)
		cr_assert(m->killed && m->cause == p->cause, "the first cause stands");
	if (m->ran)
		cr_assert(p->watches == 1);
	if (event == INVOCATION_CANCELLED && was->state < INVOCATION_DONE)
		cr_assert(m->cancelled);
}

static uint64_t values_of(int event)
{
	return event == INVOCATION_ENDED ? 16 : 1;
}

static void every_order(const struct invocation_machine *was, const struct past *past, int depth,
			uint64_t *n)
{
	for (int event = 0; event < EVENTS; event++)
		for (uint64_t value = 0; value < values_of(event); value++) {
			struct invocation_machine m = *was;
			struct past p = *past;
			unsigned wanted = invocation_machine_step(&m, (enum invocation_event)event,
								  1000, value);

			p.reads += !!(wanted & INVOCATION_DO_READ);
			p.watches += !!(wanted & INVOCATION_DO_WATCH);
			check(was, &m, (enum invocation_event)event, wanted, &p);
			p.killed = m.killed;
			p.cause = m.cause;
			++*n;
			if (depth > 1 && !same(&m, was))
				every_order(&m, &p, depth - 1, n);
		}
}

Test(invocation_machine, every_order_of_events)
{
	struct invocation_machine m = begun();
	struct past p = { 0 };
	uint64_t n = 0;

	every_order(&m, &p, DEPTH, &n);
	cr_assert(n > 1000, "only %lu orders were tried", (unsigned long)n);
}

/* From wherever it is, what the kernel does in the end brings it to its own. */
static void ends(struct invocation_machine m)
{
	(void)step(&m, INVOCATION_LOST);
	(void)step(&m, INVOCATION_EMPTY);
	(void)step(&m, INVOCATION_DRAINED);
	(void)step(&m, INVOCATION_READ);
	cr_assert_eq(m.state, INVOCATION_DONE);
}

Test(invocation_machine, it_always_ends)
{
	for (int first = 0; first < EVENTS; first++)
		for (int second = 0; second < EVENTS; second++)
			for (int third = 0; third < EVENTS; third++) {
				struct invocation_machine m = begun();

				(void)step(&m, (enum invocation_event)first);
				(void)step(&m, (enum invocation_event)second);
				(void)step(&m, (enum invocation_event)third);
				ends(m);
			}
}
