/* SPDX-License-Identifier: MIT */
/*
 * `cloche policy diff`: shows what policy/policy_diff.h finds, call by call, and the answers that
 * belong to no call: the default, numbers newer than the profile, other ABIs, flags.
 */
#include "cli/policy_diff.h"

#include "base/err.h"
#include "cli/policy_view.h"
#include "policy/policy_diff.h"
#include "policy/policy_words.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_END 1024 /* above every native syscall number */

/* 0: same; 1: they differ; 2: it could not be found out. */
enum { SAME = 0, DIFFERENT = 1, TROUBLE = 2 };

static const struct {
	char sign;
	const char *word; /* in JSON */
} changes[] = {
	[POLICY_ONLY_A] = { '-', "only_a" },
	[POLICY_ONLY_B] = { '+', "only_b" },
	[POLICY_CHANGED] = { '~', "changed" },
};

struct call {
	char name[64];
	int nr;
	enum policy_change change;
	struct policy_answer a, b;
};

/* What is no call, as text on both sides. */
#define N_EXTRAS 4
struct extra {
	const char *name; /* for people */
	const char *key;  /* in JSON */
	char a[160], b[160];
};

struct diff {
	struct policy_view a, b;
	struct call calls[NR_END];
	size_t n;
	struct extra extras[N_EXTRAS];
};

/* ---- finding ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct call *)a)->name, ((const struct call *)b)->name);
}

/* What a wall refuses whatever the arguments are passes in neither profile. What it refuses for
 * some of them it refuses behind both. */
static struct policy_answer answer_of(const struct policy_view *v, int nr)
{
	struct policy_answer answer = policy_answer_of(&v->table, nr);
	const struct policy_wall *wall = policy_call_wall(v, nr);
	size_t n;

	if (wall && answer.n_narrow == 0 && policy_action_passes(answer.wide))
		answer.wide = policy_table_find(&wall->table, nr, &n)->action;
	return answer;
}

static void find_calls(struct diff *d)
{
	for (int nr = 0; nr < NR_END; nr++) {
		struct call *c = &d->calls[d->n];
		char *name;

		c->a = answer_of(&d->a, nr);
		c->b = answer_of(&d->b, nr);
		c->change = policy_diff_answers(&c->a, &c->b);
		if (c->change == POLICY_SAME)
			continue;
		name = policy_call_name(nr);
		(void)snprintf(c->name, sizeof(c->name), "%s", name ? name : "?");
		free(name);
		c->nr = nr;
		d->n++;
	}
	qsort(d->calls, d->n, sizeof(d->calls[0]), by_name);
}

static void newer_text(const struct policy_table *t, char *buf, size_t size)
{
	char *name;

	if (t->newest == INT_MAX) {
		policy_action_word(t->default_action, buf, size);
		return;
	}
	name = policy_call_name(t->newest);
	(void)snprintf(buf, size, "ENOSYS above %s", name ? name : "?");
	free(name);
}

static void flags_text(unsigned int flags, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (const struct policy_word *w = policy_flag_words; w->text; w++)
		if (w->value & flags)
			at = policy_append(buf, size, at, "%s%s", at ? " " : "", w->text);
	if (!at)
		(void)snprintf(buf, size, "none");
}

static void find_extras(struct diff *d)
{
	const struct policy_view *views[] = { &d->a, &d->b };
	static const struct extra names[N_EXTRAS] = { { .name = "(otherwise)", .key = "otherwise" },
						      { .name = "(newer)", .key = "newer" },
						      { .name = "(other ABI)", .key = "other_abi" },
						      { .name = "(flags)", .key = "flags" } };

	memcpy(d->extras, names, sizeof(names));
	for (int i = 0; i < 2; i++) {
		const struct policy_view *v = views[i];
		char *to[N_EXTRAS];

		for (int j = 0; j < N_EXTRAS; j++)
			to[j] = i ? d->extras[j].b : d->extras[j].a;
		policy_action_word(v->table.default_action, to[0], sizeof(d->extras[0].a));
		newer_text(&v->table, to[1], sizeof(d->extras[0].a));
		policy_action_word(v->table.foreign_action, to[2], sizeof(d->extras[0].a));
		flags_text(v->profile.flags, to[3], sizeof(d->extras[0].a));
	}
}

static bool extra_differs(const struct extra *e)
{
	return strcmp(e->a, e->b) != 0;
}

/* ---- for people ---- */

static const char *colour(const struct policy_style *s, char sign)
{
	return sign == '-' ? s->bad : sign == '+' ? s->good : s->bold;
}

/* The rules of x that y has not, one a line. */
static void print_side(const struct call *c, char sign, const struct policy_style *s)
{
	const struct policy_answer *x = sign == '-' ? &c->a : &c->b;
	const struct policy_answer *y = sign == '-' ? &c->b : &c->a;
	char word[24], when[512];

	for (size_t i = 0; i < x->n_narrow; i++) {
		if (policy_answer_has(y, &x->narrow[i]))
			continue;
		policy_action_word(x->narrow[i].action, word, sizeof(word));
		policy_condition_text(&x->narrow[i], when, sizeof(when));
		(void)printf("    %s%c %s when %s%s\n", colour(s, sign), sign, word, when, s->off);
	}
	if (x->wide == y->wide)
		return;
	policy_action_word(x->wide, word, sizeof(word));
	(void)printf("    %s%c %s%s%s\n", colour(s, sign), sign, word,
		     x->n_narrow ? " otherwise" : "", s->off);
}

static void print_call(const struct call *c, int width, const struct policy_style *s)
{
	char sign = changes[c->change].sign, a[24], b[24];

	if (c->a.n_narrow || c->b.n_narrow) {
		(void)printf("%s%c %s%s\n", colour(s, sign), sign, c->name, s->off);
		print_side(c, '-', s);
		print_side(c, '+', s);
		return;
	}
	policy_action_word(c->a.wide, a, sizeof(a));
	policy_action_word(c->b.wide, b, sizeof(b));
	(void)printf("%s%c %-*s  %s -> %s%s\n", colour(s, sign), sign, width, c->name, a, b,
		     s->off);
}

static void print_name(const char *mark, const struct policy_view *v)
{
	(void)printf("%s %s (%s, %.12s)\n", mark, v->text.name, v->text.source, v->text.sha256);
}

static void print_all(const struct diff *d)
{
	struct policy_style s = policy_style_pick();
	size_t counts[POLICY_CHANGED + 1] = { 0 };
	int width = (int)strlen("(other ABI)");

	for (size_t i = 0; i < d->n; i++)
		if ((int)strlen(d->calls[i].name) > width)
			width = (int)strlen(d->calls[i].name);
	print_name("---", &d->a);
	print_name("+++", &d->b);
	for (size_t i = 0; i < d->n; i++) {
		print_call(&d->calls[i], width, &s);
		counts[d->calls[i].change]++;
	}
	for (int i = 0; i < N_EXTRAS; i++)
		if (extra_differs(&d->extras[i]))
			(void)printf("%s~ %-*s  %s -> %s%s\n", s.bold, width, d->extras[i].name,
				     d->extras[i].a, d->extras[i].b, s.off);
	(void)printf("allowed by the first only: %zu, by the second only: %zu; other conditions or "
		     "errors: %zu\n",
		     counts[POLICY_ONLY_A], counts[POLICY_ONLY_B], counts[POLICY_CHANGED]);
}

/* ---- JSON ---- */

static json_t *answer_json(const struct policy_answer *a)
{
	json_t *rules = json_array();
	char word[24], when[512];

	for (size_t i = 0; i < a->n_narrow; i++) {
		policy_action_word(a->narrow[i].action, word, sizeof(word));
		policy_condition_text(&a->narrow[i], when, sizeof(when));
		(void)json_array_append_new(rules,
					    json_pack("{s:s,s:s}", "action", word, "when", when));
	}
	policy_action_word(a->wide, word, sizeof(word));
	(void)json_array_append_new(rules, json_pack("{s:s,s:n}", "action", word, "when"));
	return rules;
}

static json_t *name_json(const struct policy_view *v)
{
	return json_pack("{s:s,s:s,s:s}", "name", v->text.name, "source", v->text.source, "sha256",
			 v->text.sha256);
}

static int print_json(const struct diff *d, bool same)
{
	json_t *calls = json_array(), *all;

	for (size_t i = 0; i < d->n; i++) {
		const struct call *c = &d->calls[i];

		(void)json_array_append_new(
			calls, json_pack("{s:s,s:i,s:s,s:o,s:o}", "name", c->name, "nr", c->nr,
					 "change", changes[c->change].word, "a", answer_json(&c->a),
					 "b", answer_json(&c->b)));
	}
	all = json_pack("{s:o,s:o,s:b,s:o}", "a", name_json(&d->a), "b", name_json(&d->b), "same",
			same, "calls", calls);
	for (int i = 0; all && i < N_EXTRAS; i++)
		if (extra_differs(&d->extras[i]))
			(void)json_object_set_new(
				all, d->extras[i].key,
				json_pack("{s:s,s:s}", "a", d->extras[i].a, "b", d->extras[i].b));
	return policy_print_json(all);
}

static int show(struct diff *d, bool json)
{
	bool same;
	int rc = 0;

	find_calls(d);
	find_extras(d);
	same = d->n == 0;
	for (int i = 0; i < N_EXTRAS; i++)
		same &= !extra_differs(&d->extras[i]);
	if (json)
		rc = print_json(d, same);
	else if (!same)
		print_all(d);
	if (fflush(stdout) || ferror(stdout)) {
		(void)fprintf(stderr, "cloche policy: write to standard output: %s\n",
			      strerror(errno));
		return TROUBLE;
	}
	return rc ? TROUBLE : same ? SAME : DIFFERENT;
}

int policy_diff(const char *a, const char *b, bool json)
{
	struct diff *d = calloc(1, sizeof(*d));
	struct cloche_err err = { 0 };
	int rc;

	if (!d) {
		(void)fprintf(stderr, "cloche policy: out of memory\n");
		return TROUBLE;
	}
	rc = policy_view_open(a, POLICY_WALLS_ONLINE, NULL, &d->a, &err);
	if (rc == 0)
		rc = policy_view_open(b, POLICY_WALLS_ONLINE, NULL, &d->b, &err);
	if (rc < 0)
		(void)fprintf(stderr, "cloche policy: %s\n", err.text);
	rc = rc < 0 ? TROUBLE : show(d, json);
	policy_view_free(&d->a);
	policy_view_free(&d->b);
	free(d);
	return rc;
}
