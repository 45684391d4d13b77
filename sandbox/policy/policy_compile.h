/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_COMPILE_H
#define CLOCHE_POLICY_POLICY_COMPILE_H

#include <linux/filter.h>
#include <stddef.h>

struct cloche_err;
struct policy_table;

/*
 * Compiles a table, and behind it the walls of a stack (policy/policy_stack.h; NULL, 0: none), to
 * one classic BPF filter through libseccomp. *ret's filter is allocated; the caller frees it.
 * -E2BIG: more instructions than the kernel takes (BPF_MAXINSNS, 4096).
 *
 * An instruction that returns EPERM by a rule of the profile itself has POLICY_RET_QUIET as its jt,
 * which the kernel does not look at: who wrote the rule has said all there is to say, and a program
 * may live with it. What returns EPERM by the default, a guard or a wall has not. What a wall that
 * asks refuses has POLICY_RET_ASK there, and returns POLICY_ASKED, EAFNOSUPPORT.
 */
#define POLICY_RET_QUIET 1
#define POLICY_RET_ASK	 2
#define POLICY_ASKED	 0x00050061U /* SECCOMP_RET_ERRNO | EAFNOSUPPORT */
int policy_compile(const struct policy_table *table, const struct policy_table *const *walls,
		   size_t n_walls, struct sock_fprog *ret, struct cloche_err *err);

#endif
