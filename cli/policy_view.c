/* SPDX-License-Identifier: MIT */
/*
 * What `cloche policy` and its explanations share: a profile opened for looking at, and the words
 * and colours for what it does. It prints nothing but JSON.
 */
#include "cli/policy_view.h"
#include "cli/show.h"

#include "base/err.h"
#include "policy/policy_builtin.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a profile, opened --------------------------------------------------------------------- */

void policy_view_free(struct policy_view *v)
{
	policy_stack_close(&v->stack);
	policy_table_free(&v->table);
	policy_profile_free(&v->profile);
	policy_text_free(&v->text);
}

int policy_view_open(const char *name, enum policy_walls walls, policy_problem_fn *problem,
		     struct policy_view *ret, struct cloche_err *err)
{
	int rc;

	*ret = (struct policy_view){ 0 };
	rc = policy_text_load(&policy_dirs_default, name, &ret->text, err);
	if (rc < 0) {
		if (problem)
			problem(NULL, err->text);
	} else {
		const char *source = ret->text.owned ? ret->text.source : ret->text.name;

		rc = policy_profile_parse(source, ret->text.text, ret->text.len, problem, NULL,
					  &ret->profile, err);
		if (rc == 0) {
			rc = policy_table_build(source, &ret->profile, &ret->table, err);
			if (rc == 0)
				rc = policy_stack_open(&ret->table,
						       ret->text.kind != POLICY_PROFILE
							       ? POLICY_WALLS_NONE
							       : walls,
						       &ret->stack, err);
			if (rc < 0 && problem)
				problem(NULL, err->text);
		}
	}
	if (rc < 0)
		policy_view_free(ret);
	return rc;
}

static enum policy_fate table_fate(const struct policy_table *t, int nr)
{
	size_t n, yes = 0;
	const struct policy_entry *e = policy_table_find(t, nr, &n);
	bool decided = n > 0 && e[n - 1].n_args == 0;

	if (nr > t->newest)
		return POLICY_FATE_DENIED;
	for (size_t i = 0; i < n; i++)
		yes += policy_action_passes(e[i].action);
	if (!decided) {
		yes += policy_action_passes(t->default_action);
		n++;
	}
	return yes == 0 ? POLICY_FATE_DENIED : yes == n ? POLICY_FATE_ALLOWED : POLICY_FATE_DEPENDS;
}

enum policy_fate policy_call_fate(const struct policy_view *v, int nr)
{
	enum policy_fate fate = table_fate(&v->table, nr);

	for (size_t i = 0; i < v->stack.n_walls; i++) {
		enum policy_fate wall = table_fate(&v->stack.walls[i].table, nr);

		fate = wall < fate ? wall : fate;
	}
	return fate;
}

const struct policy_wall *policy_call_wall(const struct policy_view *v, int nr)
{
	for (size_t i = 0; i < v->stack.n_walls; i++)
		if (table_fate(&v->stack.walls[i].table, nr) == POLICY_FATE_DENIED)
			return &v->stack.walls[i];
	return NULL;
}

/* ---- words ---------------------------------------------------------------------------------- */

struct policy_style policy_style_pick(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || (no && *no) || !term || strcmp(term, "dumb") == 0)
		return (struct policy_style){ "", "", "", "", "" };
	return (struct policy_style){ show_style(STYLE_BOLD), show_style(STYLE_GREEN),
				      show_style(STYLE_RED), show_style(STYLE_DIM),
				      show_style(STYLE_OFF) };
}

const char *policy_action_colour(const struct policy_style *s, uint32_t action)
{
	return policy_action_passes(action) ? s->good : s->bad;
}

void policy_rule_place(const struct policy_view *v, int rule, char *buf, size_t size)
{
	const struct policy_builtin *b;
	size_t wall;
	int of_wall;

	if (policy_rule_of_wall(rule, &wall, &of_wall)) {
		b = v->stack.walls[wall].source;
		(void)snprintf(buf, size, "%s:%u", b->name,
			       policy_rule_line(b->text, b->len, (size_t)of_wall));
		return;
	}
	switch (rule) {
	case POLICY_RULE_GUARD:
		(void)snprintf(buf, size, "guard");
		break;
	case POLICY_RULE_DEFAULT:
		(void)snprintf(buf, size, "default");
		break;
	case POLICY_RULE_NEWER:
		(void)snprintf(buf, size, "newer");
		break;
	case POLICY_RULE_FOREIGN:
		(void)snprintf(buf, size, "ABI");
		break;
	default:
		(void)snprintf(buf, size, "line %u",
			       policy_rule_line(v->text.text, v->text.len, (size_t)rule));
	}
}

size_t policy_append(char *buf, size_t size, size_t at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf + at, size - at, fmt, ap);
	va_end(ap);
	return n < 0 ? at : at + (size_t)n < size ? at + (size_t)n : size - 1;
}

void policy_condition_text(const struct policy_entry *e, char *buf, size_t size)
{
	static const char *const ops[] = {
		[SCMP_CMP_NE] = "!=", [SCMP_CMP_LT] = "<",  [SCMP_CMP_LE] = "<=",
		[SCMP_CMP_EQ] = "==", [SCMP_CMP_GE] = ">=", [SCMP_CMP_GT] = ">"
	};
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < e->n_args; i++) {
		const struct policy_arg *a = &e->args[i];

		at = policy_append(buf, size, at, "%s", i ? " and " : "");
		if (a->op != SCMP_CMP_MASKED_EQ)
			at = policy_append(buf, size, at, "arg%u %s %#" PRIx64, a->index,
					   ops[a->op], a->value);
		else if (a->value == UINT32_MAX)
			at = policy_append(buf, size, at, "(int)arg%u == %#" PRIx64, a->index,
					   a->value_two);
		else
			at = policy_append(buf, size, at, "(arg%u & %#" PRIx64 ") == %#" PRIx64,
					   a->index, a->value, a->value_two);
	}
}

int policy_print_json(json_t *value)
{
	int rc = value ? show_json(value, JSON_INDENT(1)) : -1;

	if (rc == 0)
		(void)putchar('\n');
	else if (!ferror(stdout)) /* who writes too little says so at the end */
		(void)fprintf(stderr, "cloche policy: out of memory\n");
	json_decref(value);
	return rc == 0 ? 0 : 1;
}
