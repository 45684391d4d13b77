/* SPDX-License-Identifier: MIT */
/*
 * A classic BPF machine for seccomp filters: kernel/seccomp.c, seccomp_check_filter, says which
 * instructions there are; net/core/filter.c says what they do. It shares nothing with the code
 * that it checks.
 */
#include "tests/lib/bpf_sim.h"

#include <string.h>

struct machine {
	uint32_t a, x, mem[BPF_MEMWORDS];
};

static bool load(const struct seccomp_data *data, uint32_t at, uint32_t *ret)
{
	if (at % 4 != 0 || at + 4 > sizeof(*data))
		return false;
	memcpy(ret, (const char *)data + at, 4);
	return true;
}

static bool alu(struct machine *m, const struct sock_filter *i)
{
	uint32_t v = BPF_SRC(i->code) == BPF_X ? m->x : i->k;

	switch (BPF_OP(i->code)) {
	case BPF_ADD:
		m->a += v;
		return true;
	case BPF_SUB:
		m->a -= v;
		return true;
	case BPF_MUL:
		m->a *= v;
		return true;
	case BPF_DIV:
		m->a = v ? m->a / v : 0;
		return v != 0;
	case BPF_AND:
		m->a &= v;
		return true;
	case BPF_OR:
		m->a |= v;
		return true;
	case BPF_XOR:
		m->a ^= v;
		return true;
	case BPF_LSH:
		m->a = v < 32 ? m->a << v : 0;
		return true;
	case BPF_RSH:
		m->a = v < 32 ? m->a >> v : 0;
		return true;
	case BPF_NEG:
		m->a = -m->a;
		return true;
	default:
		return false;
	}
}

/* How far a jump goes beyond the next instruction; -1: no such jump. */
static int64_t jump(const struct machine *m, const struct sock_filter *i)
{
	uint32_t v = BPF_SRC(i->code) == BPF_X ? m->x : i->k;

	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return i->k;
	case BPF_JEQ:
		return m->a == v ? i->jt : i->jf;
	case BPF_JGT:
		return m->a > v ? i->jt : i->jf;
	case BPF_JGE:
		return m->a >= v ? i->jt : i->jf;
	case BPF_JSET:
		return m->a & v ? i->jt : i->jf;
	default:
		return -1;
	}
}

static bool step(struct machine *m, const struct sock_filter *i, const struct seccomp_data *data)
{
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return load(data, i->k, &m->a);
	case BPF_LD | BPF_W | BPF_LEN:
		m->a = sizeof(*data);
		return true;
	case BPF_LDX | BPF_W | BPF_LEN:
		m->x = sizeof(*data);
		return true;
	case BPF_LD | BPF_IMM:
		m->a = i->k;
		return true;
	case BPF_LDX | BPF_IMM:
		m->x = i->k;
		return true;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		if (i->k >= BPF_MEMWORDS)
			return false;
		if (BPF_CLASS(i->code) == BPF_LD)
			m->a = m->mem[i->k];
		else if (BPF_CLASS(i->code) == BPF_LDX)
			m->x = m->mem[i->k];
		else
			m->mem[i->k] = i->code == BPF_ST ? m->a : m->x;
		return true;
	case BPF_MISC | BPF_TAX:
		m->x = m->a;
		return true;
	case BPF_MISC | BPF_TXA:
		m->a = m->x;
		return true;
	default:
		return BPF_CLASS(i->code) == BPF_ALU && alu(m, i);
	}
}

bool bpf_sim_run(const struct sock_fprog *prog, const struct seccomp_data *data,
		 uint32_t *ret_action)
{
	struct machine m = { 0 };

	if (prog->len == 0 || prog->len > BPF_MAXINSNS)
		return false;
	for (size_t pc = 0; pc < prog->len; pc++) {
		const struct sock_filter *i = &prog->filter[pc];

		if (BPF_CLASS(i->code) == BPF_RET) {
			*ret_action = BPF_RVAL(i->code) == BPF_A ? m.a : i->k;
			return true;
		}
		if (BPF_CLASS(i->code) == BPF_JMP) {
			int64_t by = jump(&m, i);

			if (by < 0)
				return false;
			pc += (size_t)by;
		} else if (!step(&m, i, data)) {
			return false;
		}
	}
	return false; /* fell off the end */
}
