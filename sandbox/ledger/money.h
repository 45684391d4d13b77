/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_MONEY_H
#define CLOCHE_LEDGER_MONEY_H

#include <stdint.h>

struct cloche_err;

/*
 * Money is a whole number of 10⁻¹⁵ dollars in 128 bits: a price of $0.0000166667 a GB-second is
 * 16,666,700,000 of them, and sums of any length are exact. Floating point never touches it.
 * Amounts are never negative; the range ends at about 1.7 × 10²³ dollars.
 */
typedef __int128 money_t;

#define MONEY_USD  ((money_t)1000000000000000LL)
#define MONEY_PICO ((money_t)1000) /* 10⁻¹² dollars: what one invocation is rounded to */

/* The longest text: sign, 24 digits, point, 15 decimals, NUL. */
#define MONEY_LEN 48

/* "0.0000166667", "$3", "12.50": digits with up to 15 decimals, at most 18 digits before the
 * point. Signs, exponents and blanks are refused: -EINVAL. */
int money_parse(const char *text, money_t *ret, struct cloche_err *err);

/* Exact, without trailing zeros, but with at least two decimals: "0.0071262", "3.00". */
void money_format(money_t amount, char buf[static MONEY_LEN]);

/* With so many decimals (0 to 15), rounded half up. */
void money_format_fixed(money_t amount, unsigned decimals, char buf[static MONEY_LEN]);

/* *sum += amount; -EOVERFLOW leaves *sum as it was. */
int money_add(money_t *sum, money_t amount);

/* amount × num / den, rounded half up to a whole number of `quantum` (1: the unit itself).
 * -EOVERFLOW when a product does not fit, -EINVAL when den or quantum is not positive or the
 * amount is negative. */
int money_mul_div(money_t amount, unsigned __int128 num, unsigned __int128 den, money_t quantum,
		  money_t *ret);

#endif
