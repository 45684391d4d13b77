/* SPDX-License-Identifier: MIT */
/*
 * `cloche policy explain`. What a call meets is asked of the same table that the compiler works
 * from (policy/policy_rules.h), so that an explanation is never an opinion.
 */
#include "cli/policy_explain.h"

#include "base/quote.h"
#include "cli/policy_view.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_END 1024 /* above every native syscall number */
#define WIDTH  80
/* More kinds of answers than any profile has use for; those beyond are seen call by call. */
#define ACTIONS_MAX 64

static const char *action_sentence(uint32_t action, char *buf, size_t size)
{
	char word[24];

	policy_action_word(action, word, sizeof(word));
	if (action == SCMP_ACT_ALLOW)
		return "is allowed";
	if (action == SCMP_ACT_LOG)
		return "is allowed and logged";
	if (action == SCMP_ACT_KILL_PROCESS)
		return "kills the process (SIGSYS)";
	if (action == SCMP_ACT_KILL_THREAD)
		return "kills the thread (SIGSYS)";
	if (action == SCMP_ACT_TRAP)
		return "sends SIGSYS";
	(void)snprintf(buf, size, "answers %s", word);
	return buf;
}

/* ---- explain one call ----------------------------------------------------------------------- */

static const char *rule_comment(const struct policy_view *v, int rule)
{
	const struct policy_profile *p = &v->profile;
	size_t wall;

	if (policy_rule_of_wall(rule, &wall, &rule))
		p = &v->stack.walls[wall].profile;
	if (rule == POLICY_RULE_GUARD)
		return "ours: only the policy may raise SIGSYS";
	return rule >= 0 && p->rules[rule].comment ? p->rules[rule].comment : "";
}

static void print_entry(const struct policy_view *v, const struct policy_entry *e,
			const struct policy_style *s)
{
	char place[24], word[24], when[512], comment[2048];

	policy_rule_place(v, e->rule, place, sizeof(place));
	policy_action_word(e->action, word, sizeof(word));
	policy_condition_text(e, when, sizeof(when));
	(void)printf("  %-9s %s%-12s%s %s%s", place, policy_action_colour(s, e->action), word,
		     s->off, when[0] ? "when " : "", when[0] ? when : "always");
	quote_field(comment, sizeof(comment), rule_comment(v, e->rule));
	(void)printf("%s%s%s%s\n", comment[0] ? "  # " : "", s->dim, comment, s->off);
}

typedef void each_fn(const struct policy_view *v, const struct policy_entry *e, const void *arg,
		     void *ret);

/* The rules about the call in the order in which they are asked, down to the one that decides; then
 * those of the walls, if it can get there. */
static void each_rule(const struct policy_view *v, int nr, each_fn *each, const void *arg,
		      void *ret)
{
	struct policy_entry last = { .action = v->table.default_action,
				     .rule = POLICY_RULE_DEFAULT };
	size_t n;
	const struct policy_entry *e = policy_table_find(&v->table, nr, &n);
	bool passes = false;

	if (nr > v->table.newest) {
		last = (struct policy_entry){ .action = SCMP_ACT_ERRNO(ENOSYS),
					      .rule = POLICY_RULE_NEWER };
		n = 0;
	}
	for (size_t i = 0; i < n; i++) {
		each(v, &e[i], arg, ret);
		passes |= policy_action_passes(e[i].action);
	}
	if (n == 0 || e[n - 1].n_args > 0) {
		each(v, &last, arg, ret);
		passes |= policy_action_passes(last.action);
	}
	for (size_t w = 0; passes && w < v->stack.n_walls; w++) {
		e = policy_table_find(&v->stack.walls[w].table, nr, &n);
		for (size_t i = 0; i < n; i++) {
			struct policy_entry of_wall = e[i];

			of_wall.rule = policy_wall_rule(w, e[i].rule);
			each(v, &of_wall, arg, ret);
		}
	}
}

static void print_each(const struct policy_view *v, const struct policy_entry *e, const void *style,
		       void *unused)
{
	(void)unused;
	print_entry(v, e, style);
}

static void print_rules(const struct policy_view *v, int nr, const struct policy_style *s)
{
	each_rule(v, nr, print_each, s, NULL);
}

int policy_explain_call(const struct policy_view *v, const struct policy_call *c)
{
	struct policy_style s = policy_style_pick();
	char buf[40], place[24], args[200] = "";
	size_t at = 0;
	int rule;
	uint32_t action = policy_stack_decide(&v->stack, c->nr, c->args, &rule);

	for (size_t i = 0; i < c->n_args; i++)
		at = policy_append(args, sizeof(args), at, "%s%#" PRIx64, i ? ", " : "",
				   c->args[i]);
	if (c->n_args == 0 && policy_call_fate(v, c->nr) == POLICY_FATE_DEPENDS) {
		(void)printf("%s%s%s (%d): depends on its arguments\n", s.bold, c->name, s.off,
			     c->nr);
	} else {
		policy_rule_place(v, rule, place, sizeof(place));
		(void)printf("%s%s(%s)%s (%d) %s%s%s, by: %s\n", s.bold, c->name, args, s.off,
			     c->nr, policy_action_colour(&s, action),
			     action_sentence(action, buf, sizeof(buf)), s.off, place);
	}
	print_rules(v, c->nr, &s);
	return 0;
}

static json_t *entry_json(const struct policy_view *v, const struct policy_entry *e)
{
	char place[24], word[24], when[512];

	policy_rule_place(v, e->rule, place, sizeof(place));
	policy_action_word(e->action, word, sizeof(word));
	policy_condition_text(e, when, sizeof(when));
	return json_pack("{s:s,s:s,s:s,s:s}", "by", place, "action", word, "when", when, "comment",
			 rule_comment(v, e->rule));
}

static void append_each(const struct policy_view *v, const struct policy_entry *e,
			const void *unused, void *array)
{
	(void)unused;
	(void)json_array_append_new(array, entry_json(v, e));
}

int policy_explain_call_json(const struct policy_view *v, const struct policy_call *c)
{
	char place[24], word[24];
	json_t *rules = json_array(), *args = json_array();
	int rule;

	policy_action_word(policy_stack_decide(&v->stack, c->nr, c->args, &rule), word,
			   sizeof(word));
	policy_rule_place(v, rule, place, sizeof(place));
	each_rule(v, c->nr, append_each, NULL, rules);
	for (size_t i = 0; i < c->n_args; i++) {
		char hex[24];

		(void)snprintf(hex, sizeof(hex), "0x%" PRIx64, c->args[i]);
		(void)json_array_append_new(args, json_string(hex));
	}
	return policy_print_json(
		json_pack("{s:s,s:s,s:s,s:i,s:o,s:s,s:s,s:b,s:o}", "policy", v->text.name, "sha256",
			  v->text.sha256, "syscall", c->name, "number", c->nr, "args", args,
			  "action", word, "by", place, "depends",
			  policy_call_fate(v, c->nr) == POLICY_FATE_DEPENDS, "rules", rules));
}

/* ---- explain the whole ---------------------------------------------------------------------- */

/* Prints words one behind the other, indented, within the width of the page. */
struct flow {
	int column;
};

static void flow_word(struct flow *f, const char *word, size_t len)
{
	int n = (int)len;

	if (f->column > 0 && f->column + 1 + n > WIDTH)
		f->column = 0 * printf("\n");
	(void)printf("%s%.*s", f->column ? " " : "  ", n, word);
	f->column += n + (f->column ? 1 : 2);
}

static void flow_text(const char *text)
{
	struct flow f = { 0 };

	while (*text) {
		size_t len = strcspn(text, " \n");

		if (len)
			flow_word(&f, text, len);
		text += len + (text[len] != '\0');
	}
	(void)printf("%s", f.column ? "\n" : "");
}

enum by { BY_ARGUMENTS, BY_RULE, BY_DEFAULT };

/* What decides a call: what it meets is *ret then, whatever its arguments are. */
static enum by call_decided(const struct policy_view *v, int nr, uint32_t *ret)
{
	size_t n;
	const struct policy_entry *e = policy_table_find(&v->table, nr, &n);
	enum by by = n == 0 ? BY_DEFAULT : BY_RULE;

	if (n > 1 || (n == 1 && e->n_args > 0))
		return BY_ARGUMENTS;
	*ret = n == 0 ? v->table.default_action : e->action;
	for (size_t w = 0; w < v->stack.n_walls && policy_action_passes(*ret); w++) {
		e = policy_table_find(&v->stack.walls[w].table, nr, &n);
		if (n > 1 || (n == 1 && e->n_args > 0))
			return BY_ARGUMENTS;
		if (n == 1) {
			*ret = e->action;
			by = BY_RULE;
		}
	}
	return by;
}

/* The calls that always meet this action. by_default: those that no rule mentions. */
static unsigned int flow_calls(const struct policy_view *v, uint32_t action, bool by_default,
			       bool print)
{
	const struct policy_table *t = &v->table;
	struct flow f = { 0 };
	unsigned int count = 0;

	for (int nr = 0; nr < NR_END && nr <= t->newest; nr++) {
		char *name = policy_call_name(nr);
		uint32_t met = 0;
		enum by by = call_decided(v, nr, &met);
		bool here = by_default ? by == BY_DEFAULT : by == BY_RULE && met == action;

		if (name && here) {
			count++;
			if (print)
				flow_word(&f, name, strlen(name));
		}
		free(name);
	}
	(void)printf("%s", f.column ? "\n" : "");
	return count;
}

static void explain_group(const struct policy_view *v, uint32_t action, bool by_default,
			  const struct policy_style *s)
{
	unsigned int count = flow_calls(v, action, by_default, false);
	char word[24];

	if (count == 0)
		return;
	policy_action_word(action, word, sizeof(word));
	(void)printf("\n%s%s%s (%u)%s%s\n", policy_action_colour(s, action), s->bold, word, count,
		     s->off, by_default ? ", by default" : "");
	(void)flow_calls(v, action, by_default, true);
}

static void explain_conditional(const struct policy_view *v, const struct policy_style *s)
{
	bool any = false;

	for (int nr = 0; nr < NR_END && nr <= v->table.newest; nr++) {
		uint32_t unused;
		char *name;

		if (call_decided(v, nr, &unused) != BY_ARGUMENTS)
			continue;
		name = policy_call_name(nr);
		(void)printf("%s%s\n", any ? "" : "\nIt depends\n", name ? name : "?");
		print_rules(v, nr, s);
		any = true;
		free(name);
	}
}

/* The actions of a table's rules, most severe first, that were not among the groups yet. */
static void explain_groups(const struct policy_view *v, const struct policy_table *t,
			   uint32_t *done, size_t *n_done, const struct policy_style *s)
{
	for (unsigned int rank = 0; rank <= t->n_entries; rank++)
		for (size_t i = 0; i < t->n_entries; i++) {
			size_t at = 0;

			if (t->entries[i].rank != rank)
				continue;
			while (at < *n_done && done[at] != t->entries[i].action)
				at++;
			if (at == *n_done && at < ACTIONS_MAX) {
				done[(*n_done)++] = t->entries[i].action;
				explain_group(v, t->entries[i].action, false, s);
			}
			break;
		}
}

int policy_explain_all(const struct policy_view *v)
{
	struct policy_style s = policy_style_pick();
	const struct policy_table *t = &v->table;
	uint32_t done[ACTIONS_MAX];
	size_t n_done = 0;
	char word[24];

	(void)printf("%s%s%s  %s  %.12s%s\n", s.bold, v->text.name, s.off, v->text.source,
		     v->text.sha256, t->kills ? "  kills" : "");
	if (v->profile.comment)
		flow_text(v->profile.comment);
	explain_groups(v, t, done, &n_done, &s);
	for (size_t w = 0; w < v->stack.n_walls; w++)
		explain_groups(v, &v->stack.walls[w].table, done, &n_done, &s);
	explain_conditional(v, &s);
	explain_group(v, t->default_action, true, &s);
	if (t->newest != INT_MAX) {
		char *newest = policy_call_name(t->newest);

		(void)printf("\n%s%sENOSYS%s\n  numbers above %d (%s)\n", s.bad, s.bold, s.off,
			     t->newest, newest ? newest : "?");
		free(newest);
	}
	policy_action_word(t->foreign_action, word, sizeof(word));
	(void)printf("\n%s%s%s%s\n  calls of another ABI (32-bit, x32)\n", s.bad, s.bold, word,
		     s.off);
	return 0;
}

int policy_explain_all_json(const struct policy_view *v)
{
	const struct policy_table *t = &v->table;
	json_t *calls = json_object();
	char word[24], foreign[24];

	for (int nr = 0; nr < NR_END && nr <= t->newest; nr++) {
		char *name = policy_call_name(nr);
		json_t *rules = json_array();

		each_rule(v, nr, append_each, NULL, rules);
		if (name)
			(void)json_object_set(calls, name, rules);
		json_decref(rules);
		free(name);
	}
	policy_action_word(t->default_action, word, sizeof(word));
	policy_action_word(t->foreign_action, foreign, sizeof(foreign));
	return policy_print_json(json_pack(
		"{s:s,s:s,s:s,s:b,s:s,s:s,s:o?,s:o}", "policy", v->text.name, "source",
		v->text.source, "sha256", v->text.sha256, "kills", (int)t->kills, "otherwise", word,
		"other_abi", foreign, "newest_number",
		t->newest == INT_MAX ? NULL : json_integer(t->newest), "syscalls", calls));
}
