/* SPDX-License-Identifier: MIT */
/* Who owes a word and does not say it is asked, and found out. */
#include "serve/pulse.h"

#include <criterion/criterion.h>

#define SILENCE 100

static struct pulse begun(void)
{
	struct pulse p = { .silence_ns = SILENCE };

	pulse_begin(&p, 1000, 0);
	return p;
}

Test(pulse, its_first_word_is_owed)
{
	struct pulse p = begun();

	cr_expect_eq(pulse_due(&p), 1000 + SILENCE);
	cr_expect_eq(pulse_step(&p, true, 1000 + SILENCE - 1), PULSE_WAIT);
	cr_expect_eq(pulse_step(&p, true, 1000 + SILENCE), PULSE_ASK);
	cr_expect_eq(pulse_step(&p, true, 1000 + SILENCE), PULSE_WAIT);
	cr_expect_eq(pulse_step(&p, true, 1000 + 2 * SILENCE), PULSE_LOST);
}

/* Whose like were too slow before has longer, until it has said something. */
Test(pulse, a_slow_host_has_its_front_at_last)
{
	for (unsigned late = 0; late < 8; late++) {
		unsigned times = late < 5 ? 1U << late : 32;
		struct pulse p = { .silence_ns = SILENCE };

		pulse_begin(&p, 1000, late);
		cr_expect_eq(pulse_due(&p), 1000 + times * SILENCE, "%u", late);
		cr_expect_eq(pulse_step(&p, true, pulse_due(&p)), PULSE_ASK);
		cr_expect_eq(pulse_step(&p, true, pulse_due(&p)), PULSE_LOST);
		pulse_heard(&p, 5000);
		cr_expect_eq(pulse_due(&p), 5000 + SILENCE, "%u", late);
	}
}

Test(pulse, who_answers_lives)
{
	struct pulse p = begun();

	for (int64_t now = 1000; now < 10000; now += SILENCE) {
		pulse_heard(&p, now);
		cr_expect_eq(pulse_step(&p, true, now + SILENCE), PULSE_ASK);
		pulse_heard(&p, now + SILENCE);
		cr_expect_eq(pulse_step(&p, true, now + SILENCE + 1), PULSE_WAIT);
	}
}

Test(pulse, an_idle_one_is_asked_seldom)
{
	struct pulse p = begun();

	pulse_heard(&p, 2000);
	cr_expect_eq(pulse_step(&p, false, 2001), PULSE_WAIT);
	cr_expect_eq(pulse_due(&p), 2000 + PULSE_IDLE_TIMES * SILENCE);
	cr_expect_eq(pulse_step(&p, false, pulse_due(&p)), PULSE_ASK);
	/* It has no more time for its answer than others. */
	cr_expect_eq(pulse_step(&p, false, pulse_due(&p)), PULSE_LOST);
}

/* The time in which it owed nothing does not count. */
Test(pulse, who_begins_to_owe_has_its_time)
{
	struct pulse p = begun();

	pulse_heard(&p, 2000);
	(void)pulse_step(&p, false, 2001);
	cr_expect_eq(pulse_step(&p, true, 2000 + 3 * SILENCE), PULSE_WAIT);
	cr_expect_eq(pulse_due(&p), 2000 + 4 * SILENCE);
}
