/* SPDX-License-Identifier: MIT */
/*
 * Any text as a seccomp profile: it is refused with one line, or it compiles and the filter does
 * for every call what the rules mean. The first byte pattern of the input also chooses arguments,
 * so that conditions are met. libFuzzer: build with clang -fsanitize=fuzzer,address,undefined.
 */
#include "base/err.h"
#include "policy/policy_left_out.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"
#include "policy/policy_stack.h"
#include "tests/lib/bpf_sim.h"

#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void expect_one_line(void *arg, const char *line)
{
	(void)arg;
	check(line[0] && !strchr(line, '\n'));
}

/* The values on and beside the conditions of a call. */
static uint64_t pick(const struct policy_entry *e, size_t n, unsigned int index, unsigned int round)
{
	uint64_t v = round % 2 ? UINT64_MAX : 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < e[i].n_args; j++)
			if (e[i].args[j].index == index && (i + round) % 3 == 0)
				v = (e[i].args[j].op == SCMP_CMP_MASKED_EQ ? e[i].args[j].value_two
									   : e[i].args[j].value) +
				    round % 5 - 2;
	return v;
}

static void compare(const struct policy_stack *stack, const struct sock_fprog *prog)
{
	for (int nr = -1; nr < 480; nr++) {
		size_t n;
		const struct policy_entry *e = policy_table_find(stack->table, nr, &n);

		if (n == 0 && stack->n_walls)
			e = policy_table_find(&stack->walls[0].table, nr, &n);
		for (unsigned int round = 0; round < (n ? 15 : 1); round++) {
			struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
			uint64_t args[6];
			uint32_t found;

			for (unsigned int i = 0; i < 6; i++)
				d.args[i] = args[i] = pick(e, n, i, round);
			check(bpf_sim_run(prog, &d, &found));
			check(found == policy_stack_decide(stack, nr, args, NULL));
		}
	}
}

/* Alone or with the walls behind it. */
static int compile(const struct policy_table *table, enum policy_walls walls,
		   struct cloche_err *err)
{
	struct policy_stack stack;
	struct sock_fprog prog = { 0 };
	int rc = policy_stack_open(table, walls, &stack, err);

	if (rc < 0)
		return rc;
	rc = policy_stack_compile(&stack, &prog, err);
	if (rc == 0)
		compare(&stack, &prog);
	free(prog.filter);
	policy_stack_close(&stack);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_profile profile;
	struct policy_table table;
	struct cloche_err err = { 0 };
	int rc = policy_profile_parse("fuzz", (const char *)data, size, expect_one_line, NULL,
				      &profile, &err);

	check((rc == 0) == (err.text[0] == '\0'));
	if (rc < 0)
		return 0;
	policy_left_out("fuzz", (const char *)data, size, &profile, expect_one_line, NULL);
	rc = policy_table_build("fuzz", &profile, &table, &err);
	if (rc == 0) {
		rc = compile(&table, size % 2 ? POLICY_WALLS_OFFLINE : POLICY_WALLS_NONE, &err);
		policy_table_free(&table);
	}
	check((rc == 0) == (err.text[0] == '\0'));
	policy_profile_free(&profile);
	return 0;
}
