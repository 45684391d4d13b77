/* SPDX-License-Identifier: MIT */
/* `cloche policy test` and `diff`: what they say of the shipped profiles and of others. */
#include "lib/env.h"
#include "lib/run.h"
#include "lib/tmpdir.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void file_make(char path[static 4200], const char *dir, const char *name, const char *text)
{
	FILE *f;

	(void)snprintf(path, 4200, "%s/%s", dir, name);
	f = fopen(path, "we");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
}

#define POLICY(run, ...) RUN((run), env_need("CLOCHE"), "policy", __VA_ARGS__)

Test(policy_test_cli, shipped_profiles_do_what_their_tables_say)
{
	static const char *const names[] = { "default", "strict" };

	for (int i = 0; i < 2; i++) {
		cleanup_run struct run run = { 0 };
		unsigned calls = 0;

		POLICY(&run, "test", names[i]);
		cr_expect_eq(run.status, 0, "%s%s", run.out, run.err);
		cr_expect_eq(
			sscanf(run.out + strlen(names[i]), ": %u calls, each as expected", &calls),
			1, "%s", run.out);
		cr_expect_gt(calls, 400);
	}
}

Test(policy_test_cli, says_what_is_not_as_expected_and_why)
{
	cleanup_run struct run run = { .input = "EPERM mount clone(0x10000000) # so\n\n"
						"ALLOW read clone(0x20000) i386:read\n" };

	POLICY(&run, "test", "default", "-");
	cr_expect_eq(run.status, 1);
	cr_expect_str_eq(
		run.out,
		"standard input:3: clone(0x20000): expected ALLOW, found EPERM, by: default\n"
		"standard input:3: i386:read: expected ALLOW, found KILL_PROCESS, by: ABI\n"
		"default: 2 of 5 calls not as expected\n");
	cr_expect_str_eq(run.err, "");
}

Test(policy_test_cli, json)
{
	cleanup_run struct run run = { .input = "ALLOW read mount\n" };
	json_t *all, *failure;

	POLICY(&run, "test", "--json", "strict", "-");
	cr_expect_eq(run.status, 1);
	all = json_loads(run.out, 0, NULL);
	cr_assert_not_null(all, "%s", run.out);
	cr_expect_str_eq(json_string_value(json_object_get(all, "policy")), "strict");
	cr_expect_eq(json_integer_value(json_object_get(all, "calls")), 2);
	cr_expect_eq(json_integer_value(json_object_get(all, "failed")), 1);
	failure = json_array_get(json_object_get(all, "failures"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(failure, "call")), "mount");
	cr_expect_str_eq(json_string_value(json_object_get(failure, "found")), "KILL_PROCESS");
	json_decref(all);
}

Test(policy_test_cli, a_profile_of_ones_own_has_its_table_beside_it)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run none = { 0 }, fine = { 0 }, bad = { 0 };
	char profile[4200], table[4200];

	file_make(profile, dir, "mine.json",
		  "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":["
		  "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"}]}");
	POLICY(&none, "test", profile);
	cr_expect_eq(none.status, 2);
	cr_expect_not_null(strstr(none.err, "mine.table' beside the profile; name one"), "%s",
			   none.err);
	file_make(table, dir, "mine.table", "ALLOW read\nENOSYS write\n");
	POLICY(&fine, "test", profile);
	cr_expect_str_eq(fine.out, "mine: 2 calls, each as expected\n");
	file_make(table, dir, "mine.table", "ALLOW read\nEPERM nosuchcall\n");
	POLICY(&bad, "test", profile);
	cr_expect_eq(bad.status, 2);
	cr_expect_not_null(strstr(bad.err, "mine.table:2: expected NAME or NUMBER, then (ARG,...), "
					   "found 'nosuchcall'\n"),
			   "%s", bad.err);
	cr_expect_str_eq(bad.out, "");
}

/* A run under it is silent and means the same. */
Test(policy_check_cli, names_what_is_left_out)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run check = { 0 }, run = { 0 }, hole = { 0 };
	char profile[4200];

	file_make(profile, dir, "mine.json",
		  "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"EACCES\",\"syscalls\":["
		  "\n{\"names\":[\"futex_swap\"],\"action\":\"SCMP_ACT_ALLOW\"}]}");
	POLICY(&check, "check", profile);
	cr_expect_eq(check.status, 0);
	cr_expect_not_null(strstr(check.err, "mine.json:2:11: left out: 'futex_swap' has no number "
					     "in libseccomp "),
			   "%s", check.err);
	cr_expect_not_null(strstr(check.out, "mine.json: valid, "), "%s", check.out);
	file_make(profile, dir, "mine.json",
		  "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
		  "{\"name\":\"futex_swap\",\"action\":\"SCMP_ACT_LOG\"},"
		  "{\"name\":\"mount\",\"action\":\"SCMP_ACT_ERRNO\",\"errno\":\"EACCES\"}]}");
	RUN(&run, env_need("CLOCHE"), "run", "-q", "--policy", profile, "--", "true");
	cr_expect_eq(run.status, 0);
	cr_expect_str_eq(run.err, "");
	file_make(profile, dir, "mine.json",
		  "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
		  "{\"names\":[\"futex_swap\"],\"action\":\"SCMP_ACT_ERRNO\"}]}");
	POLICY(&hole, "check", profile);
	cr_expect_eq(hole.status, 1);
	cr_expect_not_null(strstr(hole.err, "the default would let it pass"), "%s", hole.err);
}

Test(policy_test_cli, trouble_is_no_failed_test)
{
	cleanup_run struct run profile = { 0 }, table = { 0 }, empty = { 0 }, usage = { 0 };

	POLICY(&profile, "test", "nope");
	cr_expect_eq(profile.status, 2);
	POLICY(&table, "test", "default", "/no/such.table");
	cr_expect_eq(table.status, 2);
	POLICY(&empty, "test", "default", "-");
	cr_expect_eq(empty.status, 2);
	cr_expect_not_null(strstr(empty.err, "nothing is expected in it"), "%s", empty.err);
	POLICY(&usage, "test");
	cr_expect_eq(usage.status, 2);
}

Test(policy_diff_cli, default_against_strict)
{
	cleanup_run struct run run = { 0 }, same = { 0 }, none = { 0 }, json = { 0 };
	const char *cloche = env_need("CLOCHE");
	json_t *all, *call;
	size_t i;
	bool found = false;

	RUN(&run, cloche, "policy", "diff", "default", "strict");
	cr_expect_eq(run.status, 1);
	cr_expect_not_null(strstr(run.out, "\n- vfork                    ALLOW -> EPERM\n"), "%s",
			   run.out);
	cr_expect_not_null(
		strstr(run.out, "\n~ clone\n    - ALLOW when (arg0 & 0x7e020000) == 0\n"), "%s",
		run.out);
	cr_expect_not_null(strstr(run.out, "\n~ (otherwise)              EPERM -> KILL_PROCESS\n"),
			   "%s", run.out);
	RUN(&same, cloche, "policy", "diff", "strict", "strict");
	cr_expect_eq(same.status, 0);
	cr_expect_str_eq(same.out, "");
	RUN(&none, cloche, "policy", "diff", "default", "/no/such.json");
	cr_expect_eq(none.status, 2);
	RUN(&json, cloche, "policy", "diff", "--json", "strict", "default");
	cr_expect_eq(json.status, 1);
	all = json_loads(json.out, 0, NULL);
	cr_assert_not_null(all);
	cr_expect(json_is_false(json_object_get(all, "same")));
	json_array_foreach (json_object_get(all, "calls"), i, call)
		if (strcmp(json_string_value(json_object_get(call, "name")), "vfork") == 0) {
			found = true;
			cr_expect_str_eq(json_string_value(json_object_get(call, "change")),
					 "only_b");
		}
	cr_expect(found, "vfork is in the list");
	json_decref(all);
}

/* ---- the walls behind every profile ---- */

Test(policy_walls_cli, explain_names_the_floor_where_it_decides)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 }, json = { 0 }, none = { 0 }, with = { 0 };
	char all[4200];

	file_make(all, dir, "all.json", "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
	POLICY(&run, "explain", all, "chmod", "0", "04755");
	cr_expect_eq(run.status, 0);
	cr_expect_not_null(strstr(run.out, " answers EPERM, by: floor:"), "%s", run.out);
	cr_expect_not_null(strstr(run.out, "\n  default   ALLOW        always\n"), "%s", run.out);
	POLICY(&json, "explain", "--json", all, "setxattr");
	cr_expect_not_null(strstr(json.out, "\"action\": \"EOPNOTSUPP\""), "%s", json.out);
	cr_expect_not_null(strstr(json.out, "\"by\": \"floor:"), "%s", json.out);
	/* As in a run without a network; else with one. */
	POLICY(&none, "explain", "--net", "none", "default", "socket", "2", "1");
	cr_expect_not_null(strstr(none.out, " answers EAFNOSUPPORT, by: floor-offline:"), "%s",
			   none.out);
	POLICY(&with, "explain", "default", "socket", "2", "1");
	cr_expect_not_null(strstr(with.out, " is allowed, by: line "), "%s", with.out);
}

Test(policy_walls_cli, test_asks_the_floor_too)
{
	cleanup_run struct run run = { 0 }, floor = { 0 }, net = { 0 };

	RUN(&run, "sh", "-c",
	    "echo 'ALLOW socket(2,1) chmod(0,04755)' | $CLOCHE policy test default -");
	cr_expect_eq(run.status, 1);
	cr_expect_not_null(
		strstr(run.out, "chmod(0,04755): expected ALLOW, found EPERM, by: floor:"), "%s",
		run.out);
	cr_expect_not_null(strstr(run.out, "1 of 2 calls"), "%s", run.out);
	RUN(&net, "sh", "-c",
	    "echo 'EAFNOSUPPORT socket(2,1)' | $CLOCHE policy test --net none default -");
	cr_expect_eq(net.status, 0, "%s", net.out);
	POLICY(&floor, "test", "floor");
	cr_expect_eq(floor.status, 0, "%s", floor.out);
}

/* What the floor refuses whatever is asked is no difference between two profiles. */
Test(policy_walls_cli, diff_sees_what_is_behind_both)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char a[4200], b[4200];

	file_make(a, dir, "a.json", "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
	file_make(b, dir, "b.json",
		  "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"setxattr\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95}]}");
	POLICY(&run, "diff", a, b);
	cr_expect_eq(run.status, 0, "%s%s", run.out, run.err);
}

Test(policy_walls_cli, a_wall_is_no_policy_to_run_under)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--policy", "floor", "--", "true");
	cr_expect_eq(run.status, 125);
	cr_expect_not_null(strstr(run.err, "'floor' is no policy to run under"), "%s", run.err);
}
