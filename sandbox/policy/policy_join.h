/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_JOIN_H
#define CLOCHE_POLICY_POLICY_JOIN_H

#include "policy/policy_stack.h"

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct policy;
struct policy_text;

/*
 * A profile that somebody else wrote is read and compiled where that can do no harm, and what comes
 * back is a filter that may be anything. The two halves:
 *
 * policy_bare_make, there: the profile's text becomes a program, without our walls.
 *
 * policy_bare_join, here: takes only what our compiler can make, and puts the walls behind it,
 * which are compiled here from what is built in. Every return of the program by which a call would
 * pass becomes a jump to a whole filter of ours: so the walls, the check of the architecture among
 * them, hold whatever the program is. What it refuses it may refuse as it likes.
 */
struct policy_bare {
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
	uint32_t n;
	struct sock_filter insns[BPF_MAXINSNS]; /* n of them; what is behind is not said */
};

int policy_bare_make(const struct policy_text *text, struct policy_bare *ret, size_t *ret_size,
		     struct cloche_err *err);

/* What libraries ask the system before the first policy_bare_make, which then makes no calls but
 * for memory and memory files. */
void policy_bare_prepare(void);

/* size: bytes of the bare one that are there. Sets prog, flags, kills and lets_launch of *ret, none
 * of which is anybody's word. -EBADMSG: it is not what our compiler makes; -E2BIG: longer, with the
 * walls, than the kernel takes. */
int policy_bare_join(const struct policy_bare *bare, size_t size, enum policy_walls walls,
		     struct policy *ret, struct cloche_err *err);

#endif
