/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_DIFF_H
#define CLOCHE_POLICY_POLICY_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy_entry;
struct policy_table;

/* What a table says about one call, without what makes no difference: of the rules with conditions
 * those at the end that say what would happen anyway. */
struct policy_answer {
	const struct policy_entry *narrow; /* in the order in which they are asked; borrowed */
	size_t n_narrow;
	uint32_t wide; /* when none of them holds */
	bool named;    /* some rule of the profile is about this call */
};

struct policy_answer policy_answer_of(const struct policy_table *table, int nr);

/* Whether some arguments let the call pass. */
bool policy_answer_passes(const struct policy_answer *answer);

/* Whether the answer has this rule: the same conditions, in any order, and the same action. */
bool policy_answer_has(const struct policy_answer *answer, const struct policy_entry *entry);

enum policy_change {
	POLICY_SAME,
	POLICY_ONLY_A, /* passes in A at least sometimes, never in B */
	POLICY_ONLY_B,
	POLICY_CHANGED, /* other conditions, or refused in another way */
};

/*
 * Compares what two tables say about one call. Conditions are compared as they are written, so two
 * that mean the same in other words count as changed. POLICY_SAME for a call that neither names:
 * it gets their defaults, which are compared by themselves.
 */
enum policy_change policy_diff_call(const struct policy_table *a, const struct policy_table *b,
				    int nr);
enum policy_change policy_diff_answers(const struct policy_answer *a,
				       const struct policy_answer *b);

#endif
