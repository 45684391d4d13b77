/* SPDX-License-Identifier: MIT */
/*
 * `cloche policy`: what seccomp profiles there are and what they mean. It reads and prints; a
 * profile is never changed here. What a call meets is asked of the same table that the compiler
 * works from (launch/policy_rules.h), so that an explanation is never an opinion.
 */
#include "base/err.h"
#include "base/fd.h"
#include "launch/policy.h"
#include "launch/policy_builtin.h"
#include "launch/policy_compile.h"
#include "launch/policy_oci.h"
#include "launch/policy_rules.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cmd_policy(int argc, char **argv);

#define NR_END 1024 /* above every native syscall number */
#define WIDTH  80

static const char help_text[] =
	"Usage: cloche policy list [--json]\n"
	"       cloche policy show NAME|FILE\n"
	"       cloche policy check NAME|FILE...\n"
	"       cloche policy explain [--json] NAME|FILE [SYSCALL [ARG...]]\n"
	"\n"
	"Seccomp profiles: which system calls a function may make. A NAME is a profile\n"
	"that is shipped or lies in /etc/cloche/policies; a FILE (with a '/' or ending in\n"
	".json) is an OCI or Docker seccomp profile.\n"
	"\n"
	"Commands:\n"
	"  list      the profiles that have a name, and how much they allow\n"
	"  show      the profile's JSON\n"
	"  check     is it valid? one line for each mistake, with its place\n"
	"  explain   what the profile does, or what it does with one call, and by\n"
	"            which rule; arguments are numbers (0x10, 16, -1), 0 when left out\n"
	"\n"
	"Options:\n"
	"      --json   list, explain: print JSON\n"
	"  -h, --help   this text\n"
	"\n"
	"What decides, in this order: a call of another ABI (32-bit, x32) is refused; a\n"
	"number newer than the newest that the profile names answers ENOSYS (unless the\n"
	"default lets calls pass), so that libraries fall back; of the rules with\n"
	"conditions that hold the most severe; the rule without conditions; the default.\n"
	"A function has no capabilities: rules that need one never apply.\n"
	"In a profile that kills, raising SIGSYS by oneself answers EPERM, so that death\n"
	"by SIGSYS is always the policy's doing.\n"
	"\n"
	"Exit status: 0 fine, 1 a profile is not valid or not there, 2 usage.\n"
	"\n"
	"Examples:\n"
	"  cloche policy explain default\n"
	"  cloche policy explain default clone 0x10000000\n"
	"  cloche policy check ./mine.json && cloche run --policy ./mine.json id\n";

/* ---- a profile, opened --------------------------------------------------------------------- */

struct view {
	struct policy_text text;
	struct policy_profile profile;
	struct policy_table table;
};

static void view_free(struct view *v)
{
	policy_table_free(&v->table);
	policy_profile_free(&v->profile);
	policy_text_free(&v->text);
}

static int view_open(const char *name, policy_problem_fn *problem, struct view *ret,
		     struct cloche_err *err)
{
	struct view v = { 0 };
	int rc = policy_text_load(&policy_dirs_default, name, &v.text, err);
	const char *source = v.text.owned ? v.text.source : v.text.name;

	if (rc == 0)
		rc = policy_profile_parse(source, v.text.text, v.text.len, problem, NULL,
					  &v.profile, err);
	else if (problem)
		problem(NULL, err->text);
	if (rc == 0) {
		rc = policy_table_build(source, &v.profile, &v.table, err);
		if (rc < 0 && problem)
			problem(NULL, err->text);
	}
	if (rc < 0)
		view_free(&v);
	else
		*ret = v;
	return rc;
}

/* What may become of a call: of all entries, unless something unconditional comes last. */
enum fate { FATE_DENIED, FATE_DEPENDS, FATE_ALLOWED };

static bool passes(uint32_t action)
{
	return action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG;
}

static enum fate call_fate(const struct policy_table *t, int nr)
{
	size_t n, yes = 0;
	const struct policy_entry *e = policy_table_find(t, nr, &n);
	bool settled = n > 0 && e[n - 1].n_args == 0;

	if (nr > t->newest)
		return FATE_DENIED;
	for (size_t i = 0; i < n; i++)
		yes += passes(e[i].action);
	if (!settled) {
		yes += passes(t->default_action);
		n++;
	}
	return yes == 0 ? FATE_DENIED : yes == n ? FATE_ALLOWED : FATE_DEPENDS;
}

/* ---- words ---------------------------------------------------------------------------------- */

struct style {
	const char *bold, *good, *bad, *dim, *off;
};

static struct style style_pick(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || (no && *no) || !term || strcmp(term, "dumb") == 0)
		return (struct style){ "", "", "", "", "" };
	return (struct style){ "\033[1m", "\033[32m", "\033[31m", "\033[2m", "\033[0m" };
}

static const char *action_colour(const struct style *s, uint32_t action)
{
	return passes(action) ? s->good : s->bad;
}

/* "ALLOW", "EPERM", "KILL_PROCESS"… */
static void action_word(uint32_t action, char *buf, size_t size)
{
	int code = (int)(action & 0xffff);

	if (action == SCMP_ACT_ALLOW)
		(void)snprintf(buf, size, "ALLOW");
	else if (action == SCMP_ACT_LOG)
		(void)snprintf(buf, size, "ALLOW+LOG");
	else if (action == SCMP_ACT_KILL_PROCESS)
		(void)snprintf(buf, size, "KILL_PROCESS");
	else if (action == SCMP_ACT_KILL_THREAD)
		(void)snprintf(buf, size, "KILL_THREAD");
	else if (action == SCMP_ACT_TRAP)
		(void)snprintf(buf, size, "TRAP");
	else if (strerrorname_np(code))
		(void)snprintf(buf, size, "%s", strerrorname_np(code));
	else
		(void)snprintf(buf, size, "errno %d", code);
}

static const char *action_sentence(uint32_t action, char *buf, size_t size)
{
	char word[24];

	action_word(action, word, sizeof(word));
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

__attribute__((format(printf, 4, 5))) static size_t append(char *buf, size_t size, size_t at,
							   const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf + at, size - at, fmt, ap);
	va_end(ap);
	return n < 0 ? at : at + (size_t)n < size ? at + (size_t)n : size - 1;
}

/* "(arg0 & 0x7e020000) == 0 and arg2 == 6"; empty without conditions. */
static void condition_text(const struct policy_entry *e, char *buf, size_t size)
{
	static const char *const ops[] = {
		[SCMP_CMP_NE] = "!=", [SCMP_CMP_LT] = "<",  [SCMP_CMP_LE] = "<=",
		[SCMP_CMP_EQ] = "==", [SCMP_CMP_GE] = ">=", [SCMP_CMP_GT] = ">"
	};
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < e->n_args; i++) {
		const struct policy_arg *a = &e->args[i];

		at = append(buf, size, at, "%s", i ? " and " : "");
		if (a->op != SCMP_CMP_MASKED_EQ)
			at = append(buf, size, at, "arg%u %s %#" PRIx64, a->index, ops[a->op],
				    a->value);
		else if (a->value == UINT32_MAX)
			at = append(buf, size, at, "(int)arg%u == %#" PRIx64, a->index,
				    a->value_two);
		else
			at = append(buf, size, at, "(arg%u & %#" PRIx64 ") == %#" PRIx64, a->index,
				    a->value, a->value_two);
	}
}

/* ---- list ----------------------------------------------------------------------------------- */

struct listed {
	char name[256];
	char note[480]; /* why it cannot be used */
	char source[512], sha256[65], otherwise[24];
	unsigned int fates[3];
};

static void list_fill(const char *name_or_path, struct listed *row)
{
	struct cloche_err err = { 0 };
	struct view v;

	if (view_open(name_or_path, NULL, &v, &err) < 0) {
		(void)snprintf(row->note, sizeof(row->note), "%s", err.text);
		(void)snprintf(row->source, sizeof(row->source), "%s", name_or_path);
		return;
	}
	memcpy(row->source, v.text.source, sizeof(row->source));
	memcpy(row->sha256, v.text.sha256, sizeof(row->sha256));
	action_word(v.table.default_action, row->otherwise, sizeof(row->otherwise));
	for (int nr = 0; nr < NR_END; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		if (name)
			row->fates[call_fate(&v.table, nr)]++;
		free(name);
	}
	view_free(&v);
}

static int list_print(const struct listed *rows, size_t n)
{
	struct style s = style_pick();
	int width = 4;

	for (size_t i = 0; i < n; i++)
		width = (int)strlen(rows[i].name) > width ? (int)strlen(rows[i].name) : width;
	(void)printf("%s%-*s  %-12s  %7s  %7s  %7s  %-12s  %s%s\n", s.bold, width, "NAME", "SHA256",
		     "ALLOWED", "DEPENDS", "DENIED", "OTHERWISE", "SOURCE", s.off);
	for (size_t i = 0; i < n; i++) {
		const struct listed *r = &rows[i];

		if (r->note[0])
			(void)printf("%-*s  %snot usable: %s%s\n", width, r->name, s.bad, r->note,
				     s.off);
		else
			(void)printf("%-*s  %.12s  %7u  %7u  %7u  %-12s  %s\n", width, r->name,
				     r->sha256, r->fates[FATE_ALLOWED], r->fates[FATE_DEPENDS],
				     r->fates[FATE_DENIED], r->otherwise, r->source);
	}
	return 0;
}

static int print_json(json_t *value)
{
	int rc = value ? json_dumpf(value, stdout, JSON_INDENT(1)) : -1;

	if (rc == 0)
		(void)putchar('\n');
	else
		(void)fprintf(stderr, "cloche policy: out of memory\n");
	json_decref(value);
	return rc == 0 ? 0 : 1;
}

static int list_print_json(const struct listed *rows, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct listed *r = &rows[i];

		(void)json_array_append_new(
			array,
			r->note[0]
				? json_pack("{s:s,s:s,s:s}", "name", r->name, "source", r->source,
					    "error", r->note)
				: json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:s}", "name", r->name,
					    "source", r->source, "sha256", r->sha256, "allowed",
					    (int)r->fates[FATE_ALLOWED], "depends",
					    (int)r->fates[FATE_DEPENDS], "denied",
					    (int)r->fates[FATE_DENIED], "otherwise", r->otherwise));
	}
	return print_json(array);
}

static int is_profile_file(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return e->d_name[0] != '.' && len > 5 && strcmp(e->d_name + len - 5, ".json") == 0;
}

static int policy_list(bool json)
{
	struct dirent **files = NULL;
	int n_files = scandir(policy_dirs_default.profiles, &files, is_profile_file, alphasort);
	struct listed *rows;
	size_t n = 0, shipped = 0;
	int rc;

	while (policy_builtins[shipped].name)
		shipped++;
	n_files = n_files < 0 ? 0 : n_files;
	rows = calloc(shipped + (size_t)n_files, sizeof(*rows));
	if (!rows) {
		(void)fprintf(stderr, "cloche policy: out of memory\n");
		return 1;
	}
	for (; n < shipped; n++) {
		(void)snprintf(rows[n].name, sizeof(rows[n].name), "%s", policy_builtins[n].name);
		list_fill(rows[n].name, &rows[n]);
	}
	for (int i = 0; i < n_files; i++, n++) {
		char path[512];

		(void)snprintf(path, sizeof(path), "%s/%s", policy_dirs_default.profiles,
			       files[i]->d_name);
		(void)snprintf(rows[n].name, sizeof(rows[n].name), "%.*s",
			       (int)strlen(files[i]->d_name) - 5, files[i]->d_name);
		list_fill(path, &rows[n]);
		for (size_t j = 0; j < shipped; j++)
			if (strcmp(rows[j].name, rows[n].name) == 0)
				(void)snprintf(rows[n].note, sizeof(rows[n].note),
					       "the shipped profile has this name: use it by its path");
		free(files[i]);
	}
	free(files);
	rc = json ? list_print_json(rows, n) : list_print(rows, n);
	free(rows);
	return rc;
}

/* ---- show and check ------------------------------------------------------------------------- */

static int policy_show(const char *name)
{
	struct cloche_err err = { 0 };
	struct policy_text text;

	if (policy_text_load(&policy_dirs_default, name, &text, &err) < 0) {
		(void)fprintf(stderr, "cloche policy: %s\n", err.text);
		return 1;
	}
	(void)fwrite(text.text, 1, text.len, stdout);
	policy_text_free(&text);
	return 0;
}

static void print_problem(void *arg, const char *line)
{
	(void)fprintf(stderr, "%s\n", line);
}

static int policy_check(const char *name)
{
	struct sock_fprog prog = { 0 };
	struct cloche_err err = { 0 };
	struct view v;
	int rc;

	if (view_open(name, print_problem, &v, &err) < 0)
		return 1;
	rc = policy_compile(&v.table, &prog, &err);
	if (rc == 0)
		(void)printf("%s: valid, %u instructions%s\n", name, prog.len,
			     v.table.kills ? ", kills" : "");
	else
		(void)fprintf(stderr, "%s: %s\n", name, err.text);
	free(prog.filter);
	view_free(&v);
	return rc == 0 ? 0 : 1;
}

/* ---- explain one call ----------------------------------------------------------------------- */

static const char *rule_comment(const struct view *v, int rule)
{
	if (rule == POLICY_RULE_GUARD)
		return "ours: only the policy may raise SIGSYS";
	return rule >= 0 && v->profile.rules[rule].comment ? v->profile.rules[rule].comment : "";
}

static void rule_place(const struct view *v, int rule, char *buf, size_t size)
{
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

static void print_entry(const struct view *v, const struct policy_entry *e, const struct style *s)
{
	char place[24], word[24], when[512];

	rule_place(v, e->rule, place, sizeof(place));
	action_word(e->action, word, sizeof(word));
	condition_text(e, when, sizeof(when));
	(void)printf("  %-9s %s%-12s%s %s%s", place, action_colour(s, e->action), word, s->off,
		     when[0] ? "when " : "", when[0] ? when : "always");
	(void)printf("%s%s%s%s\n", rule_comment(v, e->rule)[0] ? "  # " : "", s->dim,
		     rule_comment(v, e->rule), s->off);
}

struct call {
	char name[64];
	int nr;
	uint64_t args[6];
	size_t n_args;
};

/* The rules about the call in the order in which they are asked, down to the one that settles. */
static void print_rules(const struct view *v, const struct call *c, const struct style *s)
{
	struct policy_entry last = { .action = v->table.default_action,
				     .rule = POLICY_RULE_DEFAULT };
	size_t n;
	const struct policy_entry *e = policy_table_find(&v->table, c->nr, &n);

	if (c->nr > v->table.newest) {
		last = (struct policy_entry){ .action = SCMP_ACT_ERRNO(ENOSYS),
					      .rule = POLICY_RULE_NEWER };
		n = 0;
	}
	for (size_t i = 0; i < n; i++)
		print_entry(v, &e[i], s);
	if (n == 0 || e[n - 1].n_args > 0)
		print_entry(v, &last, s);
}

static int explain_call(const struct view *v, const struct call *c)
{
	struct style s = style_pick();
	char buf[40], place[24], args[200] = "";
	size_t at = 0;
	int rule;
	uint32_t action = policy_table_decide(&v->table, c->nr, c->args, &rule);

	for (size_t i = 0; i < c->n_args; i++)
		at = append(args, sizeof(args), at, "%s%#" PRIx64, i ? ", " : "", c->args[i]);
	if (c->n_args == 0 && call_fate(&v->table, c->nr) == FATE_DEPENDS) {
		(void)printf("%s%s%s (%d): depends on its arguments\n", s.bold, c->name, s.off,
			     c->nr);
	} else {
		rule_place(v, rule, place, sizeof(place));
		(void)printf("%s%s(%s)%s (%d) %s%s%s, by: %s\n", s.bold, c->name, args, s.off,
			     c->nr, action_colour(&s, action),
			     action_sentence(action, buf, sizeof(buf)), s.off, place);
	}
	print_rules(v, c, &s);
	return 0;
}

static json_t *entry_json(const struct view *v, const struct policy_entry *e)
{
	char place[24], word[24], when[512];

	rule_place(v, e->rule, place, sizeof(place));
	action_word(e->action, word, sizeof(word));
	condition_text(e, when, sizeof(when));
	return json_pack("{s:s,s:s,s:s,s:s}", "by", place, "action", word, "when", when, "comment",
			 rule_comment(v, e->rule));
}

static int explain_call_json(const struct view *v, const struct call *c)
{
	char place[24], word[24];
	json_t *rules = json_array(), *args = json_array();
	size_t n;
	const struct policy_entry *e = policy_table_find(&v->table, c->nr, &n);
	int rule;

	action_word(policy_table_decide(&v->table, c->nr, c->args, &rule), word, sizeof(word));
	rule_place(v, rule, place, sizeof(place));
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(rules, entry_json(v, &e[i]));
	for (size_t i = 0; i < c->n_args; i++) {
		char hex[24];

		(void)snprintf(hex, sizeof(hex), "0x%" PRIx64, c->args[i]);
		(void)json_array_append_new(args, json_string(hex));
	}
	return print_json(json_pack("{s:s,s:s,s:s,s:i,s:o,s:s,s:s,s:b,s:o}", "policy", v->text.name,
				    "sha256", v->text.sha256, "syscall", c->name, "number", c->nr,
				    "args", args, "action", word, "by", place, "depends",
				    call_fate(&v->table, c->nr) == FATE_DEPENDS, "rules", rules));
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

/* The calls that always meet this action. by_default: those that no rule mentions. */
static unsigned int flow_calls(const struct view *v, uint32_t action, bool by_default, bool print)
{
	const struct policy_table *t = &v->table;
	struct flow f = { 0 };
	unsigned int count = 0;

	for (int nr = 0; nr < NR_END && nr <= t->newest; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
		size_t n;
		const struct policy_entry *e = policy_table_find(t, nr, &n);
		bool here = by_default ? n == 0 : n == 1 && e->n_args == 0 && e->action == action;

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

static void explain_group(const struct view *v, uint32_t action, bool by_default,
			  const struct style *s)
{
	unsigned int count = flow_calls(v, action, by_default, false);
	char word[24];

	if (count == 0)
		return;
	action_word(action, word, sizeof(word));
	(void)printf("\n%s%s%s (%u)%s%s\n", action_colour(s, action), s->bold, word, count, s->off,
		     by_default ? ", by default" : "");
	(void)flow_calls(v, action, by_default, true);
}

static void explain_conditional(const struct view *v, const struct style *s)
{
	bool any = false;

	for (size_t i = 0, n; i < v->table.n_entries; i += n) {
		struct call c = { .nr = v->table.entries[i].nr };
		const struct policy_entry *e = policy_table_find(&v->table, c.nr, &n);
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, c.nr);

		if (n > 1 || e->n_args > 0) {
			(void)printf("%s%s%s\n", any ? "" : "\nIt depends\n", "",
				     name ? name : "?");
			print_rules(v, &c, s);
			any = true;
		}
		free(name);
	}
}

static int explain_all(const struct view *v)
{
	struct style s = style_pick();
	const struct policy_table *t = &v->table;
	char word[24];

	(void)printf("%s%s%s  %s  %.12s%s\n", s.bold, v->text.name, s.off, v->text.source,
		     v->text.sha256, t->kills ? "  kills" : "");
	if (v->profile.comment)
		flow_text(v->profile.comment);
	for (unsigned int rank = 0; rank <= t->n_entries; rank++)
		for (size_t i = 0; i < t->n_entries; i++)
			if (t->entries[i].rank == rank) {
				explain_group(v, t->entries[i].action, false, &s);
				break;
			}
	explain_conditional(v, &s);
	explain_group(v, t->default_action, true, &s);
	if (t->newest != INT_MAX) {
		char *newest = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, t->newest);

		(void)printf("\n%s%sENOSYS%s\n  numbers above %d (%s)\n", s.bad, s.bold, s.off,
			     t->newest, newest ? newest : "?");
		free(newest);
	}
	action_word(t->foreign_action, word, sizeof(word));
	(void)printf("\n%s%s%s%s\n  calls of another ABI (32-bit, x32)\n", s.bad, s.bold, word,
		     s.off);
	return 0;
}

static int explain_all_json(const struct view *v)
{
	const struct policy_table *t = &v->table;
	json_t *calls = json_object();
	char word[24], foreign[24];

	for (int nr = 0; nr < NR_END && nr <= t->newest; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
		json_t *rules = json_array();
		size_t n;
		const struct policy_entry *e = policy_table_find(t, nr, &n);
		struct policy_entry last = { .action = t->default_action,
					     .rule = POLICY_RULE_DEFAULT };

		for (size_t i = 0; i < n; i++)
			(void)json_array_append_new(rules, entry_json(v, &e[i]));
		if (n == 0 || e[n - 1].n_args > 0)
			(void)json_array_append_new(rules, entry_json(v, &last));
		if (name)
			(void)json_object_set(calls, name, rules);
		json_decref(rules);
		free(name);
	}
	action_word(t->default_action, word, sizeof(word));
	action_word(t->foreign_action, foreign, sizeof(foreign));
	return print_json(json_pack(
		"{s:s,s:s,s:s,s:b,s:s,s:s,s:o?,s:o}", "policy", v->text.name, "source",
		v->text.source, "sha256", v->text.sha256, "kills", (int)t->kills, "otherwise", word,
		"other_abi", foreign, "newest_number",
		t->newest == INT_MAX ? NULL : json_integer(t->newest), "syscalls", calls));
}

/* ---- the command line ----------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static int usage(const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "cloche policy: ");
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "; see 'cloche policy --help'\n");
	return 2;
}

/* NAME or NUMBER and its arguments; false: *ret_bad is the word that cannot be read. */
static bool call_read(char **words, size_t n, struct call *ret, const char **ret_bad)
{
	char *end, *name;

	*ret = (struct call){ .nr = seccomp_syscall_resolve_name(words[0]) };
	*ret_bad = words[0];
	errno = 0;
	if (words[0][0] >= '0' && words[0][0] <= '9') {
		unsigned long nr = strtoul(words[0], &end, 0);

		if (*end || errno || nr > INT_MAX)
			return false;
		ret->nr = (int)nr;
	}
	if (ret->nr < 0)
		return false;
	name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, ret->nr);
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name ? name : words[0]);
	free(name);
	for (size_t i = 1; i < n; i++) {
		*ret_bad = words[i];
		errno = 0;
		ret->args[i - 1] = strtoull(words[i], &end, 0);
		if (end == words[i] || *end || errno || strchr(" \t\n+", words[i][0]))
			return false;
	}
	ret->n_args = n - 1;
	return true;
}

static int policy_explain(char **words, size_t n, bool json)
{
	struct cloche_err err = { 0 };
	const char *bad;
	struct call call;
	struct view v;
	int rc;

	if (n > 1 && !call_read(words + 1, n - 1, &call, &bad))
		return usage(bad == words[1] ? "'%s' is no syscall of this architecture"
					     : "'%s' is no number",
			     bad);
	if (view_open(words[0], NULL, &v, &err) < 0) {
		(void)fprintf(stderr, "cloche policy: %s\n", err.text);
		return 1;
	}
	if (n > 1)
		rc = json ? explain_call_json(&v, &call) : explain_call(&v, &call);
	else
		rc = json ? explain_all_json(&v) : explain_all(&v);
	view_free(&v);
	return rc;
}

static int dispatch(char **words, size_t n, bool json)
{
	const char *verb = n ? words[0] : "";
	int rc = 0;

	if (n == 0)
		return usage("expected list, show, check or explain");
	if (json && strcmp(verb, "list") != 0 && strcmp(verb, "explain") != 0)
		return usage("'%s' has no --json", verb);
	if (strcmp(verb, "list") == 0)
		return n == 1 ? policy_list(json) : usage("list: unexpected '%s'", words[1]);
	if (strcmp(verb, "show") == 0)
		return n == 2 ? policy_show(words[1]) : usage("show: expected one NAME or FILE");
	if (strcmp(verb, "check") == 0) {
		for (size_t i = 1; i < n; i++)
			rc |= policy_check(words[i]);
		return n > 1 ? rc : usage("check: expected a NAME or FILE");
	}
	if (strcmp(verb, "explain") == 0)
		return n >= 2 && n <= 9 ? policy_explain(words + 1, n - 1, json)
					: usage("explain: expected NAME [SYSCALL [ARG...]]");
	return usage("unknown command '%s'", verb);
}

int cmd_policy(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	cleanup_free char **words = calloc((size_t)argc + 1, sizeof(*words));
	bool json = false, only_words = false;
	size_t n = 0;

	if (!words) {
		(void)fprintf(stderr, "cloche policy: out of memory\n");
		return 1;
	}
	opterr = 0;
	optind = 1;
	while (optind < argc) {
		const char *next = argv[optind];
		bool number = next[0] == '-' && next[1] >= '0' && next[1] <= '9';

		/* Arguments of a call may be negative; options may stand anywhere. */
		if (only_words || number || next[0] != '-' || !next[1]) {
			words[n++] = argv[optind++];
			continue;
		}
		switch (getopt_long(argc, argv, "+h", options, NULL)) {
		case 'j':
			json = true;
			break;
		case 'h':
			(void)fputs(help_text, stdout);
			return 0;
		case -1: /* "--" */
			only_words = true;
			break;
		default:
			return usage("unknown option '%s'", next);
		}
	}
	return dispatch(words, n, json);
}
