/* SPDX-License-Identifier: MIT */
/*
 * What the profile reader accepts and refuses, with the exact message and place; what overlapping
 * rules mean; that the compiled filter means the same. Texts are read from memory that ends at a
 * page nobody may touch.
 */
#include "base/err.h"
#include "policy/policy_compile.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"
#include "tests/lib/bpf_sim.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A copy of the text that ends where the guard page begins. */
static const char *at_guard(const char *text, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (len + page - 1) / page * page;
	char *p =
		mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq((void *)p, MAP_FAILED);
	cr_assert_eq(mprotect(p + room, page, PROT_NONE), 0);
	return memcpy(p + room - len, text, len);
}

static int parse(const char *text, size_t len, struct policy_profile *p, struct cloche_err *err)
{
	*err = (struct cloche_err){ 0 };
	return policy_profile_parse("p.json", at_guard(text, len), len, NULL, NULL, p, err);
}

#define CALLS(rule) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\n\"syscalls\":[" rule "]}"

static const struct {
	const char *text, *message;
} refused[] = {
	{ "", "p.json:1:1: '[' or '{' expected near end of file" },
	{ "[]", "p.json:1:1: expected an object, found an array" },
	{ "{}", "p.json:1:1: 'defaultAction' is missing" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\n \"defaultAction\":\"SCMP_ACT_ERRNO\"}",
	  "p.json:2:16: duplicate object key near '\"defaultAction\"'" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\n  \"x\":1}", "p.json:2:3: unknown key 'x'" },
	{ "{\"defaultAction\": 7}", "p.json:1:19: expected a string, found an integer" },
	{ "{\"defaultAction\": \"ALLOW\"}", "p.json:1:19: unknown action 'ALLOW'" },
	{ "{\"defaultAction\": \"SCMP_ACT_NOTIFY\"}",
	  "p.json:1:19: SCMP_ACT_NOTIFY is not supported: nobody would answer the call" },
	{ "{\"defaultAction\": \"SCMP_ACT_TRACE\"}",
	  "p.json:1:19: SCMP_ACT_TRACE is not supported: nobody would answer the call" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}",
	  "p.json:1:53: 4096 is out of range: 1 to 4095" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":0}",
	  "p.json:1:53: 0 is out of range: 1 to 4095" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}",
	  "p.json:1:35: 'defaultErrnoRet' goes with SCMP_ACT_ERRNO only" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_Z80\"]}",
	  "p.json:1:52: unknown architecture 'SCMP_ARCH_Z80'" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_ARM\"]}",
	  "p.json:1:35: the profile is not for this machine: 'architectures' lacks "
	  "SCMP_ARCH_X86_64" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"flags\":[\"SECCOMP_FILTER_FLAG_NEW_LISTENER\"]}",
	  "p.json:1:44: unknown flag 'SECCOMP_FILTER_FLAG_NEW_LISTENER'" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":{}}",
	  "p.json:1:46: expected an array, found an object" },
	{ CALLS("{\"names\":[\"read\"]}"), "p.json:2:13: 'action' is missing" },
	{ CALLS("{\"action\":\"SCMP_ACT_ALLOW\"}"), "p.json:2:13: 'names' is missing" },
	{ CALLS("{\"names\":[],\"action\":\"SCMP_ACT_ALLOW\"}"),
	  "p.json:2:22: expected at least one syscall" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\",\n\"réad\"],"
	  "\"action\":\"SCMP_ACT_ERRNO\"}]}",
	  "p.json:2:1: unknown syscall 'réad': libseccomp" },
	{ "{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":[{\"name\":\"réad\","
	  "\"action\":\"SCMP_ACT_KILL\"}]}",
	  "p.json:1:45: unknown syscall 'réad': libseccomp" },
	{ CALLS("{\"name\":\"read\",\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"}"),
	  "p.json:2:14: 'name' and 'names' exclude each other" },
	{ CALLS("{\"name\":\"\",\"action\":\"SCMP_ACT_ALLOW\"}"),
	  "p.json:2:13: 'names' is missing" },
	{ CALLS("{\"names\":null,\"action\":\"SCMP_ACT_ALLOW\"}"),
	  "p.json:2:13: expected at least one syscall" },
	{ CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\",\"errno\":\"EPREM\"}"),
	  "p.json:2:65: unknown errno 'EPREM'" },
	{ CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\",\"errno\":\"TRAP\"}"),
	  "p.json:2:65: unknown errno 'TRAP'" },
	{ CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\",\"errno\":\"EPERM\","
		"\"errnoRet\":38}"),
	  "p.json:2:73: 'errnoRet' is 38, but 'errno' is 1" },
	{ CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"errno\":\"EPERM\"}"),
	  "p.json:2:57: 'errno' goes with SCMP_ACT_ERRNO only" },
	{ CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"errnoRet\":1}"),
	  "p.json:2:57: 'errnoRet' goes with SCMP_ACT_ERRNO only" },
	{ CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_"
		"X\"]}}"),
	  "p.json:2:77: unknown capability 'CAP_X'" },
	{ CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"arches\":["
		"\"z80\"]}}"),
	  "p.json:2:79: unknown architecture 'z80'" },
	{ CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":"
		"\"4\"}}"),
	  "p.json:2:81: '4' is no kernel version" },
	{ CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":"
		"\"4.8x\"}}"),
	  "p.json:2:81: '4.8x' is no kernel version" },
#define ARG(text) CALLS("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[" text "]}")
	{ ARG("{\"index\":6,\"op\":\"SCMP_CMP_EQ\",\"value\":0}"),
	  "p.json:2:74: 6 is out of range: 0 to 5" },
	{ ARG("{\"index\":-1,\"op\":\"SCMP_CMP_EQ\",\"value\":0}"),
	  "p.json:2:74: -1 is out of range: 0 to 5" },
	{ ARG("{\"index\":0,\"op\":\"SCMP_CMP_IN\",\"value\":0}"),
	  "p.json:2:81: unknown operator 'SCMP_CMP_IN'" },
	{ ARG("{\"index\":0,\"op\":\"SCMP_CMP_EQ\"}"), "p.json:2:65: 'value' is missing" },
	{ ARG("{\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":1.5}"),
	  "p.json:2:103: expected an integer, found a number" },
	{ ARG("{\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":-1}"),
	  "p.json:2:103: -1 is out of range" },
	{ ARG("{\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":1,\"valueTwo\":1}"),
	  "p.json:2:65: 'valueTwo' goes with SCMP_CMP_MASKED_EQ only" },
	{ ARG("{\"index\":0,\"op\":\"SCMP_CMP_MASKED_EQ\",\"value\":1,\"valueTwo\":3}"),
	  "p.json:2:65: can never hold" },
	{ ARG("{\"index\":0,\"op\":\"SCMP_CMP_GT\",\"value\":1},{\"index\":0,\"op\":\"SCMP_CMP_"
	      "LT\","
	      "\"value\":9}"),
	  "p.json:2:106: argument 0 has two conditions in one rule" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\"}\033[31m",
	  "p.json:1:35: end of file expected near '?'" },
};

Test(policy_oci, refuses_with_the_place_and_the_reason)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct policy_profile profile;
		struct cloche_err err;
		int rc = parse(refused[i].text, strlen(refused[i].text), &profile, &err);

		cr_expect_eq(rc, -EINVAL, "accepted: %s", refused[i].text);
		cr_expect_eq(strncmp(err.text, refused[i].message, strlen(refused[i].message)), 0,
			     "%s\n  expected %s\n  found    %s", refused[i].text,
			     refused[i].message, err.text);
		for (const char *p = err.text; *p; p++)
			cr_expect_geq((unsigned char)*p, ' ');
		cr_expect_eq(profile.n_rules, 0);
	}
}

static void count(void *arg, const char *line)
{
	(void)line;
	++*(int *)arg;
}

Test(policy_oci, tells_all_mistakes_at_once)
{
	const char *text =
		CALLS("{\"names\":[\"nope\",\"read\",\"never\"],\"action\":\"A\",\"y\":0}");
	struct policy_profile profile;
	struct cloche_err err = { 0 };
	int n = 0;

	cr_expect_eq(policy_profile_parse("p", text, strlen(text), count, &n, &profile, &err),
		     -EINVAL);
	cr_expect_eq(n, 2);
}

Test(policy_oci, no_truncation_is_accepted_or_crashes)
{
	const char *text = ARG("{\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":1}");
	struct policy_profile profile;
	struct cloche_err err;

	for (size_t len = 0; len < strlen(text); len++)
		cr_expect_eq(parse(text, len, &profile, &err), -EINVAL, "%zu", len);
	cr_expect_eq(parse(text, strlen(text), &profile, &err), 0, "%s", err.text);
	policy_profile_free(&profile);
}

/* ---- meaning -------------------------------------------------------------------------------- */

struct built {
	struct policy_profile profile;
	struct policy_table table;
	struct sock_fprog prog;
};

static void built_free(struct built *b)
{
	free(b->prog.filter);
	policy_table_free(&b->table);
	policy_profile_free(&b->profile);
}

#define cleanup_built __attribute__((cleanup(built_free)))

static int build(const char *text, struct built *b, struct cloche_err *err)
{
	int rc = parse(text, strlen(text), &b->profile, err);

	if (rc == 0)
		rc = policy_table_build("p.json", &b->profile, &b->table, err);
	if (rc == 0)
		rc = policy_compile(&b->table, NULL, 0, &b->prog, err);
	return rc;
}

/* What the filter says of the call, which must be what the table says. */
static uint32_t ask(const struct built *b, const char *name, uint64_t arg0, uint64_t arg1)
{
	struct seccomp_data data = { .nr = seccomp_syscall_resolve_name(name),
				     .arch = AUDIT_ARCH_X86_64,
				     .args = { arg0, arg1 } };
	uint64_t args[6] = { arg0, arg1 };
	uint32_t found = 1;

	cr_assert(bpf_sim_run(&b->prog, &data, &found));
	cr_assert_eq(found, policy_table_decide(&b->table, data.nr, args, NULL), "%s", name);
	return found;
}

static struct built must_build(const char *text)
{
	struct cloche_err err;
	struct built b = { 0 };

	cr_assert_eq(build(text, &b, &err), 0, "%s", err.text);
	return b;
}

#define RULE(name, action, more) \
	"{\"names\":[\"" name "\"],\"action\":\"SCMP_ACT_" action "\"" more "}"
#define WHEN(i, cmp, v) "{\"index\":" #i ",\"op\":\"SCMP_CMP_" cmp "\",\"value\":" #v "}"
#define IF(cond)	",\"args\":[" cond "]"

Test(policy_rules, a_narrow_rule_is_an_exception_to_a_wide_one)
{
	cleanup_built struct built b = must_build(CALLS(RULE("kill", "ALLOW", "") "," RULE(
		"kill", "ERRNO",
		",\"errnoRet\":3" IF(WHEN(
			1, "EQ", 9))) "," RULE("dup", "ERRNO",
					       ",\"errnoRet\":5") "," RULE("dup", "ALLOW",
									   IF(WHEN(0, "LT", 3)))));

	cr_expect_eq(ask(&b, "kill", 1, 1), SECCOMP_RET_ALLOW);
	cr_expect_eq(ask(&b, "kill", 1, 9), SECCOMP_RET_ERRNO | 3);
	cr_expect_eq(ask(&b, "dup", 2, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(ask(&b, "dup", 3, 0), SECCOMP_RET_ERRNO | 5);
}

Test(policy_rules, of_two_rules_that_hold_the_more_severe_wins)
{
	cleanup_built struct built b =
		must_build(CALLS(RULE("dup", "ALLOW", IF(WHEN(0, "GT", 5))) "," RULE(
			"dup", "ERRNO",
			",\"errnoRet\":7" IF(
				WHEN(1, "GT",
				     5))) "," RULE("dup", "ERRNO",
						   ",\"errnoRet\":6" IF(WHEN(
							   1, "GT",
							   6))) "," RULE("dup", "KILL_PROCESS",
									 IF(WHEN(1, "EQ", 99)))));

	cr_expect_eq(ask(&b, "dup", 6, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(ask(&b, "dup", 6, 7), SECCOMP_RET_ERRNO | 7);
	cr_expect_eq(ask(&b, "dup", 6, 99), SECCOMP_RET_KILL_PROCESS);
	cr_expect_eq(ask(&b, "dup", 5, 5), SECCOMP_RET_ERRNO | EPERM);
	cr_expect(b.table.kills);
}

Test(policy_rules, conditions_of_one_rule_are_joined_by_and)
{
	cleanup_built struct built b =
		must_build(CALLS(RULE("dup2", "ALLOW", IF(WHEN(0, "EQ", 1) "," WHEN(1, "NE", 2)))));

	cr_expect_eq(ask(&b, "dup2", 1, 3), SECCOMP_RET_ALLOW);
	cr_expect_eq(ask(&b, "dup2", 1, 2), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(ask(&b, "dup2", 0, 3), SECCOMP_RET_ERRNO | EPERM);
}

Test(policy_rules, contradictions_are_refused)
{
	struct cloche_err err;
	cleanup_built struct built b = { 0 };

	cr_expect_eq(
		build(CALLS(RULE("kill", "ALLOW", "") "," RULE("kill", "ERRNO", "")), &b, &err),
		-EINVAL);
	cr_expect_str_eq(err.text,
			 "p.json: syscalls[1] and syscalls[0] contradict each other about "
			 "'kill': keep one, or give one of them conditions");
}

Test(policy_rules, capabilities_architectures_and_kernels_choose_rules)
{
	cleanup_built struct built b = must_build(
		CALLS(RULE("mount", "ALLOW", ",\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}") "," RULE("clone3", "ALLOW", ",\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}") "," RULE("dup", "ALLOW", ",\"includes\":{\"arches\":[\"arm64\",\"amd64\"]}") "," RULE(
			"dup2", "ALLOW",
			",\"includes\":{\"arches\":[\"arm64\"]}") "," RULE("dup3", "ALLOW",
									   ",\"excludes\":{"
									   "\"arches\":[\"amd64\"]"
									   "}") "," RULE("read",
											 "ALLOW",
											 ",\"includ"
											 "es\":{"
											 "\"minKern"
											 "el\":\"4."
											 "8\"}") "," RULE("write",
													  "ALLOW",
													  ",\"includes\":{\"minKernel\":\"99."
													  "1\"}") "," RULE("close",
															   "ALLOW",
															   ",\"excludes\":{"
															   "\"minKernel\":\"4."
															   "8\"}") "," RULE("s"
																	    "o"
																	    "c"
																	    "k"
																	    "e"
																	    "t"
																	    "c"
																	    "a"
																	    "l"
																	    "l",
																	    "A"
																	    "L"
																	    "L"
																	    "O"
																	    "W",
																	    ""))); /* known, but not on this architecture */

	cr_expect_neq(ask(&b, "mount", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(ask(&b, "clone3", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(ask(&b, "dup", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_neq(ask(&b, "dup2", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_neq(ask(&b, "dup3", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(ask(&b, "read", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_neq(ask(&b, "write", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_neq(ask(&b, "close", 0, 0), SECCOMP_RET_ALLOW);
}

Test(policy_rules, a_default_that_lets_pass_knows_no_newer_calls)
{
	cleanup_built struct built b =
		must_build("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" RULE(
			"mount", "KILL_PROCESS", "") "]}");
	struct seccomp_data data = { .nr = 1000, .arch = AUDIT_ARCH_X86_64 };
	uint32_t found;

	cr_assert(bpf_sim_run(&b.prog, &data, &found));
	cr_expect_eq(found, SECCOMP_RET_ALLOW);
	data.nr = 0x40000000;
	cr_assert(bpf_sim_run(&b.prog, &data, &found));
	cr_expect_eq(found, SECCOMP_RET_KILL_PROCESS, "x32 passes");
	data.nr = -1;
	cr_assert(bpf_sim_run(&b.prog, &data, &found));
	cr_expect_eq(found, SECCOMP_RET_ERRNO | ENOSYS);
	/* The profile kills, so SIGSYS is guarded, though nothing names these calls. */
	cr_expect_eq(ask(&b, "kill", 1, 31), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(ask(&b, "kill", 1, 0x10000001fULL), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(ask(&b, "kill", 1, 30), SECCOMP_RET_ALLOW);
	cr_expect_eq(ask(&b, "seccomp", 0, 0), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(ask(&b, "clone", 0x1f, 0), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(ask(&b, "prctl", 22, 0), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(ask(&b, "prctl", 15, 0), SECCOMP_RET_ALLOW);
}

Test(policy_rules, without_a_rule_everything_is_the_default)
{
	cleanup_built struct built b =
		must_build("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38}");

	cr_expect_eq(ask(&b, "read", 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
	cr_expect_not(b.table.kills);
}

Test(policy_compile, too_many_instructions_are_refused)
{
	static char text[700000];
	size_t at = 0;
	struct cloche_err err;
	cleanup_built struct built b = { 0 };

	at += (size_t)snprintf(text, sizeof(text),
			       "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[");
	for (int i = 0; i < 2500; i++)
		at += (size_t)snprintf(
			text + at, sizeof(text) - at,
			"%s{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{"
			"\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":%lld}]}",
			i ? "," : "", i * 0x100000001LL);
	(void)snprintf(text + at, sizeof(text) - at, "]}");
	cr_expect_eq(build(text, &b, &err), -E2BIG, "%s", err.text);
	cr_expect_neq(strstr(err.text, "4096 instructions"), NULL, "%s", err.text);
}
