/* SPDX-License-Identifier: MIT */
/* `cloche run`: a command line in, an exit status and a report out. */
#include "cli/cli.h"
#include "cli/own_line.h"
#include "cli/run.h"
#include "cli/run_ledger.h"
#include "cli/run_options.h"
#include "cli/run_trace.h"
#include "cli/show.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "base/uuid.h"
#include "host/prompt.h"
#include "launch/attributes.h"
#include "launch/launcher.h"
#include "launch/proof.h"
#include "launch/stream_state.h"
#include "ledger/prices.h"
#include "run/invocation.h"
#include "run/observer.h"
#include "run/report.h"
#include "run/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct run {
	const struct run_options *opt;
	struct launcher launcher;
	struct context ctx;
	struct report_context rc;
	bool have_context;
	struct invocation_io io;
	struct stdio stdio;
	struct cloche_err refused; /* a stream may not be one: nothing is run */
	struct metering metering;
	struct context_options how;
	int report_fd;
	struct stream_state streams[3]; /* as they were */
	bool cancelled;
	const char *replaced;
	struct run_trace trace;
	struct run_ledger ledger;
};

static void complain(const struct run *run, const char *text)
{
	own_line();
	fprintf(stderr, "cloche %s: %s\n", run->opt->verb, text);
}

static void report_lost(const char *doing, const char *path)
{
	int code = errno;
	char shown[QUOTE_LEN];

	own_line();
	fprintf(stderr, "cloche run: %s %s: %s; the report goes to standard error\n", doing,
		quote(shown, path), file_output_why(code));
}

/* Opened before anything runs, so that a wrong path is known early; yet it never costs the run. */
static void open_report(struct run *run)
{
	const char *path = run->opt->report;

	run->report_fd = -1;
	if (!path)
		return;
	if (strcmp(path, "-") != 0) {
		run->report_fd = file_make_output(path);
		if (run->report_fd < 0) {
			errno = -run->report_fd;
			report_lost("open", path);
		}
	}
}

static void write_report(struct run *run, const char *line)
{
	size_t len = strlen(line);

	if (run->report_fd >= 0) {
		int r = file_write_all(run->report_fd, line, len);

		if (r == 0)
			return;
		errno = -r;
		report_lost("write", run->opt->report);
	}
	own_line();
	(void)file_write_all(STDERR_FILENO, line, len);
}

/* In one piece, and however full the pipe is. */
static void tell_line(const struct report *r)
{
	cleanup_free char *line = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&line, &len);

	if (!f)
		return;
	report_line(r, f);
	own_line();
	if (fclose(f) == 0)
		(void)file_write_all(STDERR_FILENO, line, len);
}

static void tell(struct run *run, const struct invocation *inv)
{
	struct prices_use use = { .memory_bytes = run->opt->spec.memory_bytes,
				  .wall_ns = inv->wall_ns,
				  .contention_ns = -1 };
	struct prices_charge charge;
	char code[HASH_HEX_LEN] = "";
	struct report r = { .spec = &run->opt->spec,
			    .ctx = run->have_context ? &run->ctx : NULL,
			    .inv = inv,
			    .context = &run->rc,
			    .prices = run->opt->prices.name,
			    .function = run->opt->name,
			    .untraced = "not asked for, see --trace and --keep-trace",
			    .code_sha256 = run->opt->ledger ? code : NULL };

	if (inv->ran && !inv->metered.why)
		use.contention_ns = (int64_t)inv->metered.usage.contention_ns;
	if (inv->verdict == VERDICT_TIMEOUT)
		use.timeout_ns = run->opt->spec.timeout_ns;
	if (inv->ran && prices_charge(&run->opt->prices, &use, &charge, NULL) == 0)
		r.charge = &charge;
	if (run->opt->ledger && run->have_context)
		executed_hash(run->launcher.run_fd, &run->ctx, &inv->executed, code);
	r.unrecorded = run_ledger_append(&run->ledger, run->opt, &r);
	if (run->opt->each) {
		run->opt->each(&r, run->opt->each_arg);
		return;
	}
	if (inv->verdict == VERDICT_LAUNCH_ERROR)
		complain(run, inv->err.text);
	else if (!run->opt->quiet && inv->ran)
		tell_line(&r);
	if (run->opt->report) {
		cleanup_free char *line = report_json(&r);

		if (line)
			write_report(run, line);
		else
			complain(run, "no memory for the report");
	}
}

/* nohup(1) and a shell's background: these three stay ignored. */
static bool is_ignored(int sig)
{
	struct sigaction old;

	return (sig == SIGHUP || sig == SIGINT || sig == SIGQUIT) &&
	       sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}

/* Whatever would end this program ends the invocation instead: there is a report to give, and a
 * record to write. */
static int open_cancel(int *ret, struct cloche_err *err)
{
	static const int ends[] = { SIGINT,  SIGTERM, SIGHUP,	SIGQUIT, SIGUSR1,
				    SIGUSR2, SIGALRM, SIGPROF,	SIGPOLL, SIGVTALRM,
				    SIGXCPU, SIGPWR,  SIGSTKFLT };
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	/* What was inherited: with SIGCHLD ignored no end of a child could be waited for, and a
	 * limit of file sizes would kill in the midst of things. */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!is_ignored(ends[i]))
			(void)sigaddset(&set, ends[i]);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		(void)sigaddset(&set, sig);
	/* Blocked, they would be lost without it. */
	*ret = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (*ret < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return cloche_err_sys(err, errno, "watch for signals");
	return 0;
}

static int cancel_status(struct run *run)
{
	struct signalfd_siginfo info;

	run->cancelled = true;
	return read(run->io.cancel_fd, &info, sizeof(info)) == sizeof(info)
		       ? 128 + (int)info.ssi_signo
		       : 128 + SIGTERM;
}

/* What is no stream is not written to either: an eventfd would hold us up for ever, and a disk be
 * damaged. */
static void try_be_silent(void)
{
	cleanup_fd int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct cloche_err err = { 0 };
	struct stream s;

	if (stream_look(STDERR_FILENO, STDERR_FILENO, &s, &err) < 0)
		(void)dup2(null, STDERR_FILENO);
}

static int open_streams(struct run *run, struct cloche_err *err)
{
	const struct run_options *opt = run->opt;
	const int given[3] = { STDIN_FILENO, opt->out_fd >= 0 ? opt->out_fd : STDOUT_FILENO,
			       opt->err_fd >= 0 ? opt->err_fd : STDERR_FILENO };
	int r = stdio_open(&run->stdio, given, opt->spec.output_bytes,
			   opt->spec.fsize_bytes != UINT64_MAX, err);

	if (r < 0) {
		try_be_silent();
		return r;
	}
	memcpy(run->how.streams, run->stdio.inside, sizeof(run->how.streams));
	memcpy(run->how.far, run->stdio.far, sizeof(run->how.far));
	run->io.stdio = &run->stdio;
	return 0;
}

/* The function's: the caller's own, or what leads to a bridge. */
static void keep_streams(struct run *run)
{
	int fds[3];

	for (int i = 0; i < 3; i++)
		fds[i] = run->stdio.inside[i] >= 0 ? run->stdio.inside[i] : i;
	stream_state_keep(run->streams, fds);
}

static void destroy(struct run *run)
{
	struct cloche_err err = { 0 };

	metering_disarm(&run->metering);
	if (run->have_context && context_destroy(&run->launcher, &run->ctx, &err) < 0)
		complain(run, err.text);
	run->have_context = false;
}

/* What counts in the context's cgroups. */
static int arm(struct run *run, struct cloche_err *err)
{
	int r = metering_arm(&run->metering, &run->ctx, err);

	return r == 0 && run->opt->observer ? observer_arm(run->opt->observer, &run->ctx, err) : r;
}

static int renew(struct run *run, struct cloche_err *err)
{
	int r;

	metering_disarm(&run->metering);
	r = context_renew(&run->launcher, &run->ctx, err);
	return r == 0 ? arm(run, err) : r;
}

static int create(struct run *run, struct cloche_err *err)
{
	int r = context_create(&run->launcher, &run->opt->spec, &run->how, &run->ctx, err);

	if (r < 0)
		return r;
	r = arm(run, err);
	if (r < 0) {
		metering_disarm(&run->metering);
		(void)context_destroy(&run->launcher, &run->ctx, NULL);
		return r;
	}
	stdio_try_give_names(&run->stdio, run->launcher.run_fd, run->ctx.plan.uid);
	memcpy(run->ctx.plan.streams, run->stdio.inside, sizeof(run->stdio.inside));
	keep_streams(run);
	run->have_context = true;
	run->rc.start = "cold";
	run->rc.invocation = 0;
	run->rc.replaced = run->replaced;
	run->replaced = NULL;
	return uuid_v4(run->rc.id, err);
}

/*
 * Between two invocations: kept only when proved clean. Not after cgroup.kill: kernels from 6.14 on
 * may kill what is later born there by CLONE_INTO_CGROUP, since they compare the count of kills of
 * the parent's cgroup with that of its own (cgroup_css_set_fork, cgroup_post_fork).
 */
static void keep_or_replace(struct run *run, const struct invocation *inv)
{
	struct warden_msg m = { .residue = RESIDUE_UNKNOWN };
	struct cloche_err err;

	if (inv->left_processes)
		m.residue = RESIDUE_PROCESS;
	else if (inv->killed)
		m.residue = RESIDUE_KILLED;
	else if (context_send(&run->ctx, WARDEN_PROVE, &err) < 0 ||
		 context_recv(&run->ctx, &m, &err) < 0 || m.type != WARDEN_PROVED)
		m.residue = RESIDUE_UNKNOWN;
	if (m.residue == RESIDUE_NONE && cgroup_populated(&run->ctx.plan.cgroup) != 0)
		m.residue = RESIDUE_PROCESS;
	if (m.residue == RESIDUE_NONE && renew(run, &err) < 0)
		m.residue = RESIDUE_UNKNOWN;
	if (m.residue == RESIDUE_NONE)
		return;
	run->replaced = residue_text((enum residue)m.residue);
	destroy(run);
}

static int run_one(struct run *run, int64_t requested_ns)
{
	struct invocation inv = { .verdict = VERDICT_LAUNCH_ERROR,
				  .overshoot_ns = -1,
				  .started_real_ns = clock_real_ns() };
	int r = run_ledger_ready(&run->ledger, run->opt, &inv.err);

	prompt_try_begin(true);
	if (r == 0 && run->refused.code) {
		inv.err = run->refused;
		r = -inv.err.code;
	}
	if (r == 0 && !run->have_context)
		r = create(run, &inv.err);
	if (r < 0)
		(void)uuid_v4(inv.request_id, NULL);
	if (r == 0) {
		run->rc.invocation++;
		run_trace_begin(&run->trace, run->opt, run->launcher.run_fd, &run->io.trace);
		invocation_run(&run->ctx, &run->opt->spec, &run->io, requested_ns, &inv);
		stream_state_restore(run->streams);
		/* What is said from here on shall not pass for the end of the function's line. */
		own_line_after(run->opt->err_fd < 0 && stdio_mid_line(&run->stdio));
		run_trace_end(&run->trace, run->opt, &inv);
	}
	show_as_options(&inv.err);
	tell(run, &inv);
	run->rc.start = "warm";
	run->rc.replaced = NULL;
	if (inv.stream_err.code)
		complain(run, inv.stream_err.text);
	if (r == 0 && inv.verdict == VERDICT_LAUNCH_ERROR)
		destroy(run);
	else if (r == 0 && run->opt->repeat > 1)
		keep_or_replace(run, &inv);
	if (inv.verdict == VERDICT_CANCELLED)
		return cancel_status(run);
	/* What was written and got lost is no success of anybody. */
	if (inv.verdict == VERDICT_OK && inv.stream_err.code)
		return EXIT_LAUNCH;
	return invocation_exit_status(&inv);
}

/* Where it cannot, neither can pid 1 of the context, which says so in the report. */
static void try_outlive(void)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)attributes_try_outlive(proc);
}

static int run_all(struct run *run, int64_t started_ns)
{
	struct cloche_err err = { 0 };
	int status = 0, r;

	prompt_try_begin(true);
	try_outlive();
	r = open_cancel(&run->io.cancel_fd, &err);
	if (r == 0 && open_streams(run, &run->refused) < 0)
		(void)cloche_err_stage(&run->refused, "streams");
	if (r == 0)
		r = launcher_open(&run->launcher, &err);
	if (r == 0 && run->opt->meter == METERING_OFF)
		metering_off(&run->metering, "--meter off");
	else if (r == 0)
		r = metering_open(&run->metering, run->opt->meter, run->launcher.hierarchy.v2,
				  &err);
	if (r < 0) {
		complain(run, err.text);
		return EXIT_LAUNCH;
	}
	open_report(run);
	for (unsigned i = 0; i < run->opt->repeat; i++) {
		int s = run_one(run, i == 0 ? started_ns : clock_now_ns());

		prompt_end(); /* of what was not even launched */
		status = status ? status : s;
		if (s == EXIT_LAUNCH || run->cancelled)
			break;
	}
	metering_close(&run->metering);
	if (run->have_context && context_leave(&run->launcher, &run->ctx, &err) < 0)
		complain(run, err.text);
	launcher_close(&run->launcher);
	return status;
}

int run_execute(const struct run_options *opt, int64_t started_ns)
{
	struct run run = { .opt = opt,
			   .io = { .cancel_fd = -1, .metering = &run.metering },
			   .rc = { .start = "cold", .reuse = opt->repeat > 1 ? "context" : "none" },
			   .how = { .single = opt->repeat == 1 },
			   .stdio = { .far = { -1, -1, -1 }, .names = STREAM_NAMES_NONE },
			   .trace = { .store = -1 },
			   .report_fd = -1 };
	int *const fds[] = { &run.io.cancel_fd, &run.report_fd };
	int status = run_all(&run, started_ns);

	run_ledger_close(&run.ledger);
	run_trace_close(&run.trace);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		fd_close(fds[i]);
	stdio_close(&run.stdio);
	return status;
}

/* Each bind is held by a descriptor; the usual soft limit is 1024, the hard one far more. What is
 * too few for all of them is found out when one cannot be opened. */
static void try_allow_fds(size_t binds)
{
	struct rlimit l;

	if (binds > 64 && getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

int cmd_run(int argc, char **argv)
{
	int64_t started_ns = clock_now_ns();
	struct run_options opt;
	struct cloche_err err = { 0 };
	int r = run_options_parse(argc, argv, &opt, &err);

	if (r > 0) {
		run_options_free(&opt);
		return 0;
	}
	if (r == 0)
		r = run_options_check(&opt, &err);
	if (r < 0) {
		fprintf(stderr, "cloche run: %s; see 'cloche run --help'\n", err.text);
		run_options_free(&opt);
		return EXIT_USAGE;
	}
	try_allow_fds(opt.spec.n_binds);
	r = run_execute(&opt, started_ns);
	run_options_free(&opt);
	return r;
}
