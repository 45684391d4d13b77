/* SPDX-License-Identifier: MIT */
/* Denied calls, by kind: what is one, and what has no room. */
#include "launch/denials.h"

#include <criterion/criterion.h>
#include <linux/seccomp.h>

static struct seccomp_data call(int nr, uint32_t arch, uint64_t arg)
{
	return (struct seccomp_data){ .nr = nr, .arch = arch, .args = { 0, 0, 0, 0, 0, arg } };
}

Test(denials, a_kind_is_number_table_and_arguments)
{
	const struct seccomp_data calls[] = { call(1, 2, 3), call(1, 2, 3), call(2, 2, 3),
					      call(1, 3, 3), call(1, 2, 4), call(1, 2, 3) };
	static const uint64_t counts[] = { 3, 1, 1, 1 };
	struct denials d;

	denials_clear(&d);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		denials_add(&d, &calls[i]);
	cr_assert_eq(d.n, 4);
	for (size_t i = 0; i < 4; i++)
		cr_expect_eq(d.kinds[i].count, counts[i], "%zu", i);
	cr_expect_eq(d.kinds[0].nr, 1);
	cr_expect_eq(d.kinds[0].arch, 2);
	cr_expect_eq(d.kinds[0].args[5], 3);
	cr_expect_eq(d.total, 6);
	cr_expect_eq(d.unnamed, 0);
}

Test(denials, so_many_kinds_and_no_more)
{
	struct denials d;

	denials_clear(&d);
	for (int i = 0; i < DENIALS_KINDS + 5; i++) {
		struct seccomp_data c = call(i, 2, 0);

		denials_add(&d, &c);
		denials_add(&d, &c);
	}
	cr_expect_eq(d.n, DENIALS_KINDS);
	cr_expect_eq(d.unnamed, 10);
	d.overtaken = 7;
	cr_expect_eq(denials_all(&d), 2 * (DENIALS_KINDS + 5) + 7);
	denials_clear(&d);
	cr_expect_eq(denials_all(&d), 0);
	cr_expect_eq(d.n, 0);
}

/* Those of the first part come first; what had no name has none. */
Test(denials, of_two_parts)
{
	const struct seccomp_data calls[] = { call(1, 2, 3), call(2, 2, 3), call(3, 2, 3) };
	struct denials first, d;

	denials_clear(&first);
	denials_clear(&d);
	denials_add(&first, &calls[1]);
	denials_add(&first, &calls[0]);
	denials_add(&d, &calls[0]);
	denials_add(&d, &calls[2]);
	d.total += 2;
	d.unnamed = 2;
	first.overtaken = d.made = 1;
	denials_join(&d, &first);
	cr_assert_eq(d.n, 3);
	cr_expect_eq(d.kinds[0].nr, 2);
	cr_expect_eq(d.kinds[1].nr, 1);
	cr_expect_eq(d.kinds[1].count, 2);
	cr_expect_eq(d.kinds[2].nr, 3);
	cr_expect_eq(d.total, 6);
	cr_expect_eq(d.unnamed, 2);
	cr_expect_eq(d.overtaken, 1);
	cr_expect_eq(d.made, 1);
}
