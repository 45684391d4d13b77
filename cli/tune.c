/* SPDX-License-Identifier: MIT */
/*
 * `cloche tune`: one command at several memory sizes, by the code of `cloche run` itself; or a
 * deployed function, by the daemon. The sizes of a command take turns, the largest first: what
 * slows the machine down for a while, and the files that the first run has to fetch, then do not
 * fall on one of them alone. Those of a function come one after the other: only one context is kept
 * for it.
 */
#include "cli/tune.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/quote.h"
#include "cli/cli.h"
#include "cli/ledger_args.h"
#include "cli/run.h"
#include "cli/show.h"
#include "cli/run_options.h"
#include "cli/run_prices.h"
#include "cli/trial.h"
#include "cli/verb.h"
#include "cli/verb_options.h"
#include "launch/launcher.h"
#include "run/outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* What is piped in is kept in memory, since every run reads it. */
#define INPUT_MAX (256ULL << 20)

enum { OPT_SIZES = 512, OPT_RUNS, OPT_JSON };

static const struct verb_option own_options[] = {
	{ .text = "Options" },
	{ "sizes", OPT_SIZES, "SIZE,…", NULL,
	  "memory sizes (64,128,256,512,1024,1769,3538, as far as this host and the price list "
	  "have them)" },
	{ "runs", OPT_RUNS, "N", NULL, "runs at each size, the sizes taking turns (5)" },
	{ "json", OPT_JSON, NULL, NULL, "one JSON object" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ "timeout", 't', "TIME", NULL, "of one run (60s)" },
	{ 0 },
};

/* Of `cloche run`, but not here: what tune itself decides on. */
static const char *const not_here[] = {
	"memory", "output-limit", "report", "quiet", "repeat", NULL
};

const struct verb verb_tune = {
	.name = "tune",
	.run = cmd_tune,
	.text = "time and cost at several memory sizes",
	.usage = "Usage: cloche tune [OPTIONS] -- COMMAND [ARG…]\n"
		 "       cloche tune [OPTIONS] FUNCTION[@N] [PAYLOAD]\n\n"
		 "Runs one command, or invokes one deployed function, at several memory sizes and\n"
		 "shows what each takes and costs: the cheapest, the fastest, and the knee, from\n"
		 "where more memory buys little.\n",
	.options = own_options,
	.tail = "A size ends at its first run that fails; it is shown with the verdict and\n"
		"without a price. Time and price are those of the median run (of an even number,\n"
		"of the mean of the two in the middle), without the time that runs waited for\n"
		"CPUs that others had: OTHERS says how much of it that was. A command's standard\n"
		"input is given to every run anew (a pipe is read to its end first), its output\n"
		"thrown away. Every run is in the ledger.\n\n"
		"A function is invoked by the daemon, in contexts of its own for each size, which\n"
		"are gone afterwards; what is deployed stays as it is. Where its process is kept,\n"
		"the first invocation at each size is cold and is not counted. PAYLOAD is text,\n"
		"@FILE, or - for standard input ({}). It takes --sizes, --runs, --json and\n"
		"--prices.\n\n"
		"Exit status: 0 when a size succeeded, 1 when none did, 130 when interrupted, 2\n"
		"usage; 125, 126 and 127 as for 'cloche run'.\n\n"
		"Examples:\n"
		"  cloche tune -- python3 -c 'print(sum(range(10**6)))'\n"
		"  cloche tune --sizes 128,256,512 --runs 9 -- sort <words.txt\n"
		"  cloche tune thumbnail @event.json\n",
	.values = "@function @command",
	.takes_run = true,
	.not_of_run = not_here,
};

struct job {
	struct run_options opt;
	struct tune tune;
	bool sizes_given, json;
	off_t input_at; /* -1: it has no beginning to go back to */
	unsigned done;
	/* the run that is on */
	struct tune_size *size;
	bool function_given; /* not a command: */
	struct trial function;
	bool of_command; /* an option was said that only a command has */
};

/* ---- the command line ---- */

static int size_add(struct tune *t, uint64_t bytes)
{
	size_t at = t->n;

	while (at && t->sizes[at - 1].memory_bytes > bytes)
		at--;
	if (at && t->sizes[at - 1].memory_bytes == bytes)
		return 0;
	if (t->n == TUNE_SIZES_MAX)
		return -E2BIG;
	memmove(&t->sizes[at + 1], &t->sizes[at], (t->n - at) * sizeof(*t->sizes));
	memset(&t->sizes[at], 0, sizeof(*t->sizes));
	t->sizes[at].memory_bytes = bytes;
	t->n++;
	return 0;
}

static int sizes_parse(struct job *job, const char *text, struct cloche_err *err)
{
	job->tune.n = 0;
	job->sizes_given = true;
	for (const char *end = text; *end; text = end + 1) {
		char word[64], shown[QUOTE_LEN];
		uint64_t bytes;

		end = strchrnul(text, ',');
		if ((size_t)(end - text) >= sizeof(word))
			return cloche_err_set(err, EINVAL, "%s is no size", quote(shown, text));
		memcpy(word, text, (size_t)(end - text));
		word[end - text] = '\0';
		if (parse_size(word, &bytes, err) < 0)
			return -EINVAL;
		if (size_add(&job->tune, bytes) < 0)
			return cloche_err_set(err, E2BIG, "more than %d sizes", TUNE_SIZES_MAX);
	}
	return job->tune.n ? 0 : cloche_err_set(err, EINVAL, "'': expected sizes like 128,256,512");
}

static int option_take(void *arg, int opt, struct cloche_err *err)
{
	struct job *job = arg;
	const char *list;
	uint64_t n;
	int r;

	switch (opt) {
	case OPT_SIZES:
		return sizes_parse(job, optarg, err) < 0 ? cloche_err_wrap(err, "--sizes") : 0;
	case OPT_RUNS:
		if (parse_count(optarg, 1, TUNE_RUNS_MAX, &n, err) < 0)
			return cloche_err_wrap(err, "--runs");
		job->tune.runs = (unsigned)n;
		return 0;
	case OPT_JSON:
		job->json = true;
		return 0;
	default:
		list = job->opt.price_list;
		r = run_options_set(&job->opt, opt, optarg, err);
		job->of_command |= list == job->opt.price_list;
		return r;
	}
}

/* The options of one size. They own nothing. */
static int options_at(const struct job *job, uint64_t bytes, struct run_options *ret,
		      struct cloche_err *err)
{
	*ret = job->opt;
	ret->spec.memory_bytes = bytes;
	return run_options_check(ret, err);
}

/* Sizes that were asked for must all be possible; of the usual ones, those that are are taken. */
static int sizes_check(struct job *job, struct cloche_err *err)
{
	static const unsigned usual[] = { 64, 128, 256, 512, 1024, 1769, 3538 };
	struct run_options opt;
	int r = 0;

	for (size_t i = 0; i < job->tune.n; i++) {
		r = options_at(job, job->tune.sizes[i].memory_bytes, &opt, err);
		if (r < 0)
			return strncmp(err->text, "--memory", 8) ? r
								 : cloche_err_wrap(err, "--sizes");
	}
	for (size_t i = 0; !job->sizes_given && i < sizeof(usual) / sizeof(usual[0]); i++) {
		r = options_at(job, (uint64_t)usual[i] << 20, &opt, err);
		if (r == 0)
			(void)size_add(&job->tune, (uint64_t)usual[i] << 20);
		else if (r != -ERANGE)
			return r;
	}
	return job->tune.n ? 0 : r;
}

/* ---- what the command reads and says ---- */

/* Copies a pipe into memory, where every run can begin at its beginning but none can change it. */
static int input_keep(struct cloche_err *err)
{
	cleanup_fd int fd = memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char buf[65536];
	uint64_t all = 0;
	ssize_t n;

	if (fd < 0)
		return cloche_err_sys(err, errno, "keep standard input");
	if (isatty(2))
		(void)fputs("reading standard input", stderr);
	while ((n = read(0, buf, sizeof(buf))) > 0) {
		all += (uint64_t)n;
		if (all > INPUT_MAX)
			return cloche_err_set(err, EFBIG,
					      "standard input is more than 256 MB: give it as a "
					      "file");
		if (write(fd, buf, (size_t)n) != n)
			return cloche_err_sys(err, errno, "keep standard input");
	}
	if (n < 0)
		return cloche_err_sys(err, errno, "read standard input");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0 ||
	    dup2(fd, 0) < 0)
		return cloche_err_sys(err, errno, "keep standard input");
	return 0;
}

static int input_open(struct job *job, struct cloche_err *err)
{
	cleanup_fd int null = -1;
	struct stat st = { 0 };
	int r;

	job->input_at = lseek(0, 0, SEEK_CUR);
	if (fstat(0, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	job->input_at = -1;
	/* Nobody wants to type it thirty times. */
	if (isatty(0)) {
		null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return null < 0 || dup2(null, 0) < 0
			       ? cloche_err_sys(err, errno, "open '/dev/null'")
			       : 0;
	}
	if (S_ISCHR(st.st_mode))
		return 0;
	r = input_keep(err);
	job->input_at = r == 0 ? 0 : -1;
	return r;
}

static int outputs_open(struct job *job, struct cloche_err *err)
{
	job->opt.out_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	job->opt.err_fd = memfd_create("errors", MFD_CLOEXEC);
	if (job->opt.out_fd < 0 || job->opt.err_fd < 0)
		return cloche_err_sys(err, errno, "divert the command's output");
	(void)fcntl(job->opt.err_fd, F_SETFL, O_APPEND);
	return 0;
}

/* The last line that a failing run wrote to standard error. */
static void last_words(const struct job *job, char *ret, size_t size)
{
	char text[512], *line;
	off_t end = lseek(job->opt.err_fd, 0, SEEK_END);
	off_t from = end > (off_t)sizeof(text) - 1 ? end - (off_t)sizeof(text) + 1 : 0;
	ssize_t n = pread(job->opt.err_fd, text, sizeof(text) - 1, from);

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	text[n > 0 ? n : 0] = '\0';
	line = strrchr(text, '\n');
	quote_field(ret, size, line ? line + 1 : text);
}

/* ---- running ---- */

static void progress(const struct job *job, unsigned run)
{
	if (!isatty(2))
		return;
	if (!run)
		(void)fputs(show_style(STYLE_REWIND), stderr);
	else
		(void)fprintf(stderr, "%s%" PRIu64 " MB: run %u of %u (%u of %zu in all)",
			      show_style(STYLE_REWIND), job->size->memory_bytes >> 20, run,
			      job->tune.runs, job->done + 1, job->tune.runs * job->tune.n);
}

/* With nobody beside it; its init has no quota, and is billed as it was. */
static void take_run(struct job *job, const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);
	struct tune_size *s = job->size;
	struct tune_run *run = &s->runs[s->n];
	struct sizing_run alone;

	*run = (struct tune_run){ .wall_ns = out->wall_ns,
				  .init_ns = out->charge.duration_ns - out->wall_ns,
				  .contention_ns = m ? (int64_t)m->contention_ns : -1,
				  .on_cpu_ns = (int64_t)out->on_cpu_ns };
	/* Where it is there once for many, it is not this one's. */
	if (job->function_given && job->function.kept)
		run->init_ns = 0;
	alone = (struct sizing_run){
		.wall_ns = run->wall_ns,
		.contention_ns = run->contention_ns,
		.on_cpu_ns = run->on_cpu_ns,
		.vcpu_micro = job->opt.spec.cpu_mode == CPU_SHARED ? 0 : s->vcpu_micro,
	};
	s->times_ns[s->n++] = run->init_ns + sizing_uncontended(&alone);
	if (!m)
		return;
	s->contention_ns += run->contention_ns;
	s->contended_ns += run->wall_ns;
}

static void take(struct job *job, const struct outcome *out)
{
	struct tune_size *s = job->size;
	uint64_t peak;

	if (out->context.made)
		s->vcpu_micro = out->context.vcpu_micro;
	if (outcome_memory_peak(out, &peak) && peak > s->peak_bytes)
		s->peak_bytes = peak;
	if (out->verdict == VERDICT_OK && out->charged) {
		take_run(job, out);
		return;
	}
	s->failed = true;
	s->verdict = out->verdict;
	s->status = outcome_exit_status(out);
	if (s->verdict == VERDICT_LAUNCH_ERROR)
		quote_field(s->why, sizeof(s->why), out->err.text);
	else if (!job->function_given)
		last_words(job, s->why, sizeof(s->why));
}

static int complain(const char *text, int status)
{
	fprintf(stderr, "cloche tune: %s\n", text);
	return status;
}

/* 0, or the exit status with which all ends; what came of it is in *out. */
static int run_command(struct job *job, struct outcome *out, int *ret_status)
{
	struct cloche_err err = { 0 };
	struct run_options opt;

	if (options_at(job, job->size->memory_bytes, &opt, &err) < 0)
		return complain(err.text, EXIT_USAGE);
	(void)!ftruncate(opt.err_fd, 0);
	if (job->input_at >= 0)
		(void)lseek(0, job->input_at, SEEK_SET);
	*ret_status = run_once(&opt, clock_now_ns(), out);
	return 0;
}

static int run_function(struct job *job, struct outcome *out, int *ret_status)
{
	struct tune_size *s = job->size;
	struct cloche_err err = { 0 };
	unsigned cold = 0;

	*ret_status = EXIT_LAUNCH;
	if (trial_run(&job->function, s->memory_bytes, out, &cold, s->why, sizeof(s->why), &err) <
	    0)
		return complain(err.text, EXIT_LAUNCH);
	s->cold += cold;
	return 0;
}

/* Of those that nobody asked for, one that cannot be had is left out. */
static bool leave_out(struct job *job)
{
	struct tune_size *s = job->size;

	if (!job->function_given || job->sizes_given || s->n || s->cold)
		return false;
	s->left_out = true;
	fprintf(stderr, "cloche tune: %" PRIu64 "M is left out: %s\n", s->memory_bytes >> 20,
		s->why);
	return true;
}

/* 0, or the exit status with which all ends. */
static int run_at(struct job *job, struct tune_size *s)
{
	struct outcome out = { .verdict = VERDICT_LAUNCH_ERROR };
	int status = EXIT_LAUNCH, r;

	job->size = s;
	progress(job, s->n + 1);
	r = job->function_given ? run_function(job, &out, &status)
				: run_command(job, &out, &status);
	if (r)
		return r;
	take(job, &out);
	job->done++;
	progress(job, 0);
	if (out.verdict == VERDICT_CANCELLED)
		return complain("interrupted", 128 + SIGINT);
	if (out.verdict != VERDICT_LAUNCH_ERROR || leave_out(job))
		return 0;
	/* It would fail in the same way everywhere. */
	return s->why[0] ? complain(s->why, status) : status;
}

static bool is_over(const struct tune_size *s)
{
	return s->failed || s->left_out;
}

/* One size after the other. */
static int run_sizes(struct job *job)
{
	int status = 0;

	for (size_t i = job->tune.n; i-- > 0 && status == 0;) {
		struct tune_size *s = &job->tune.sizes[i];

		for (unsigned run = 0; run < job->tune.runs && !is_over(s) && status == 0; run++)
			status = run_at(job, s);
	}
	return status;
}

/* In turn. */
static int run_turns(struct job *job)
{
	for (unsigned run = 0; run < job->tune.runs; run++)
		for (size_t i = job->tune.n; i-- > 0;) {
			int status =
				job->tune.sizes[i].failed ? 0 : run_at(job, &job->tune.sizes[i]);

			if (status)
				return status;
		}
	return 0;
}

static int run_all(struct job *job)
{
	struct tune *t = &job->tune;
	int status = job->function_given ? run_sizes(job) : run_turns(job);
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (!t->sizes[i].left_out)
			memmove(&t->sizes[n++], &t->sizes[i], sizeof(t->sizes[0]));
	t->n = n;
	return status == 0 && n == 0 ? complain("no size is possible", EXIT_LAUNCH) : status;
}

/* The median run and its price; of an even number of runs it lies between two of them. */
static int summarize(const struct tune *t, struct tune_size *s, struct sizing *ret,
		     struct cloche_err *err)
{
	struct prices_use use = { .memory_bytes = s->memory_bytes, .contention_ns = -1 };
	int r;

	*ret = (struct sizing){ .memory_bytes = s->memory_bytes, .ok = !s->failed };
	if (s->failed)
		return 0;
	s->median_ns = use.wall_ns = sizing_median(s->times_ns, s->n);
	r = prices_charge(&t->prices, &use, &s->charge, err);
	ret->time_ns = s->median_ns;
	ret->cost = s->charge.charge + s->charge.request;
	return r;
}

static int tell(struct job *job)
{
	struct sizing sizes[TUNE_SIZES_MAX] = { 0 };
	struct tune *t = &job->tune;
	const char *no_colour = getenv("NO_COLOR");
	struct cloche_err err = { 0 };
	int r = 0;

	for (size_t i = 0; i < t->n; i++)
		if (summarize(t, &t->sizes[i], &sizes[i], &err) < 0)
			return args_failed("tune", &err);
	t->choice = sizing_choose(sizes, t->n);
	if (job->json)
		r = tune_json(t);
	else
		tune_show(t, isatty(1) && !(no_colour && *no_colour));
	if (r < 0 || fflush(stdout) || ferror(stdout)) {
		fputs("cloche tune: standard output could not be written\n", stderr);
		return 1;
	}
	if (t->choice.cheapest >= 0)
		return 0;
	return complain(job->function_given ? "the function succeeded at no size"
					    : "the command succeeded at no size",
			1);
}

static int tune_run(struct job *job)
{
	struct cloche_err err = { 0 };
	struct run_options first;
	int r = options_at(job, job->tune.sizes[0].memory_bytes, &first, &err);

	if (r == 0)
		r = input_open(job, &err);
	if (r == 0)
		r = outputs_open(job, &err);
	if (r < 0)
		return args_failed("tune", &err);
	job->tune.prices = first.prices;
	job->tune.argv = job->opt.spec.argv;
	r = run_all(job);
	return r ? r : tell(job);
}

/* ---- a function ---- */

/* Which sizes there may be the daemon says. */
static int usual_sizes(struct job *job, struct cloche_err *err)
{
	static const unsigned usual[] = { 128, 256, 512, 1024, 1769, 3538 };
	struct tune *t = &job->tune;
	int r = 0;

	for (size_t i = 0; !job->sizes_given && i < sizeof(usual) / sizeof(usual[0]); i++)
		(void)size_add(t, (uint64_t)usual[i] << 20);
	if (!job->sizes_given)
		(void)size_add(t, t->deployed_bytes);
	r = run_prices_find(job->opt.price_list, job->opt.spec.caller, &t->prices, err);
	for (size_t i = 0; r == 0 && i < t->n; i++)
		r = prices_check_memory(&t->prices, t->sizes[i].memory_bytes, err);
	return r;
}

static int tune_deployed(struct job *job)
{
	char *const *words = job->opt.spec.argv;
	struct cloche_err err = { 0 };
	int r, status;

	if (words[1] && words[2])
		return args_usage("tune",
				  "unexpected argument '%.64s': a payload is one word, and a "
				  "command comes behind '--'",
				  words[2]);
	if (job->of_command)
		return args_usage("tune", "of the options --sizes, --runs, --json and --prices are "
					  "for functions; a command comes behind '--'");
	r = trial_open(&job->function, words[0], &err);
	if (r == 0)
		r = trial_event(&job->function, words[1], job->opt.spec.caller, &err);
	job->tune.function = job->function.name;
	job->tune.deployed_bytes = job->function.memory_bytes;
	if (r == 0)
		r = usual_sizes(job, &err);
	if (r < 0) {
		status = r == -ENOTCONN ? complain(err.text, EXIT_LAUNCH)
					: args_usage("tune", "%s", err.text);
	} else {
		status = run_all(job);
		status = status ? status : tell(job);
	}
	trial_close(&job->function);
	return status;
}

/* What comes behind "--" is a command, also one by the name of a function; and so is what an image
 * starts with. */
static bool is_function(char *const argv[], int argc)
{
	return optind < argc && strcmp(argv[optind - 1], "--") != 0;
}

static void job_free(struct job *job)
{
	fd_close(&job->opt.out_fd);
	fd_close(&job->opt.err_fd);
	run_options_free(&job->opt);
	free(job);
}

int cmd_tune(int argc, char **argv)
{
	struct job *job = calloc(1, sizeof(*job));
	struct cloche_err err = { 0 };
	int r;

	if (!job) {
		(void)cloche_err_sys(&err, ENOMEM, "keep the results");
		return args_failed("tune", &err);
	}
	run_options_init(&job->opt);
	job->opt.verb = "tune";
	job->opt.spec.timeout_ns = 60 * NSEC_PER_SEC;
	job->tune.runs = 5;
	r = verb_options_parse(&verb_tune, option_take, job, argc, argv, &job->opt, &err);
	job->function_given = r == 0 && is_function(argv, argc);
	if (r == 0 && !job->function_given)
		r = sizes_check(job, &err);
	if (r < 0)
		r = args_usage("tune", "%s", err.text);
	else if (job->function_given)
		r = tune_deployed(job);
	else
		r = r > 0 ? 0 : tune_run(job);
	job_free(job);
	return r;
}
