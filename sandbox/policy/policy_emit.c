/* SPDX-License-Identifier: MIT */
/*
 * Writes a learned profile. It is laid out for people, as the shipped ones are, and goes through
 * policy_profile_parse again before anybody relies on it. Nothing here decides a call: what passed,
 * and by which rule, was found out with policy_table_decide.
 */
#include "policy/policy_emit.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/utf8.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"
#include "policy/policy_seen.h"
#include "policy/policy_words.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

const struct policy_always policy_always[] = {
	{ SYS_execve, false },		{ SYS_exit, false },	     { SYS_exit_group, false },
	{ SYS_restart_syscall, false }, { SYS_rt_sigreturn, false }, { SYS_clock_gettime, true },
	{ SYS_gettimeofday, true },
};
const size_t policy_always_n = sizeof(policy_always) / sizeof(policy_always[0]);

#define WIDTH	 100
#define NAME_LEN 64

/* One rule to write, for one call. */
struct line {
	char name[NAME_LEN];
	int nr;
	const struct policy_entry *entry; /* of the base; NULL: its default let the call through */
	const struct policy_use *use;	  /* NULL: not seen */
};

struct emitter {
	const struct policy_lesson *lesson;
	FILE *out;
	struct line *lines; /* of the calls that passed, sorted */
	size_t n_lines;
	uint32_t default_action;
	size_t rules;
	int newest; /* of the calls that were written */
};

/* ---- JSON ---- */

static void put_string(FILE *f, const char *text)
{
	(void)fputc('"', f);
	for (size_t left = strlen(text), n; left; text += n, left -= n) {
		n = utf8_width(text, left);
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', f);
		/* Names of threads are any bytes. */
		if (!n)
			(void)fputs("\\ufffd", f);
		else if (!utf8_harmless(text, left))
			(void)fprintf(f, "\\u%04x", utf8_code(text, left));
		else
			(void)fwrite(text, 1, n, f);
		n = n ? n : 1;
	}
	(void)fputc('"', f);
}

/* On one line when they fit, else as many a line as fit. */
static void put_names(FILE *f, const struct line *const *lines, size_t n)
{
	size_t all = 0, column = 0;

	for (size_t i = 0; i < n; i++)
		all += strlen(lines[i]->name) + 4;
	(void)fputs("\t\t\t\"names\": [", f);
	for (size_t i = 0; all > WIDTH - 36 && i < n; i++) {
		size_t len = strlen(lines[i]->name) + 4;

		if (i == 0 || column + len > WIDTH) {
			(void)fputs(i ? ",\n\t\t\t\t" : "\n\t\t\t\t", f);
			column = 32;
		} else {
			(void)fputs(", ", f);
		}
		put_string(f, lines[i]->name);
		column += len;
	}
	for (size_t i = 0; all <= WIDTH - 36 && i < n; i++) {
		(void)fputs(i ? ", " : "", f);
		put_string(f, lines[i]->name);
	}
	(void)fputs(all > WIDTH - 36 ? "\n\t\t\t]" : "]", f);
}

static void put_action(FILE *f, const char *key, const char *errno_key, uint32_t action)
{
	bool is_errno = (action & 0xffff0000U) == SCMP_ACT_ERRNO(0);

	(void)fprintf(f, "\"%s\": \"%s\"", key,
		      policy_word_name(policy_action_words, is_errno ? SCMP_ACT_ERRNO(0) : action));
	if (is_errno)
		(void)fprintf(f, ",\n%s\"%s\": %u", key[0] == 'd' ? "\t" : "\t\t\t", errno_key,
			      action & 0xffff);
}

static void put_args(FILE *f, const struct policy_arg *args, size_t n)
{
	(void)fputs(",\n\t\t\t\"args\": [", f);
	for (size_t i = 0; i < n; i++) {
		(void)fprintf(f, "%s{\"index\": %u, \"op\": \"%s\", \"value\": %" PRIu64,
			      i ? ", " : "", args[i].index,
			      policy_word_name(policy_op_words, (uint32_t)args[i].op),
			      args[i].value);
		if (args[i].op == SCMP_CMP_MASKED_EQ)
			(void)fprintf(f, ", \"valueTwo\": %" PRIu64, args[i].value_two);
		(void)fputc('}', f);
	}
	(void)fputc(']', f);
}

/* All lines have the same conditions. */
static void put_rule(struct emitter *e, const char *comment, const struct line *const *lines,
		     size_t n, uint32_t action)
{
	const struct policy_entry *entry = lines[0]->entry;

	(void)fputs(e->rules++ ? ",\n\t\t{\n" : "\n\t\t{\n", e->out);
	if (*comment) {
		(void)fputs("\t\t\t\"comment\": ", e->out);
		put_string(e->out, comment);
		(void)fputs(",\n", e->out);
	}
	put_names(e->out, lines, n);
	for (size_t i = 0; i < n; i++)
		if (lines[i]->nr > e->newest)
			e->newest = lines[i]->nr;
	(void)fputs(",\n\t\t\t", e->out);
	put_action(e->out, "action", "errnoRet", action);
	if (entry && entry->n_args)
		put_args(e->out, entry->args, entry->n_args);
	(void)fputs("\n\t\t}", e->out);
}

/* ---- who called ---- */

static int user_compare(const void *a, const void *b)
{
	return strcmp(((const struct policy_user *)a)->name, ((const struct policy_user *)b)->name);
}

static void put_users(FILE *f, const struct policy_use *use)
{
	struct policy_user users[POLICY_SEEN_USERS];

	memcpy(users, use->users, sizeof(users));
	qsort(users, use->n_users, sizeof(users[0]), user_compare);
	for (size_t i = 0; i < use->n_users; i++)
		(void)fprintf(f, "%s%s (%" PRIu64 ")", i ? ", " : "", users[i].name,
			      users[i].count);
	if (use->others)
		(void)fprintf(f, ", others (%" PRIu64 ")", use->others);
}

static const char *base_comment(const struct emitter *e, int rule)
{
	const char *text = rule >= 0 ? e->lesson->base->rules[rule].comment : NULL;

	return text ? text : "";
}

/* ---- the parts ---- */

/* false: there is no name that could be written. */
static bool line_name(struct line *line, int nr)
{
	char *known = policy_call_name(nr);

	(void)snprintf(line->name, sizeof(line->name), "%s", known ? known : "");
	line->nr = nr;
	free(known);
	return line->name[0] != '\0';
}

static int line_compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->entry > y->entry) - (x->entry < y->entry);
}

static const struct policy_entry *find_entry(const struct policy_table *t, int nr, int rule)
{
	size_t n;
	const struct policy_entry *e = policy_table_find(t, nr, &n);

	for (; n > 0; n--, e++)
		if (e->rule == rule)
			return e;
	return NULL;
}

/* It has its place in the profile already. */
static bool is_always(const struct emitter *e, int nr)
{
	for (size_t i = 0; i < policy_always_n; i++)
		if (policy_always[i].nr == nr)
			return policy_table_lets(e->lesson->table, nr);
	return false;
}

static int collect(struct emitter *e, struct policy_learned *ret)
{
	const struct policy_seen *seen = e->lesson->seen;

	e->lines = calloc(seen->n + 1, sizeof(*e->lines));
	if (!e->lines)
		return -ENOMEM;
	for (size_t i = 0; i < seen->n; i++) {
		const struct policy_use *use = &seen->uses[i];
		struct line *line = &e->lines[e->n_lines];

		if (!policy_action_passes(use->action) || is_always(e, use->nr))
			continue;
		if (!line_name(line, use->nr)) {
			ret->nameless++;
			continue;
		}
		line->use = use;
		line->entry = find_entry(e->lesson->table, use->nr, use->rule);
		e->n_lines++;
	}
	qsort(e->lines, e->n_lines, sizeof(*e->lines), line_compare);
	for (size_t i = 0; i < e->n_lines; i++)
		ret->calls += i == 0 || strcmp(e->lines[i].name, e->lines[i - 1].name) != 0;
	return 0;
}

static void put_always(struct emitter *e, bool by_vdso)
{
	struct line lines[sizeof(policy_always) / sizeof(policy_always[0])];
	const struct line *list[sizeof(policy_always) / sizeof(policy_always[0])];
	size_t n = 0;

	for (size_t i = 0; i < policy_always_n; i++) {
		if (policy_always[i].by_vdso != by_vdso ||
		    !policy_table_lets(e->lesson->table, policy_always[i].nr))
			continue;
		lines[n] = (struct line){ 0 };
		(void)line_name(&lines[n], policy_always[i].nr);
		list[n] = &lines[n];
		n++;
	}
	if (n)
		put_rule(
			e,
			by_vdso ? "mostly answered by the vDSO, out of a policy's sight; needed on "
				  "a host whose clock it cannot read"
				: "seen or not: any program may need these to start, to end and to "
				  "go on after a signal",
			list, n, SCMP_ACT_ALLOW);
}

static int put_seen(struct emitter *e)
{
	for (size_t i = 0; i < e->n_lines; i++) {
		const struct line *line = &e->lines[i];
		bool narrow = line->entry && line->entry->n_args;
		const char *about = narrow ? base_comment(e, line->entry->rule) : "";
		cleanup_free char *comment = NULL;
		size_t len;
		FILE *f = open_memstream(&comment, &len);

		if (!f)
			return -ENOMEM;
		(void)fprintf(f, "%s%s", about, *about ? "; used by " : "");
		put_users(f, line->use);
		if (fclose(f))
			return -ENOMEM;
		put_rule(e, comment, &line, 1, line->use->action);
	}
	return 0;
}

/* Whether the call passed; by_all: also where no condition holds, so by any rule. */
static bool passed(const struct emitter *e, int nr, bool by_all)
{
	for (size_t i = 0; i < e->n_lines; i++)
		if (e->lines[i].nr == nr &&
		    (!by_all || !e->lines[i].entry || e->lines[i].entry->n_args == 0))
			return true;
	return false;
}

static bool written(const struct emitter *e, const struct policy_entry *entry)
{
	for (size_t i = 0; i < e->n_lines; i++)
		if (e->lines[i].entry == entry)
			return true;
	return false;
}

/* Whether a rule of the base that was not used to let the call pass still belongs in. */
static bool belongs(const struct emitter *e, const struct policy_entry *entry)
{
	const struct policy_table *t = e->lesson->table;
	size_t n;
	const struct policy_entry *last = policy_table_find(t, entry->nr, &n) + n - 1;
	bool let = passed(e, entry->nr, false);

	if (!policy_action_passes(entry->action)) {
		/* What the default says needs a rule only as an exception to one behind it. */
		for (const struct policy_entry *x = entry; !let && x <= last; x++)
			let = !policy_action_passes(x->action) && x->action != e->default_action;
		return let;
	}
	/* What is logged stays logged when a rule behind it lets all calls through. */
	return entry->action == SCMP_ACT_LOG && passed(e, entry->nr, true) && !written(e, entry);
}

static const struct policy_use *asked(const struct emitter *e, int nr, int rule)
{
	for (size_t i = 0; i < e->lesson->seen->n; i++) {
		const struct policy_use *use = &e->lesson->seen->uses[i];

		if (use->nr == nr && use->rule == rule)
			return use;
	}
	return NULL;
}

/* One rule of the base, with those of its names that belong in; they have one rank, as they have
 * one action. */
static int put_kept(struct emitter *e, int rule, unsigned int rank)
{
	const struct policy_table *t = e->lesson->table;
	cleanup_free struct line *lines = calloc(t->n_entries + 1, sizeof(*lines));
	cleanup_free const struct line **list =
		calloc(t->n_entries + 1,
		       sizeof(const struct line *)); /* NOLINT(bugprone-sizeof-expression) */
	cleanup_free char *comment = NULL;
	size_t n = 0, len;
	FILE *f;

	if (!lines || !list)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_entries; i++) {
		const struct policy_entry *entry = &t->entries[i];

		if (entry->rule != rule || entry->rank != rank || !belongs(e, entry) ||
		    !line_name(&lines[n], entry->nr))
			continue;
		lines[n].entry = entry;
		lines[n++].use = asked(e, entry->nr, rule);
	}
	if (n == 0)
		return 0;
	qsort(lines, n, sizeof(*lines), line_compare);
	f = open_memstream(&comment, &len);
	if (!f)
		return -ENOMEM;
	(void)fputs(base_comment(e, rule), f);
	for (size_t i = 0; i < n; i++) {
		list[i] = &lines[i];
		if (!lines[i].use)
			continue;
		(void)fprintf(f, "%s%s tried by ", ftell(f) > 0 ? "; " : "", lines[i].name);
		put_users(f, lines[i].use);
	}
	if (fclose(f))
		return -ENOMEM;
	put_rule(e, comment, list, n, lines[0].entry->action);
	return 0;
}

/* What is above the newest call of a profile answers ENOSYS, what is below as by default: the limit
 * stays where the base has it. */
static void put_limit(struct emitter *e)
{
	struct line line = { 0 };
	const struct line *list = &line;
	const struct policy_table *t = e->lesson->table;
	int newest = t->newest;

	/* A base that lets calls pass by default has no limit, but rules. */
	if (newest == INT_MAX)
		newest = t->n_entries ? t->entries[t->n_entries - 1].nr : -1;
	if (newest > e->newest && line_name(&line, newest))
		put_rule(e,
			 "the newest call that the base names: those above answer ENOSYS, those "
			 "below as by default",
			 &list, 1, e->default_action);
}

static void put_head(struct emitter *e)
{
	const struct policy_lesson *l = e->lesson;
	cleanup_free char *comment = NULL;
	const char *comma = "";

	if (asprintf(&comment,
		     "What a run of %s called, of all that the policy %s allows. Behind each name "
		     "stands how many of the calls were its. What is not listed was not called.",
		     l->command, l->base_name) < 0)
		comment = NULL;
	(void)fputs("{\n\t\"comment\": ", e->out);
	put_string(e->out, comment ? comment : "");
	(void)fputs(",\n\t", e->out);
	put_action(e->out, "defaultAction", "defaultErrnoRet", e->default_action);
	(void)fprintf(e->out, ",\n\t\"architectures\": [\"%s\"],\n",
		      policy_word_name(policy_arch_words, seccomp_arch_native()));
	if (l->base->flags) {
		(void)fputs("\t\"flags\": [", e->out);
		for (const struct policy_word *w = policy_flag_words; w->text; w++)
			if (w->value & l->base->flags) {
				(void)fprintf(e->out, "%s\"%s\"", comma, w->text);
				comma = ", ";
			}
		(void)fputs("],\n", e->out);
	}
	(void)fputs("\t\"syscalls\": [", e->out);
}

static int put_all(struct emitter *e)
{
	unsigned int last = 0;
	int r;

	put_head(e);
	put_always(e, false);
	put_always(e, true);
	r = put_seen(e);
	for (size_t i = 0; i < e->lesson->table->n_entries; i++)
		if (e->lesson->table->entries[i].rank > last)
			last = e->lesson->table->entries[i].rank;
	/* Of two errnos the one first in the file wins: they stand here as they ranked there. */
	for (unsigned int rank = 0; rank <= last; rank++)
		for (size_t i = 0; r == 0 && i < e->lesson->base->n_rules; i++)
			r = put_kept(e, (int)i, rank);
	put_limit(e);
	(void)fputs("\n\t]\n}\n", e->out);
	return r;
}

int policy_emit(const struct policy_lesson *lesson, struct policy_learned *ret,
		struct cloche_err *err)
{
	struct policy_learned learned = { 0 };
	struct emitter e = { .lesson = lesson,
			     .default_action = lesson->table->default_action,
			     .newest = -1 };
	int r;

	if (policy_action_passes(e.default_action))
		e.default_action = SCMP_ACT_ERRNO(EPERM);
	e.out = open_memstream(&learned.text, &learned.len);
	r = e.out ? collect(&e, &learned) : -ENOMEM;
	if (r == 0)
		r = put_all(&e);
	if (e.out && fclose(e.out))
		r = -ENOMEM;
	free(e.lines);
	if (r < 0) {
		free(learned.text);
		return cloche_err_set(err, ENOMEM, "write the profile: out of memory");
	}
	learned.rules = e.rules;
	*ret = learned;
	return 0;
}
