/* SPDX-License-Identifier: MIT */
/*
 * Random rules about one call, every operator and up to three of them on up to three arguments,
 * mixed actions: the compiled filter must do what the rules mean. This is where libseccomp joins
 * some rules wrongly and never returns from others, if it is given them together.
 */
#include "base/err.h"
#include "policy/policy_compile.h"
#include "policy/policy_rules.h"
#include "tests/lib/bpf_sim.h"

#include <criterion/criterion.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const uint64_t values[] = { 0,
				   1,
				   2,
				   3,
				   5,
				   UINT32_MAX,
				   0x100000000ULL,
				   0x100000001ULL,
				   0x200000000ULL,
				   0x200000005ULL,
				   1ULL << 63,
				   UINT64_MAX };
static const uint64_t masks[] = {
	1, 3, 0xff, UINT32_MAX, 0xffffffff00000000ULL, 0x100000001ULL, UINT64_MAX
};
static const uint32_t actions[] = { SCMP_ACT_ALLOW,    SCMP_ACT_ALLOW,	      SCMP_ACT_ERRNO(5),
				    SCMP_ACT_ERRNO(6), SCMP_ACT_KILL_PROCESS, SCMP_ACT_LOG };

static char *dup2_name[] = { "dup2" };

static void random_rule(struct policy_rule *r)
{
	unsigned int used = 0;

	*r = (struct policy_rule){ .names = dup2_name,
				   .n_names = 1,
				   .applies = true,
				   .action = actions[(size_t)random() % N(actions)],
				   .n_args = (size_t)random() % 3 + 1 };
	for (size_t i = 0; i < r->n_args; i++) {
		struct policy_arg *a = &r->args[i];

		do
			a->index = (unsigned int)random() % 3;
		while (used & (1U << a->index));
		used |= 1U << a->index;
		a->op = (enum scmp_compare)(random() % SCMP_CMP_MASKED_EQ + 1);
		a->value = values[(size_t)random() % N(values)];
		if (a->op == SCMP_CMP_MASKED_EQ) {
			a->value_two = a->value;
			a->value = masks[(size_t)random() % N(masks)];
			a->value_two &= a->value;
		}
	}
}

static void expect_agreement(const struct policy_table *table, const struct sock_fprog *prog)
{
	for (size_t i = 0; i < N(values) * N(values) * N(values); i++) {
		struct seccomp_data d = { .nr = 33,
					  .arch = AUDIT_ARCH_X86_64,
					  .args = { values[i % N(values)],
						    values[i / N(values) % N(values)],
						    values[i / N(values) / N(values)] } };
		uint64_t args[6] = { d.args[0], d.args[1], d.args[2] };
		uint32_t found = 0, want = policy_table_decide(table, d.nr, args, NULL);

		cr_assert(bpf_sim_run(prog, &d, &found));
		cr_assert_eq(found, want, "dup2(%#lx,%#lx,%#lx): %#x instead of %#x", args[0],
			     args[1], args[2], found, want);
	}
}

Test(policy_compile, any_rules_compile_to_what_they_mean)
{
	srandom(20);
	for (int i = 0; i < 1500; i++) {
		struct policy_rule rules[4];
		struct policy_profile profile = { .default_action = SCMP_ACT_ERRNO(1),
						  .rules = rules,
						  .n_rules = (size_t)random() % 4 + 1 };
		struct policy_table table;
		struct sock_fprog prog;
		struct cloche_err err = { 0 };

		for (size_t j = 0; j < profile.n_rules; j++)
			random_rule(&rules[j]);
		if (random() % 3 == 0)
			rules[0].n_args = 0;
		cr_assert_eq(policy_table_build("p", &profile, &table, &err), 0, "%s", err.text);
		cr_assert_eq(policy_compile(&table, NULL, 0, &prog, &err), 0, "%s", err.text);
		expect_agreement(&table, &prog);
		free(prog.filter);
		policy_table_free(&table);
	}
}

static struct policy_rule many_rules[460];
static char *many_names[N(many_rules)];

/* A few actions thrown on many calls, in runs and alone, some with a condition. */
static void random_profile(struct policy_profile *ret)
{
	static const uint32_t few[] = { SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(1), SCMP_ACT_ERRNO(38),
					SCMP_ACT_KILL_PROCESS };
	long change = random() % 12 + 1; /* one in so many begins another run */
	uint32_t action = few[0];

	*ret = (struct policy_profile){ .default_action = few[random() % 2 + 1],
					.rules = many_rules };
	for (int nr = 0; nr < (int)N(many_rules); nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);
		struct policy_rule *r = &many_rules[ret->n_rules];

		if (!name || random() % 9 == 0) {
			free(name);
			continue;
		}
		if (random() % change == 0)
			action = few[random() % 4];
		many_names[ret->n_rules] = name;
		*r = (struct policy_rule){ .names = &many_names[ret->n_rules],
					   .n_names = 1,
					   .applies = true,
					   .action = action,
					   .n_args = random() % 40 == 0 };
		r->args[0] = (struct policy_arg){ .op = SCMP_CMP_EQ, .value = 5 };
		ret->n_rules++;
	}
}

static void expect_meaning(const struct policy_table *table, const struct sock_fprog *prog, int nr,
			   uint64_t arg)
{
	struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64, .args = { arg } };
	uint64_t args[6] = { arg };
	uint32_t found = 0, want = policy_table_decide(table, nr, args, NULL);

	cr_assert(bpf_sim_run(prog, &d, &found));
	cr_assert_eq(found, want, "%d(%lu): %#x instead of %#x", nr, arg, found, want);
}

/* Of so many kinds that there are from one to more ranges than a tree holds; every number up to
 * well behind the last. */
Test(policy_compile, whole_profiles_compile_to_what_they_mean)
{
	size_t most = 0, least = SIZE_MAX;

	srandom(21);
	for (int i = 0; i < 60; i++) {
		struct policy_profile profile;
		struct policy_table table;
		struct sock_fprog prog;
		struct cloche_err err = { 0 };

		random_profile(&profile);
		cr_assert_eq(policy_table_build("p", &profile, &table, &err), 0, "%s", err.text);
		cr_assert_eq(policy_compile(&table, NULL, 0, &prog, &err), 0, "%s", err.text);
		for (int nr = 0; nr < 600; nr++)
			for (uint64_t arg = 4; arg < 6; arg++)
				expect_meaning(&table, &prog, nr, arg);
		most = prog.len > most ? prog.len : most;
		least = prog.len < least ? prog.len : least;
		free(prog.filter);
		policy_table_free(&table);
		for (size_t j = 0; j < profile.n_rules; j++)
			free(many_names[j]);
	}
	/* Both ways were taken: libseccomp's alone has an instruction for each call. */
	cr_assert_lt(least, 260);
	cr_assert_gt(most, 400);
}
