/* SPDX-License-Identifier: MIT */
/* Two profiles, one call: what counts as the same, and which way a difference goes. */
#include "base/err.h"
#include "policy/policy_diff.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define RULE(action) "{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_" action "\"}"
#define WHEN(action, op, value)                                                                    \
	"{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_" action "\",\"args\":[" ARG(0, op, value) "]" \
											       "}"
#define BOTH(first, second) \
	"{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[" first "," second "]}"
#define ARG(index, op, value) \
	"{\"index\":" #index ",\"op\":\"SCMP_CMP_" op "\",\"value\":" #value "}"
#define ERRNO(n) "{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":" #n "}"
#define ERRNO_WHEN(n, op, value)                                              \
	"{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":" #n \
	",\"args\":[" ARG(0, op, value) "]}"

static const struct {
	const char *what, *a, *b;
	enum policy_change change;
} cases[] = {
	{ "named by neither", "", "", POLICY_SAME },
	{ "allowed by both", RULE("ALLOW"), RULE("ALLOW"), POLICY_SAME },
	{ "removed", RULE("ALLOW"), "", POLICY_ONLY_A },
	{ "added", "", RULE("ALLOW"), POLICY_ONLY_B },
	{ "logged is allowed", RULE("LOG"), "", POLICY_ONLY_A },
	{ "allowed or logged", RULE("ALLOW"), RULE("LOG"), POLICY_CHANGED },
	{ "sometimes against never", WHEN("ALLOW", "EQ", 1), RULE("ERRNO"), POLICY_ONLY_A },
	{ "never against all but some", "", RULE("ALLOW") "," ERRNO_WHEN(1, "EQ", 2),
	  POLICY_ONLY_B },
	{ "sometimes against always", WHEN("ALLOW", "EQ", 1), RULE("ALLOW"), POLICY_CHANGED },
	{ "other value", WHEN("ALLOW", "EQ", 1), WHEN("ALLOW", "EQ", 2), POLICY_CHANGED },
	{ "other comparison", WHEN("ALLOW", "EQ", 1), WHEN("ALLOW", "GE", 1), POLICY_CHANGED },
	{ "one condition more", WHEN("ALLOW", "EQ", 1), BOTH(ARG(0, "EQ", 1), ARG(1, "EQ", 1)),
	  POLICY_CHANGED },
	{ "one rule more", WHEN("ALLOW", "EQ", 1),
	  WHEN("ALLOW", "EQ", 1) "," WHEN("ALLOW", "EQ", 2), POLICY_CHANGED },
	{ "conditions in another order", BOTH(ARG(0, "EQ", 1), ARG(1, "EQ", 2)),
	  BOTH(ARG(1, "EQ", 2), ARG(0, "EQ", 1)), POLICY_SAME },
	{ "rules in another order", WHEN("ALLOW", "EQ", 1) "," WHEN("ALLOW", "EQ", 2),
	  WHEN("ALLOW", "EQ", 2) "," WHEN("ALLOW", "EQ", 1), POLICY_SAME },
	{ "a rule that says what the default says", "", RULE("ERRNO"), POLICY_SAME },
	{ "an exception that is none", RULE("ALLOW"), RULE("ALLOW") "," WHEN("ALLOW", "EQ", 1),
	  POLICY_SAME },
	{ "another errno", ERRNO(38), ERRNO(13), POLICY_CHANGED },
	{ "an errno of its own", "", ERRNO(38), POLICY_CHANGED },
	{ "a kill", "", RULE("KILL_PROCESS"), POLICY_CHANGED },
	/* Of two errnos that hold the one first in the file wins. */
	{ "errnos in another order",
	  RULE("ALLOW") "," ERRNO_WHEN(13, "GE", 1) "," ERRNO_WHEN(38, "GE", 2),
	  RULE("ALLOW") "," ERRNO_WHEN(38, "GE", 2) "," ERRNO_WHEN(13, "GE", 1), POLICY_CHANGED },
};

struct side {
	struct policy_profile profile;
	struct policy_table table;
};

/* In both something newer than dup is named, so that the default speaks about dup. */
static void side_read(const char *rules, struct side *ret)
{
	struct cloche_err err = { 0 };
	char text[2000];

	(void)snprintf(text, sizeof(text),
		       "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"syscalls\":["
		       "{\"names\":[\"openat2\"],\"action\":\"SCMP_ACT_ALLOW\"}%s%s]}",
		       *rules ? "," : "", rules);
	cr_assert_eq(policy_profile_parse("p", text, strlen(text), NULL, NULL, &ret->profile, &err),
		     0, "%s\n%s", err.text, text);
	cr_assert_eq(policy_table_build("p", &ret->profile, &ret->table, &err), 0, "%s", err.text);
}

static void side_free(struct side *side)
{
	policy_table_free(&side->table);
	policy_profile_free(&side->profile);
}

Test(policy_diff, each_way)
{
	static const enum policy_change reverse[] = { [POLICY_SAME] = POLICY_SAME,
						      [POLICY_ONLY_A] = POLICY_ONLY_B,
						      [POLICY_ONLY_B] = POLICY_ONLY_A,
						      [POLICY_CHANGED] = POLICY_CHANGED };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct side a, b;

		side_read(cases[i].a, &a);
		side_read(cases[i].b, &b);
		cr_expect_eq(policy_diff_call(&a.table, &b.table, SYS_dup), cases[i].change, "%s",
			     cases[i].what);
		cr_expect_eq(policy_diff_call(&b.table, &a.table, SYS_dup),
			     reverse[cases[i].change], "%s, the other way round", cases[i].what);
		cr_expect_eq(policy_diff_call(&a.table, &b.table, SYS_openat2), POLICY_SAME);
		side_free(&a);
		side_free(&b);
	}
}

/* A number that only one profile is old enough for. */
Test(policy_diff, newer_than_one_of_them)
{
	struct side a, b;

	side_read("", &a);
	side_read("{\"names\":[\"faccessat2\"],\"action\":\"SCMP_ACT_ALLOW\"}", &b);
	cr_expect_eq(policy_diff_call(&a.table, &b.table, SYS_faccessat2), POLICY_ONLY_B);
	cr_expect_eq(policy_diff_call(&a.table, &b.table, SYS_pidfd_getfd), POLICY_SAME);
	side_free(&a);
	side_free(&b);
}
