/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_BUILTIN_H
#define CLOCHE_POLICY_POLICY_BUILTIN_H

#include <stddef.h>

/*
 * The profiles of policies/, put into the program by policies/embed.sh with the hash of their
 * text, so that a run by name neither opens nor hashes a file. Ends with a NULL name.
 */
enum policy_kind {
	POLICY_PROFILE, /* a function's */
	POLICY_WALL,	/* it stands behind every profile and is none (policy/policy_stack.h) */
	POLICY_OURS	/* of a process of ours (policy/policy_ours.h) */
};

struct policy_builtin {
	const char *name;
	const char *text; /* JSON, NUL-terminated */
	size_t len;	  /* without the NUL */
	const char *sha256;
	const char *table; /* what is expected of it (policy/policy_expect.h), NUL-terminated */
	size_t table_len;  /* without the NUL */
	enum policy_kind kind;
};

extern const struct policy_builtin policy_builtins[];

#endif
