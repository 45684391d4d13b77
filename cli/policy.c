/* SPDX-License-Identifier: MIT */
/*
 * `cloche policy`: what seccomp profiles there are and what they mean. It reads and prints; a
 * profile is never changed here.
 */
#include "base/err.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "cli/ledger_args.h"
#include "cli/policy_diff.h"
#include "cli/policy_explain.h"
#include "cli/policy_learn.h"
#include "cli/policy_test.h"
#include "cli/policy_view.h"
#include "cli/run_caller.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "policy/policy_builtin.h"
#include "policy/policy_left_out.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_END 1024 /* above every native syscall number */

enum { OPT_JSON = 256, OPT_NET };

static const struct verb *const commands[] = {
	&(const struct verb){ .name = "list",
			      .takes = "json",
			      .text = "the profiles that have a name, and how much they allow" },
	&(const struct verb){
		.name = "show",
		.text = "the profile's JSON, byte by byte; on a terminal control characters in it "
			"are made visible",
		.values = "@policy @file" },
	&(const struct verb){
		.name = "check",
		.text = "is it valid? one line for each mistake, with its place; also for each "
			"call "
			"that is left out, since it has no number here: the default answers it. A "
			"rule that refuses what the default allows is not left out but a mistake",
		.values = "@policy @file" },
	&(const struct verb){
		.name = "explain",
		.takes = "json net",
		.text = "what the profile does, or what it does with one call, and by which rule; "
			"arguments are numbers (0x10, 16, -1), 0 when left out",
		.values = "@policy @file" },
	&(const struct verb){
		.name = "test",
		.takes = "json net",
		.text = "does it answer as a table expects? A line each where it does not. TABLE "
			"is "
			"a file ('-': standard input) of lines 'VERDICT CALL...', as 'EPERM mount "
			"clone(0x10000000)'; without it: NAME.table beside the profile. Verdicts: "
			"ALLOW, LOG, TRAP, KILL_THREAD, KILL_PROCESS and the names of errnos",
		.values = "@policy @file" },
	&(const struct verb){
		.name = "diff",
		.takes = "json",
		.text = "what the one allows and the other does not (-, +), and what they allow or "
			"refuse in another way (~); nothing when they do the same",
		.values = "@policy @file" },
	&verb_policy_learn,
	NULL,
};

static const struct verb_option options[] = {
	{ .text = "Options" },
	{ "json", OPT_JSON, NULL, NULL, "list, explain, test, diff: print JSON" },
	{ "net", OPT_NET, "MODE", "none loopback",
	  "explain, test: as in a run with --net none or loopback (default: loopback, in which "
	  "internet sockets are not refused)" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_policy = {
	.name = "policy",
	.run = cmd_policy,
	.text = "list, explain, test, compare and learn seccomp profiles",
	.usage =
		"Usage: cloche policy list [--json]\n"
		"       cloche policy show NAME|FILE\n"
		"       cloche policy check NAME|FILE...\n"
		"       cloche policy explain [--json] NAME|FILE [SYSCALL [ARG...]]\n"
		"       cloche policy test [--json] NAME|FILE [TABLE]\n"
		"       cloche policy diff [--json] NAME|FILE NAME|FILE\n"
		"       cloche policy learn [OPTIONS] [--] COMMAND [ARG...]\n"
		"\n"
		"Seccomp profiles: which system calls a function may make. A NAME is a profile\n"
		"that is shipped or lies in /etc/cloche/policies; a FILE (with a '/' or ending in\n"
		".json) is an OCI or Docker seccomp profile.\n",
	.commands = commands,
	.options = options,
	.tail = "What decides, in this order: a call of another ABI (32-bit, x32) kills; a number\n"
		"newer than the newest that the profile names answers ENOSYS (unless the default\n"
		"lets calls pass), so that libraries fall back; of the rules with conditions that\n"
		"hold the most severe; the rule without conditions; the default.\n"
		"What passes then is asked of the floor, which stands behind every profile and\n"
		"which none can lift: see 'cloche policy explain floor'; then of floor-offline\n"
		"with --net none, of floor-loopback else; and of floor-terminal where a terminal\n"
		"is a stream that is not the caller's controlling one. What floor-loopback\n"
		"refuses the launcher may make in the function's place: EAFNOSUPPORT is for where\n"
		"it cannot.\n"
		"A function has no capabilities: rules that need one never apply.\n"
		"In a profile that kills, raising SIGSYS by oneself answers EPERM, so that death\n"
		"by SIGSYS is always the policy's doing.\n"
		"\n"
		"Exit status: 0 fine, 1 a profile is not valid or not there, 2 usage; test: 0 as\n"
		"expected, 1 not, 2 trouble; diff: 0 they do the same, 1 they do not, 2 trouble;\n"
		"learn: the command's.\n"
		"\n"
		"Examples:\n"
		"  cloche policy explain default\n"
		"  cloche policy explain default clone 0x10000000\n"
		"  echo 'EPERM mount bpf ptrace' | cloche policy test default -\n"
		"  cloche policy diff default strict\n"
		"  cloche policy learn -o ./mine.json -- python3 app.py\n"
		"  cloche policy check ./mine.json && cloche run --policy ./mine.json id\n",
};

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
	struct policy_view v;

	if (policy_view_open(name_or_path, POLICY_WALLS_ONLINE, NULL, &v, &err) < 0) {
		(void)snprintf(row->note, sizeof(row->note), "%s", err.text);
		(void)snprintf(row->source, sizeof(row->source), "%s", name_or_path);
		return;
	}
	memcpy(row->source, v.text.source, sizeof(row->source));
	memcpy(row->sha256, v.text.sha256, sizeof(row->sha256));
	policy_action_word(v.table.default_action, row->otherwise, sizeof(row->otherwise));
	for (int nr = 0; nr < NR_END; nr++) {
		char *name = policy_call_name(nr);

		if (name)
			row->fates[policy_call_fate(&v, nr)]++;
		free(name);
	}
	policy_view_free(&v);
}

static int list_print(const struct listed *rows, size_t n)
{
	struct policy_style s = policy_style_pick();
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
				     r->sha256, r->fates[POLICY_FATE_ALLOWED],
				     r->fates[POLICY_FATE_DEPENDS], r->fates[POLICY_FATE_DENIED],
				     r->otherwise, r->source);
	}
	return 0;
}

static int list_print_json(const struct listed *rows, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct listed *r = &rows[i];

		(void)json_array_append_new(
			array, r->note[0]
				       ? json_pack("{s:s,s:s,s:s}", "name", r->name, "source",
						   r->source, "error", r->note)
				       : json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:s}", "name", r->name,
						   "source", r->source, "sha256", r->sha256,
						   "allowed", (int)r->fates[POLICY_FATE_ALLOWED],
						   "depends", (int)r->fates[POLICY_FATE_DEPENDS],
						   "denied", (int)r->fates[POLICY_FATE_DENIED],
						   "otherwise", r->otherwise));
	}
	return policy_print_json(array);
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
				(void)snprintf(
					rows[n].note, sizeof(rows[n].note),
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
	/* For a file or a program it is what it is, byte by byte. */
	if (!show_on_terminal(stdout))
		show_as(SHOW_RAW);
	(void)fwrite(text.text, 1, text.len, stdout);
	policy_text_free(&text);
	return 0;
}

static void print_problem(void *arg, const char *line)
{
	show_line("%s", line);
}

static int policy_check(const char *name)
{
	struct sock_fprog prog = { 0 };
	struct cloche_err err = { 0 };
	struct policy_view v;
	int rc;

	if (policy_view_open(name, POLICY_WALLS_OFFLINE, print_problem, &v, &err) < 0)
		return 1;
	policy_left_out(v.text.owned ? v.text.source : v.text.name, v.text.text, v.text.len,
			&v.profile, print_problem, NULL);
	rc = policy_stack_compile(&v.stack, &prog, &err);
	if (rc == 0)
		(void)printf("%s: valid, %u instructions%s\n", name, prog.len,
			     v.table.kills ? ", kills" : "");
	else
		show_line("%s: %s", name, err.text);
	free(prog.filter);
	policy_view_free(&v);
	return rc == 0 ? 0 : 1;
}

/* ---- the command line ----------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static int usage(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	show_line("cloche policy: %s; see 'cloche policy --help'", text);
	return 2;
}

/* NAME or NUMBER and its arguments; false: *ret_bad is the word that cannot be read. */
static bool call_read(char **words, size_t n, struct policy_call *ret, const char **ret_bad)
{
	char *end, *name;

	*ret = (struct policy_call){ .nr = policy_call_number(words[0]) };
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
	name = policy_call_name(ret->nr);
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

static int policy_explain(char **words, size_t n, enum policy_walls walls, bool json)
{
	struct cloche_err err = { 0 };
	const char *bad;
	struct policy_call call;
	struct policy_view v;
	int rc;

	if (n > 1 && !call_read(words + 1, n - 1, &call, &bad))
		return usage(bad == words[1] ? "'%s' is no syscall of this architecture"
					     : "'%s' is no number",
			     bad);
	if (policy_view_open(words[0], walls, NULL, &v, &err) < 0) {
		(void)fprintf(stderr, "cloche policy: %s\n", err.text);
		return 1;
	}
	if (n > 1)
		rc = json ? policy_explain_call_json(&v, &call) : policy_explain_call(&v, &call);
	else
		rc = json ? policy_explain_all_json(&v) : policy_explain_all(&v);
	policy_view_free(&v);
	return rc;
}

static int dispatch(char **words, size_t n, enum policy_walls walls, bool json)
{
	const char *verb = n ? words[0] : "";
	int rc = 0;

	if (n == 0)
		return usage("expected list, show, check, explain, test, diff or learn");
	if (walls == POLICY_WALLS_OFFLINE && strcmp(verb, "explain") != 0 &&
	    strcmp(verb, "test") != 0)
		return usage("'%s' has no --net", verb);
	if (json && strcmp(verb, "list") != 0 && strcmp(verb, "explain") != 0 &&
	    strcmp(verb, "test") != 0 && strcmp(verb, "diff") != 0)
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
		return n >= 2 && n <= 9 ? policy_explain(words + 1, n - 1, walls, json)
					: usage("explain: expected NAME [SYSCALL [ARG...]]");
	if (strcmp(verb, "test") == 0)
		return n == 2 || n == 3
			       ? policy_test(words[1], n == 3 ? words[2] : NULL, walls, json)
			       : usage("test: expected NAME or FILE, then at most a TABLE");
	if (strcmp(verb, "diff") == 0)
		return n == 3 ? policy_diff(words[1], words[2], json)
			      : usage("diff: expected two of NAME or FILE");
	return usage("unknown command '%s'", verb);
}

int cmd_policy(int argc, char **argv)
{
	struct verb_getopt known;
	enum policy_walls walls = POLICY_WALLS_ONLINE;
	cleanup_free char **words = calloc((size_t)argc + 1, sizeof(*words));
	bool json = false, only_words = false;
	struct cloche_err err = { 0 };
	size_t n = 0;

	if (!words) {
		(void)fprintf(stderr, "cloche policy: out of memory\n");
		return 1;
	}
	/* Its command line is that of a run, with a command behind. */
	if (argc > 1 && strcmp(argv[1], "learn") == 0)
		return policy_learn(argc - 1, argv + 1);
	verb_getopt_init(&known, &verb_policy, "+");
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
		switch (getopt_long(argc, argv, known.shorts, known.longs, NULL)) {
		case OPT_JSON:
			json = true;
			break;
		case OPT_NET:
			if (strcmp(optarg, "none") != 0 && strcmp(optarg, "loopback") != 0)
				return usage("--net '%s': expected none or loopback", optarg);
			walls = strcmp(optarg, "none") == 0 ? POLICY_WALLS_OFFLINE
							    : POLICY_WALLS_ONLINE;
			break;
		case 'h':
			return verb_help(&verb_policy);
		case -1: /* "--" */
			only_words = true;
			break;
		default:
			return usage("unknown option '%s'", next);
		}
	}
	if (run_caller_become(&err) < 0)
		return args_failed("policy", &err);
	return dispatch(words, n, walls, json);
}
