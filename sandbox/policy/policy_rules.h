/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_RULES_H
#define CLOCHE_POLICY_POLICY_RULES_H

#include "policy/policy_oci.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * What a profile means on this architecture, in the order in which a call meets it:
 *
 *  1. a call of another architecture (int 0x80, x32) kills: foreign_action. An errno would reach a
 *     32-bit program, too, but no call by which it could end
 *  2. a number above the newest that the profile names answers ENOSYS, so that a libc that is
 *     newer than the profile falls back instead of failing (unless the default lets calls pass); so
 *     does a negative one, which is none of any table: programs ask by -1 for what they have no
 *     number of
 *  3. rules with conditions: of those that hold the most severe (the kernel's own order:
 *     KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, LOG, ALLOW); of two errnos the one first in the file
 *  4. the rule without conditions
 *  5. the default
 *
 * So a narrow rule is an exception to a wide one. libseccomp alone would drop the narrow one in
 * silence. Two rules without conditions and with different actions for one call are refused, unless
 * one of them is there by its "includes" or "excludes": then the more severe stands (podman's
 * profile has setns allowed in one list, and EPERM without CAP_SYS_ADMIN in another).
 */
struct policy_entry {
	int nr;
	uint32_t action;
	const struct policy_arg *args; /* borrowed from the profile, or static */
	size_t n_args;
	int rule;	   /* index into the profile's rules; POLICY_RULE_GUARD for ours */
	unsigned int rank; /* 0: the most severe action of the whole table */
};

enum {
	POLICY_RULE_GUARD = -1,
	POLICY_RULE_DEFAULT = -2,
	POLICY_RULE_NEWER = -3,
	POLICY_RULE_FOREIGN = -4
};

struct policy_table {
	struct policy_entry *entries; /* owned; by number, then in the order above */
	size_t n_entries;
	uint32_t default_action;
	uint32_t foreign_action;
	int newest; /* numbers above answer ENOSYS; INT_MAX: there is no such rule */
	bool asks;  /* what it refuses may be made in the function's place */
	bool kills; /* some native call may end in SIGSYS by this profile */
};

/* The table borrows from the profile, which must outlive it. source: for messages. */
int policy_table_build(const char *source, const struct policy_profile *profile,
		       struct policy_table *ret, struct cloche_err *err);
void policy_table_free(struct policy_table *table);

/* The entries of one number: the first, and how many. */
const struct policy_entry *policy_table_find(const struct policy_table *table, int nr,
					     size_t *ret_n);

/* What happens to a native call; *ret_rule (may be NULL) is the rule or POLICY_RULE_*. */
uint32_t policy_table_decide(const struct policy_table *table, int nr, const uint64_t args[6],
			     int *ret_rule);

bool policy_arg_holds(const struct policy_arg *arg, uint64_t value);
bool policy_action_kills(uint32_t action);
bool policy_action_passes(uint32_t action);

/* Whether a call passes whatever its arguments: by a rule without conditions and no other about it,
 * or by the default. */
bool policy_table_lets(const struct policy_table *table, int nr);

#endif
