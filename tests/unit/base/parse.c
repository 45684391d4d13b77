/* SPDX-License-Identifier: MIT */
/* What users may write for sizes, durations, counts and shares, and what they may not. */
#include "base/parse.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/guard.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define TIB (1ULL << 40)

/* No accepted value of any table, so that "unchanged on failure" can be seen. */
#define UNTOUCHED 0xdeadbeef5aULL

struct row {
	const char *text;
	int code; /* 0, or the errno, positive */
	uint64_t value;
};

typedef int parse_fn(const char *text, uint64_t *ret, struct cloche_err *err);

static int duration_u64(const char *text, uint64_t *ret, struct cloche_err *err)
{
	int64_t ns = (int64_t)*ret;
	int r = parse_duration(text, &ns, err);

	*ret = (uint64_t)ns;
	return r;
}

static int count_1_to_100(const char *text, uint64_t *ret, struct cloche_err *err)
{
	return parse_count(text, 1, 100, ret, err);
}

static int count_any(const char *text, uint64_t *ret, struct cloche_err *err)
{
	return parse_count(text, 0, UINT64_MAX, ret, err);
}

static void table_check(parse_fn *parse, const struct row *rows, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct cloche_err err = { 0 };
		uint64_t value = UNTOUCHED;
		int r = parse(row->text, &value, &err);

		cr_expect_eq(r, -row->code, "'%s': %d, expected %d", row->text, r, -row->code);
		cr_expect_eq(value, row->code ? UNTOUCHED : row->value, "'%s': %llu", row->text,
			     (unsigned long long)value);
		cr_expect_eq(err.code, row->code, "'%s': code %d", row->text, err.code);
		cr_expect_eq(parse(row->text, &value, NULL), r, "'%s' without err", row->text);
		if (row->code)
			cr_expect(strstr(err.text, "expected") ||
					  strstr(err.text, "whole number") ||
					  strstr(err.text, "too large"),
				  "'%s': no help in: %s", row->text, err.text);
	}
}
#define TABLE_CHECK(parse, rows) table_check((parse), (rows), sizeof(rows) / sizeof((rows)[0]))

Test(parse, sizes)
{
	static const struct row rows[] = {
		{ "64", 0, 64 * MIB },
		{ "0", 0, 0 },
		{ "007", 0, 7 * MIB },
		{ "64M", 0, 64 * MIB },
		{ "64m", 0, 64 * MIB },
		{ "64MB", 0, 64 * MIB },
		{ "64MiB", 0, 64 * MIB },
		{ "64mib", 0, 64 * MIB },
		{ "512K", 0, 512 * KIB },
		{ "512kb", 0, 512 * KIB },
		{ "1KiB", 0, KIB },
		{ "1G", 0, GIB },
		{ "2GiB", 0, 2 * GIB },
		{ "2T", 0, 2 * TIB },
		{ "1.5G", 0, GIB + GIB / 2 },
		{ "1.5", 0, MIB + MIB / 2 },
		{ ".5G", 0, GIB / 2 },
		{ "0.5K", 0, 512 },
		{ "1.50000000000000000000000000000G", 0, GIB + GIB / 2 },
		{ "0.00000095367431640625M", 0, 1 }, /* 2^-20: twenty decimals, one byte */
		{ "16777215T", 0, 16777215 * TIB },
		{ "16777215.9999990463256835937500T", 0, UINT64_MAX - MIB + 1 },
		{ "16777216T", ERANGE, 0 },
		{ "18446744073709551616", ERANGE, 0 },
		{ "99999999999999999999999999999999K", ERANGE, 0 },
		{ "0.3K", EINVAL, 0 }, /* 307.2 bytes */
		{ "0.000000953674316406251M", EINVAL, 0 },
		{ "", EINVAL, 0 },
		{ "M", EINVAL, 0 },
		{ ".", EINVAL, 0 },
		{ ".M", EINVAL, 0 },
		{ "1.", EINVAL, 0 },
		{ "1.M", EINVAL, 0 },
		{ "1.5.5M", EINVAL, 0 },
		{ "-1", EINVAL, 0 },
		{ "+1", EINVAL, 0 },
		{ " 1", EINVAL, 0 },
		{ "1 ", EINVAL, 0 },
		{ "1 M", EINVAL, 0 },
		{ "1M\n", EINVAL, 0 },
		{ "1,5G", EINVAL, 0 },
		{ "0x10", EINVAL, 0 },
		{ "1e3", EINVAL, 0 },
		{ "inf", EINVAL, 0 },
		{ "nan", EINVAL, 0 },
		{ "max", EINVAL, 0 },
		{ "1Mi", EINVAL, 0 },
		{ "1MM", EINVAL, 0 },
		{ "1P", EINVAL, 0 },
		{ "1B", EINVAL, 0 },
		{ "64s", EINVAL, 0 },
	};

	TABLE_CHECK(parse_size, rows);
}

Test(parse, durations)
{
	static const struct row rows[] = {
		{ "3", 0, 3000000000 },
		{ "3s", 0, 3000000000 },
		{ "250ms", 0, 250000000 },
		{ "1.5s", 0, 1500000000 },
		{ "1.5", 0, 1500000000 },
		{ "0.1s", 0, 100000000 },
		{ ".1", 0, 100000000 },
		{ "0.000000001", 0, 1 },
		{ "0.0000000010000000000000000000000", 0, 1 },
		{ "2m", 0, 120000000000 },
		{ "0.5m", 0, 30000000000 },
		{ "1h", 0, 3600000000000 },
		{ "800us", 0, 800000 },
		{ "0.001us", 0, 1 },
		{ "50ns", 0, 50 },
		{ "0", 0, 0 },
		{ "9223372036854775807ns", 0, INT64_MAX },
		{ "9223372036.854775807", 0, INT64_MAX },
		{ "9223372036854775808ns", ERANGE, 0 },
		{ "9223372036.854775808", ERANGE, 0 },
		{ "2562048h", ERANGE, 0 },
		{ "18446744073709551616ns", ERANGE, 0 },
		{ "0.0000000001", EINVAL, 0 },
		{ "1.5ns", EINVAL, 0 },
		{ "", EINVAL, 0 },
		{ "s", EINVAL, 0 },
		{ "ms", EINVAL, 0 },
		{ "1.s", EINVAL, 0 },
		{ "-3s", EINVAL, 0 },
		{ "+3s", EINVAL, 0 },
		{ " 3s", EINVAL, 0 },
		{ "3s ", EINVAL, 0 },
		{ "3 s", EINVAL, 0 },
		{ "3S", EINVAL, 0 }, /* M is no month here: units are lower case */
		{ "3M", EINVAL, 0 },
		{ "3sec", EINVAL, 0 },
		{ "3d", EINVAL, 0 },
		{ "1m30s", EINVAL, 0 },
		{ "inf", EINVAL, 0 },
		{ "infinity", EINVAL, 0 },
		{ "1e3", EINVAL, 0 },
	};

	TABLE_CHECK(duration_u64, rows);
}

Test(parse, counts)
{
	static const struct row bounded[] = {
		{ "1", 0, 1 },	       { "64", 0, 64 },
		{ "100", 0, 100 },     { "0100", 0, 100 },
		{ "0", ERANGE, 0 },    { "101", ERANGE, 0 },
		{ "", EINVAL, 0 },     { "1.0", EINVAL, 0 },
		{ "-1", EINVAL, 0 },   { "+1", EINVAL, 0 },
		{ " 1", EINVAL, 0 },   { "1 ", EINVAL, 0 },
		{ "0x10", EINVAL, 0 }, { "1k", EINVAL, 0 },
		{ "max", EINVAL, 0 },  { "99999999999999999999", ERANGE, 0 },
	};
	static const struct row any[] = {
		{ "0", 0, 0 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", ERANGE, 0 },
	};

	TABLE_CHECK(count_1_to_100, bounded);
	TABLE_CHECK(count_any, any);
}

Test(parse, thousandths)
{
	static const struct row rows[] = {
		{ "0.5", 0, 500 },
		{ "2", 0, 2000 },
		{ ".25", 0, 250 },
		{ "0.001", 0, 1 },
		{ "1.125", 0, 1125 },
		{ "1.5000", 0, 1500 },
		{ "18446744073709551.615", 0, UINT64_MAX },
		{ "18446744073709551.616", ERANGE, 0 },
		{ "0.0001", EINVAL, 0 },
		{ "", EINVAL, 0 },
		{ "1.", EINVAL, 0 },
		{ "-1", EINVAL, 0 },
		{ "50%", EINVAL, 0 },
		{ "500m", EINVAL, 0 },
		{ "0,5", EINVAL, 0 },
	};

	TABLE_CHECK(parse_milli, rows);
}

/* The message shows what was written, on one line, whatever that was. */
Test(parse, messages)
{
	struct cloche_err err = { 0 };
	uint64_t value;
	int64_t ns;

	cr_expect_eq(parse_size("12Q", &value, &err), -EINVAL);
	cr_expect_str_eq(err.text, "size '12Q': expected a number with K, M, G or T behind it, "
				   "such as 64M or 1.5G (MiB when bare)");
	cr_expect_eq(parse_duration("5x\n", &ns, &err), -EINVAL);
	cr_expect_str_eq(err.text, "duration '5x\\n': expected a number with ns, us, ms, s, m or h "
				   "behind it, such as 250ms or 1.5s (seconds when bare)");
	cr_expect_eq(parse_count("0", 1, 9, &value, &err), -ERANGE);
	cr_expect_str_eq(err.text, "number '0': expected 1 to 9");
}

/* The parsers take NUL-terminated text: none may look behind the NUL. */
Test(parse, guard_page)
{
	static const char *const texts[] = { "1.5GiB", "250ms", "0.00000095367431640625M",
					     "18446744073709551616", "" };
	parse_fn *const parsers[] = { parse_size, duration_u64, count_any, parse_milli };
	size_t i, p, cut;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (cut = 0; cut <= strlen(texts[i]); cut++) {
			char *copy = guard_copy(texts[i], cut + 1);
			struct cloche_err err;
			uint64_t value = 0;

			copy[cut] = '\0';
			for (p = 0; p < sizeof(parsers) / sizeof(parsers[0]); p++)
				(void)parsers[p](copy, &value, &err);
			guard_free(copy, cut + 1);
		}
	}
}
