/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_POLICY_VIEW_H
#define CLOCHE_CLI_POLICY_VIEW_H

#include "policy/policy.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"
#include "policy/policy_stack.h"
#include "policy/policy_words.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* A profile that is open for looking at, with the walls behind it; the tables borrow from the
 * profiles, so it must stay where it was opened. */
struct policy_view {
	struct policy_text text;
	struct policy_profile profile;
	struct policy_table table;
	struct policy_stack stack;
};

/* Opens by name or path; problem gets one line for each mistake, also when there is no file. A wall
 * can be looked at, too: it then stands alone. */
int policy_view_open(const char *name, enum policy_walls walls, policy_problem_fn *problem,
		     struct policy_view *ret, struct cloche_err *err);
void policy_view_free(struct policy_view *v);

/* What may become of a call: of all entries, unless something unconditional comes last. */
enum policy_fate { POLICY_FATE_DENIED, POLICY_FATE_DEPENDS, POLICY_FATE_ALLOWED };
enum policy_fate policy_call_fate(const struct policy_view *v, int nr);

/* The wall that is first to refuse the call whatever its arguments are; NULL: there is none. */
const struct policy_wall *policy_call_wall(const struct policy_view *v, int nr);

/* Terminal codes, or empty texts when standard output is no terminal or NO_COLOR is set. */
struct policy_style {
	const char *bold, *good, *bad, *dim, *off;
};
struct policy_style policy_style_pick(void);
const char *policy_action_colour(const struct policy_style *s, uint32_t action);

/* Which rule (an index, POLICY_RULE_* or of a wall): "line 12", "default", "floor:12"… */
void policy_rule_place(const struct policy_view *v, int rule, char *buf, size_t size);
/* "(arg0 & 0x7e020000) == 0 and arg2 == 0x6"; empty without conditions. */
void policy_condition_text(const struct policy_entry *e, char *buf, size_t size);
/* Appends at buf[at], cutting what does not fit; returns where the text ends now. */
size_t policy_append(char *buf, size_t size, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Prints and releases the value; returns the exit status. */
int policy_print_json(json_t *value);

#endif
