/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_EMIT_H
#define CLOCHE_POLICY_POLICY_EMIT_H

#include <stdbool.h>
#include <stddef.h>

struct cloche_err;
struct policy_profile;
struct policy_seen;
struct policy_table;

/* Calls that any program may need although a run need not show it. They are in each learned profile
 * whose base lets them pass whatever their arguments. */
struct policy_always {
	int nr;
	bool by_vdso; /* answered there where the host's clock allows it: no policy sees it then */
};
extern const struct policy_always policy_always[];
extern const size_t policy_always_n;

/* What a learned profile is made from. All borrowed. */
struct policy_lesson {
	const char *command;		   /* what was run, for the comment; any bytes */
	const char *base_name;		   /* the policy under which it ran */
	const struct policy_profile *base; /* its rules */
	const struct policy_table *table;  /* and their meaning */
	const struct policy_seen *seen;	   /* decided by that table */
};

struct policy_learned {
	char *text; /* owned: the profile's JSON, NUL-terminated, a newline at the end */
	size_t len;
	size_t calls;	 /* different calls that were seen and let through */
	size_t rules;	 /* elements of "syscalls" */
	size_t nameless; /* calls that were let through, but for which there is no name to write */
};

/*
 * Writes the smallest profile, in the OCI form, that answers all that was seen as the base did:
 *
 *  - the policy_always calls that the base lets through
 *  - for each call that passed one rule per rule of the base that let it, conditions included,
 *    with a comment about who called and how often
 *  - what the base refuses in another way than by its default, since that is how libraries fall
 *    back, and its exceptions to calls that are let through
 *
 * It never allows what the base does not. What else the base allows gets the base's default, or
 * EPERM when that lets calls pass. The order depends on names only, not on who called first.
 */
int policy_emit(const struct policy_lesson *lesson, struct policy_learned *ret,
		struct cloche_err *err);

#endif
