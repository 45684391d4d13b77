/* SPDX-License-Identifier: MIT */
/* `cloche run`: a command line in, an exit status and a report out. */
#include "cli/run.h"

#include "cli/cancel.h"
#include "cli/cli.h"
#include "cli/ledger_args.h"
#include "cli/own_line.h"
#include "cli/report_out.h"
#include "cli/run_options.h"
#include "cli/run_own.h"
#include "cli/show.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "host/prompt.h"
#include "launch/attributes.h"
#include "launch/rights.h"
#include "launch/streams.h"
#include "ledger/prices.h"
#include "run/drive.h"
#include "run/outcome.h"
#include "run/session.h"
#include "run/tracing.h"
#include "serve/remote.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
	const struct run_options *opt;
	struct session *session; /* NULL: the daemon runs it */
	struct remote remote;
	struct run_own own; /* with remote */
	int cancel_fd;	    /* a signalfd: the caller wants an end */
	struct report_out said;
	struct tracing tracing; /* through the daemon: in a folder of the caller's own */
	unsigned traces;	/* files, numbered */
	bool said_unkept, said_unrecorded;
	bool stop; /* nothing is to be run any more */
};

/* ---- what is said --------------------------------------------------------------------------- */

static void complain(const struct run *run, const char *text)
{
	report_out_complain(&run->said, text);
}

/* Also to who asked for quiet: what was answered for before is not there any more; and what is
 * wrong with a folder is wrong for all of many invocations, and said once. */
static void say_notes(struct run *run, const struct session_notes *notes)
{
	args_lost(run->opt->verb, run->session ? run->opt->ledger : "of the daemon", &notes->found);
	if (notes->unkept.code && !run->said_unkept) {
		own_line();
		fprintf(stderr, "cloche %s: no trace is kept: %s\n", run->opt->verb,
			notes->unkept.text);
		run->said_unkept = true;
	}
	if (notes->left.code)
		complain(run, notes->left.text);
}

static void say_unrecorded(struct run *run, const struct outcome *out)
{
	if (!out->unrecorded || run->said_unrecorded)
		return;
	own_line();
	fprintf(stderr, "cloche %s: no safe record of this invocation: %s\n", run->opt->verb,
		out->unrecorded_why);
	run->said_unrecorded = true;
}

/* ---- the file of --trace -------------------------------------------------------------------- */

/* The run is worth more than its trace: what cannot be written is said, and it goes on. */
static FILE *open_trace(struct run *run)
{
	const struct run_options *opt = run->opt;
	cleanup_free char *numbered = NULL;
	const char *path = opt->trace;
	char shown[QUOTE_LEN];
	struct stat st;
	FILE *f;
	int fd, code;

	if (!path)
		return NULL;
	/* A device or pipe takes them all. */
	if (opt->repeat > 1 && (stat(path, &st) < 0 || S_ISREG(st.st_mode))) {
		if (asprintf(&numbered, "%s.%u", path, ++run->traces) < 0)
			return NULL;
		path = numbered;
	}
	fd = rights_call(opt->spec.caller, file_make_output, path);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	code = fd < 0 ? -fd : errno;
	if (!f) {
		own_line();
		fprintf(stderr, "cloche %s: open %s: %s; there is no trace\n", opt->verb,
			quote(shown, path), file_output_why(code));
	}
	return f;
}

static void say_unwritten(const struct run *run, const struct session_notes *notes,
			  const struct outcome *out)
{
	const struct metered *m = &out->metered;
	char shown[QUOTE_LEN];

	own_line();
	fprintf(stderr, "cloche %s: the trace could not be written to %s: %s\n", run->opt->verb,
		quote(shown, run->opt->trace),
		!m->known	       ? m->why
		: notes->untraced.code ? notes->untraced.text
		: m->trace_code	       ? strerror(m->trace_code)
				       : "nothing was recorded");
}

/* ---- signals and streams -------------------------------------------------------------------- */

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

/* Where it cannot, neither can the warden, which says so in the report. */
static void try_outlive(void)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)attributes_try_outlive(proc);
}

/* ---- invocations ----------------------------------------------------------------------------- */

static int status_of(const struct run *run, const struct outcome *out)
{
	if (out->verdict == VERDICT_CANCELLED)
		return cancel_status(run->cancel_fd);
	/* What was written and got lost is no success of anybody. */
	if (out->verdict == VERDICT_OK && out->stream_err.code)
		return EXIT_LAUNCH;
	return outcome_exit_status(out);
}

static int refuse(struct cloche_err *ret, struct cloche_err *why)
{
	show_as_options(why);
	return cloche_err_set(ret, why->code,
			      "refused, nothing was run: %s (see --ledger-full and --no-ledger)",
			      why->text);
}

/* What the ledger has no room for is not run, unless the caller said otherwise. */
static bool is_refused(struct run *run, struct cloche_err *ret)
{
	struct session_notes notes;
	struct cloche_err err = { 0 };
	int r = session_ready(run->session, &notes, &err);

	say_notes(run, &notes);
	return r < 0 && refuse(ret, &err) < 0;
}

static void invoke_here(struct run *run, int64_t requested_ns, struct outcome *out)
{
	const struct run_options *opt = run->opt;
	struct cloche_err refused = { 0 };
	struct session_notes notes;
	struct invocation *inv;
	bool may_not = is_refused(run, &refused), traced = false;
	FILE *trace = NULL;

	prompt_try_begin(true);
	if (!may_not) {
		trace = open_trace(run);
		traced = trace != NULL;
	}
	inv = session_begin(run->session, may_not ? &refused : NULL, trace, opt->trace != NULL,
			    requested_ns, out);
	if (inv)
		drive_invocation(inv, run->cancel_fd);
	prompt_end(); /* also of what was not even launched */
	session_end(run->session, out, &notes);
	show_as_options(&out->err);
	/* What is said from here on shall not pass for the end of the function's line. */
	own_line_after(inv && opt->err_fd < 0 && session_mid_line(run->session));
	say_notes(run, &notes);
	if (traced && out->ran && !notes.trace_filed)
		say_unwritten(run, &notes, out);
}

/* As above, of a ledger of the client's own. */
static bool is_own_refused(struct run *run, struct cloche_err *ret)
{
	struct ledger_repair found;
	struct cloche_err err = { 0 };
	int r = run_own_ready(&run->own, &found, &err);

	args_lost(run->opt->verb, run->opt->ledger, &found);
	return r < 0 && refuse(ret, &err) < 0;
}

/* Beside the file: where the caller has named a folder, else with the daemon. */
static void begin_traces(struct run *run, struct remote_options *options)
{
	const struct run_options *opt = run->opt;
	struct metering_trace to;

	if (opt->meter == METERING_OFF)
		return;
	options->trace = open_trace(run);
	options->keep_trace = opt->keep_trace && !run->tracing.dir;
	if (!run->tracing.dir)
		return;
	tracing_begin(&run->tracing, -1, options->trace, options->trace_wanted, opt->name, &to);
	options->kept = to.kept;
}

static void end_traces(struct run *run, struct outcome *out, struct session_notes *notes)
{
	static const struct cloche_err cut = { .code = EPIPE, .text = "not all of it came" };

	if (run->opt->meter == METERING_OFF && run->opt->keep_trace && out->ran)
		(void)cloche_err_set(&notes->unkept, ENODATA, "--meter off");
	if (!run->tracing.dir || run->opt->meter == METERING_OFF)
		return;
	if (!notes->trace_whole)
		tracing_lose(&run->tracing, notes->untraced.code ? &notes->untraced : &cut);
	tracing_end(&run->tracing, out);
	if (out->ran)
		notes->unkept = run->tracing.unkept;
}

static void invoke_there(struct run *run, bool more, struct outcome *out)
{
	const struct run_options *opt = run->opt;
	struct cloche_err refused = { 0 };
	struct remote_options options = {
		.spec = &opt->spec,
		.refused = &opt->image_refused,
		.function = opt->name,
		.owner = getuid(),
		.metered = opt->meter == METERING_REQUIRED,
		.hold = more,
		.trace_wanted = opt->trace != NULL,
		.cancel_fd = run->cancel_fd,
	};
	struct session_notes notes;
	struct ledger_repair found;
	bool traced;

	if (is_own_refused(run, &refused))
		options.refused = &refused;
	else
		begin_traces(run, &options);
	traced = options.trace || opt->meter == METERING_OFF;
	remote_run(&run->remote, &options, out, &notes);
	end_traces(run, out, &notes);
	run_own_settle(&run->own, out, &found);
	show_as_options(&out->err);
	own_line_after(run->remote.mid_line);
	say_notes(run, &notes);
	if (opt->trace && traced && out->ran && !notes.trace_filed)
		say_unwritten(run, &notes, out);
	args_lost(opt->verb, opt->ledger, &found);
}

/* more: another one is to follow. */
static int run_one(struct run *run, int64_t requested_ns, bool more, struct outcome *out)
{
	if (run->session)
		invoke_here(run, requested_ns, out);
	else
		invoke_there(run, more, out);
	say_unrecorded(run, out);
	run->stop = out->verdict == VERDICT_CANCELLED;
	return status_of(run, out);
}

static int open_remote(struct run *run)
{
	const char *control = run->opt->control;
	struct cloche_err err = { 0 };
	int r = cancel_open(&run->cancel_fd, &err);

	if (r == 0)
		r = remote_open(control, &run->remote, &err);
	if (r == -ENOENT || r == -ECONNREFUSED || r == -EACCES)
		(void)cloche_err_set(&err, err.code,
				     "making contexts needs root or the daemon, and none can be "
				     "reached at '%.200s': run this by sudo, or have 'cloche "
				     "serve' started",
				     control);
	if (r == 0)
		r = run_own_begin(&run->own, run->opt, &err);
	run->tracing.dir = run->opt->keep_trace ? args_traces_named() : NULL;
	if (r == 0)
		remote_take_streams(&run->remote, &run->opt->spec,
				    (int[]){ STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO });
	try_be_silent();
	if (r < 0)
		complain(run, err.text);
	return r;
}

static int open_session(struct run *run)
{
	const struct run_options *opt = run->opt;
	const struct session_options options = {
		.spec = &opt->spec,
		.function = opt->name,
		.owner = getuid(),
		.streams = { STDIN_FILENO, opt->out_fd >= 0 ? opt->out_fd : STDOUT_FILENO,
			     opt->err_fd >= 0 ? opt->err_fd : STDERR_FILENO },
		.reused = opt->repeat > 1,
		.meter = opt->meter,
		.unmetered = "--meter off",
		.untraced = "not asked for, see --trace and --keep-trace",
		.observer = opt->observer,
		.prices = &opt->prices,
		.ledger = opt->ledger,
		.ledger_as = opt->ledger_named ? opt->spec.caller : NULL,
		.ledger_go_on = opt->ledger_continue,
		.ledger_sync = opt->ledger_sync,
		.traces = opt->keep_trace ? args_traces() : NULL,
	};
	struct cloche_err err = { 0 };
	int r;

	prompt_try_begin(true);
	try_outlive();
	r = cancel_open(&run->cancel_fd, &err);
	if (r == 0)
		r = session_open(&options, &run->session, &err);
	try_be_silent();
	if (r < 0)
		complain(run, err.text);
	return r;
}

static void close_session(struct run *run)
{
	struct session_notes notes;

	remote_close(&run->remote);
	tracing_close(&run->tracing);
	run_own_end(&run->own);
	run->session = session_close(run->session, &notes);
	say_notes(run, &notes);
	fd_close(&run->cancel_fd);
}

int run_once(const struct run_options *opt, int64_t started_ns, struct outcome *out)
{
	struct run run = { .opt = opt,
			   .remote = { .socket = -1 },
			   .cancel_fd = -1,
			   .tracing = { .store = -1 },
			   .said = { .verb = opt->verb, .fd = -1 } };
	int status = EXIT_LAUNCH;

	*out = (struct outcome){ .verdict = VERDICT_LAUNCH_ERROR };
	if (open_session(&run) == 0)
		status = run_one(&run, started_ns, false, out);
	close_session(&run);
	return status;
}

static int run_all(struct run *run, int64_t started_ns)
{
	struct outcome out;
	int status = 0;

	if ((run->opt->control ? open_remote(run) : open_session(run)) < 0)
		return EXIT_LAUNCH;
	report_out_open(&run->said);
	for (unsigned i = 0; i < run->opt->repeat; i++) {
		bool more = i + 1 < run->opt->repeat;
		struct session_notes notes;
		int s = run_one(run, i == 0 ? started_ns : clock_now_ns(), more, &out);

		report_out_say(&run->said, &out);
		if (out.stream_err.code)
			complain(run, out.stream_err.text);
		status = status ? status : s;
		if (s == EXIT_LAUNCH || run->stop)
			break;
		if (more && run->session) {
			session_verify(run->session, &out, &notes);
			say_notes(run, &notes);
		}
	}
	return status;
}

int cmd_run(int argc, char **argv)
{
	int64_t started_ns = clock_now_ns();
	struct run_options opt;
	struct cloche_err err = { 0 };
	struct run run;
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
	/* Each bind is held by a descriptor; the usual soft limit is 1024, the hard one far more.
	 * What is too few for all of them is found out when one cannot be opened. */
	if (opt.spec.n_binds > 64)
		file_try_allow_many();
	run = (struct run){ .opt = &opt,
			    .remote = { .socket = -1 },
			    .cancel_fd = -1,
			    .tracing = { .store = -1 },
			    .said = { .verb = opt.verb,
				      .path = opt.report,
				      .as = opt.spec.caller,
				      .quiet = opt.quiet,
				      .fd = -1 } };
	r = run_all(&run, started_ns);
	close_session(&run);
	report_out_close(&run.said);
	run_options_free(&opt);
	return r;
}
