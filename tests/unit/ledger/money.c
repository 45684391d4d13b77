/* SPDX-License-Identifier: MIT */
/*
 * Integer money against an independent implementation: numbers as strings of decimal digits, added
 * and multiplied by hand, which shares nothing with 128-bit arithmetic.
 */
#include "base/err.h"
#include "ledger/money.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the other implementation: little-endian base-10⁹ limbs ---- */

#define LIMBS 16
#define BASE  1000000000u

struct big {
	uint32_t limb[LIMBS];
};

static void big_add(struct big *a, const struct big *b)
{
	uint64_t carry = 0;

	for (int i = 0; i < LIMBS; i++) {
		carry += (uint64_t)a->limb[i] + b->limb[i];
		a->limb[i] = (uint32_t)(carry % BASE);
		carry /= BASE;
	}
	cr_assert_eq(carry, 0);
}

static void big_mul_small(struct big *a, uint32_t n)
{
	uint64_t carry = 0;

	for (int i = 0; i < LIMBS; i++) {
		carry += (uint64_t)a->limb[i] * n;
		a->limb[i] = (uint32_t)(carry % BASE);
		carry /= BASE;
	}
	cr_assert_eq(carry, 0);
}

/* a /= n; returns the remainder. */
static uint32_t big_div_small(struct big *a, uint32_t n)
{
	uint64_t rest = 0;

	for (int i = LIMBS - 1; i >= 0; i--) {
		rest = rest * BASE + a->limb[i];
		a->limb[i] = (uint32_t)(rest / n);
		rest %= n;
	}
	return (uint32_t)rest;
}

static struct big big_of(uint64_t n)
{
	return (struct big){ .limb = { (uint32_t)(n % BASE), (uint32_t)(n / BASE % BASE),
				       (uint32_t)(n / BASE / BASE) } };
}

/* As dollars with 15 decimals, the zeros at the end cut down to two decimals. */
static void big_format(struct big a, char *buf)
{
	char digits[160];
	int n = 0;
	int cut;

	do
		digits[n++] = (char)('0' + big_div_small(&a, 10));
	while (n < 140);
	while (n > 16 && digits[n - 1] == '0')
		n--;
	for (cut = 0; cut < 13 && digits[cut] == '0'; cut++)
		;
	while (n > cut) {
		*buf++ = digits[--n];
		if (n == 15)
			*buf++ = '.';
	}
	*buf = '\0';
}

static uint64_t random_u64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

Test(money, a_million_random_rows_add_up_as_by_hand)
{
	uint64_t state = 1;
	struct big by_hand = { 0 };
	money_t sum = 0;
	char a[MONEY_LEN], b[200];

	for (int i = 0; i < 1000000; i++) {
		uint64_t n = random_u64(&state);
		uint32_t shift = (uint32_t)(random_u64(&state) % 64);
		uint32_t factor = (uint32_t)(random_u64(&state) % 100000);
		struct big row;
		money_t amount;

		n >>= shift;
		row = big_of(n);
		big_mul_small(&row, factor);
		big_add(&by_hand, &row);
		cr_assert_eq(money_mul_div((money_t)n, factor, 1, 1, &amount), 0);
		cr_assert_eq(money_add(&sum, amount), 0);
		if (i % 4096)
			continue;
		money_format(sum, a);
		big_format(by_hand, b);
		cr_assert_str_eq(a, b, "after row %d", i);
	}
	money_format(sum, a);
	big_format(by_hand, b);
	cr_assert_str_eq(a, b);
}

Test(money, products_round_half_up_as_by_hand)
{
	uint64_t state = 2;

	for (int i = 0; i < 100000; i++) {
		uint64_t n = random_u64(&state) >> (random_u64(&state) % 64);
		uint32_t num = (uint32_t)(random_u64(&state) % 1000000);
		uint32_t den = (uint32_t)(random_u64(&state) % 4000) + 1;
		struct big by_hand = big_of(n);
		char a[MONEY_LEN], b[200];
		money_t amount;
		uint32_t rest;

		big_mul_small(&by_hand, num);
		rest = big_div_small(&by_hand, den);
		if (2 * rest >= den)
			big_add(&by_hand, &(struct big){ .limb = { 1 } });
		cr_assert_eq(money_mul_div((money_t)n, num, den, 1, &amount), 0);
		money_format(amount, a);
		big_format(by_hand, b);
		cr_assert_str_eq(a, b, "%" PRIu64 " * %u / %u", n, num, den);
	}
}

Test(money, halves_go_up_at_the_quantum)
{
	money_t m;

	cr_assert_eq(money_mul_div(1499, 1, 1, 1000, &m), 0);
	cr_assert_eq(m, 1000);
	cr_assert_eq(money_mul_div(1500, 1, 1, 1000, &m), 0);
	cr_assert_eq(m, 2000);
	cr_assert_eq(money_mul_div(5, 1, 2, 1, &m), 0);
	cr_assert_eq(m, 3);
	cr_assert_eq(money_mul_div(4, 1, 3, 1, &m), 0);
	cr_assert_eq(m, 1);
}

Test(money, what_does_not_fit_is_refused)
{
	const money_t most = (money_t)(((unsigned __int128)1 << 127) - 1);
	money_t m = 7, sum = most;

	cr_assert_eq(money_mul_div(most, 2, 1, 1, &m), -EOVERFLOW);
	cr_assert_eq(money_mul_div(most, 3, 1, 1, &m), -EOVERFLOW);
	cr_assert_eq(money_mul_div(-1, 1, 1, 1, &m), -EINVAL);
	cr_assert_eq(money_mul_div(1, 1, 0, 1, &m), -EINVAL);
	cr_assert_eq(money_mul_div(1, 1, 1, 0, &m), -EINVAL);
	cr_assert_eq(m, 7);
	cr_assert_eq(money_add(&sum, 1), -EOVERFLOW);
	cr_assert_eq(sum, most);
}

static const struct {
	const char *text, *exact, *fixed12;
} texts[] = {
	{ "0", "0.00", "0.000000000000" },
	{ "3", "3.00", "3.000000000000" },
	{ "$0.0071262", "0.0071262", "0.007126200000" },
	{ "513.0864", "513.0864", "513.086400000000" },
	{ "0.000000000000499", "0.000000000000499", "0.000000000000" },
	{ "0.000000000000500", "0.0000000000005", "0.000000000001" },
	{ "0.999999999999999", "0.999999999999999", "1.000000000000" },
	{ "007.50", "7.50", "7.500000000000" },
	{ "999999999999999999.999999999999999", "999999999999999999.999999999999999",
	  "1000000000000000000.000000000000" },
};

Test(money, texts_come_back_exactly)
{
	struct cloche_err err = { 0 };
	char buf[MONEY_LEN];
	money_t m;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cr_assert_eq(money_parse(texts[i].text, &m, &err), 0, "%s", err.text);
		money_format(m, buf);
		cr_assert_str_eq(buf, texts[i].exact);
		money_format_fixed(m, 12, buf);
		cr_assert_str_eq(buf, texts[i].fixed12);
	}
	money_format(-MONEY_USD / 4, buf);
	cr_assert_str_eq(buf, "-0.25");
	money_format_fixed(-1, 12, buf);
	cr_assert_str_eq(buf, "0.000000000000");
	money_format_fixed(MONEY_USD * 5 / 2, 0, buf);
	cr_assert_str_eq(buf, "3");
}

Test(money, what_is_not_an_amount_is_refused)
{
	static const char *const bad[] = { "",
					   "$",
					   ".",
					   ".5",
					   "1.",
					   "-1",
					   "+1",
					   "1e3",
					   " 1",
					   "1 ",
					   "1,5",
					   "0x1",
					   "1.2.3",
					   "nan",
					   "$$1",
					   "1$",
					   "0.0000000000000001",
					   "1000000000000000000" };
	struct cloche_err err;
	money_t m = 42;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		cr_assert_eq(money_parse(bad[i], &m, &err), -EINVAL, "'%s'", bad[i]);
		cr_assert_eq(m, 42);
		cr_assert(strstr(err.text, "dollars"));
	}
}
