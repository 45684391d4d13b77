/* SPDX-License-Identifier: MIT */
/* What subuid(5) lends: every number of it, no other, and nothing by a line that is none. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "serve/subordinates.h"
#include "tests/lib/tmpdir.h"

static int read_text(const char *text, struct subordinates *ret, struct cloche_err *err)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char path[512];
	FILE *f = fopen(tmpdir_path(path, dir, "subuid"), "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
	return subordinates_read(path, ret, err);
}

Test(subordinates, what_is_lent)
{
	static const struct {
		uint32_t uid;
		bool lent;
	} cases[] = {
		{ 0, false },	      { 1000, false },	      { 99999, false },
		{ 100000, true },     { 165535, true },	      { 165536, true },
		{ 231071, true },     { 231072, false },      { 299999, false },
		{ 300000, true },     { 300004, true },	      { 300005, true },
		{ 300009, true },     { 300010, false },      { 4294967000U, true },
		{ UINT32_MAX, true }, { 4294966999U, false },
	};
	struct cloche_err err = { 0 };
	struct subordinates s;

	cr_assert_eq(read_text("bob:165536:65536\nalice:100000:65536\n1001:300000:10\n"
			       "carol:300002:3\n\n# dave:1000:1\n:::\ndave:1000\ndave:-1:5\n"
			       "dave:1000:x\ndave:1000:1:1\ndave:1000:0\ndave:5000000000:5\n"
			       "eve:4294967000:99999999999",
			       &s, &err),
		     0, "%s", err.text);
	cr_expect_eq(s.n, 3);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(subordinates_have(&s, cases[i].uid), cases[i].lent, "%u",
			     cases[i].uid);
}

Test(subordinates, no_file_and_an_empty_one_lend_nothing)
{
	struct cloche_err err = { 0 };
	struct subordinates s = { .n = 1 };

	cr_assert_eq(subordinates_read("/nonexistent/subuid", &s, &err), 0);
	cr_expect_eq(s.n, 0);
	cr_expect_not(subordinates_have(&s, 0));
	cr_assert_eq(read_text("", &s, &err), 0);
	cr_expect_not(subordinates_have(&s, 100000));
}

/* What cannot be kept in mind is not forgotten in silence. */
Test(subordinates, too_many_are_refused)
{
	static char text[SUBORDINATES_MAX * 40];
	struct cloche_err err = { 0 };
	struct subordinates s = { 0 };
	size_t len = 0;

	for (unsigned i = 0; i <= SUBORDINATES_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "u:%u:1\n", 100000 + 2 * i);
	cr_expect_eq(read_text(text, &s, &err), -E2BIG);
	cr_expect(strstr(err.text, "more than 2048 ranges"), "%s", err.text);
	cr_expect_eq(s.n, 0);
}
