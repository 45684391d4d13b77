/* SPDX-License-Identifier: MIT */
/*
 * Numbers as users write them: see parse.h. All arithmetic is in integers and exact, because what
 * is parsed here becomes a limit and, by way of the memory size, a price: a binary fraction would
 * make 0.1s one nanosecond too long. strtoull and strtod are avoided on purpose: they accept
 * blanks, signs, hexadecimal, "inf" and the decimal point of the locale.
 */
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/quote.h"

/* Unsigned decimal text, taken apart but not yet a number: the fraction may be of any length. */
struct decimal {
	const char *whole, *frac, *unit;
	size_t whole_len, frac_len;
};

struct unit {
	const char *name;
	uint64_t factor;
};

#define SIZE_WANTED \
	"expected a number with K, M, G or T behind it, such as 64M or 1.5G (MiB when bare)"
#define DURATION_WANTED                                                                  \
	"expected a number with ns, us, ms, s, m or h behind it, such as 250ms or 1.5s " \
	"(seconds when bare)"
#define MILLI_WANTED "expected a number such as 2 or 0.5, with at most three decimals"

/* Not isdigit(3): that one depends on the locale and is undefined for negative chars. */
static size_t digits_span(const char *p)
{
	size_t n = 0;

	while (p[n] >= '0' && p[n] <= '9')
		n++;
	return n;
}

/* "12", "12.5" and ".5" are decimals; "", "." and "12." are not. */
static bool decimal_split(const char *text, struct decimal *ret)
{
	struct decimal d = { .whole = text, .whole_len = digits_span(text) };

	d.unit = text + d.whole_len;
	if (*d.unit == '.') {
		d.frac = d.unit + 1;
		d.frac_len = digits_span(d.frac);
		if (d.frac_len == 0)
			return false;
		d.unit = d.frac + d.frac_len;
	}
	if (d.whole_len + d.frac_len == 0)
		return false;
	*ret = d;
	return true;
}

/*
 * d × factor as a whole number. -EDOM when it is not one, -ERANGE when it exceeds UINT64_MAX.
 * The fraction is multiplied from its last digit on, as on paper: each digit of the product
 * behind the point must be 0, and what is carried over the point is whole. So any number of
 * decimals is exact; factor must be at most UINT64_MAX / 10.
 */
static int decimal_scale(const struct decimal *d, uint64_t factor, uint64_t *ret)
{
	uint64_t value = 0, carry = 0;
	size_t i;

	for (i = d->frac_len; i > 0; i--) {
		uint64_t p = factor * (uint64_t)(d->frac[i - 1] - '0') + carry;

		if (p % 10)
			return -EDOM;
		carry = p / 10;
	}
	for (i = 0; i < d->whole_len; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(d->whole[i] - '0'), &value))
			return -ERANGE;
	if (__builtin_mul_overflow(value, factor, &value) ||
	    __builtin_add_overflow(value, carry, &value))
		return -ERANGE;
	*ret = value;
	return 0;
}

static const struct unit *unit_find(const struct unit *units, const char *name,
				    int (*compare)(const char *, const char *))
{
	for (; units->name; units++)
		if (compare(units->name, name) == 0)
			return units;
	return NULL;
}

int parse_size(const char *text, uint64_t *ret_bytes, struct cloche_err *err)
{
	static const struct unit units[] = {
		{ "", 1ULL << 20 },    { "K", 1ULL << 10 }, { "KB", 1ULL << 10 },
		{ "KiB", 1ULL << 10 }, { "M", 1ULL << 20 }, { "MB", 1ULL << 20 },
		{ "MiB", 1ULL << 20 }, { "G", 1ULL << 30 }, { "GB", 1ULL << 30 },
		{ "GiB", 1ULL << 30 }, { "T", 1ULL << 40 }, { "TB", 1ULL << 40 },
		{ "TiB", 1ULL << 40 }, { NULL, 0 },
	};
	char shown[QUOTE_LEN];
	const struct unit *unit;
	struct decimal d;
	int r;

	if (!decimal_split(text, &d) || !(unit = unit_find(units, d.unit, strcasecmp)))
		return cloche_err_set(err, EINVAL, "size %s: " SIZE_WANTED, quote(shown, text));
	r = decimal_scale(&d, unit->factor, ret_bytes);
	if (r == -EDOM)
		return cloche_err_set(err, EINVAL, "size %s: not a whole number of bytes",
				      quote(shown, text));
	if (r < 0)
		return cloche_err_set(err, ERANGE, "size %s: expected less than 16777216T",
				      quote(shown, text));
	return 0;
}

int parse_duration(const char *text, int64_t *ret_ns, struct cloche_err *err)
{
	static const struct unit units[] = {
		{ "", 1000000000ULL },	   { "ns", 1ULL },
		{ "us", 1000ULL },	   { "ms", 1000000ULL },
		{ "s", 1000000000ULL },	   { "m", 60000000000ULL },
		{ "h", 3600000000000ULL }, { NULL, 0 },
	};
	char shown[QUOTE_LEN];
	const struct unit *unit;
	struct decimal d;
	uint64_t ns;
	int r;

	if (!decimal_split(text, &d) || !(unit = unit_find(units, d.unit, strcmp)))
		return cloche_err_set(err, EINVAL, "duration %s: " DURATION_WANTED,
				      quote(shown, text));
	r = decimal_scale(&d, unit->factor, &ns);
	if (r == -EDOM)
		return cloche_err_set(err, EINVAL, "duration %s: not a whole number of nanoseconds",
				      quote(shown, text));
	if (r < 0 || ns > INT64_MAX)
		return cloche_err_set(err, ERANGE, "duration %s: expected at most 2562047h",
				      quote(shown, text));
	*ret_ns = (int64_t)ns;
	return 0;
}

int parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	struct decimal d;
	uint64_t value;

	if (!decimal_split(text, &d) || d.frac || *d.unit)
		return cloche_err_set(err, EINVAL,
				      "number %s: expected a whole number from %" PRIu64
				      " to %" PRIu64,
				      quote(shown, text), min, max);
	if (decimal_scale(&d, 1, &value) < 0 || value < min || value > max)
		return cloche_err_set(err, ERANGE, "number %s: expected %" PRIu64 " to %" PRIu64,
				      quote(shown, text), min, max);
	*ret = value;
	return 0;
}

int parse_milli(const char *text, uint64_t *ret_milli, struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	struct decimal d;
	int r;

	if (!decimal_split(text, &d) || *d.unit)
		return cloche_err_set(err, EINVAL, "number %s: " MILLI_WANTED, quote(shown, text));
	r = decimal_scale(&d, 1000, ret_milli);
	if (r == -EDOM)
		return cloche_err_set(err, EINVAL, "number %s: " MILLI_WANTED, quote(shown, text));
	if (r < 0)
		return cloche_err_set(err, ERANGE, "number %s: too large", quote(shown, text));
	return 0;
}
