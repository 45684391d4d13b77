/* SPDX-License-Identifier: MIT */
/*
 * The shipped profiles against the tables beside them, through a simulator of the kernel's BPF
 * machine: no privilege, every row. And the filter against the meaning of its rules, for every
 * number and many arguments, so that what libseccomp made of a profile is what it says.
 */
#include "base/err.h"
#include "launch/policy.h"
#include "launch/policy_oci.h"
#include "launch/policy_rules.h"
#include "tests/lib/bpf_sim.h"
#include "tests/lib/verdict_table.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct policy_dirs no_dirs = { "/nonexistent", NULL };

static struct policy load(const char *name)
{
	struct policy policy;
	struct cloche_err err = { 0 };

	cr_assert_eq(policy_load_from(&no_dirs, name, &policy, &err), 0, "%s", err.text);
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

static void expect_table(const char *name)
{
	char path[64];
	struct policy policy = load(name);
	struct policy_expects table;

	(void)snprintf(path, sizeof(path), "policies/%s.table", name);
	table = verdict_table_read(path);
	cr_assert_gt(table.n, 300);
	for (size_t i = 0; i < table.n; i++) {
		const struct policy_expect *row = &table.rows[i];
		uint32_t found = simulate(&policy, &row->data);
		char want[32];

		(void)snprintf(want, sizeof(want), "%s", verdict_name(row->action));
		cr_expect_eq(found, row->action, "%s:%u: %s: expected %s, found %s", path,
			     row->line, row->call, want, verdict_name(found));
	}
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

Test(policy_table, only_strict_kills)
{
	struct policy policy = load("default");

	cr_expect_not(policy.kills);
	policy_free(&policy);
	policy = load("strict");
	cr_expect(policy.kills);
	policy_free(&policy);
}

/* Values on and beside every constant that the rules of a call mention. */
static uint64_t pick_value(const struct policy_entry *e, size_t n, unsigned int index)
{
	static const uint64_t usual[] = { 0, 1, 2, 31, 0xffffffff, UINT64_MAX, 1ULL << 32 };
	uint64_t v = usual[(size_t)random() % 7];

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < e[i].n_args; j++) {
			const struct policy_arg *a = &e[i].args[j];

			if (a->index != index || random() % 2)
				continue;
			v = (a->op == SCMP_CMP_MASKED_EQ ? a->value_two : a->value) +
			    (uint64_t)(random() % 3) - 1;
			if (random() % 4 == 0)
				v ^= 1ULL << (random() % 64);
		}
	return v;
}

static void expect_filter_means_rules(const char *name)
{
	struct policy policy = load(name);
	struct policy_profile profile;
	struct policy_table table;
	struct policy_text text;
	struct cloche_err err = { 0 };

	cr_assert_eq(policy_text_load(&no_dirs, name, &text, &err), 0, "%s", err.text);
	cr_assert_eq(policy_profile_parse(name, text.text, text.len, NULL, NULL, &profile, &err), 0,
		     "%s", err.text);
	cr_assert_eq(policy_table_build(name, &profile, &table, &err), 0, "%s", err.text);
	srandom(1);
	for (int nr = -2; nr < 600; nr++) {
		size_t n;
		const struct policy_entry *e = policy_table_find(&table, nr, &n);

		for (int round = 0; round < (n > 1 ? 2000 : 40); round++) {
			struct seccomp_data data = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
			uint64_t args[6];
			uint32_t want, found;

			for (unsigned int i = 0; i < 6; i++)
				data.args[i] = args[i] = pick_value(e, n, i);
			want = policy_table_decide(&table, nr, args, NULL);
			found = simulate(&policy, &data);
			cr_assert_eq(found, want, "%s: syscall %d(0x%lx,0x%lx,0x%lx): %s", name, nr,
				     args[0], args[1], args[2], verdict_name(found));
		}
	}
	policy_table_free(&table);
	policy_profile_free(&profile);
	policy_text_free(&text);
	policy_free(&policy);
}

Test(policy_table, default_filter_means_its_rules)
{
	expect_filter_means_rules("default");
}

Test(policy_table, strict_filter_means_its_rules)
{
	expect_filter_means_rules("strict");
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
