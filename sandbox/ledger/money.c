/* SPDX-License-Identifier: MIT */
/*
 * Integer money. Everything that is charged, added up or shown goes through these few functions,
 * so that a bill is the sum of its records to the last digit. See money.h.
 */
#include "ledger/money.h"

#include "base/err.h"
#include "base/quote.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DECIMALS     15
#define WHOLE_DIGITS 18

int money_parse(const char *text, money_t *ret, struct cloche_err *err)
{
	const char *p = text;
	char word[QUOTE_LEN];
	unsigned whole = 0, decimals = 0;
	money_t value = 0;

	if (*p == '$')
		p++;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (++whole > WHOLE_DIGITS)
			goto bad;
		value = value * 10 + (*p - '0');
	}
	if (!whole)
		goto bad;
	if (*p == '.') {
		p++;
		for (; *p >= '0' && *p <= '9'; p++) {
			if (++decimals > DECIMALS)
				goto bad;
			value = value * 10 + (*p - '0');
		}
		if (!decimals)
			goto bad;
	}
	if (*p)
		goto bad;
	for (; decimals < DECIMALS; decimals++)
		value *= 10;
	*ret = value;
	return 0;
bad:
	return cloche_err_set(err, EINVAL,
			      "%s is not an amount of dollars like 0.0000166667 "
			      "(digits with up to %d decimals)",
			      quote(word, text), DECIMALS);
}

/* Digits of value from the right, a point before the last `decimals` of them; returns the start. */
static char *digits_put(unsigned __int128 value, unsigned decimals, char *end)
{
	char *p = end;
	unsigned n = 0;

	do {
		if (n && n == decimals)
			*--p = '.';
		*--p = (char)('0' + (int)(value % 10));
		value /= 10;
		n++;
	} while (value || n <= decimals);
	return p;
}

static void text_put(bool negative, const char *digits, const char *end, char *buf)
{
	size_t len = (size_t)(end - digits);

	if (negative)
		*buf++ = '-';
	memcpy(buf, digits, len);
	buf[len] = '\0';
}

void money_format(money_t amount, char buf[static MONEY_LEN])
{
	char tmp[MONEY_LEN];
	char *end = tmp + sizeof(tmp);
	unsigned __int128 value = (unsigned __int128)amount;
	char *start;

	if (amount < 0)
		value = -value;
	start = digits_put(value, DECIMALS, end);
	for (unsigned left = DECIMALS; left > 2 && end[-1] == '0'; left--)
		end--;
	text_put(amount < 0, start, end, buf);
}

void money_format_fixed(money_t amount, unsigned decimals, char buf[static MONEY_LEN])
{
	char tmp[MONEY_LEN];
	char *end = tmp + sizeof(tmp);
	unsigned __int128 value = (unsigned __int128)amount, unit = 1;

	if (amount < 0)
		value = -value;
	if (decimals > DECIMALS)
		decimals = DECIMALS;
	for (unsigned i = decimals; i < DECIMALS; i++)
		unit *= 10;
	value = value / unit + (value % unit >= unit - value % unit);
	text_put(amount < 0 && value, digits_put(value, decimals, end), end, buf);
}

int money_add(money_t *sum, money_t amount)
{
	money_t total;

	if (__builtin_add_overflow(*sum, amount, &total))
		return -EOVERFLOW;
	*sum = total;
	return 0;
}

int money_mul_div(money_t amount, unsigned __int128 num, unsigned __int128 den, money_t quantum,
		  money_t *ret)
{
	unsigned __int128 product, divisor, quotient, rest;
	money_t result;

	if (amount < 0 || !den || quantum <= 0)
		return -EINVAL;
	if (__builtin_mul_overflow((unsigned __int128)amount, num, &product) ||
	    __builtin_mul_overflow(den, (unsigned __int128)quantum, &divisor))
		return -EOVERFLOW;
	quotient = product / divisor;
	rest = product % divisor;
	if (rest >= divisor - rest)
		quotient++;
	if (__builtin_mul_overflow(quotient, (unsigned __int128)quantum, &result))
		return -EOVERFLOW;
	*ret = result;
	return 0;
}
