/* SPDX-License-Identifier: MIT */
/* How many sockets whose queues are nobody's memory a context may have. */
#include "launch/asked_sockets.h"

#include <criterion/criterion.h>

#define MIB (1ULL << 20)

Test(asked, all_full_are_within_a_tenth)
{
	static const uint64_t queues[] = { 2304, 425984, 8 * MIB, 64 * MIB };

	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
		for (uint64_t mib = 1; mib <= 10240; mib++) {
			uint64_t n = asked_most(mib * MIB, queues[i]);

			cr_assert_leq(n * queues[i], n > 4 ? mib * MIB / 10 : mib * MIB / 4,
				      "%d MiB, queues of %d", (int)mib, (int)queues[i]);
		}
	cr_expect_eq(asked_most(64 * MIB, 425984), 12);
	cr_expect_eq(asked_most(64 * MIB, 8 * MIB), 1);
	cr_expect_eq(asked_most(128 * MIB, 8 * MIB), 3);
	cr_expect_eq(asked_most(256 * MIB, 8 * MIB), 4);
	cr_expect_eq(asked_most(32 * MIB, 8 * MIB), 0);
}

Test(asked, numbers_that_no_host_has)
{
	cr_expect_eq(asked_most(1769 * MIB, 2 * (uint64_t)UINT32_MAX), 0);
	cr_expect_eq(asked_most(0, 425984), 0);
}
