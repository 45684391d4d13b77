/* SPDX-License-Identifier: MIT */
/*
 * The notebook of `cloche policy learn`: which call, under which rule, by whom, how often. It never
 * fails: what has no room is counted as lost, and whoever reads it says so.
 */
#include "policy/policy_seen.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct policy_seen *seen)
{
	size_t size = seen->size ? seen->size * 2 : 64;
	struct policy_use *more;

	if (seen->n < seen->size)
		return true;
	if (size > POLICY_SEEN_MAX)
		return false;
	more = reallocarray(seen->uses, size, sizeof(*more));
	if (!more)
		return false;
	seen->uses = more;
	seen->size = size;
	return true;
}

static struct policy_use *find(struct policy_seen *seen, const struct policy_use *call)
{
	for (size_t i = 0; i < seen->n; i++) {
		struct policy_use *u = &seen->uses[i];

		if (u->nr == call->nr && u->rule == call->rule && u->arch == call->arch)
			return u;
	}
	if (!grow(seen))
		return NULL;
	seen->uses[seen->n] = (struct policy_use){
		.arch = call->arch, .nr = call->nr, .rule = call->rule, .action = call->action
	};
	return &seen->uses[seen->n++];
}

void policy_seen_add(struct policy_seen *seen, const struct policy_use *call, const char *user)
{
	struct policy_use *u = find(seen, call);

	if (!u) {
		seen->lost += call->count;
		return;
	}
	u->count += call->count;
	for (size_t i = 0; i < u->n_users; i++)
		if (strncmp(u->users[i].name, user, sizeof(u->users[i].name) - 1) == 0) {
			u->users[i].count += call->count;
			return;
		}
	if (u->n_users == POLICY_SEEN_USERS) {
		u->others += call->count;
		return;
	}
	u->users[u->n_users].count = call->count;
	(void)snprintf(u->users[u->n_users].name, sizeof(u->users[0].name), "%.15s", user);
	u->n_users++;
}

void policy_seen_free(struct policy_seen *seen)
{
	free(seen->uses);
	*seen = (struct policy_seen){ 0 };
}
