/* SPDX-License-Identifier: MIT */
/*
 * Between `cloche run` and the places where its traces go: see run_trace.h. The run is worth more
 * than its trace: whatever cannot be written is said in one line, and the run goes on.
 */
#include "cli/run_trace.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "cli/ledger_args.h"
#include "cli/own_line.h"
#include "cli/run_options.h"
#include "run/invocation.h"
#include "trace/trace_live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static FILE *open_file(struct run_trace *t, const struct run_options *opt)
{
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
		if (asprintf(&numbered, "%s.%u", path, ++t->files) < 0)
			return NULL;
		path = numbered;
	}
	fd = file_make_output(path);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	code = fd < 0 ? -fd : errno;
	t->opened = f != NULL;
	if (!f) {
		own_line();
		fprintf(stderr, "cloche run: open %s: %s; there is no trace\n", quote(shown, path),
			file_output_why(code));
	}
	return f;
}

/* Once: what is wrong with the folder is wrong for all of many invocations. */
static void say_not_kept(struct run_trace *t, const char *why)
{
	if (!t->said) {
		own_line();
		fprintf(stderr, "cloche run: no trace is kept: %s\n", why);
	}
	t->said = true;
}

static void open_kept(struct run_trace *t)
{
	struct cloche_err err = { 0 };

	if (t->store < 0)
		t->store = trace_store_open(args_traces(), true, &err);
	if (t->store < 0 || trace_store_begin(t->store, &t->kept, &err) < 0)
		say_not_kept(t, err.text);
}

void run_trace_begin(struct run_trace *trace, const struct run_options *opt, int run_fd,
		     struct metering_trace *ret)
{
	trace->live = trace_live_find(run_fd, trace->live);
	if (opt->keep_trace)
		open_kept(trace);
	*ret = (struct metering_trace){ .file = open_file(trace, opt),
					.kept = trace->kept.f,
					.live = trace->live,
					.function = opt->name };
}

static void end_kept(struct run_trace *trace, struct invocation *inv)
{
	struct cloche_err err = { 0 };
	bool empty;

	if (!trace->kept.f)
		return;
	empty = ftello(trace->kept.f) == 0;
	/* Of what never ran there is nothing to see, and why is told elsewhere. */
	if (!inv->ran || empty)
		trace_store_drop(trace->store, &trace->kept);
	if (inv->ran && empty)
		say_not_kept(trace, inv->metered.why ? inv->metered.why : "nothing was recorded");
	if (!trace->kept.f)
		return;
	if (trace_store_keep(trace->store, &trace->kept, inv->request_id, &err) < 0)
		say_not_kept(trace, err.text);
	else
		inv->metered.traced = true;
}

void run_trace_end(struct run_trace *trace, const struct run_options *opt, struct invocation *inv)
{
	bool filed = inv->metered.traced;
	char shown[QUOTE_LEN];

	end_kept(trace, inv);
	if (opt->trace && trace->opened && inv->ran && !filed) {
		const char *why = inv->metered.why	    ? inv->metered.why
				  : inv->metered.trace_code ? strerror(inv->metered.trace_code)
							    : "nothing was recorded";

		own_line();
		fprintf(stderr, "cloche run: the trace could not be written to %s: %s\n",
			quote(shown, opt->trace), why);
	}
	inv->metered.trace_lost = (opt->trace || opt->keep_trace) && !inv->metered.traced;
}

void run_trace_close(struct run_trace *trace)
{
	if (trace->kept.f)
		trace_store_drop(trace->store, &trace->kept);
	fd_close(&trace->store);
	trace->live = trace_live_close(trace->live);
}
