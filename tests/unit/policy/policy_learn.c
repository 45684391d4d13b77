/* SPDX-License-Identifier: MIT */
/*
 * Learned profiles: what is written for what was seen, word for word, and for any base and any
 * calls that the profile answers them as the base did and allows nothing that the base does not.
 */
#include "base/err.h"
#include "base/fd.h"
#include "policy/policy_emit.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"
#include "policy/policy_seen.h"

#include <criterion/criterion.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

struct base {
	struct policy_profile profile;
	struct policy_table table;
};

static void base_read(const char *text, struct base *ret)
{
	struct cloche_err err = { 0 };

	cr_assert_eq(
		policy_profile_parse("base", text, strlen(text), NULL, NULL, &ret->profile, &err),
		0, "%s\n%s", err.text, text);
	cr_assert_eq(policy_table_build("base", &ret->profile, &ret->table, &err), 0, "%s\n%s",
		     err.text, text);
}

static void base_free(struct base *base)
{
	policy_table_free(&base->table);
	policy_profile_free(&base->profile);
}

/* As the observer does it. */
static uint32_t see(struct policy_seen *seen, const struct base *base, int nr, uint64_t arg0,
		    const char *who)
{
	uint64_t args[6] = { arg0 };
	struct policy_use use = { .arch = AUDIT_ARCH_X86_64, .nr = nr, .count = 1 };

	use.action = policy_table_decide(&base->table, nr, args, &use.rule);
	policy_seen_add(seen, &use, who);
	return use.action;
}

static struct policy_learned emit(const struct base *base, const struct policy_seen *seen)
{
	struct policy_lesson lesson = { .command = "cmd",
					.base_name = "base",
					.base = &base->profile,
					.table = &base->table,
					.seen = seen };
	struct policy_learned learned;
	struct cloche_err err = { 0 };

	cr_assert_eq(policy_emit(&lesson, &learned, &err), 0, "%s", err.text);
	cr_assert_eq(strlen(learned.text), learned.len);
	return learned;
}

#define HEAD(errno, flags)                                                                    \
	"{\n\t\"comment\": \"What a run of cmd called, of all that the policy base allows. "  \
	"Behind each name stands how many of the calls were its. What is not listed was not " \
	"called.\",\n\t\"defaultAction\": \"SCMP_ACT_ERRNO\",\n\t\"defaultErrnoRet\": " errno \
	",\n\t\"architectures\": [\"SCMP_ARCH_X86_64\"],\n" flags "\t\"syscalls\": ["

#define ALWAYS                                                                                 \
	"\n\t\t{\n\t\t\t\"comment\": \"seen or not: any program may need these to start, to "  \
	"end and to go on after a signal\",\n\t\t\t\"names\": [\"execve\", \"exit_group\"],\n" \
	"\t\t\t\"action\": \"SCMP_ACT_ALLOW\"\n\t\t}"

Test(policy_learn, writes_what_was_seen)
{
	struct base base;
	struct policy_seen seen = { 0 };
	struct policy_learned p;

	base_read("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":13,"
		  "\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"syscalls\":["
		  "{\"names\":[\"read\",\"write\",\"execve\",\"exit_group\"],"
		  "\"action\":\"SCMP_ACT_ALLOW\"},"
		  "{\"comment\":\"low\",\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ALLOW\","
		  "\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_LT\",\"value\":3}]},"
		  "{\"comment\":\"old\",\"names\":[\"clone3\",\"openat2\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38}]}",
		  &base);
	(void)see(&seen, &base, SYS_write, 1, "b\"\\");
	(void)see(&seen, &base, SYS_write, 1, "a");
	(void)see(&seen, &base, SYS_write, 2, "a");
	(void)see(&seen, &base, SYS_dup, 2, "a");
	(void)see(&seen, &base, SYS_dup, 9, "a");
	(void)see(&seen, &base, SYS_clone3, 0, "c");
	p = emit(&base, &seen);
	cr_expect_str_eq(
		p.text, HEAD("13", "\t\"flags\": [\"SECCOMP_FILTER_FLAG_LOG\"],\n") ALWAYS
		",\n\t\t{\n\t\t\t\"comment\": \"low; used by a (1)\",\n"
		"\t\t\t\"names\": [\"dup\"],\n\t\t\t\"action\": \"SCMP_ACT_ALLOW\",\n"
		"\t\t\t\"args\": [{\"index\": 0, \"op\": \"SCMP_CMP_LT\", \"value\": 3}]\n"
		"\t\t},\n\t\t{\n\t\t\t\"comment\": \"a (2), b\\\"\\\\ (1)\",\n"
		"\t\t\t\"names\": [\"write\"],\n\t\t\t\"action\": \"SCMP_ACT_ALLOW\"\n"
		"\t\t},\n\t\t{\n\t\t\t\"comment\": \"old; clone3 tried by c (1)\",\n"
		"\t\t\t\"names\": [\"clone3\", \"openat2\"],\n"
		"\t\t\t\"action\": \"SCMP_ACT_ERRNO\",\n\t\t\t\"errnoRet\": 38\n\t\t}\n\t]\n}\n");
	cr_expect_eq(p.calls, 2);
	cr_expect_eq(p.rules, 4);
	cr_expect_eq(p.nameless, 0);
	free(p.text);
	policy_seen_free(&seen);
	base_free(&base);
}

/* The order of calls does not show, and a base that lets all pass teaches a list. */
Test(policy_learn, same_calls_same_text)
{
	static const int calls[] = { SYS_write, SYS_read, SYS_openat, SYS_close };
	struct base base;
	struct policy_seen there = { 0 }, back = { 0 };
	struct policy_learned a, b;

	base_read("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", &base);
	for (size_t i = 0; i < N(calls); i++) {
		(void)see(&there, &base, calls[i], 0, i % 2 ? "x" : "y");
		(void)see(&back, &base, calls[N(calls) - 1 - i], 0, i % 2 ? "y" : "x");
	}
	(void)see(&back, &base, 5000, 0, "x");
	a = emit(&base, &there);
	b = emit(&base, &back);
	cr_expect_str_eq(a.text, b.text);
	cr_expect_not_null(strstr(a.text, "\"defaultErrnoRet\": 1,"));
	cr_expect_not_null(strstr(a.text, "\"names\": [\"openat\"]"));
	cr_expect_null(strstr(a.text, "\"openat2\""));
	cr_expect_eq(b.nameless, 1);
	free(a.text);
	free(b.text);
	policy_seen_free(&there);
	policy_seen_free(&back);
	base_free(&base);
}

Test(policy_learn, seen_counts_who_and_how_often)
{
	struct policy_seen seen = { 0 };
	struct policy_use call = {
		.arch = AUDIT_ARCH_X86_64, .rule = 3, .action = SCMP_ACT_ALLOW, .count = 1
	};
	char name[16];

	for (int i = 0; i < POLICY_SEEN_USERS + 4; i++) {
		(void)snprintf(name, sizeof(name), "user%d", i);
		call.count = 1;
		policy_seen_add(&seen, &call, name);
		call.count = 2;
		policy_seen_add(&seen, &call, name);
	}
	cr_assert_eq(seen.n, 1);
	cr_expect_eq(seen.uses[0].count, 3 * (POLICY_SEEN_USERS + 4));
	cr_expect_eq(seen.uses[0].n_users, POLICY_SEEN_USERS);
	cr_expect_eq(seen.uses[0].users[1].count, 3);
	cr_expect_str_eq(seen.uses[0].users[1].name, "user1");
	cr_expect_eq(seen.uses[0].others, 12);
	for (int i = 1; i < POLICY_SEEN_MAX + 10; i++) {
		call.nr = i;
		policy_seen_add(&seen, &call, "x");
	}
	cr_expect_eq(seen.n, POLICY_SEEN_MAX);
	cr_expect_eq(seen.lost, 20);
	policy_seen_free(&seen);
}

/* ---- any base, any calls ---- */

static const char *const actions[] = {
	"\"SCMP_ACT_ALLOW\"",
	"\"SCMP_ACT_ALLOW\"",
	"\"SCMP_ACT_LOG\"",
	"\"SCMP_ACT_ERRNO\",\"errnoRet\":1",
	"\"SCMP_ACT_ERRNO\",\"errnoRet\":13",
	"\"SCMP_ACT_ERRNO\",\"errnoRet\":38",
	"\"SCMP_ACT_KILL_PROCESS\"",
};
static const char *const calls[] = { "dup", "read", "kill", "openat2", "mremap" };
static const int numbers[] = { SYS_dup,	   SYS_read, SYS_kill, SYS_openat2, SYS_mremap,
			       SYS_execve, SYS_exit, 440,      600 };
#define ARGS 4

static size_t any(size_t n)
{
	return (size_t)random() % n;
}

/* A few rules about a few calls, most with a condition on the first argument; no two without. */
static char *random_base(void)
{
	static const char *const defaults[] = { "\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1",
						"\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":13",
						"\"SCMP_ACT_ALLOW\"", "\"SCMP_ACT_KILL_PROCESS\"" };
	static const char *const ops[] = { "EQ", "NE", "LT", "GE" };
	bool wide[N(calls)] = { false };
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	cr_assert_not_null(f);
	fprintf(f, "{\"defaultAction\":%s,\"syscalls\":[{\"names\":[\"execve\"],\"action\":%s}",
		defaults[any(N(defaults))], actions[any(2)]);
	for (size_t i = any(8); i > 0; i--) {
		size_t call = any(N(calls));

		fprintf(f, ",{\"comment\":\"%zu\",\"names\":[\"%s\"],\"action\":%s", i, calls[call],
			actions[any(N(actions))]);
		if (wide[call] || any(3))
			fprintf(f, ",\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_%s\",\"value\":%zu}]",
				ops[any(N(ops))], any(ARGS));
		else
			wide[call] = true;
		fputs("}", f);
	}
	fputs("]}", f);
	cr_assert_eq(fclose(f), 0);
	return text;
}

static void expect_learned(const struct base *base, const struct base *learned, const char *text,
			   bool was_seen[N(numbers)][ARGS])
{
	for (size_t i = 0; i < N(numbers); i++)
		for (uint64_t arg = 0; arg < ARGS; arg++) {
			uint64_t args[6] = { arg };
			uint32_t want = policy_table_decide(&base->table, numbers[i], args, NULL);
			uint32_t found =
				policy_table_decide(&learned->table, numbers[i], args, NULL);

			cr_assert(!policy_action_passes(found) || policy_action_passes(want),
				  "call %d(%lu): the base refuses it (%#x)\n%s", numbers[i], arg,
				  want, text);
			/* What has no name on any kernel known here cannot be written down. */
			if (was_seen[i][arg] && numbers[i] != 600)
				cr_assert_eq(found, want, "call %d(%lu): %#x instead of %#x\n%s",
					     numbers[i], arg, found, want, text);
		}
}

Test(policy_learn, any_lesson_answers_as_the_base_and_allows_no_more)
{
	srandom(4);
	for (int round = 0; round < 3000; round++) {
		cleanup_free char *text = random_base();
		bool was_seen[N(numbers)][ARGS] = { 0 };
		struct base base, learned;
		struct policy_seen seen = { 0 };
		struct policy_learned p;

		base_read(text, &base);
		for (size_t i = any(20); i > 0; i--) {
			size_t call = any(N(numbers)), arg = any(ARGS);

			(void)see(&seen, &base, numbers[call], arg, "x");
			was_seen[call][arg] = true;
		}
		p = emit(&base, &seen);
		base_read(p.text, &learned);
		expect_learned(&base, &learned, p.text, was_seen);
		free(p.text);
		base_free(&learned);
		base_free(&base);
		policy_seen_free(&seen);
	}
}
