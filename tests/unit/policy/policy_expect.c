/* SPDX-License-Identifier: MIT */
/* Tables of expected verdicts: what is a row, and what is refused by its line. */
#include "policy/policy_expect.h"

#include "base/err.h"
#include "tests/lib/guard.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

static int parse(const char *text, size_t len, struct policy_expects *t, struct cloche_err *err)
{
	char *copy = guard_copy(text, len);
	int rc = policy_expects_parse("t", copy, len, t, err);

	guard_free(copy, len);
	return rc;
}

Test(policy_expect, rows)
{
	static const char text[] = "# nothing\n\n"
				   "ALLOW read write(1,0x10,-1)\t5#x\r\n"
				   "KILL_PROCESS x32:read x32:7\n"
				   "EAFNOSUPPORT i386:socketcall(1) i386:9999\n"
				   "LOG clone(010,1,2,3,4,0xffffffffffffffff)";
	static const struct policy_expect rows[] = {
		{ 3, "read", { SYS_read, AUDIT_ARCH_X86_64, 0, { 0 } }, SCMP_ACT_ALLOW },
		{ 3,
		  "write(1,0x10,-1)",
		  { SYS_write, AUDIT_ARCH_X86_64, 0, { 1, 16, -1ULL } },
		  SCMP_ACT_ALLOW },
		{ 3, "5", { 5, AUDIT_ARCH_X86_64, 0, { 0 } }, SCMP_ACT_ALLOW },
		{ 4,
		  "x32:read",
		  { SYS_read | 0x40000000, AUDIT_ARCH_X86_64, 0, { 0 } },
		  SCMP_ACT_KILL_PROCESS },
		{ 4,
		  "x32:7",
		  { 7 | 0x40000000, AUDIT_ARCH_X86_64, 0, { 0 } },
		  SCMP_ACT_KILL_PROCESS },
		{ 5,
		  "i386:socketcall(1)",
		  { 102, AUDIT_ARCH_I386, 0, { 1 } },
		  SCMP_ACT_ERRNO(EAFNOSUPPORT) },
		{ 5,
		  "i386:9999",
		  { 9999, AUDIT_ARCH_I386, 0, { 0 } },
		  SCMP_ACT_ERRNO(EAFNOSUPPORT) },
		{ 6,
		  "clone(010,1,2,3,4,0xffffffffffffffff)",
		  { SYS_clone, AUDIT_ARCH_X86_64, 0, { 8, 1, 2, 3, 4, -1ULL } },
		  SCMP_ACT_LOG },
	};
	struct policy_expects t;
	struct cloche_err err = { 0 };

	cr_assert_eq(parse(text, sizeof(text) - 1, &t, &err), 0, "%s", err.text);
	cr_assert_eq(t.n, sizeof(rows) / sizeof(rows[0]));
	for (size_t i = 0; i < t.n; i++) {
		cr_expect_eq(t.rows[i].line, rows[i].line, "row %zu", i);
		cr_expect_str_eq(t.rows[i].call, rows[i].call, "row %zu", i);
		cr_expect_eq(memcmp(&t.rows[i].data, &rows[i].data, sizeof(rows[i].data)), 0,
			     "row %zu", i);
		cr_expect_eq(t.rows[i].action, rows[i].action, "row %zu", i);
	}
	policy_expects_free(&t);
}

Test(policy_expect, refused_by_line)
{
#define CASE(text, what)                         \
	{                                        \
		(text), sizeof(text) - 1, (what) \
	}
	static const struct {
		const char *text;
		size_t len;
		const char *what;
	} rows[] = {
		CASE("", "t: nothing is expected in it"),
		CASE("# ALLOW read\n", "t: nothing is expected in it"),
		CASE("ALLOW read\nEPERM\n", "t:2: expected a call behind 'EPERM'"),
		CASE("EPERM # read\n", "t:1: expected a call behind 'EPERM'"),
		CASE("allow read\n",
		     "t:1: expected ALLOW, LOG, KILL_PROCESS, KILL_THREAD, TRAP or an "
		     "errno's name, found 'allow'"),
		CASE("0 read\n", "t:1: expected ALLOW, LOG, KILL_PROCESS, KILL_THREAD, TRAP or an "
				 "errno's name, found '0'"),
		CASE("ALLOW\0read\n", "t:1: expected a call behind 'ALLOW'"),
		CASE("ALLOW read\0\n", "t:1: a NUL byte"),
		CASE("ALLOW read\n#\0\n", "t:2: a NUL byte"),
#define CALL(call) \
	CASE("ALLOW " call "\n", "t:1: expected NAME or NUMBER, then (ARG,...), found '" call "'")
		CALL("nosuch"),
		CALL("arm:read"),
		CALL("-1"),
		CALL("+1"),
		CALL("0x40000000"),
		CALL("18446744073709551616"),
		CALL("1x"),
		CALL("read("),
		CALL("read()"),
		CALL("read(1"),
		CALL("read(1,)"),
		CALL("read(1)x"),
		CALL("read(+1)"),
		CALL("read(x)"),
		CALL("read(0x)"),
		CALL("read(18446744073709551616)"),
		CALL("read(1,2,3,4,5,6,7)"),
		CALL("(1)"),
		CALL("i386:"),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_expects t = { 0 };
		struct cloche_err err = { 0 };

		cr_expect_eq(parse(rows[i].text, rows[i].len, &t, &err), -EINVAL, "row %zu", i);
		cr_expect_str_eq(err.text, rows[i].what, "row %zu", i);
		cr_expect_null(t.rows);
	}
}

Test(policy_expect, long_words_and_many_rows)
{
	struct policy_expects t = { 0 };
	struct cloche_err err = { 0 };
	char text[8192] = "ALLOW ";

	memset(text + 6, '1', 96);
	cr_expect_eq(parse(text, 102, &t, &err), -EINVAL);
	cr_expect_eq(strncmp(err.text, "t:1: too long for a call: '1111", 31), 0, "%s", err.text);
	memset(text, 'E', 200);
	cr_expect_eq(parse(text, 200, &t, &err), -EINVAL);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "ALLOW 1\n"[i % 8];
	cr_assert_eq(parse(text, sizeof(text), &t, &err), 0, "%s", err.text);
	cr_expect_eq(t.n, 1024);
	cr_expect_eq(t.rows[1023].line, 1024);
	policy_expects_free(&t);
}

Test(policy_expect, every_truncation)
{
	static const char text[] = "ALLOW read(1,0x2) x32:7 # c\nENOSYS i386:1(-1,2,3)\n";

	for (size_t len = 0; len < sizeof(text); len++) {
		struct policy_expects t = { 0 };
		struct cloche_err err = { 0 };

		if (parse(text, len, &t, &err) == 0)
			cr_expect_gt(t.n, 0);
		else
			cr_expect(strncmp(err.text, "t:", 2) == 0 && !t.rows, "%zu", len);
		policy_expects_free(&t);
	}
}
