/* SPDX-License-Identifier: MIT */
/* The small parts of base: errors, quoting, clocks, ids, hashes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/quote.h"
#include "base/uuid.h"
#include "tests/lib/guard.h"

Test(err, set_names_code_and_text)
{
	struct cloche_err err = { .stage = "mounts" };

	cr_expect_eq(cloche_err_set(&err, EINVAL, "memory %d", 7), -EINVAL);
	cr_expect_eq(err.code, EINVAL);
	cr_expect_str_eq(err.stage, "");
	cr_expect_str_eq(err.text, "memory 7");
	cr_expect_eq(cloche_err_set(NULL, EPERM, "x"), -EPERM);
}

Test(err, sys_adds_the_reason_in_lower_case)
{
	struct cloche_err err = { 0 };

	cr_expect_eq(cloche_err_sys(&err, EACCES, "open '%s'", "/x"), -EACCES);
	cr_expect_str_eq(err.text, "open '/x': permission denied");
	cr_expect_eq(cloche_err_sys(&err, 99999, "x"), -99999);
	cr_expect_str_eq(err.text, "x: unknown error");
	cr_expect_eq(cloche_err_sys(NULL, EIO, "x"), -EIO);
}

Test(err, wrap_and_stage)
{
	struct cloche_err err = { 0 };

	(void)cloche_err_set(&err, ENOENT, "gone");
	cr_expect_eq(cloche_err_wrap(&err, "bind %d", 3), -ENOENT);
	cr_expect_str_eq(err.text, "bind 3: gone");
	cr_expect_eq(cloche_err_stage(&err, "a stage with a name that is far too long"), -ENOENT);
	cr_expect_eq(strlen(err.stage), sizeof(err.stage) - 1);
	cr_expect_str_eq(err.text, "bind 3: gone");
}

Test(err, names_of_fields_are_found)
{
	struct cloche_err err;

	(void)cloche_err_set(&err, ERANGE, CLOCHE_FIELD "tmp-size %d; raise " CLOCHE_FIELD "memory",
			     7);
	cr_expect_str_eq(err.text, "tmp-size 7; raise memory");
	cr_expect_eq(err.fields[0], 1);
	cr_expect_str_eq(err.text + err.fields[1] - 1, "memory");
	cr_expect_eq(err.fields[2], 0);
	(void)cloche_err_wrap(&err, "in " CLOCHE_FIELD "%s", "rootfs");
	cr_expect_str_eq(err.text, "in rootfs: tmp-size 7; raise memory");
	cr_expect_str_eq(err.text + err.fields[0] - 1, "rootfs: tmp-size 7; raise memory");
	cr_expect_str_eq(err.text + err.fields[1] - 1, "tmp-size 7; raise memory");
	cr_expect_str_eq(err.text + err.fields[2] - 1, "memory");
	cr_expect_eq(err.fields[3], 0);
	/* A mark of somebody else's before no name is a control character like any other. */
	(void)cloche_err_sys(&err, EACCES, "open '%s'", "\001/x");
	cr_expect_str_eq(err.text, "open '?/x': permission denied");
	cr_expect_eq(err.fields[0], 0);
}

/* Texts that do not fit are cut; the NUL is always there. */
/* Of another process, which may have been taken over. */
Test(err, takes_another_processs_word)
{
	struct cloche_err told = { 0 }, err = { 0 };

	(void)cloche_err_set(&told, EINVAL, "say " CLOCHE_FIELD "ref");
	cr_expect_eq(cloche_err_take(&err, &told), -EINVAL);
	cr_expect(err.code == EINVAL && strcmp(err.text, "say ref") == 0 && err.fields[0] == 5);
	memset(&told, 'x', sizeof(told));
	told.code = ENOENT;
	cr_expect_eq(cloche_err_take(&err, &told), -ENOENT);
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
	cr_expect_eq(err.fields[0], 0);
	memcpy(told.text, "\033[2J", 5);
	(void)cloche_err_take(&err, &told);
	cr_expect_str_eq(err.text, "?[2J");
	told.code = -1;
	cr_expect_eq(cloche_err_take(&err, &told), -EBADMSG);
	told.code = 0;
	cr_expect_eq(cloche_err_take(&err, &told), -EBADMSG);
}

Test(err, long_texts_are_cut)
{
	struct cloche_err err;
	char text[2 * sizeof(err.text)];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)cloche_err_set(&err, EINVAL, "%s", text);
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
	(void)cloche_err_wrap(&err, "context");
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
	cr_expect_eq(strncmp(err.text, "context: xx", 11), 0);
	(void)cloche_err_sys(&err, EACCES, "%s", text);
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
	(void)cloche_err_wrap(&err, "%s", text);
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
}

Test(quote, shows_any_text_on_one_line)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{ "", "''" },
		{ "a b", "'a b'" },
		{ "a\nb\tc", "'a\\nb\\tc'" },
		{ "it's", "'it\\'s'" },
		{ "a\\b", "'a\\\\b'" },
		{ "\033[31m", "'\\x1b[31m'" },
		{ "\x7f", "'\\x7f'" },
		{ "größe", "'größe'" },
		{ "\xe2\x82\xac", "'\xe2\x82\xac'" },
		{ "\xf0\x9f\x8d\xbd", "'\xf0\x9f\x8d\xbd'" },
		{ "\xff", "'\\xff'" },
		{ "\xe2\x82", "'\\xe2\\x82'" },			  /* cut short */
		{ "\xc1\xa1", "'\\xc1\\xa1'" },			  /* overlong 'a' */
		{ "\xe0\x81\xa1", "'\\xe0\\x81\\xa1'" },	  /* the same in three bytes */
		{ "\xed\xa0\x80", "'\\xed\\xa0\\x80'" },	  /* a surrogate */
		{ "\xf4\x90\x80\x80", "'\\xf4\\x90\\x80\\x80'" }, /* above U+10FFFF */
		{ "\xc2\x9b", "'\\xc2\\x9b'" },			  /* C1: CSI in one character */
		{ "a\xe2\x80\xae", "'a\\xe2\\x80\\xae'" },	  /* U+202E turns what follows */
	};
	char buf[QUOTE_LEN];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(quote(buf, rows[i].text), rows[i].shown);
}

Test(quote, fields_are_one_line_of_utf8_that_fits)
{
	static const struct {
		const char *text, *field;
	} rows[] = {
		{ "", "" },
		{ "it's", "it's" },
		{ "a\nb", "a?b" },
		{ "\x7f\033", "??" },
		{ "1234567", "1234567" },
		{ "12345678", "1234567" },
		{ "123456\xc3\xa9", "123456" }, /* cut between characters */
		{ "12345\xc3\xa9", "12345\xc3\xa9" },
		{ "\xff\xc3\xa9", "?\xc3\xa9" },
		{ "\xe2\x82", "??" },
		{ "\xed\xa0\x80", "???" },
	};
	char buf[8];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		quote_field(buf, sizeof(buf), rows[i].text);
		cr_expect_str_eq(buf, rows[i].field);
	}
}

Test(quote, takes_lengths_at_their_word)
{
	static const char text[] = "a\0\xe2\x82\xac\xf0\x9f\x8d\xbd";
	char buf[QUOTE_LEN];
	size_t len;

	cr_expect_str_eq(quote_n(buf, text, 2), "'a\\x00'");
	for (len = 0; len < sizeof(text); len++) {
		char *copy = guard_copy(text, len);

		(void)quote_n(buf, copy, len);
		guard_free(copy, len);
	}
}

Test(quote, cuts_between_characters)
{
	char text[3 * QUOTE_LEN + 1], buf[QUOTE_LEN + 1];
	size_t i, shift;

	for (shift = 0; shift < 4; shift++) {
		memset(text, 'x', shift);
		for (i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		text[i] = '\0';
		buf[QUOTE_LEN] = '#';
		(void)quote(buf, text);
		cr_expect_eq(buf[QUOTE_LEN], '#');
		cr_expect_geq(strlen(buf), QUOTE_LEN - 5);
		cr_expect_str_eq(buf + strlen(buf) - 4, "'...");
		cr_expect_eq((strlen(buf) - 5 - shift) % 3, 0);
	}
}

Test(clock, writes_rfc_3339)
{
	static const struct {
		int64_t ns;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000000Z" },
		{ 1767323045678901999, "2026-01-02T03:04:05.678901Z" },
		{ 1709164799999999999, "2024-02-28T23:59:59.999999Z" },
		{ 1709164800000000000, "2024-02-29T00:00:00.000000Z" },
	};
	char buf[CLOCK_ISO_LEN];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		clock_format_iso(rows[i].ns, buf);
		cr_expect_str_eq(buf, rows[i].text);
	}
}

Test(clock, converts_both_ways)
{
	static const int64_t values[] = { 0, 1, NSEC_PER_SEC - 1, NSEC_PER_SEC, 123456789012345 };
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		cr_expect_eq(timespec_ns(ns_timespec(values[i])), values[i]);
	cr_expect_eq(ns_timespec(1500000000).tv_nsec, 500000000);
}

Test(clock, never_goes_back)
{
	int64_t before = clock_now_ns(), after = clock_now_ns();

	cr_expect_leq(before, after);
	cr_expect_gt(clock_real_ns(), 1700000000 * NSEC_PER_SEC);
}

Test(uuid, is_version_4_and_new)
{
	static const char form[] = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
	char id[UUID_LEN], other[UUID_LEN];
	struct cloche_err err;
	int round;
	size_t i;

	for (round = 0; round < 64; round++) {
		cr_assert_eq(uuid_v4(id, &err), 0);
		cr_assert_eq(uuid_v4(other, &err), 0);
		cr_expect_str_neq(id, other);
		cr_assert_eq(strlen(id), sizeof(form) - 1);
		for (i = 0; form[i]; i++) {
			const char *allowed = form[i] == 'x' ? "0123456789abcdef" : "89ab";

			if (form[i] == 'x' || form[i] == 'y')
				cr_expect(strchr(allowed, id[i]), "%s, character %zu", id, i);
			else
				cr_expect_eq(id[i], form[i], "%s, character %zu", id, i);
		}
	}
}

/* The examples of FIPS 180-4. */
Test(hash, knows_the_published_sums)
{
	static const struct {
		const char *text, *sum;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	unsigned char raw[HASH_LEN];
	char hex[HASH_HEX_LEN];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hash_sha256_hex(rows[i].text, strlen(rows[i].text), hex);
		cr_expect_str_eq(hex, rows[i].sum);
	}
	hash_sha256_hex(NULL, 0, hex);
	cr_expect_str_eq(hex, rows[0].sum);
	hash_sha256("abc", 3, raw);
	cr_expect_eq(raw[0], 0xba);
	cr_expect_eq(raw[31], 0xad);
}

/* The vectors of draft-eastlake-fnv, appendix C. */
Test(hash, fnv)
{
	cr_expect_eq(hash_fnv(HASH_FNV_START, "", 0), 0xcbf29ce484222325ULL);
	cr_expect_eq(hash_fnv(HASH_FNV_START, "a", 1), 0xaf63dc4c8601ec8cULL);
	cr_expect_eq(hash_fnv(HASH_FNV_START, "foobar", 6), 0x85944171f73967e8ULL);
	cr_expect_eq(hash_fnv(hash_fnv(HASH_FNV_START, "foo", 3), "bar", 3), 0x85944171f73967e8ULL);
	cr_expect_eq(hash_fnv_u64(HASH_FNV_START, 0x7261626f6f66ULL),
		     hash_fnv(HASH_FNV_START, "foobar\0", 8));
}
