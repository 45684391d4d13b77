/* SPDX-License-Identifier: MIT */
/* Environment files: what docker's --env-file takes, and what is refused by file and line. */
#include "base/envfile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "tests/lib/guard.h"
#include "tests/lib/tmpdir.h"

#define TEXT(s) (s), sizeof(s) - 1

Test(envfile, accepts)
{
	static const struct {
		const char *text;
		size_t len;
		const char *vars[4];
	} rows[] = {
		{ TEXT(""), { 0 } },
		{ TEXT("\n\n  \n\t\n\r\n"), { 0 } },
		{ TEXT("# only a comment"), { 0 } },
		{ TEXT("A=1\nB=2\n"), { "A=1", "B=2" } },
		{ TEXT("A=1\nB=2"), { "A=1", "B=2" } },
		{ TEXT("A=1\r\nB=2\r"), { "A=1", "B=2" } },
		{ TEXT("A=\n"), { "A=" } },
		{ TEXT("A==b=c\n"), { "A==b=c" } },
		{ TEXT("A=\"x y\"  \n"), { "A=\"x y\"  " } },
		{ TEXT("A='q'#no comment\n"), { "A='q'#no comment" } },
		{ TEXT("  A=1\n\t# note\n"), { "A=1" } },
		{ TEXT("A=1\nA=2\n"), { "A=1", "A=2" } },
		{ TEXT("_a9=$HOME\\n\n"), { "_a9=$HOME\\n" } },
		{ TEXT("A=\xff\xc3\xa9\n"), { "A=\xff\xc3\xa9" } },
		{ TEXT("\xef\xbb\xbf"
		       "A=1\n"),
		  { "A=1" } },
	};
	size_t i, n;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct envfile env = { 0 };
		struct cloche_err err = { 0 };

		cr_assert_eq(envfile_parse(rows[i].text, rows[i].len, "f", &env, &err), 0,
			     "row %zu: %s", i, err.text);
		for (n = 0; rows[i].vars[n]; n++) {
			cr_assert_lt(n, env.count, "row %zu", i);
			cr_expect_str_eq(env.vars[n], rows[i].vars[n], "row %zu", i);
		}
		cr_expect_eq(env.count, n, "row %zu", i);
		cr_expect_null(env.vars[n]);
		envfile_free(&env);
	}
}

Test(envfile, refuses)
{
	static const struct {
		const char *text;
		size_t len;
		const char *message;
	} rows[] = {
		{ TEXT("A=1\nB\n"), "my.env:2: no '=' in 'B': expected NAME=VALUE" },
		{ TEXT("#\n\n=x\n"), "my.env:3: name '': expected a name" },
		{ TEXT("1A=x"), "my.env:1: name '1A': expected a name" },
		{ TEXT("A B=x"), "my.env:1: name 'A B': expected a name" },
		{ TEXT("A =x"), "my.env:1: name 'A ': expected a name" },
		{ TEXT("export A=x"), "my.env:1: name 'export A': expected a name" },
		{ TEXT("A-B=x"), "my.env:1: name 'A-B': expected a name" },
		{ TEXT("A.B=x"), "my.env:1: name 'A.B': expected a name" },
		{ TEXT("\xc3\xa4=x"), "my.env:1: name '\xc3\xa4': expected a name" },
		{ TEXT("A=1\nB=x\0y\n"), "my.env:2: NUL byte: expected NAME=VALUE" },
		{ TEXT("A\0B=x"), "my.env:1: NUL byte: expected NAME=VALUE" },
		{ TEXT("\0"), "my.env:1: NUL byte: expected NAME=VALUE" },
		{ TEXT("A=1\r\n\xff\n"), "my.env:2: no '=' in '\\xff': expected" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct envfile env = { .count = 77 };
		struct cloche_err err = { 0 };

		cr_expect_eq(envfile_parse(rows[i].text, rows[i].len, "my.env", &env, &err),
			     -EINVAL, "row %zu", i);
		cr_expect_eq(strncmp(err.text, rows[i].message, strlen(rows[i].message)), 0,
			     "row %zu: %s", i, err.text);
		cr_expect_eq(env.count, 77, "row %zu: changed on failure", i);
	}
}

Test(envfile, guard_page)
{
	static const char text[] = "\xef\xbb\xbf# note\r\n\n A=1\r\nB='two'\nC==\0\nD";
	size_t cut;

	for (cut = 0; cut <= sizeof(text); cut++) {
		char *copy = guard_copy(text, cut);
		struct envfile env = { 0 };
		struct cloche_err err;

		(void)envfile_parse(copy, cut, "f", &env, &err);
		envfile_free(&env);
		guard_free(copy, cut);
	}
}

Test(envfile, errors_name_file_and_line)
{
	static const char bad[] = "A=1\nB=2\nbad\n", good[] = "A=1\nB=2\n";
	struct envfile env = { 0 };
	struct cloche_err err = { 0 };

	cr_expect_eq(envfile_parse(bad, strlen(bad), "/x/a b.env", &env, &err), -EINVAL);
	cr_expect_str_eq(err.text, "/x/a b.env:3: no '=' in 'bad': expected NAME=VALUE");
	cr_assert_eq(envfile_parse(good, strlen(good), "f", &env, &err), 0, "%s", err.text);
	cr_expect_eq(env.count, 2);
	envfile_free(&env);
	cr_expect_null(env.vars);
	envfile_free(&env);
	envfile_free(NULL);
}
