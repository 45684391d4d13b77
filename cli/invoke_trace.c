/* SPDX-License-Identifier: MIT */
/* Where the trace of an invocation goes: see invoke_trace.h. */
#include "cli/invoke_trace.h"

#include "cli/ledger_args.h"
#include "cli/own_line.h"

#include "base/file.h"
#include "base/quote.h"
#include "launch/rights.h"
#include "run/metering.h"
#include "run/outcome.h"
#include "serve/remote_invoke.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static FILE *open_file(const char *path, const struct rights *as)
{
	int fd = rights_call(as, file_make_output, path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	int code = fd < 0 ? -fd : errno;
	char shown[QUOTE_LEN];

	if (!f) {
		own_line();
		fprintf(stderr, "cloche invoke: open %s: %s; there is no trace\n",
			quote(shown, path), file_output_why(code));
	}
	return f;
}

void invoke_trace_begin(struct invoke_trace *t, const char *function, const struct rights *as,
			struct remote_event *event)
{
	struct metering_trace to;

	if (!t->path && !t->keep)
		return;
	t->tracing = (struct tracing){ .dir = t->keep ? args_traces_named() : NULL, .store = -1 };
	t->remote = (struct remote_trace){ .file = t->path ? open_file(t->path, as) : NULL,
					   .wanted = t->path != NULL,
					   .kept = t->keep && !t->tracing.dir,
					   .pipe = -1 };
	t->opened = t->remote.file != NULL;
	if (t->tracing.dir) {
		tracing_begin(&t->tracing, -1, NULL, t->path != NULL, function, &to);
		t->remote.copy = to.kept;
	}
	event->trace = &t->remote;
	event->notes = &t->notes;
}

void invoke_trace_end(struct invoke_trace *t, struct outcome *out)
{
	static const struct cloche_err cut = { .code = EPIPE, .text = "not all of it came" };

	if (!t->tracing.dir)
		return;
	if (!t->notes.trace_whole)
		tracing_lose(&t->tracing, t->notes.untraced.code ? &t->notes.untraced : &cut);
	tracing_end(&t->tracing, out);
	tracing_close(&t->tracing);
	if (out->ran)
		t->notes.unkept = t->tracing.unkept;
}

void invoke_trace_say(const struct invoke_trace *t, const struct outcome *out)
{
	const struct metered *m = &out->metered;
	char shown[QUOTE_LEN];

	if (t->notes.unkept.code) {
		own_line();
		fprintf(stderr, "cloche invoke: no trace is kept: %s\n", t->notes.unkept.text);
	}
	if (!t->opened || !out->ran || t->notes.trace_filed)
		return;
	own_line();
	fprintf(stderr, "cloche invoke: the trace could not be written to %s: %s\n",
		quote(shown, t->path),
		!m->known		 ? m->why
		: t->notes.untraced.code ? t->notes.untraced.text
		: m->trace_code		 ? strerror(m->trace_code)
					 : "nothing was recorded");
}
