/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_STACK_H
#define CLOCHE_POLICY_POLICY_STACK_H

#include "policy/policy_oci.h"
#include "policy/policy_rules.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct policy_builtin;

/*
 * What a function is under: its profile, and behind that walls of our own that no profile can lift.
 * A call that one of them lets pass is asked of the next, and what refuses first is the answer, as
 * of filters that are stacked in the kernel, where the most severe answer wins.
 */
struct policy_wall {
	const struct policy_builtin *source;
	struct policy_profile profile;
	struct policy_table table; /* borrows from the profile */
};

#define POLICY_WALLS_MAX 3

struct policy_stack {
	const struct policy_table *table; /* of the profile; borrowed */
	struct policy_wall walls[POLICY_WALLS_MAX];
	size_t n_walls;
};

/* offline: a context without a network, in which internet sockets serve nothing. online: with its
 * loopback; the wall for that asks the launcher. terminal: with one as a stream that might become
 * the function's. none: no walls at all, for looking at a wall as if it were a profile. */
enum policy_walls {
	POLICY_WALLS_ONLINE,
	POLICY_WALLS_OFFLINE,
	POLICY_WALLS_ONLINE_TERMINAL,
	POLICY_WALLS_OFFLINE_TERMINAL,
	POLICY_WALLS_NONE
};

int policy_stack_open(const struct policy_table *table, enum policy_walls walls,
		      struct policy_stack *ret, struct cloche_err *err);
void policy_stack_close(struct policy_stack *stack);

/* A rule of a wall, as the number that stands for a rule: below all POLICY_RULE_*. */
#define POLICY_RULE_WALLS  (-1024)
#define POLICY_RULE_A_WALL 1024
static inline int policy_wall_rule(size_t wall, int rule)
{
	return POLICY_RULE_WALLS - (int)wall * POLICY_RULE_A_WALL - rule;
}

/* Whether it is one: of which wall, and which. */
bool policy_rule_of_wall(int rule, size_t *ret_wall, int *ret_rule);

/* What happens to a native call; *ret_rule (may be NULL) is the profile's rule, POLICY_RULE_* or a
 * wall's. */
uint32_t policy_stack_decide(const struct policy_stack *stack, int nr, const uint64_t args[6],
			     int *ret_rule);

/* One filter for all of it; see policy_compile. */
int policy_stack_compile(const struct policy_stack *stack, struct sock_fprog *ret,
			 struct cloche_err *err);

/* A filter of the walls alone, for what has passed with this action, which it gives back. */
int policy_walls_compile(enum policy_walls walls, uint32_t action, struct sock_fprog *ret,
			 struct cloche_err *err);

/* What names the walls in a cache: the beginnings of their hashes. */
#define POLICY_WALLS_KEY 56
void policy_walls_key(enum policy_walls walls, char key[static POLICY_WALLS_KEY]);

#endif
