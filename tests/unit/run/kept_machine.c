/* SPDX-License-Identifier: MIT */
/* The states of a kept process: each part has one verdict, whatever comes in whichever order. */
#include "run/kept_machine.h"

#include <criterion/criterion.h>

static struct kept_machine after(const enum kept_event *events, size_t n)
{
	struct kept_machine m = kept_machine_new();

	for (size_t i = 0; i < n; i++)
		(void)kept_machine_step(&m, events[i], 0);
	return m;
}

#define AFTER(...)                                      \
	after((const enum kept_event[]){ __VA_ARGS__ }, \
	      sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))
#define INIT KEPT_STARTED, KEPT_ANSWERED, KEPT_PAUSED, KEPT_PARTED
#define ONE  KEPT_RESUME, KEPT_ANSWERED, KEPT_PAUSED, KEPT_PARTED

Test(kept_machine, goes_on_from_part_to_part)
{
	struct kept_machine m = AFTER(INIT, ONE, ONE);

	cr_expect_eq(m.state, KEPT_IDLE);
	cr_expect(!m.init);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_OK);
	cr_expect_eq(kept_machine_step(&m, KEPT_RESUME, 0), KEPT_DO_RESUME);
	/* Nothing of the part before is left. */
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_SIGNAL);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_OK), VERDICT_ERROR);
}

Test(kept_machine, ends_once_in_each_state)
{
	static const enum kept_event way[] = { KEPT_STARTED, KEPT_ANSWERED, KEPT_PAUSED,
					       KEPT_PARTED,  KEPT_RESUME,   KEPT_ANSWERED };

	for (size_t n = 1; n <= sizeof(way) / sizeof(way[0]); n++) {
		struct kept_machine m = after(way, n);

		cr_expect_eq(kept_machine_step(&m, KEPT_ENDED, VERDICT_OK), KEPT_DO_READ);
		for (int e = KEPT_STARTED; e <= KEPT_CANCELLED; e++)
			cr_expect_eq(kept_machine_step(&m, (enum kept_event)e, 0), 0);
		cr_expect_eq(m.state, KEPT_READING);
		(void)kept_machine_step(&m, KEPT_READ, 0);
		cr_expect_eq(m.state, KEPT_OVER);
		cr_expect_eq(m.idle, n == 4, "%zu", n);
	}
}

Test(kept_machine, a_limit_that_is_hit_before_it_is_frozen_is_the_verdict)
{
	struct kept_machine m = AFTER(INIT, KEPT_RESUME, KEPT_ANSWERED);

	(void)kept_machine_step(&m, KEPT_ENDED, VERDICT_TIMEOUT);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_TIMEOUT);
	m = AFTER(INIT, KEPT_RESUME, KEPT_ANSWERED);
	(void)kept_machine_step(&m, KEPT_ENDED, VERDICT_OK);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_OK);
}

Test(kept_machine, init_has_verdicts_of_its_own)
{
	struct kept_machine m = AFTER(KEPT_STARTED);

	cr_expect_eq(kept_machine_verdict(&m, VERDICT_OK), VERDICT_INIT_ERROR);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_OOM), VERDICT_OOM);
	(void)kept_machine_step(&m, KEPT_ENDED, VERDICT_TIMEOUT);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_INIT_TIMEOUT);
	m = AFTER(KEPT_FAILED);
	cr_expect_eq(m.state, KEPT_READING);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_OK), VERDICT_LAUNCH_ERROR);
}

/* The wish came first, and is done when there is something to end; or was too late. */
Test(kept_machine, is_cancelled_once)
{
	struct kept_machine m = AFTER(KEPT_CANCELLED);

	cr_expect_eq(kept_machine_step(&m, KEPT_STARTED, 0), KEPT_DO_WATCH | KEPT_DO_KILL);
	cr_expect_eq(kept_machine_step(&m, KEPT_CANCELLED, 0), 0);
	(void)kept_machine_step(&m, KEPT_ENDED, VERDICT_OK);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_CANCELLED);
	m = AFTER(INIT, KEPT_RESUME, KEPT_CANCELLED, KEPT_SPARED);
	(void)kept_machine_step(&m, KEPT_ENDED, VERDICT_TIMEOUT);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_TIMEOUT);
	/* Frozen or not: what is killed is no part that goes on. */
	m = AFTER(INIT, KEPT_RESUME, KEPT_ANSWERED, KEPT_CANCELLED);
	cr_expect_eq(kept_machine_step(&m, KEPT_PAUSED, 0), 0);
}

/* It died when its figures were on their way. */
Test(kept_machine, what_was_counted_counts_though_it_ended)
{
	struct kept_machine m = AFTER(KEPT_STARTED, KEPT_ANSWERED, KEPT_PAUSED, KEPT_ENDED);

	(void)kept_machine_step(&m, KEPT_PARTED, 0);
	cr_expect_eq(m.state, KEPT_OVER);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_OK);
	m = AFTER(KEPT_STARTED, KEPT_ANSWERED, KEPT_PAUSED);
	(void)kept_machine_step(&m, KEPT_READ, 0);
	cr_expect_eq(m.state, KEPT_OVER);
}

/* The warden has it counted: that it is frozen is known by what was counted, and whoever wanted it
 * killed meanwhile ends this part, as if that had come a moment later. */
Test(kept_machine, what_is_counted_unasked_is_a_part)
{
	struct kept_machine m = AFTER(INIT, KEPT_RESUME, KEPT_ANSWERED);

	cr_expect_eq(kept_machine_step(&m, KEPT_PARTED, 0), 0);
	cr_expect_eq(m.state, KEPT_IDLE);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_OK);
	m = AFTER(INIT, KEPT_RESUME, KEPT_ANSWERED, KEPT_CANCELLED, KEPT_PARTED);
	cr_expect_eq(m.state, KEPT_IDLE);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_CANCELLED);
	cr_expect_eq(kept_machine_step(&m, KEPT_ENDED, VERDICT_OK), KEPT_DO_READ);
	cr_expect(m.idle);
	/* Dead by then, of which its warden's word is on its way: it had been frozen. */
	m = AFTER(INIT, KEPT_RESUME, KEPT_ANSWERED, KEPT_READ);
	cr_expect_eq(m.state, KEPT_OVER);
	cr_expect_eq(kept_machine_verdict(&m, VERDICT_SIGNAL), VERDICT_OK);
	m = AFTER(INIT, KEPT_RESUME, KEPT_PARTED);
	cr_expect_eq(m.state, KEPT_RUNNING);
}
