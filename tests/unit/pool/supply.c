/* SPDX-License-Identifier: MIT */
/* How many blanks there are to be: it follows what was asked for, and is bounded. */
#include <criterion/criterion.h>

#include "pool/supply.h"

Test(supply, it_follows_the_demand_up_to_a_bound)
{
	struct supply s = { 0 };

	cr_expect_eq(supply_want(&s, 0), 0);
	cr_expect_eq(supply_due(&s, 0), INT64_MAX);
	for (unsigned i = 1; i <= SUPPLY_MAX; i++) {
		supply_asked(&s, 1000);
		cr_expect_eq(supply_want(&s, 1000), i);
	}
	supply_asked(&s, 1000);
	cr_expect_eq(supply_want(&s, 1000), SUPPLY_MAX);
}

Test(supply, there_is_none_when_nobody_has_asked_for_long)
{
	struct supply s = { 0 };

	supply_asked(&s, 5);
	supply_asked(&s, 10);
	cr_expect_eq(supply_due(&s, 11), 10 + SUPPLY_IDLE_NS);
	cr_expect_eq(supply_want(&s, 10 + SUPPLY_IDLE_NS - 1), 2);
	cr_expect_eq(supply_want(&s, 10 + SUPPLY_IDLE_NS), 0);
	cr_expect_eq(supply_due(&s, 10 + SUPPLY_IDLE_NS), INT64_MAX);
	/* And begins anew. */
	supply_asked(&s, 10 + SUPPLY_IDLE_NS);
	cr_expect_eq(supply_want(&s, 10 + SUPPLY_IDLE_NS), 1);
}
