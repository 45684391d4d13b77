/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_EXPECT_H
#define CLOCHE_POLICY_POLICY_EXPECT_H

#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * A table of what is expected of a profile, as there is one beside each shipped one
 * (policies/NAME.table):
 *
 *	VERDICT CALL...         # comment
 *
 * VERDICT is ALLOW, LOG, KILL_PROCESS, KILL_THREAD, TRAP or the name of an errno. CALL is a
 * syscall's name or number with its first arguments, if they matter, and no blanks:
 * `clone(0x10000,0)`; those that are left out are 0. Before it "x32:" or "i386:" for a call by that
 * ABI. Numbers are decimal, 0x... or 0..., and may be negative.
 */
struct policy_expect {
	unsigned int line;
	char call[96];		  /* as written */
	struct seccomp_data data; /* what the filter sees */
	uint32_t action;	  /* SECCOMP_RET_*, errno included */
};

struct policy_expects {
	struct policy_expect *rows; /* owned */
	size_t n;
};

/* source names the text in messages. -EINVAL: what is wrong and on which line, also when there is
 * no row at all: a table that expects nothing is a mistake. *ret is set on success only. */
int policy_expects_parse(const char *source, const char *text, size_t len,
			 struct policy_expects *ret, struct cloche_err *err);
void policy_expects_free(struct policy_expects *table);

#endif
