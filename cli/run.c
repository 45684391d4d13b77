/* SPDX-License-Identifier: MIT */
/* `cloche run`: a command line in, an exit status and a report out. */
#include "cli/cli.h"
#include "cli/run.h"
#include "cli/run_ledger.h"
#include "cli/run_options.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/uuid.h"
#include "launch/launcher.h"
#include "meter/prices.h"
#include "pool/invocation.h"
#include "pool/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

struct run {
	const struct run_options *opt;
	struct launcher launcher;
	struct context ctx;
	struct report_context rc;
	bool have_context;
	struct invocation_io io;
	int real_out, real_err, pipe_out, pipe_err; /* when output is diverted; else -1 */
	int report_fd;
	const char *replaced;
	struct run_ledger ledger;
};

static void complain(const char *text)
{
	fprintf(stderr, "cloche run: %s\n", text);
}

/* Opened before anything runs, so that a wrong path is known early; yet it never costs the run. */
static void open_report(struct run *run)
{
	const char *path = run->opt->report;

	run->report_fd = -1;
	if (!path)
		return;
	if (strcmp(path, "-") != 0) {
		run->report_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (run->report_fd < 0)
			fprintf(stderr,
				"cloche run: open '%s': %s; the report goes to standard "
				"error\n",
				path, strerror(errno));
	}
}

static void write_report(struct run *run, const char *line)
{
	size_t len = strlen(line);

	if (run->report_fd >= 0) {
		if (write(run->report_fd, line, len) == (ssize_t)len)
			return;
		fprintf(stderr, "cloche run: write '%s': %s; the report goes to standard error\n",
			run->opt->report, strerror(errno));
	}
	fputs(line, stderr);
}

static void tell(struct run *run, const struct invocation *inv)
{
	struct prices_use use = { .memory_bytes = run->opt->spec.memory_bytes,
				  .wall_ns = inv->wall_ns,
				  .contention_ns = -1 };
	struct prices_charge charge;
	struct report r = { .spec = &run->opt->spec,
			    .ctx = run->have_context ? &run->ctx : NULL,
			    .inv = inv,
			    .context = &run->rc,
			    .prices = run->opt->prices.name,
			    .function = run->opt->name };

	if (inv->verdict == VERDICT_TIMEOUT)
		use.timeout_ns = run->opt->spec.timeout_ns;
	if (inv->ran && prices_charge(&run->opt->prices, &use, &charge, NULL) == 0)
		r.charge = &charge;
	r.unrecorded = run_ledger_append(&run->ledger, run->opt, &r);
	if (run->opt->each) {
		run->opt->each(&r, run->opt->each_arg);
		return;
	}
	if (!inv->ran && inv->verdict == VERDICT_LAUNCH_ERROR)
		complain(inv->err.text);
	else if (!run->opt->quiet)
		report_line(&r, stderr);
	if (run->opt->report) {
		cleanup_free char *line = report_json(&r);

		if (line)
			write_report(run, line);
		else
			complain("no memory for the report");
	}
}

/* Ctrl-C and the like end the invocation, not this program, which has a report to give. */
static int open_cancel(void)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int keep_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Where the function's output goes: with an output limit, it passes through here. */
static int open_outputs(struct run *run, struct cloche_err *err)
{
	const struct run_options *opt = run->opt;
	int o[2], e[2];

	if (opt->spec.output_bytes == 0 && opt->out_fd < 0)
		return 0;
	run->real_out = keep_fd(1);
	run->real_err = keep_fd(2);
	if (opt->out_fd >= 0) {
		run->pipe_out = keep_fd(opt->out_fd);
		run->pipe_err = keep_fd(opt->err_fd);
		return 0;
	}
	if (pipe2(o, O_CLOEXEC) < 0 || pipe2(e, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	(void)fcntl(o[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(e[0], F_SETFL, O_NONBLOCK);
	run->io.out = o[0];
	run->io.err = e[0];
	run->pipe_out = o[1];
	run->pipe_err = e[1];
	return 0;
}

static int create(struct run *run, struct cloche_err *err)
{
	int r;

	if (run->pipe_out >= 0) {
		(void)dup2(run->pipe_out, 1);
		(void)dup2(run->pipe_err, 2);
	}
	r = context_create(&run->launcher, &run->opt->spec, &run->ctx, err);
	if (run->pipe_out >= 0) {
		(void)dup2(run->real_out, 1);
		(void)dup2(run->real_err, 2);
	}
	if (r < 0)
		return r;
	run->have_context = true;
	run->rc.start = "cold";
	run->rc.invocation = 0;
	run->rc.replaced = run->replaced;
	run->replaced = NULL;
	return uuid_v4(run->rc.id, err);
}

static void destroy(struct run *run)
{
	struct cloche_err err = { 0 };

	if (run->have_context && context_destroy(&run->launcher, &run->ctx, &err) < 0)
		complain(err.text);
	run->have_context = false;
}

/* Between two invocations: kept only when proved clean. */
static void keep_or_replace(struct run *run, const struct invocation *inv)
{
	struct init_msg m = { .dirt = DIRT_UNKNOWN };
	struct cloche_err err;

	if (inv->left_processes)
		m.dirt = DIRT_PROCESS;
	else if (context_send(&run->ctx, INIT_PROVE, &err) < 0 ||
		 context_recv(&run->ctx, &m, &err) < 0 || m.type != INIT_PROVED)
		m.dirt = DIRT_UNKNOWN;
	if (m.dirt == DIRT_NONE && cgroup_populated(&run->ctx.plan.cgroup) != 0)
		m.dirt = DIRT_PROCESS;
	if (m.dirt == DIRT_NONE)
		return;
	run->replaced = init_dirt_text((enum init_dirt)m.dirt);
	destroy(run);
}

static int run_one(struct run *run, int64_t requested_ns)
{
	struct invocation inv = { .verdict = VERDICT_LAUNCH_ERROR,
				  .overshoot_ns = -1,
				  .started_real_ns = clock_real_ns() };
	int r = run_ledger_ready(&run->ledger, run->opt, &inv.err);

	if (r == 0 && !run->have_context)
		r = create(run, &inv.err);
	if (r < 0)
		(void)uuid_v4(inv.request_id, NULL);
	if (r == 0) {
		run->io.first = ++run->rc.invocation == 1;
		invocation_run(&run->ctx, &run->opt->spec, &run->io, requested_ns, &inv);
	}
	tell(run, &inv);
	run->rc.start = "warm";
	run->rc.replaced = NULL;
	if (r == 0 && inv.verdict == VERDICT_LAUNCH_ERROR)
		destroy(run);
	else if (r == 0 && run->opt->repeat > 1)
		keep_or_replace(run, &inv);
	return invocation_exit_status(&inv);
}

static int run_all(struct run *run, int64_t started_ns)
{
	struct cloche_err err = { 0 };
	int status = 0, r;

	run->io.cancel_fd = open_cancel();
	r = open_outputs(run, &err);
	if (r == 0)
		r = launcher_open(&run->launcher, &err);
	if (r < 0) {
		complain(err.text);
		return EXIT_LAUNCH;
	}
	open_report(run);
	for (unsigned i = 0; i < run->opt->repeat; i++) {
		int s = run_one(run, i == 0 ? started_ns : clock_now_ns());

		status = status ? status : s;
		if (s == EXIT_LAUNCH || s == 128 + SIGINT)
			break;
	}
	destroy(run);
	launcher_close(&run->launcher);
	return status;
}

int run_execute(const struct run_options *opt, int64_t started_ns)
{
	struct run run = { .opt = opt,
			   .io = { .cancel_fd = -1, .out = -1, .err = -1 },
			   .rc = { .start = "cold", .reuse = opt->repeat > 1 ? "context" : "none" },
			   .real_out = -1,
			   .real_err = -1,
			   .pipe_out = -1,
			   .pipe_err = -1,
			   .report_fd = -1 };
	int *const fds[] = { &run.io.cancel_fd, &run.io.out,   &run.io.err,  &run.real_out,
			     &run.real_err,	&run.pipe_out, &run.pipe_err, &run.report_fd };
	int status = run_all(&run, started_ns);

	run_ledger_close(&run.ledger);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		fd_close(fds[i]);
	return status;
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
	r = run_execute(&opt, started_ns);
	run_options_free(&opt);
	return r;
}
