/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_PRUNE_H
#define CLOCHE_POLICY_POLICY_PRUNE_H

struct cloche_err;
struct policy_table;

/*
 * Of a wall's table what is of use behind this profile: a rule stays unless the profile refuses all
 * that it is about, or lets pass only what the wall lets pass, too. *ret is to be freed with
 * policy_table_free and borrows what `wall` borrows.
 */
int policy_prune(const struct policy_table *wall, const struct policy_table *profile,
		 struct policy_table *ret, struct cloche_err *err);

#endif
