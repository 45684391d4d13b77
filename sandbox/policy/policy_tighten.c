/* SPDX-License-Identifier: MIT */
/*
 * The kernel checks and translates each instruction of a filter at every launch, a quarter of a
 * microsecond each, and libseccomp is generous with them: each of its filters asks for the
 * architecture again, and of each argument also the upper half, under a mask that leaves nothing of
 * it. What needs no asking goes, and what nobody gets to.
 *
 * Jumps lead forward only, so one pass from the front knows what may be in the accumulator when an
 * instruction is reached, and one from the back whether anybody will look at it.
 */
#include "policy/policy_tighten.h"

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define X32_BIT	  0x40000000U
#define REACH_MAX 255 /* of a conditional jump */

/* What the accumulator holds: a word of the call under a mask, or we do not know. */
struct acc {
	bool reached, known;
	uint32_t at, mask;
};

struct flow {
	struct sock_filter *f;
	size_t n, from;
	uint32_t arch;
	struct acc in[BPF_MAXINSNS + 1];
	bool used[BPF_MAXINSNS + 1];   /* somebody looks at what is in the accumulator there */
	bool joined[BPF_MAXINSNS + 1]; /* a jump comes here, not only who is in front */
};

static bool is_ja(const struct sock_filter *f)
{
	return f->code == (BPF_JMP | BPF_JA);
}

static bool is_branch(const struct sock_filter *f)
{
	return BPF_CLASS(f->code) == BPF_JMP && !is_ja(f);
}

static void jump(struct sock_filter *f, size_t by)
{
	*f = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)by);
}

static void meet(struct acc *a, const struct acc *b)
{
	if (!a->reached)
		*a = *b;
	else if (!b->known || a->at != b->at || a->mask != b->mask)
		a->known = false;
	a->reached = true;
}

/* Whether the outcome of a comparison is known, and which it is. */
static bool branch_known(const struct flow *w, const struct sock_filter *f, const struct acc *a,
			 bool *ret)
{
	if (!a->known)
		return false;
	if (BPF_OP(f->code) == BPF_JEQ && (f->k & ~a->mask)) {
		*ret = false;
		return true;
	}
	if (BPF_OP(f->code) == BPF_JEQ && a->mask == 0) {
		*ret = true;
		return true;
	}
	if (a->mask != UINT32_MAX)
		return false;
	if (a->at == offsetof(struct seccomp_data, arch) && BPF_OP(f->code) == BPF_JEQ) {
		*ret = f->k == w->arch;
		return true;
	}
	*ret = false;
	return a->at == offsetof(struct seccomp_data, nr) && BPF_OP(f->code) == BPF_JGE &&
	       f->k >= X32_BIT;
}

/* From the front: drops loads of what is there and comparisons that are decided. */
static void pass_known(struct flow *w)
{
	memset(w->in, 0, sizeof(w->in));
	memset(w->joined, 0, sizeof(w->joined));
	w->in[w->from].reached = true;
	for (size_t i = w->from; i < w->n; i++) {
		struct sock_filter *f = &w->f[i];
		struct acc out = w->in[i];
		bool holds;

		if (!out.reached || BPF_CLASS(f->code) == BPF_RET)
			continue;
		if (is_branch(f) && f->jt == f->jf)
			jump(f, f->jt);
		else if (is_branch(f) && branch_known(w, f, &out, &holds))
			jump(f, holds ? f->jt : f->jf);
		if (f->code == (BPF_LD | BPF_W | BPF_ABS)) {
			uint32_t at = f->k;

			if (out.known && out.at == at && out.mask == UINT32_MAX)
				jump(f, 0);
			out = (struct acc){ true, true, at, UINT32_MAX };
		} else if (f->code == (BPF_ALU | BPF_AND | BPF_K)) {
			out.mask &= f->k;
		}
		if (is_branch(f)) {
			meet(&w->in[i + 1 + f->jt], &out);
			meet(&w->in[i + 1 + f->jf], &out);
			w->joined[i + 1 + f->jt] = w->joined[i + 1 + f->jf] = true;
		} else {
			meet(&w->in[i + 1 + (is_ja(f) ? f->k : 0)], &out);
			w->joined[i + 1 + (is_ja(f) ? f->k : 0)] |= is_ja(f);
		}
	}
}

/* From the back: drops what computes what nobody looks at. */
static void pass_used(struct flow *w)
{
	w->used[w->n] = false;
	for (size_t i = w->n; i-- > w->from;) {
		struct sock_filter *f = &w->f[i];

		if (BPF_CLASS(f->code) == BPF_RET) {
			w->used[i] = false;
		} else if (is_branch(f)) {
			w->used[i] = true;
		} else if (is_ja(f)) {
			w->used[i] = w->used[i + 1 + f->k];
		} else {
			w->used[i] = w->used[i + 1] && BPF_CLASS(f->code) == BPF_ALU;
			if (!w->used[i + 1])
				jump(f, 0);
		}
	}
}

static bool one_bit(uint32_t k)
{
	return k && !(k & (k - 1));
}

/* Whether nothing behind the comparison at i looks at what it compared. */
static bool spent(const struct flow *w, size_t i)
{
	return !w->used[i + 1 + w->f[i].jt] && !w->used[i + 1 + w->f[i].jf];
}

/* A mask that clears the lowest bits and a comparison of the rest: two bounds of what is not
 * masked, or one where the rest is nothing, and the next comparison need not load it again. */
static void pass_bounds(struct flow *w)
{
	for (size_t i = w->from; i + 1 < w->n; i++) {
		struct sock_filter *f = &w->f[i], *next = f + 1;
		uint32_t low = ~f->k;

		if (f->code != (BPF_ALU | BPF_AND | BPF_K) || (low & (low + 1)) ||
		    low == UINT32_MAX || next->code != (BPF_JMP | BPF_JEQ | BPF_K) ||
		    (next->k & low) || next->k + low == UINT32_MAX || !spent(w, i + 1) ||
		    w->joined[i + 1])
			continue;
		if (next->k == 0) {
			*next = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, low,
							     next->jf, next->jt);
			jump(f, 0);
		} else if (next->jf < REACH_MAX) {
			*f = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, next->k + low,
							  (uint8_t)(next->jf + 1), 0);
			next->code = BPF_JMP | BPF_JGE | BPF_K;
		}
	}
}

/* A mask of one bit and a comparison with it are one test of bits, which needs no mask; and two
 * such tests with one answer are one. */
static void pass_bits(struct flow *w)
{
	for (size_t i = w->n; i-- > w->from;) {
		struct sock_filter *f = &w->f[i], *next = f + 1;
		const struct acc *a = &w->in[i];

		if (f->code == (BPF_JMP | BPF_JEQ | BPF_K) && a->known && one_bit(f->k) &&
		    a->mask == f->k)
			f->code = BPF_JMP | BPF_JSET | BPF_K;
		if (i + 1 == w->n || next->code != (BPF_JMP | BPF_JSET | BPF_K))
			continue;
		if (f->code == (BPF_ALU | BPF_AND | BPF_K) && !(next->k & ~f->k) && spent(w, i + 1))
			jump(f, 0);
		if (f->code == next->code && f->jf == 0 && f->jt == next->jt + 1 &&
		    next->jf < REACH_MAX) {
			f->k |= next->k;
			f->jf = next->jf + 1;
		}
	}
}

/* Where a jump to here ends. */
static size_t land(const struct flow *w, size_t at)
{
	while (at < w->n && is_ja(&w->f[at]))
		at += 1 + w->f[at].k;
	return at;
}

static void pass_jumps(struct flow *w)
{
	for (size_t i = w->from; i < w->n; i++) {
		struct sock_filter *f = &w->f[i];
		size_t yes, no;

		if (is_ja(f)) {
			yes = land(w, i);
			if (yes < w->n && BPF_CLASS(w->f[yes].code) == BPF_RET)
				*f = w->f[yes];
			else
				jump(f, yes - i - 1);
		} else if (is_branch(f)) {
			yes = land(w, i + 1 + f->jt) - i - 1;
			no = land(w, i + 1 + f->jf) - i - 1;
			f->jt = yes <= REACH_MAX ? (uint8_t)yes : f->jt;
			f->jf = no <= REACH_MAX ? (uint8_t)no : f->jf;
		}
	}
}

/* Closes the gaps: what nobody gets to, and jumps to what comes next. */
static void pass_gaps(struct flow *w)
{
	size_t place[BPF_MAXINSNS + 1]; /* how many are kept from here on */
	size_t kept = 0, at = w->from;

	place[w->n] = 0;
	for (size_t i = w->n; i-- > w->from;) {
		bool keep = w->in[i].reached;

		if (keep && is_ja(&w->f[i]) && place[i + 1 + w->f[i].k] == kept)
			keep = false;
		kept += keep;
		place[i] = kept;
	}
	for (size_t i = w->from; i < w->n; i++) {
		struct sock_filter f = w->f[i];

		if (place[i] == place[i + 1])
			continue;
		if (is_ja(&f)) {
			f.k = (uint32_t)(place[i + 1] - place[i + 1 + f.k]);
		} else if (is_branch(&f)) {
			f.jt = (uint8_t)(place[i + 1] - place[i + 1 + f.jt]);
			f.jf = (uint8_t)(place[i + 1] - place[i + 1 + f.jf]);
		}
		w->f[at++] = f;
	}
	w->n = at;
}

size_t policy_tighten(struct sock_filter *insns, size_t n, size_t from, uint32_t arch)
{
	struct flow w = { .f = insns, .n = n, .from = from, .arch = arch };
	size_t before;

	do {
		before = w.n;
		pass_known(&w);
		pass_used(&w);
		pass_bits(&w);
		pass_bounds(&w);
		pass_jumps(&w);
		pass_known(&w); /* who is reached now */
		pass_gaps(&w);
	} while (w.n < before);
	return w.n;
}
