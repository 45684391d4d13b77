/* SPDX-License-Identifier: MIT */
/*
 * `cloche policy learn`: one run by the code of `cloche run`, whose system calls are watched
 * (run/observer.h), and the profile that comes of it. What the profile says is
 * policy/policy_emit.c's matter.
 */
#include "cli/policy_learn.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/quote.h"
#include "cli/cli.h"
#include "cli/functions.h"
#include "cli/learn_watch.h"
#include "cli/ledger_args.h"
#include "cli/own_line.h"
#include "cli/policy_view.h"
#include "cli/run.h"
#include "cli/run_options.h"
#include "cli/trial.h"
#include "cli/verb.h"
#include "cli/verb_options.h"
#include "launch/rights.h"
#include "policy/policy_emit.h"
#include "run/observer.h"
#include "run/outcome.h"
#include "serve/remote_learn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUSY_TRIES 30
#define BUSY_MS	   100

enum { OPT_BASE = 512, OPT_FUNCTION, OPT_FOR, OPT_INVOCATIONS };

static const struct verb_option own_options[] = {
	{ .text = "Options" },
	{ NULL, 'o', "FILE", "- @file",
	  "where the profile goes (policy.json, if there is none yet); a FILE that is named is "
	  "replaced; '-' is standard output, and the command's goes to standard error" },
	{ "base", OPT_BASE, "NAME|FILE", "@policy @file",
	  "the policy that it runs under (default); nothing is learned that this does not "
	  "allow" },
	{ "function", OPT_FUNCTION, "NAME", "@function",
	  "a deployed function's calls, from its init on, over one invocation with each PAYLOAD "
	  "(text, @FILE, or - for standard input; {})" },
	{ "for", OPT_FOR, "TIME", NULL,
	  "with --function: over the invocations that others make of it meanwhile (up to 10m)" },
	{ "invocations", OPT_INVOCATIONS, "N", NULL, "the same, until N of them have ended" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ "timeout", 't', "TIME", NULL, "of the run (60s)" },
	{ 0 },
};

/* Of `cloche run`, but not here: --base is the policy, the profile is the result. */
static const char *const not_here[] = { "policy", "output-limit", "report", "trace",
					"quiet",  "repeat",	  NULL };

const struct verb verb_policy_learn = {
	.name = "learn",
	.text = "the smallest profile under which the command runs, from running it; see 'cloche "
		"policy learn --help'",
	.usage = "Usage: cloche policy learn [OPTIONS] [--] COMMAND [ARG…]\n"
		 "       cloche policy learn --function NAME[@N] [-o FILE] [PAYLOAD…]\n"
		 "       cloche policy learn --function NAME[@N] [-o FILE] --for TIME\n\n"
		 "Runs the command as 'cloche run' does and writes the smallest seccomp profile\n"
		 "under which it runs again: the calls that it made, by whom and how often.\n",
	.options = own_options,
	.tail = "The command runs under the base policy, its system calls are counted by BPF from\n"
		"outside. A call that this run did not need is not in the profile: let it do all\n"
		"that it may have to do. What the base denies is denied here too, and listed on\n"
		"standard error. Ctrl-C ends the run, and the profile has what was called until\n"
		"then.\n\n"
		"A function is invoked by the daemon, in a context of its own for this, under the\n"
		"policy that it is deployed with, which is the base. By sudo it is the function\n"
		"of whom sudo names.\n\n"
		"With --for or --invocations nothing is invoked: what others invoke it for is\n"
		"watched. Its contexts are given up for new ones first, so that init is seen.\n"
		"When it is over, or ended by Ctrl-C, the profile has what all of them called.\n\n"
		"Exit status: the command's, as of 'cloche run'; 125 when there is no profile, 2\n"
		"usage.\n\n"
		"Examples:\n"
		"  cloche policy learn -- python3 -c 'print(6 * 7)'\n"
		"  cloche run --policy ./policy.json -- python3 -c 'print(6 * 7)'\n"
		"  cloche policy diff default policy.json\n"
		"  cloche policy learn --function thumbnail @small.json @large.json\n"
		"  cloche policy learn --function thumbnail --for 10m -o thumbnail.json\n",
	.values = "@command",
	.takes_run = true,
	.not_of_run = not_here,
};

#define DEFAULT_FILE "policy.json"

struct lesson {
	struct run_options opt;
	const char *base;
	const char *file; /* "-": standard output */
	bool file_given;
	struct policy_view view; /* of the base */
	struct observer observer;
	/* of the run */
	enum verdict verdict;
	bool of_command;      /* an option was said that a function has not */
	const char *function; /* NULL: a command */
	bool watches;	      /* others invoke it */
	struct learn_watch watch;
	struct trial trial;
};

/* ---- the command line ---- */

static int take_for(struct lesson *l, struct cloche_err *err)
{
	int64_t ns = 0;

	l->watches = true;
	if (parse_duration(optarg, &ns, err) < 0)
		return cloche_err_wrap(err, "--for");
	if (ns < NSEC_PER_SEC || ns > LEARN_WATCH_MAX_NS)
		return cloche_err_set(err, ERANGE, "--for %.32s: expected from 1s to 10m", optarg);
	l->watch.for_ns = ns;
	return 0;
}

static int option_take(void *arg, int opt, struct cloche_err *err)
{
	struct lesson *l = arg;

	switch (opt) {
	case OPT_BASE:
		l->base = optarg;
		l->of_command = true;
		return 0;
	case OPT_FUNCTION:
		l->function = optarg;
		l->opt.no_command = true;
		return 0;
	case OPT_FOR:
		return take_for(l, err);
	case OPT_INVOCATIONS:
		l->watches = true;
		return parse_count(optarg, 1, UINT32_MAX, &l->watch.most, err) < 0
			       ? cloche_err_wrap(err, "--invocations %.32s", optarg)
			       : 0;
	case 'o':
		l->file = optarg;
		l->file_given = true;
		return *optarg ? 0 : cloche_err_set(err, EINVAL, "-o '': expected a file");
	default:
		l->of_command = true;
		return run_options_set(&l->opt, opt, optarg, err);
	}
}

static int options_parse(struct lesson *l, int argc, char **argv, struct cloche_err *err)
{
	int r = verb_options_parse(&verb_policy_learn, option_take, l, argc, argv, &l->opt, err);

	if (r == 0 && l->function && l->of_command)
		return cloche_err_set(err, EINVAL,
				      "of the options -o is for functions: all else is as it is "
				      "deployed");
	if (r == 0 && l->watches && (!l->function || *l->opt.spec.argv))
		return cloche_err_set(err, EINVAL,
				      l->function ? "--for and --invocations: others invoke it, "
						    "and no payload is taken"
						  : "--for and --invocations are for --function");
	return r || l->function ? r : run_options_check(&l->opt, err);
}

/* ---- the files ---- */

/* Known before the run, which may take its time. */
static int file_check(const struct lesson *l, struct cloche_err *err)
{
	cleanup_free char *dir = strdup(l->file);
	const char *written = l->file;
	char shown[QUOTE_LEN];
	struct stat st = { .st_mode = S_IFREG };
	char *slash;

	if (!dir)
		return cloche_err_sys(err, ENOMEM, "-o");
	if (strcmp(l->file, "-") == 0)
		return 0;
	if (stat(l->file, &st) == 0) {
		if (!l->file_given)
			return cloche_err_set(err, EEXIST,
					      "'" DEFAULT_FILE "' exists: -o " DEFAULT_FILE
					      " replaces it, -o FILE takes another name");
		if (S_ISDIR(st.st_mode))
			return cloche_err_set(err, EISDIR, "-o %s is a directory",
					      quote(shown, l->file));
	}
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	/* A file is made anew in its folder; a device or a pipe is written to. */
	if (S_ISREG(st.st_mode))
		written = slash ? dir : ".";
	if (faccessat(AT_FDCWD, written, W_OK, AT_EACCESS) < 0)
		return cloche_err_sys(err, errno, "-o %s", quote(shown, l->file));
	return 0;
}

/* Complete or not at all: under another name first. What came to be there meanwhile stays, unless
 * the file was named. */
static int file_replace(const struct lesson *l, const struct policy_learned *p)
{
	cleanup_free char *temp = NULL;
	cleanup_fd int fd = -1;
	mode_t mask = umask(0);
	int r;

	(void)umask(mask);
	if (asprintf(&temp, "%s.XXXXXX", l->file) < 0)
		return -ENOMEM;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = file_write_all(fd, p->text, p->len);
	if (r == 0 && fchmod(fd, 0644 & ~mask) < 0)
		r = -errno;
	if (r == 0 &&
	    renameat2(AT_FDCWD, temp, AT_FDCWD, l->file, l->file_given ? 0 : RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(temp);
	return r;
}

struct writing {
	const struct lesson *lesson;
	const struct policy_learned *learned;
};

/* A device or a pipe is written to. */
static int file_make(void *arg)
{
	const struct writing *w = arg;
	const struct lesson *l = w->lesson;
	cleanup_fd int fd = -1;
	struct stat st;

	if (stat(l->file, &st) < 0 || S_ISREG(st.st_mode))
		return file_replace(l, w->learned);
	fd = open(l->file, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : file_write_all(fd, w->learned->text, w->learned->len);
}

static int file_write(const struct lesson *l, const struct policy_learned *p,
		      struct cloche_err *err)
{
	struct writing w = { l, p };
	char shown[QUOTE_LEN];
	int r;

	if (strcmp(l->file, "-") == 0) {
		r = file_write_all(STDOUT_FILENO, p->text, p->len);
		return r < 0 ? cloche_err_sys(err, -r, "write the profile to standard output") : 0;
	}
	r = rights_do(l->opt.spec.caller, file_make, &w);
	return r < 0 ? cloche_err_sys(err, -r, "write the profile to %s", quote(shown, l->file))
		     : 0;
}

/* ---- what came of it ---- */

static void say(const char *text)
{
	own_line();
	(void)fprintf(stderr, "cloche policy learn: %s\n", text);
}

static bool refused(const struct policy_use *use)
{
	size_t wall;
	int rule;

	/* By a rule with an errno of its own it is an answer, which the profile or a wall keeps. */
	return !policy_action_passes(use->action) &&
	       ((use->rule < 0 && !policy_rule_of_wall(use->rule, &wall, &rule)) ||
		use->action == SCMP_ACT_ERRNO(EPERM));
}

static int use_compare(const void *a, const void *b)
{
	const struct policy_use *x = a, *y = b;

	if (x->arch != y->arch)
		return x->arch < y->arch ? -1 : 1;
	return x->nr != y->nr ? (x->nr < y->nr ? -1 : 1) : x->rule - y->rule;
}

static void tell_refused(const struct policy_use *use)
{
	char *known = policy_abi_call_name(use->arch, (uint32_t)use->nr);
	char word[24];

	policy_action_word(use->action, word, sizeof(word));
	if (known)
		(void)fprintf(stderr, "  %s", known);
	else
		(void)fprintf(stderr, "  call number %d", use->nr);
	if (use->rule == POLICY_RULE_FOREIGN)
		(void)fprintf(stderr, " of %s", policy_abi(use->arch, (uint32_t)use->nr));
	(void)fprintf(stderr, " answers %s: tried by ", word);
	for (size_t i = 0; i < use->n_users; i++)
		(void)fprintf(stderr, "%s%s (%" PRIu64 ")", i ? ", " : "", use->users[i].name,
			      use->users[i].count);
	(void)fprintf(stderr, "%s\n", use->others ? " and others" : "");
	free(known);
}

static void tell(struct lesson *l, const struct policy_learned *p)
{
	struct policy_seen *seen = &l->observer.seen;
	size_t n = 0;

	qsort(seen->uses, seen->n, seen->n ? sizeof(*seen->uses) : 1, use_compare);
	for (size_t i = 0; i < seen->n; i++)
		n += refused(&seen->uses[i]);
	own_line();
	(void)fprintf(stderr,
		      "cloche policy learn: %s: %zu calls seen, %zu rules, %zu would be denied%s\n",
		      strcmp(l->file, "-") == 0 ? "standard output" : l->file, p->calls, p->rules,
		      n, n ? ":" : "");
	for (size_t i = 0; i < seen->n; i++)
		if (refused(&seen->uses[i]))
			tell_refused(&seen->uses[i]);
	if (l->verdict != VERDICT_OK)
		(void)fprintf(stderr,
			      "cloche policy learn: the run ended with the verdict '%s'; the "
			      "profile has what was called until then\n",
			      verdict_text(l->verdict));
	if (p->nameless)
		say("some calls are too new to have a name here: they are not in the profile");
}

/* What was written must be what was meant: it is read back before it goes out. */
static int prove(const struct policy_learned *p, struct cloche_err *err)
{
	struct policy_profile profile;
	struct policy_table table = { 0 };
	struct policy_stack stack = { 0 };
	struct sock_fprog prog = { 0 };
	int r = policy_profile_parse("the learned profile", p->text, p->len, NULL, NULL, &profile,
				     err);

	if (r < 0)
		return r;
	r = policy_table_build("the learned profile", &profile, &table, err);
	if (r == 0)
		r = policy_stack_open(&table, POLICY_WALLS_OFFLINE, &stack, err);
	if (r == 0)
		r = policy_stack_compile(&stack, &prog, err);
	free(prog.filter);
	policy_stack_close(&stack);
	policy_table_free(&table);
	policy_profile_free(&profile);
	return r;
}

static int finish(struct lesson *l, struct cloche_err *err)
{
	const char *what = l->function ? l->function : l->opt.spec.argv[0];
	const char *slash = strrchr(what, '/');
	char command[64], base[64];
	struct policy_lesson lesson = { .command = command,
					.base_name = base,
					.base = &l->view.profile,
					.table = &l->view.table,
					.seen = &l->observer.seen };
	struct policy_learned learned;
	int r;

	/* A profile that lacks what was called would deny it. */
	if (l->observer.seen.lost)
		return cloche_err_set(
			err, E2BIG,
			"there were more kinds of calls, by number, caller's name and "
			"arguments, than can be counted: no profile is written");
	quote_field(command, sizeof(command), slash ? slash + 1 : what);
	quote_field(base, sizeof(base), l->view.text.name);
	r = policy_emit(&lesson, &learned, err);
	if (r < 0)
		return r;
	r = prove(&learned, err);
	if (r == 0)
		r = file_write(l, &learned, err);
	if (r == 0)
		tell(l, &learned);
	free(learned.text);
	return r;
}

static int learn(struct lesson *l)
{
	struct cloche_err err = { 0 };
	char why[CLOCHE_ERR_TEXT];
	struct outcome out;
	int status;

	l->opt.spec.policy = l->base;
	l->opt.observer = &l->observer;
	if (strcmp(l->file, "-") == 0)
		l->opt.out_fd = STDERR_FILENO;
	if (observer_open(&l->observer, &l->view.stack, &err) < 0) {
		say(err.text);
		return EXIT_LAUNCH;
	}
	status = run_once(&l->opt, clock_now_ns(), &out);
	observer_collect(&l->observer);
	l->verdict = out.verdict;
	if (out.verdict == VERDICT_LAUNCH_ERROR && out.err.code) {
		quote_field(why, sizeof(why), out.err.text);
		say(why);
	}
	if (!out.ran || out.verdict == VERDICT_LAUNCH_ERROR)
		return status;
	if (finish(l, &err) < 0) {
		say(err.text);
		return EXIT_LAUNCH;
	}
	return status;
}

/* What files the caller names, by the caller's rights; a base that has a name is where all are. */
struct opening {
	struct lesson *lesson;
	struct cloche_err *err;
};

static int check_named(void *arg)
{
	const struct opening *o = arg;

	return file_check(o->lesson, o->err);
}

static int open_base(void *arg)
{
	const struct opening *o = arg;
	struct lesson *l = o->lesson;

	return policy_view_open(
		l->base, l->opt.spec.net == NET_NONE ? POLICY_WALLS_OFFLINE : POLICY_WALLS_ONLINE,
		NULL, &l->view, o->err);
}

static int files_open(struct lesson *l, struct cloche_err *err)
{
	const struct rights *caller = l->opt.spec.caller;
	struct opening o = { l, err };
	int r = rights_do(caller, check_named, &o);

	if (r == 0)
		r = rights_do(policy_is_path(l->base) ? caller : NULL, open_base, &o);
	return r < 0 && !err->code ? cloche_err_sys(err, -r, "open files for the caller") : r;
}

/* ---- a deployed function ---- */

/* One event after the other, until one is not run at all. */
static int run_events(struct lesson *l, uint64_t *ret_cgroups, size_t *ret_n, int *ret_status,
		      struct cloche_err *err)
{
	char *const *payload = l->opt.spec.argv;
	int r = 0;

	do {
		struct outcome out = { .verdict = VERDICT_LAUNCH_ERROR };
		char said[64];

		r = trial_event(&l->trial, *payload, l->opt.spec.caller, err);
		if (r == 0)
			r = trial_run(&l->trial, l->trial.memory_bytes, &out, NULL, said,
				      sizeof(said), err);
		if (r == 0 && out.err.code)
			r = cloche_err_take(err, &out.err);
		if (r == 0 && !out.context.cgroup_id)
			r = cloche_err_set(err, ENODATA, "its context has no cgroup on cgroup2");
		if (r < 0)
			return r;
		ret_cgroups[(*ret_n)++] = out.context.cgroup_id;
		if (out.verdict != VERDICT_OK) {
			l->verdict = out.verdict;
			*ret_status = outcome_exit_status(&out);
		}
	} while (*payload && *++payload && l->verdict != VERDICT_CANCELLED);
	return 0;
}

static int take_counted(struct lesson *l, int counting, const uint64_t *cgroups, size_t n_cgroups,
			struct cloche_err *err)
{
	cleanup_free struct learner_entry *entries = NULL;
	cleanup_free struct observer_count *counts = NULL;
	size_t n = 0;
	int r = remote_learn_read(counting, &entries, &n, &l->observer.seen.lost, err);

	if (r < 0)
		return r;
	counts = calloc(n + 1, sizeof(*counts));
	if (!counts)
		return cloche_err_sys(err, ENOMEM, "take what was counted");
	for (size_t i = 0; i < n; i++)
		counts[i] = (struct observer_count){ &entries[i].key, entries[i].count };
	observer_take(&l->observer, counts, n, cgroups, n_cgroups);
	return 0;
}

/* Whoever it was counted for before has it a little longer than he needs it. */
static int begin_counting(const struct lesson *l, int *ret, struct cloche_err *err)
{
	uint8_t wanted[CALLS_NR];
	int r = -EBUSY;

	observer_wants(l->observer.base, wanted);
	for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
		*err = (struct cloche_err){ 0 };
		if (i)
			(void)poll(NULL, 0, BUSY_MS);
		r = remote_learn_open(functions_control(), wanted, ret, err);
	}
	return r;
}

/* ... by others; what serves them was made after it began to be counted. */
static int watch_others(struct lesson *l, int counting, struct cloche_err *err)
{
	struct learn_watched seen;
	char said[160];
	int r = learn_watch(&l->trial, &l->watch, &seen, err);

	if (r == 0 && seen.invocations == 0)
		r = cloche_err_set(err, ENODATA,
				   "nobody has invoked '%s', or none of that has ended: no profile "
				   "is written",
				   l->trial.name);
	if (r == 0)
		r = take_counted(l, counting, seen.cgroups, seen.n, err);
	if (r == 0) {
		(void)snprintf(said, sizeof(said),
			       "%" PRIu64 " invocations in %zu contexts, of which %" PRIu64
			       " did not end well",
			       seen.invocations, seen.n, seen.failed);
		say(said);
	}
	learn_watched_free(&seen);
	return r;
}

/* It is counted from before its context is made. */
static int watch_events(struct lesson *l, int *ret_status, struct cloche_err *err)
{
	cleanup_free uint64_t *cgroups = NULL;
	cleanup_fd int counting = -1;
	size_t n = 0;
	int r;

	for (char *const *at = l->opt.spec.argv; *at; at++)
		n++;
	cgroups = calloc(n + 1, sizeof(*cgroups));
	if (!cgroups)
		return cloche_err_sys(err, ENOMEM, "watch it");
	n = 0;
	l->observer.base = &l->view.stack;
	r = begin_counting(l, &counting, err);
	if (r == 0 && l->watches)
		return watch_others(l, counting, err);
	if (r == 0)
		r = run_events(l, cgroups, &n, ret_status, err);
	return r == 0 ? take_counted(l, counting, cgroups, n, err) : r;
}

static int learn_function(struct lesson *l)
{
	struct opening o = { l, &(struct cloche_err){ 0 } };
	int status = 0, r;

	r = rights_do(l->opt.spec.caller, check_named, &o);
	if (r < 0)
		return args_usage("policy learn", "%s", o.err->text);
	r = trial_open(&l->trial, l->function, o.err);
	l->base = l->trial.policy;
	if (r == 0 && l->trial.own_policy)
		r = cloche_err_set(
			o.err, ENOTSUP,
			"'%s' is deployed with a policy that was a file's, '%s', and is no "
			"base to learn from; NAME@N takes another version",
			l->trial.name, l->base);
	if (r == 0)
		r = policy_view_open(l->base,
				     l->trial.offline ? POLICY_WALLS_OFFLINE : POLICY_WALLS_ONLINE,
				     NULL, &l->view, o.err);
	if (r == 0)
		r = watch_events(l, &status, o.err);
	if (r == 0)
		r = finish(l, o.err);
	trial_close(&l->trial);
	if (r == 0)
		return status;
	say(o.err->text);
	return EXIT_LAUNCH;
}

int policy_learn(int argc, char **argv)
{
	struct lesson l = { .base = "default", .file = DEFAULT_FILE };
	struct cloche_err err = { 0 };
	int r;

	run_options_init(&l.opt);
	l.opt.verb = "policy learn";
	l.opt.spec.timeout_ns = 60 * NSEC_PER_SEC;
	r = options_parse(&l, argc, argv, &err);
	if (r == 0 && !l.function)
		r = files_open(&l, &err);
	if (r < 0)
		r = args_usage("policy learn", "%s", err.text);
	else if (r == 0 && l.function)
		r = learn_function(&l);
	else
		r = r > 0 ? 0 : learn(&l);
	policy_view_free(&l.view);
	observer_close(&l.observer);
	run_options_free(&l.opt);
	return r;
}
