/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_OURS_H
#define CLOCHE_POLICY_POLICY_OURS_H

#include <linux/filter.h>
#include <stdbool.h>

struct cloche_err;

/*
 * The filters of our own processes, from policies/front.json and policies/launcher.json: compiled
 * like a function's, with no wall behind them. ret->filter is the caller's to free; *ret_flags is
 * for seccomp(SECCOMP_SET_MODE_FILTER).
 *
 * inherited: of a process whose functions have a policy of their own in front of it. What it
 * answers ENOSYS it answers by SECCOMP_RET_TRACE then, which is the same where nobody traces, and
 * ranks behind all that a policy answers, its listener included: a denied call is still asked
 * about and counted (seccomp(2), "in decreasing order of precedence").
 */
int policy_ours_compile(const char *name, bool inherited, struct sock_fprog *ret,
			unsigned int *ret_flags, struct cloche_err *err);

#endif
