/* SPDX-License-Identifier: MIT */
/*
 * Takes a filter of unknown origin and puts our walls behind it: see policy_join.h. The checks are
 * the kernel's (bpf_check_classic of net/core/filter.c, seccomp_check_filter of kernel/seccomp.c),
 * narrowed to what our compiler makes: jumps lead forward and stay inside, the end is a return, and
 * what is returned is a constant. So that each instruction can be looked at for itself, and none
 * can reach what stands behind the program but by the jumps that are put here.
 */
#include "policy/policy_join.h"

#include "base/err.h"
#include "base/fd.h"
#include "policy/policy.h"
#include "policy/policy_compile.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"
#include "policy/policy_words.h"

#include <errno.h>
#include <jansson.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define X32_BIT	  0x40000000U
#define ERRNO_MAX 4095 /* MAX_ERRNO of the kernel, which takes what is above for that */

void policy_bare_prepare(void)
{
	json_object_seed(0);
	(void)seccomp_api_get();
}

int policy_bare_make(const struct policy_text *text, struct policy_bare *ret, size_t *ret_size,
		     struct cloche_err *err)
{
	struct policy_profile profile;
	struct policy_table table = { 0 };
	struct sock_fprog prog = { 0 };
	int r = policy_profile_parse(text->source, text->text, text->len, NULL, NULL, &profile,
				     err);

	if (r < 0)
		return r;
	r = policy_table_build(text->source, &profile, &table, err);
	if (r == 0)
		r = policy_compile(&table, NULL, 0, &prog, err);
	if (r == 0) {
		ret->flags = profile.flags;
		ret->n = prog.len;
		memcpy(ret->insns, prog.filter, prog.len * sizeof(*prog.filter));
		*ret_size = offsetof(struct policy_bare, insns) + prog.len * sizeof(*prog.filter);
	}
	free(prog.filter);
	policy_table_free(&table);
	policy_profile_free(&profile);
	return r;
}

/* ---- what is taken -------------------------------------------------------------------------- */

static int refuse(struct cloche_err *err, size_t at, const char *why)
{
	return cloche_err_set(err, EBADMSG, "the compiled profile is none: instruction %zu %s", at,
			      why);
}

static bool flags_known(uint32_t flags)
{
	for (const struct policy_word *w = policy_flag_words; w->text; w++)
		flags &= ~w->value;
	return flags == 0;
}

static bool passes(uint32_t action)
{
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

static bool kills(uint32_t action)
{
	return action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD ||
	       action == SECCOMP_RET_TRAP;
}

/* Not SECCOMP_RET_TRACE, with which a tracer in the function's place would let calls pass, nor
 * SECCOMP_RET_USER_NOTIF, which is the walls' to ask for. */
static bool may_return(uint32_t action)
{
	return passes(action) || kills(action) ||
	       (action > SECCOMP_RET_ERRNO && action <= (SECCOMP_RET_ERRNO | ERRNO_MAX));
}

/* One instruction, of which `left` are behind it; NULL: it is in order. */
static const char *insn_wrong(const struct sock_filter *f, size_t left)
{
	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return f->k % sizeof(uint32_t) || f->k >= sizeof(struct seccomp_data)
			       ? "loads what is no word of a call"
			       : NULL;
	case BPF_ALU | BPF_AND | BPF_K:
		return NULL;
	case BPF_JMP | BPF_JA:
		return f->k >= left ? "jumps out" : NULL;
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_K:
		return f->jt >= left || f->jf >= left ? "jumps out" : NULL;
	case BPF_RET | BPF_K:
		return may_return(f->k) ? NULL : "returns what no profile asks for";
	default:
		return "is not of those that profiles are made of";
	}
}

/* Marks are what the kernel does not look at, and ours to set; but whether a refusal is told is a
 * profile's own affair. */
static void unmark(struct sock_filter *f)
{
	bool quiet = f->code == (BPF_RET | BPF_K) && f->k == (SECCOMP_RET_ERRNO | EPERM) &&
		     f->jt == POLICY_RET_QUIET;

	if (BPF_CLASS(f->code) == BPF_JMP && f->code != (BPF_JMP | BPF_JA))
		return;
	f->jt = quiet ? POLICY_RET_QUIET : 0;
	f->jf = 0;
}

static int check(const struct policy_bare *bare, size_t size, struct cloche_err *err)
{
	if (size < sizeof(*bare) - sizeof(bare->insns) || bare->n == 0 || bare->n > BPF_MAXINSNS ||
	    size != offsetof(struct policy_bare, insns) + bare->n * sizeof(bare->insns[0]) ||
	    !flags_known(bare->flags))
		return cloche_err_set(err, EBADMSG, "the compiled profile is none");
	for (size_t i = 0; i < bare->n; i++) {
		const char *wrong = insn_wrong(&bare->insns[i], bare->n - i - 1);

		if (wrong)
			return refuse(err, i, wrong);
	}
	return BPF_CLASS(bare->insns[bare->n - 1].code) == BPF_RET
		       ? 0
		       : refuse(err, bare->n - 1, "is the last and does not return");
}

/* ---- what it does --------------------------------------------------------------------------- */

/* What the accumulator may hold where an instruction is reached. */
struct held {
	enum { HELD_UNREACHED = 0, HELD_VALUE, HELD_NATIVE, HELD_ANY } kind;
	uint32_t value; /* HELD_VALUE. HELD_NATIVE: the number of a call, whichever of this ABI */
};

#define NR_ANY (-1)

static void meet(struct held *a, const struct held *b)
{
	if (a->kind == HELD_UNREACHED)
		*a = *b;
	else if (a->kind != b->kind || a->value != b->value)
		*a = (struct held){ HELD_ANY, 0 };
}

static struct held load(uint32_t at, int nr)
{
	if (at == offsetof(struct seccomp_data, arch))
		return (struct held){ HELD_VALUE, AUDIT_ARCH_X86_64 };
	if (at != offsetof(struct seccomp_data, nr))
		return (struct held){ HELD_ANY, 0 };
	return nr == NR_ANY ? (struct held){ HELD_NATIVE, 0 }
			    : (struct held){ HELD_VALUE, (uint32_t)nr };
}

static void branch(const struct sock_filter *f, const struct held *a, bool *yes, bool *no)
{
	*yes = *no = true;
	if (a->kind == HELD_NATIVE && f->k >= X32_BIT &&
	    (BPF_OP(f->code) == BPF_JGE || BPF_OP(f->code) == BPF_JGT))
		*yes = false;
	if (a->kind != HELD_VALUE)
		return;
	switch (BPF_OP(f->code)) {
	case BPF_JEQ:
		*yes = a->value == f->k;
		break;
	case BPF_JGT:
		*yes = a->value > f->k;
		break;
	case BPF_JGE:
		*yes = a->value >= f->k;
		break;
	default:
		*yes = a->value & f->k;
	}
	*no = !*yes;
}

/*
 * Whether of all that a checked program may answer to a native call of this number (NR_ANY: of
 * any), whatever its arguments, one is as asked for. Jumps lead forward, so one pass knows; what it
 * does not know it takes for possible.
 */
static bool may_answer(const struct sock_fprog *prog, int nr, bool (*wanted)(uint32_t action))
{
	static const struct held first = { HELD_VALUE, 0 };
	cleanup_free struct held *in = calloc(prog->len + 1U, sizeof(*in));
	bool found = !in;

	if (in)
		in[0] = first;
	for (size_t i = 0; !found && i < prog->len; i++) {
		const struct sock_filter *f = &prog->filter[i];
		struct held out = in[i];
		bool yes, no;

		if (out.kind == HELD_UNREACHED)
			continue;
		switch (BPF_CLASS(f->code)) {
		case BPF_RET:
			found = wanted(f->k);
			break;
		case BPF_JMP:
			if (f->code == (BPF_JMP | BPF_JA)) {
				meet(&in[i + 1 + f->k], &out);
				break;
			}
			branch(f, &out, &yes, &no);
			if (yes)
				meet(&in[i + 1 + f->jt], &out);
			if (no)
				meet(&in[i + 1 + f->jf], &out);
			break;
		case BPF_LD:
			out = load(f->k, nr);
			meet(&in[i + 1], &out);
			break;
		default: /* AND */
			if (out.kind == HELD_VALUE)
				out.value &= f->k;
			else
				out = (struct held){ HELD_ANY, 0 };
			meet(&in[i + 1], &out);
		}
	}
	return found;
}

static bool refuses(uint32_t action)
{
	return !passes(action);
}

/* What child.c calls between the loading of the filter and the first instruction of the command. */
static bool lets_launch(const struct sock_fprog *prog)
{
	static const int calls[] = { SYS_execve, SYS_exit_group, SYS_clock_gettime };

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (may_answer(prog, calls[i], refuses))
			return false;
	return true;
}

/* ---- joined --------------------------------------------------------------------------------- */

/* Puts the walls for what passes with this action behind the program and sends it there. */
static int add_walls(struct sock_fprog *prog, enum policy_walls walls, uint32_t action, size_t n,
		     struct cloche_err *err)
{
	struct sock_fprog wall = { 0 };
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < n && !any; i++)
		any = prog->filter[i].code == (BPF_RET | BPF_K) && prog->filter[i].k == action;
	if (any)
		r = policy_walls_compile(walls, action, &wall, err);
	if (r < 0 || !any)
		return r;
	if (prog->len + wall.len > BPF_MAXINSNS)
		r = cloche_err_set(err, E2BIG,
				   "the profile, with the walls behind it, compiles to %u "
				   "instructions, and the kernel takes %d: simplify its conditions",
				   prog->len + wall.len, BPF_MAXINSNS);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (prog->filter[i].code == (BPF_RET | BPF_K) && prog->filter[i].k == action)
			prog->filter[i] = (struct sock_filter)BPF_STMT(
				BPF_JMP | BPF_JA, (uint32_t)(prog->len - i - 1));
	if (r == 0) {
		memcpy(prog->filter + prog->len, wall.filter, wall.len * sizeof(*wall.filter));
		prog->len = (unsigned short)(prog->len + wall.len);
	}
	free(wall.filter);
	return r;
}

int policy_bare_join(const struct policy_bare *bare, size_t size, enum policy_walls walls,
		     struct policy *ret, struct cloche_err *err)
{
	cleanup_free struct sock_filter *filter = NULL;
	struct sock_fprog prog;
	int r = check(bare, size, err);

	if (r < 0)
		return r;
	filter = calloc(BPF_MAXINSNS, sizeof(*filter));
	if (!filter)
		return cloche_err_set(err, ENOMEM, "out of memory");
	prog = (struct sock_fprog){ .len = (unsigned short)bare->n, .filter = filter };
	memcpy(filter, bare->insns, bare->n * sizeof(*filter));
	for (size_t i = 0; i < bare->n; i++)
		unmark(&filter[i]);
	r = add_walls(&prog, walls, SECCOMP_RET_ALLOW, bare->n, err);
	if (r == 0)
		r = add_walls(&prog, walls, SECCOMP_RET_LOG, bare->n, err);
	if (r < 0)
		return r;
	ret->flags = bare->flags;
	ret->kills = may_answer(&prog, NR_ANY, kills);
	ret->lets_launch = lets_launch(&prog);
	ret->prog = prog;
	filter = NULL;
	return 0;
}
