/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_SEEN_H
#define CLOCHE_POLICY_POLICY_SEEN_H

#include <stddef.h>
#include <stdint.h>

#define POLICY_SEEN_USERS 8
/* Far more than there are calls and rules about them; numbers out of nowhere shall not fill memory.
 */
#define POLICY_SEEN_MAX 2048

struct policy_user {
	char name[16]; /* as the kernel keeps it: the thread's own name, cut at 15 bytes */
	uint64_t count;
};

/* One call under one rule. */
struct policy_use {
	uint32_t arch; /* AUDIT_ARCH_* */
	int nr;
	int rule;	 /* that decided: policy_table_decide */
	uint32_t action; /* SCMP_ACT_* */
	uint64_t count;
	struct policy_user users[POLICY_SEEN_USERS]; /* by first appearance */
	size_t n_users;
	uint64_t others; /* calls of users that had no room */
};

/* The system calls that were made under observation. Zeroed: nothing was seen yet. */
struct policy_seen {
	struct policy_use *uses; /* owned */
	size_t n, size;
	uint64_t lost; /* calls for whose kind there was no room or no memory */
};

/* Adds call->count calls of one user: by call's arch, nr, rule and action; its users are not looked
 * at. */
void policy_seen_add(struct policy_seen *seen, const struct policy_use *call, const char *user);
void policy_seen_free(struct policy_seen *seen);

#endif
