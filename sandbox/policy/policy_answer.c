/* SPDX-License-Identifier: MIT */
/*
 * What a compiled filter answers to a call: for whoever saw a call fail and asks whether the filter
 * did it. Only the instructions that policy_compile.c and libseccomp emit.
 */
#include "policy/policy.h"

#include "policy/policy_compile.h"

#include <linux/seccomp.h>
#include <string.h>

static bool holds(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGT:
		return a > i->k;
	case BPF_JGE:
		return a >= i->k;
	default:
		return a & i->k;
	}
}

/* The instruction that returns; NULL: the filter is none of ours. */
static const struct sock_filter *run(const struct policy *policy, const struct seccomp_data *call)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < policy->prog.len; pc++) {
		const struct sock_filter *i = &policy->prog.filter[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k > sizeof(*call) - sizeof(a))
				return NULL;
			memcpy(&a, (const char *)call + i->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += holds(i, a) ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i;
		default:
			return NULL;
		}
	}
	return NULL;
}

uint32_t policy_answer(const struct policy *policy, const struct seccomp_data *call)
{
	const struct sock_filter *by = run(policy, call);

	return by ? by->k : SECCOMP_RET_KILL_PROCESS;
}

bool policy_asks(const struct policy *policy, const struct seccomp_data *call)
{
	const struct sock_filter *by = run(policy, call);

	return by && by->jt == POLICY_RET_ASK;
}
