/* SPDX-License-Identifier: MIT */
/* So many in a day, and as many at once; what was used comes back; each has his own. */
#include <criterion/criterion.h>

#include "serve/allowances.h"

#define HOUR_NS (3600LL * 1000000000)
#define NOW	(5 * HOUR_NS) /* of a host that was started lately */

static struct allowances all;

static void use(uint32_t uid, uint32_t most, unsigned n, int64_t now_ns)
{
	for (unsigned i = 0; i < n; i++) {
		cr_expect_eq(allowances_due(&all, uid, most, now_ns), 0, "%u: %u", uid, i);
		allowances_use(&all, uid, most, now_ns);
	}
}

/* To the microsecond. */
static void expect_due(uint32_t uid, uint32_t most, int64_t now_ns, int64_t due_ns)
{
	int64_t is_ns = allowances_due(&all, uid, most, now_ns);

	cr_expect(is_ns > 0 && is_ns > due_ns - 1000 && is_ns < due_ns + 1000, "%ld", is_ns);
}

Test(allowances, so_many_at_once_and_the_next_when_one_is_back)
{
	use(7, 24, 24, NOW);
	expect_due(7, 24, NOW, HOUR_NS);
	expect_due(7, 24, NOW + HOUR_NS / 2, HOUR_NS / 2);
	/* When it was said to be. */
	use(7, 24, 1, NOW + allowances_due(&all, 7, 24, NOW));
	expect_due(7, 24, NOW + HOUR_NS, HOUR_NS);
	/* After a day it is as at first, and after many it is no more. */
	use(7, 24, 24, NOW + 100 * HOUR_NS);
	expect_due(7, 24, NOW + 100 * HOUR_NS, HOUR_NS);
}

Test(allowances, each_has_his_own)
{
	use(7, 3, 3, NOW);
	use(0, 3, 3, NOW);
	use(8, 1, 1, NOW);
	expect_due(7, 3, NOW, 8 * HOUR_NS);
	expect_due(0, 3, NOW, 8 * HOUR_NS);
	expect_due(8, 1, NOW, 24 * HOUR_NS);
	cr_expect_eq(allowances_due(&all, 9, 1, NOW), 0);
}

/* Of another limit what was used is used, and no more. */
Test(allowances, of_another_limit)
{
	use(7, 12, 12, NOW);
	use(7, 24, 12, NOW);
	expect_due(7, 24, NOW, HOUR_NS);
	expect_due(7, 12, NOW, 26 * HOUR_NS);
	use(7, 1000000000, 1000, NOW);
}

/* Who used most is remembered, however many come. */
Test(allowances, who_has_used_least_is_forgotten)
{
	use(7, 24, 24, NOW);
	for (uint32_t uid = 1000; uid < 1000 + 3 * ALLOWANCES_MAX; uid++)
		use(uid, 24, 1, NOW);
	expect_due(7, 24, NOW, HOUR_NS);
}
