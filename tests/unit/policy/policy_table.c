/* SPDX-License-Identifier: MIT */
/*
 * The shipped profiles, and the walls behind every profile, against the tables beside them, through
 * a simulator of the kernel's BPF machine: no privilege, every row. And the filter against the
 * meaning of its rules, for every number and many arguments, so that what libseccomp made of a
 * profile, and we of that, is what it says.
 */
#include "base/err.h"
#include "policy/policy.h"
#include "policy/policy_builtin.h"
#include "policy/policy_oci.h"
#include "policy/policy_ours.h"
#include "policy/policy_rules.h"
#include "policy/policy_stack.h"
#include "policy/policy_words.h"
#include "tests/lib/bpf_sim.h"
#include "tests/lib/verdict_table.h"

#include <criterion/criterion.h>
#include <sys/syscall.h>
#include <signal.h>
#include <linux/seccomp.h>
#include <errno.h>
#include <criterion/parameterized.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct policy_dirs no_dirs = { "/nonexistent", NULL };

/* A profile with its walls, compiled. */
struct built {
	struct policy_profile profile;
	struct policy_table table;
	struct policy_stack stack;
	struct policy policy; /* only its program */
};

static void build(const char *text, enum policy_walls walls, struct built *ret)
{
	struct cloche_err err = { 0 };

	*ret = (struct built){ 0 };
	cr_assert_eq(policy_profile_parse("p", text, strlen(text), NULL, NULL, &ret->profile, &err),
		     0, "%s", err.text);
	cr_assert_eq(policy_table_build("p", &ret->profile, &ret->table, &err), 0, "%s", err.text);
	cr_assert_eq(policy_stack_open(&ret->table, walls, &ret->stack, &err), 0, "%s", err.text);
	cr_assert_eq(policy_stack_compile(&ret->stack, &ret->policy.prog, &err), 0, "%s", err.text);
}

static void built_free(struct built *b)
{
	policy_free(&b->policy);
	policy_stack_close(&b->stack);
	policy_table_free(&b->table);
	policy_profile_free(&b->profile);
}

#define cleanup_built __attribute__((cleanup(built_free)))

static const char *shipped_text(const char *name)
{
	const struct policy_builtin *b = policy_builtins;

	while (b->name && strcmp(b->name, name) != 0)
		b++;
	cr_assert(b->name, "%s is not built in", name);
	return b->text;
}

static struct policy load(const char *name)
{
	struct policy policy;
	struct cloche_err err = { 0 };

	cr_assert_eq(policy_load_from(&no_dirs, name, POLICY_WALLS_ONLINE, &policy, &err), 0, "%s",
		     err.text);
	return policy;
}

static uint32_t simulate(const struct policy *policy, const struct seccomp_data *data)
{
	uint32_t action = 0;

	cr_assert(bpf_sim_run(&policy->prog, data, &action), "the kernel would refuse the filter");
	cr_assert_eq(policy_answer(policy, data), action);
	return action;
}

/* One call of a table or the whole known set: is each known call in the table? */
static void expect_complete(const char *name, const struct policy_expects *table)
{
	for (int nr = 0; nr <= 450; nr++) {
		char *call = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);
		size_t i = 0;

		while (i < table->n && (table->rows[i].data.nr != nr ||
					table->rows[i].data.arch != AUDIT_ARCH_X86_64))
			i++;
		cr_expect(!call || i < table->n, "%s.table lacks %s", name, call);
		free(call);
	}
}

static struct policy_expects expect_rows(const char *name, const struct policy *policy)
{
	char path[64];
	struct policy_expects table;

	(void)snprintf(path, sizeof(path), "policies/%s.table", name);
	table = verdict_table_read(path);
	for (size_t i = 0; i < table.n; i++) {
		const struct policy_expect *row = &table.rows[i];
		uint32_t found = simulate(policy, &row->data);
		char want[32];

		(void)snprintf(want, sizeof(want), "%s", verdict_name(row->action));
		cr_expect_eq(found, row->action, "%s:%u: %s: expected %s, found %s", path,
			     row->line, row->call, want, verdict_name(found));
	}
	return table;
}

static void expect_table(const char *name)
{
	struct policy policy = load(name);
	struct policy_expects table = expect_rows(name, &policy);

	cr_assert_gt(table.n, 300);
	expect_complete(name, &table);
	policy_expects_free(&table);
	policy_free(&policy);
}

Test(policy_table, default_does_what_its_table_says)
{
	expect_table("default");
}

Test(policy_table, strict_does_what_its_table_says)
{
	expect_table("strict");
}

static const char allow_all[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}";

/* Behind a profile that refuses nothing. */
Test(policy_table, the_floor_does_what_its_table_says)
{
	cleanup_built struct built b;
	struct policy_expects table;

	build(allow_all, POLICY_WALLS_ONLINE, &b);
	table = expect_rows("floor", &b.policy);
	expect_complete("floor", &table);
	policy_expects_free(&table);
}

static void expect_wall(const char *name, enum policy_walls walls)
{
	cleanup_built struct built alone, behind;
	struct policy_expects table;

	build(shipped_text(name), POLICY_WALLS_NONE, &alone);
	build(allow_all, walls, &behind);
	table = expect_rows(name, &alone.policy);
	for (size_t i = 0; i < table.n; i++)
		if (table.rows[i].action != SECCOMP_RET_ALLOW)
			cr_expect_eq(simulate(&behind.policy, &table.rows[i].data),
				     table.rows[i].action, "%s", table.rows[i].call);
	policy_expects_free(&table);
}

Test(policy_table, the_other_walls_do_what_their_tables_say)
{
	expect_wall("floor-offline", POLICY_WALLS_OFFLINE);
	expect_wall("floor-offline", POLICY_WALLS_OFFLINE_TERMINAL);
	expect_wall("floor-terminal", POLICY_WALLS_ONLINE_TERMINAL);
	expect_wall("floor-terminal", POLICY_WALLS_OFFLINE_TERMINAL);
}

static struct sock_fprog ours(const char *name, bool inherited)
{
	struct sock_fprog prog = { 0 };
	struct cloche_err err = { 0 };
	unsigned int flags;

	cr_assert_eq(policy_ours_compile(name, inherited, &prog, &flags, &err), 0, "%s", err.text);
	return prog;
}

Test(policy_table, our_own_processes_have_what_their_tables_say)
{
	static const char *const names[] = { "front", "launcher" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct policy policy = { .prog = ours(names[i], false) };
		struct policy_expects table = expect_rows(names[i], &policy);

		expect_complete(names[i], &table);
		policy_expects_free(&table);
		policy_free(&policy);
	}
}

/* Whether a filter's answer depends on the number alone: then the kernel does not run it for what
 * it lets pass (kernel/seccomp.c, seccomp_is_const_allow). */
static bool looks_at_arguments(const struct sock_fprog *prog)
{
	for (size_t i = 0; i < prog->len; i++)
		if (BPF_CLASS(prog->filter[i].code) == BPF_LD &&
		    prog->filter[i].k >= offsetof(struct seccomp_data, instruction_pointer))
			return true;
	return false;
}

/* What the launcher's filter takes is inherited by functions: it costs what passes nothing, ranks
 * behind their policy's answer, and takes only what they could never have had. */
Test(policy_table, the_launchers_filter_is_none_of_a_functions)
{
	static const char *const of_root_alone[] = { "acct",	"clock_settime", "ioperm",
						     "iopl",	"nfsservctl",	 "settimeofday",
						     "swapoff", "swapon",	 "vhangup" };
	struct policy inherited = { .prog = ours("launcher", true) };
	struct policy_expects table = verdict_table_read("policies/launcher.table");
	cleanup_built struct built floor;

	build(allow_all, POLICY_WALLS_ONLINE, &floor);
	cr_expect(!looks_at_arguments(&inherited.prog));
	for (size_t i = 0; i < table.n; i++) {
		const struct policy_expect *row = &table.rows[i];
		uint32_t floors = simulate(&floor.policy, &row->data);
		bool roots = false;

		if (row->action == SECCOMP_RET_ALLOW || row->data.arch != AUDIT_ARCH_X86_64 ||
		    row->data.nr & 0x40000000)
			continue;
		for (size_t k = 0; k < sizeof(of_root_alone) / sizeof(of_root_alone[0]); k++)
			roots |= strcmp(row->call, of_root_alone[k]) == 0;
		cr_expect_eq(simulate(&inherited, &row->data), SECCOMP_RET_TRACE, "%s", row->call);
		cr_expect(roots || floors != SECCOMP_RET_ALLOW, "%s", row->call);
	}
	policy_expects_free(&table);
	policy_free(&inherited);
}

/* Whatever a profile says to let a call pass: by name, by these very arguments, logged, or not at
 * all. What it refuses by itself it refuses in its own way. */
Test(policy_table, no_profile_lifts_the_floor)
{
	/* The call's name goes in between. */
	static const struct {
		const char *before, *after;
	} ways[] = {
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", NULL },
		{ "{\"defaultAction\":\"SCMP_ACT_LOG\"}", NULL },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"",
		  "\"],\"action\":\"SCMP_ACT_ALLOW\"}]}" },
		{ "{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\",\"syscalls\":[{\"names\":[\"",
		  "\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":5,\"op\":"
		  "\"SCMP_CMP_NE\",\"value\":57005}]}]}" },
	};
	struct policy_expects table = verdict_table_read("policies/floor.table");

	for (size_t i = 0; i < table.n; i++) {
		const struct policy_expect *row = &table.rows[i];
		char *name = policy_call_name(row->data.nr);

		if (row->action == SECCOMP_RET_ALLOW || row->data.arch != AUDIT_ARCH_X86_64 ||
		    !name) {
			free(name);
			continue;
		}
		for (size_t j = 0; j < sizeof(ways) / sizeof(ways[0]); j++) {
			cleanup_built struct built b;
			char text[512];
			uint32_t found;

			(void)snprintf(text, sizeof(text), "%s%s%s", ways[j].before,
				       ways[j].after ? name : "",
				       ways[j].after ? ways[j].after : "");
			build(text, POLICY_WALLS_ONLINE, &b);
			found = simulate(&b.policy, &row->data);
			/* A profile that kills has guards, which refuse some before the floor. */
			cr_expect(found == row->action ||
					  (j == 3 && found == (SECCOMP_RET_ERRNO | 1)),
				  "%s under %s: %s", row->call, text, verdict_name(found));
		}
		free(name);
	}
	policy_expects_free(&table);
}

Test(policy_table, a_wall_is_no_policy)
{
	struct policy policy;
	struct cloche_err err = { 0 };

	cr_expect_lt(policy_load_from(&no_dirs, "floor", POLICY_WALLS_ONLINE, &policy, &err), 0);
	cr_expect_str_eq(err.text, "'floor' is no policy to run under: it stands behind every one");
}

Test(policy_table, only_strict_kills)
{
	struct policy policy = load("default");

	cr_expect_not(policy.kills);
	policy_free(&policy);
	policy = load("strict");
	cr_expect(policy.kills);
	policy_free(&policy);
}

/* The rules about one call of one of the tables, any. */
struct rules {
	const struct policy_entry *e;
	size_t n;
};

/* Values on and beside the constants that one of the rules of a call mentions, so that all of its
 * conditions may hold at once. */
static void pick_args(struct rules r, uint64_t args[static 6])
{
	static const uint64_t usual[] = { 0, 1, 2, 31, 0xffffffff, UINT64_MAX, 1ULL << 32 };
	const struct policy_entry *e = r.n ? &r.e[(size_t)random() % r.n] : NULL;

	for (int i = 0; i < 6; i++)
		args[i] = usual[(size_t)random() % 7];
	for (size_t j = 0; e && j < e->n_args; j++) {
		const struct policy_arg *a = &e->args[j];
		uint64_t v = a->op == SCMP_CMP_MASKED_EQ ? a->value_two : a->value;

		if (random() % 8 == 0)
			v += (uint64_t)(random() % 3) - 1;
		if (random() % 4 == 0)
			v ^= 1ULL << (random() % 64);
		args[a->index] = v;
	}
}

static void expect_filter_means_rules(const char *name, const char *text, enum policy_walls walls)
{
	cleanup_built struct built b;

	build(text, walls, &b);
	srandom(1);
	for (int nr = -2; nr < 600; nr++) {
		struct rules of[1 + POLICY_WALLS_MAX];
		size_t n = 0;

		of[0].e = policy_table_find(&b.table, nr, &of[0].n);
		n = of[0].n;
		for (size_t w = 0; w < POLICY_WALLS_MAX; w++) {
			of[w + 1] = (struct rules){ 0 };
			if (w < b.stack.n_walls)
				of[w + 1].e = policy_table_find(&b.stack.walls[w].table, nr,
								&of[w + 1].n);
			n += of[w + 1].n;
		}
		for (int round = 0; round < (n ? 6000 : 40); round++) {
			struct seccomp_data data = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
			uint64_t args[6];
			uint32_t want, found;

			pick_args(of[(size_t)random() % (1 + POLICY_WALLS_MAX)], args);
			for (int i = 0; i < 6; i++)
				data.args[i] = args[i];
			want = policy_stack_decide(&b.stack, nr, args, NULL);
			found = simulate(&b.policy, &data);
			cr_assert_eq(found, want, "%s: syscall %d(0x%lx,0x%lx,0x%lx): %s", name, nr,
				     args[0], args[1], args[2], verdict_name(found));
		}
	}
}

Test(policy_table, filters_mean_their_rules)
{
	static const char *const shipped[] = { "default", "strict" };

	for (size_t i = 0; i < 2; i++)
		for (int walls = POLICY_WALLS_ONLINE; walls <= POLICY_WALLS_NONE; walls++)
			expect_filter_means_rules(shipped[i], shipped_text(shipped[i]),
						  (enum policy_walls)walls);
}

/* What the walls add, where the profile is wide, logs, has a rule of its own, or one that compares
 * in a way that is no equality. */
Test(policy_table, filters_of_others_mean_their_rules)
{
	static const char *const texts[] = {
		allow_all,
		"{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":[{\"names\":[\"socket\"],"
		"\"action\":"
		"\"SCMP_ACT_ALLOW\"},{\"names\":[\"ioctl\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":"
		"[{"
		"\"index\":1,\"op\":\"SCMP_CMP_EQ\",\"value\":21522}]}]}",
		"{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\",\"syscalls\":[{\"names\":[\"socket\","
		"\"chmod\""
		",\"setsockopt\",\"mmap\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
		"\"op\":"
		"\"SCMP_CMP_LE\",\"value\":2}]},{\"names\":[\"fcntl\"],\"action\":\"SCMP_ACT_"
		"ERRNO\","
		"\"errnoRet\":5,\"args\":[{\"index\":1,\"op\":\"SCMP_CMP_MASKED_EQ\",\"value\":"
		"1024,"
		"\"valueTwo\":1024}]},{\"names\":[\"fcntl\"],\"action\":\"SCMP_ACT_LOG\"}]}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (int walls = POLICY_WALLS_ONLINE; walls <= POLICY_WALLS_NONE; walls++)
			expect_filter_means_rules(texts[i], texts[i], (enum policy_walls)walls);
}

Test(policy_table, no_foreign_call_passes)
{
	static const uint32_t arches[] = { AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0, UINT32_MAX };
	struct policy policy = load("default");

	for (int nr = 0; nr < 1024; nr++) {
		struct seccomp_data data = { .nr = nr };

		for (size_t i = 0; i < sizeof(arches) / sizeof(arches[0]); i++) {
			data.arch = arches[i];
			cr_assert_neq(simulate(&policy, &data), SECCOMP_RET_ALLOW);
		}
		data.arch = AUDIT_ARCH_X86_64;
		data.nr = nr | 0x40000000;
		cr_assert_neq(simulate(&policy, &data), SECCOMP_RET_ALLOW, "x32 %d", nr);
	}
	policy_free(&policy);
}

static uint32_t answer_of(const struct policy *policy, int nr, uint64_t arg1)
{
	const struct seccomp_data call = { .nr = nr,
					   .arch = AUDIT_ARCH_X86_64,
					   .args = { 0, arg1 } };

	return policy_answer(policy, &call);
}

/* A rule's own errno asks nobody; the default, a guard and a wall do. */
Test(policy_report, only_what_no_rule_of_the_profile_names_asks)
{
	static const struct policy_dirs dirs = { "/nonexistent", NULL };
	struct cloche_err err = { 0 };
	struct policy plain, strict;

	cr_assert_eq(policy_load_from(&dirs, "default", POLICY_WALLS_ONLINE, &plain, &err), 0);
	cr_expect_eq(answer_of(&plain, SYS_mbind, 0), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(answer_of(&plain, SYS_mount, 0), SECCOMP_RET_ERRNO | EPERM);
	policy_report(&plain);
	cr_assert(plain.reports);
	cr_expect_eq(answer_of(&plain, SYS_mbind, 0), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(answer_of(&plain, SYS_set_mempolicy, 0), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(answer_of(&plain, SYS_openat2, 0), SECCOMP_RET_ERRNO | ENOSYS);
	cr_expect_eq(answer_of(&plain, SYS_mount, 0), SECCOMP_RET_USER_NOTIF);
	cr_expect_eq(answer_of(&plain, SYS_unshare, 0), SECCOMP_RET_USER_NOTIF);
	cr_expect_eq(answer_of(&plain, SYS_ptrace, 0), SECCOMP_RET_USER_NOTIF);
	cr_expect_eq(answer_of(&plain, SYS_bpf, 0), SECCOMP_RET_USER_NOTIF);
	cr_expect_eq(answer_of(&plain, SYS_keyctl, 0), SECCOMP_RET_USER_NOTIF);
	cr_expect_eq(answer_of(&plain, SYS_userfaultfd, 0), SECCOMP_RET_USER_NOTIF);
	cr_expect_eq(answer_of(&plain, SYS_perf_event_open, 0), SECCOMP_RET_USER_NOTIF);
	cr_expect_eq(answer_of(&plain, SYS_ioctl, 0x5412 /* TIOCSTI */), SECCOMP_RET_USER_NOTIF);
	cr_expect_eq(answer_of(&plain, SYS_chmod, 04755), SECCOMP_RET_USER_NOTIF);
	policy_unreport(&plain);
	cr_expect_eq(answer_of(&plain, SYS_mount, 0), SECCOMP_RET_ERRNO | EPERM);
	policy_free(&plain);

	cr_assert_eq(policy_load_from(&dirs, "strict", POLICY_WALLS_ONLINE, &strict, &err), 0);
	policy_report(&strict);
	cr_assert(strict.reports);
	cr_expect_eq(answer_of(&strict, SYS_socket, 0), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(answer_of(&strict, SYS_kill, SIGSYS), SECCOMP_RET_USER_NOTIF);
	policy_free(&strict);
}
