/* SPDX-License-Identifier: MIT */
/* What two profiles make of the same call, found in their tables: see policy_diff.h. */
#include "policy/policy_diff.h"

#include "policy/policy_rules.h"

#include <errno.h>

struct policy_answer policy_answer_of(const struct policy_table *table, int nr)
{
	struct policy_answer a = { .wide = table->default_action };
	size_t n;

	if (nr > table->newest) {
		a.wide = SCMP_ACT_ERRNO(ENOSYS);
		return a;
	}
	a.narrow = policy_table_find(table, nr, &n);
	a.named = n > 0;
	if (n > 0 && a.narrow[n - 1].n_args == 0)
		a.wide = a.narrow[--n].action;
	while (n > 0 && a.narrow[n - 1].action == a.wide)
		n--;
	a.n_narrow = n;
	return a;
}

bool policy_answer_passes(const struct policy_answer *answer)
{
	bool passes = policy_action_passes(answer->wide);

	for (size_t i = 0; i < answer->n_narrow; i++)
		passes |= policy_action_passes(answer->narrow[i].action);
	return passes;
}

static bool has_arg(const struct policy_entry *e, const struct policy_arg *arg)
{
	for (size_t i = 0; i < e->n_args; i++)
		if (e->args[i].index == arg->index)
			return e->args[i].op == arg->op && e->args[i].value == arg->value &&
			       e->args[i].value_two == arg->value_two;
	return false;
}

bool policy_answer_has(const struct policy_answer *answer, const struct policy_entry *entry)
{
	for (size_t i = 0; i < answer->n_narrow; i++) {
		const struct policy_entry *e = &answer->narrow[i];
		bool same = e->action == entry->action && e->n_args == entry->n_args;

		for (size_t j = 0; j < entry->n_args && same; j++)
			same = has_arg(e, &entry->args[j]);
		if (same)
			return true;
	}
	return false;
}

static bool all_in(const struct policy_answer *a, const struct policy_answer *b)
{
	for (size_t i = 0; i < a->n_narrow; i++)
		if (!policy_answer_has(b, &a->narrow[i]))
			return false;
	return true;
}

/* The actions in the order in which they are asked for, each once: which of two that hold wins. */
static bool same_order(const struct policy_answer *a, const struct policy_answer *b)
{
	size_t i = 0, j = 0;

	while (i < a->n_narrow && j < b->n_narrow) {
		uint32_t action = a->narrow[i].action;

		if (b->narrow[j].action != action)
			return false;
		while (i < a->n_narrow && a->narrow[i].action == action)
			i++;
		while (j < b->n_narrow && b->narrow[j].action == action)
			j++;
	}
	return i == a->n_narrow && j == b->n_narrow;
}

enum policy_change policy_diff_answers(const struct policy_answer *a, const struct policy_answer *b)
{
	bool in_a = policy_answer_passes(a), in_b = policy_answer_passes(b);

	if (!a->named && !b->named)
		return POLICY_SAME;
	if (in_a != in_b)
		return in_a ? POLICY_ONLY_A : POLICY_ONLY_B;
	if (a->wide == b->wide && all_in(a, b) && all_in(b, a) && same_order(a, b))
		return POLICY_SAME;
	return POLICY_CHANGED;
}

enum policy_change policy_diff_call(const struct policy_table *a, const struct policy_table *b,
				    int nr)
{
	struct policy_answer x = policy_answer_of(a, nr), y = policy_answer_of(b, nr);

	return policy_diff_answers(&x, &y);
}
