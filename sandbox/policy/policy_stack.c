/* SPDX-License-Identifier: MIT */
/*
 * Puts our own walls behind a profile: see policy_stack.h. What they refuse and why is written in
 * policies/floor*.json, which are read like any profile; nothing here knows a call.
 */
#include "policy/policy_stack.h"

#include "base/err.h"
#include "policy/policy_builtin.h"
#include "policy/policy_compile.h"
#include "policy/policy_prune.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	bool asks;
} wall_of[][POLICY_WALLS_MAX] = {
	[POLICY_WALLS_ONLINE] = { { "floor", false }, { "floor-loopback", true } },
	[POLICY_WALLS_OFFLINE] = { { "floor", false }, { "floor-offline", false } },
	[POLICY_WALLS_ONLINE_TERMINAL] = { { "floor", false },
					   { "floor-loopback", true },
					   { "floor-terminal", false } },
	[POLICY_WALLS_OFFLINE_TERMINAL] = { { "floor", false },
					    { "floor-offline", false },
					    { "floor-terminal", false } },
	[POLICY_WALLS_NONE] = { { NULL, false } },
};

static size_t walls_count(enum policy_walls walls)
{
	size_t n = 0;

	while (n < POLICY_WALLS_MAX && wall_of[walls][n].name)
		n++;
	return n;
}

static const struct policy_builtin *wall_find(const char *name)
{
	const struct policy_builtin *b = policy_builtins;

	while (b->name && strcmp(b->name, name) != 0)
		b++;
	return b->name ? b : NULL;
}

static int wall_open(const char *name, struct policy_wall *ret, struct cloche_err *err)
{
	int rc;

	*ret = (struct policy_wall){ .source = wall_find(name) };
	if (!ret->source)
		return cloche_err_set(err, ENOENT, "the wall '%s' is not built in", name);
	rc = policy_profile_parse(name, ret->source->text, ret->source->len, NULL, NULL,
				  &ret->profile, err);
	return rc < 0 ? rc : policy_table_build(name, &ret->profile, &ret->table, err);
}

int policy_stack_open(const struct policy_table *table, enum policy_walls walls,
		      struct policy_stack *ret, struct cloche_err *err)
{
	int rc = 0;

	*ret = (struct policy_stack){ .table = table };
	while (rc == 0 && ret->n_walls < walls_count(walls)) {
		struct policy_wall *wall = &ret->walls[ret->n_walls];

		rc = wall_open(wall_of[walls][ret->n_walls].name, wall, err);
		wall->table.asks = wall_of[walls][ret->n_walls].asks;
		ret->n_walls++;
	}
	if (rc < 0)
		policy_stack_close(ret);
	return rc;
}

void policy_stack_close(struct policy_stack *stack)
{
	for (size_t i = 0; i < stack->n_walls; i++) {
		policy_table_free(&stack->walls[i].table);
		policy_profile_free(&stack->walls[i].profile);
	}
	*stack = (struct policy_stack){ 0 };
}

bool policy_rule_of_wall(int rule, size_t *ret_wall, int *ret_rule)
{
	if (rule > POLICY_RULE_WALLS)
		return false;
	*ret_wall = (size_t)((POLICY_RULE_WALLS - rule) / POLICY_RULE_A_WALL);
	*ret_rule = (POLICY_RULE_WALLS - rule) % POLICY_RULE_A_WALL;
	return true;
}

uint32_t policy_stack_decide(const struct policy_stack *stack, int nr, const uint64_t args[6],
			     int *ret_rule)
{
	int unused, *rule = ret_rule ? ret_rule : &unused;
	uint32_t action = policy_table_decide(stack->table, nr, args, rule);

	for (size_t i = 0; i < stack->n_walls && policy_action_passes(action); i++) {
		int by;
		uint32_t answer = policy_table_decide(&stack->walls[i].table, nr, args, &by);

		if (policy_action_passes(answer))
			continue;
		*rule = policy_wall_rule(i, by);
		return answer;
	}
	return action;
}

int policy_stack_compile(const struct policy_stack *stack, struct sock_fprog *ret,
			 struct cloche_err *err)
{
	struct policy_table pruned[POLICY_WALLS_MAX] = { 0 };
	const struct policy_table *walls[POLICY_WALLS_MAX];
	size_t n = 0, n_walls = 0;
	int rc = 0;

	while (rc == 0 && n < stack->n_walls) {
		rc = policy_prune(&stack->walls[n].table, stack->table, &pruned[n], err);
		if (rc == 0 && pruned[n].n_entries)
			walls[n_walls++] = &pruned[n];
		n++;
	}
	if (rc == 0)
		rc = policy_compile(stack->table, walls, n_walls, ret, err);
	while (n-- > 0)
		policy_table_free(&pruned[n]);
	return rc;
}

int policy_walls_compile(enum policy_walls walls, uint32_t action, struct sock_fprog *ret,
			 struct cloche_err *err)
{
	const struct policy_table all = { .default_action = action,
					  .foreign_action = SCMP_ACT_KILL_PROCESS,
					  .newest = INT_MAX };
	struct policy_stack stack;
	int rc = policy_stack_open(&all, walls, &stack, err);

	if (rc < 0)
		return rc;
	rc = policy_stack_compile(&stack, ret, err);
	policy_stack_close(&stack);
	return rc;
}

void policy_walls_key(enum policy_walls walls, char key[static POLICY_WALLS_KEY])
{
	size_t at = 0;

	key[0] = '\0';
	for (size_t i = 0; i < walls_count(walls); i++) {
		const struct policy_builtin *b = wall_find(wall_of[walls][i].name);

		at += (size_t)snprintf(key + at, POLICY_WALLS_KEY - at, "%s%.16s", i ? "." : "",
				       b ? b->sha256 : "");
	}
}
