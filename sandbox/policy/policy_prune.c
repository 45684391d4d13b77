/* SPDX-License-Identifier: MIT */
/*
 * A profile that is narrow itself shall not pay for the same being asked again by the walls behind
 * it. Conditions are compared as sets of bits that they fix; one that compares in another way than
 * for equality says nothing here, and the rule stays.
 */
#include "policy/policy_prune.h"

#include "base/err.h"
#include "policy/policy_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The bits of an argument that a condition fixes; none where it is no equality. */
static uint64_t fixed_bits(const struct policy_arg *a)
{
	return a->op == SCMP_CMP_EQ ? UINT64_MAX : a->op == SCMP_CMP_MASKED_EQ ? a->value : 0;
}

static uint64_t fixed_value(const struct policy_arg *a)
{
	return a->op == SCMP_CMP_EQ ? a->value : a->value_two;
}

/* No call can meet the conditions of both. */
static bool disjoint(const struct policy_entry *x, const struct policy_entry *y)
{
	for (size_t i = 0; i < x->n_args; i++)
		for (size_t j = 0; j < y->n_args; j++) {
			const struct policy_arg *a = &x->args[i], *b = &y->args[j];

			if (a->index == b->index &&
			    (fixed_bits(a) & fixed_bits(b) & (fixed_value(a) ^ fixed_value(b))))
				return true;
		}
	return false;
}

/* Every call that meets the conditions of x meets those of y. */
static bool within(const struct policy_entry *x, const struct policy_entry *y)
{
	for (size_t j = 0; j < y->n_args; j++) {
		const struct policy_arg *b = &y->args[j];
		uint64_t bits = fixed_bits(b);
		bool met = false;

		for (size_t i = 0; i < x->n_args && bits; i++)
			met |= x->args[i].index == b->index &&
			       (fixed_bits(&x->args[i]) & bits) == bits &&
			       (fixed_value(&x->args[i]) & bits) == fixed_value(b);
		if (!met)
			return false;
	}
	return true;
}

/* One call, in both tables. */
struct pair {
	const struct policy_entry *wall, *profile;
	size_t n_wall, n_profile;
	bool wide; /* without any condition the profile lets it pass */
};

static bool refused_before(const struct pair *p, const struct policy_entry *rule)
{
	for (size_t i = 0; i < p->n_profile; i++)
		if (p->profile[i].n_args && !policy_action_passes(p->profile[i].action) &&
		    within(rule, &p->profile[i]))
			return true;
	return false;
}

/* What this rule of the profile lets pass, all of it passes the wall. */
static bool passes_wall(const struct pair *p, const struct policy_entry *rule)
{
	for (size_t i = 0; i < p->n_wall; i++) {
		const struct policy_entry *w = &p->wall[i];

		if (policy_action_passes(w->action) && within(rule, w))
			return true;
		if (!policy_action_passes(w->action) && !disjoint(rule, w))
			return false;
	}
	return true;
}

/* Nothing of what the profile lets pass is refused by the wall. */
static bool useless(const struct pair *p)
{
	for (size_t i = 0; i < p->n_profile; i++)
		if (policy_action_passes(p->profile[i].action) && p->profile[i].n_args &&
		    !passes_wall(p, &p->profile[i]))
			return false;
	return !p->wide;
}

static void prune_call(const struct pair *p, struct policy_table *ret)
{
	if (useless(p))
		return;
	for (size_t i = 0; i < p->n_wall; i++) {
		const struct policy_entry *w = &p->wall[i];

		/* Where there are exceptions, what a rule is about is not all in its conditions. */
		if (!policy_action_passes(w->action) && w->n_args && refused_before(p, w))
			continue;
		ret->entries[ret->n_entries++] = *w;
	}
}

int policy_prune(const struct policy_table *wall, const struct policy_table *profile,
		 struct policy_table *ret, struct cloche_err *err)
{
	*ret = *wall;
	ret->n_entries = 0;
	ret->entries = calloc(wall->n_entries + 1, sizeof(*ret->entries));
	if (!ret->entries)
		return cloche_err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < wall->n_entries;) {
		int nr = wall->entries[i].nr;
		struct pair p = { .wide = false };

		p.wall = policy_table_find(wall, nr, &p.n_wall);
		p.profile = policy_table_find(profile, nr, &p.n_profile);
		if (nr <= profile->newest) {
			bool decided = p.n_profile && p.profile[p.n_profile - 1].n_args == 0;

			p.wide = policy_action_passes(decided ? p.profile[p.n_profile - 1].action
							      : profile->default_action);
		} else {
			p.n_profile = 0;
		}
		prune_call(&p, ret);
		i += p.n_wall;
	}
	return 0;
}
