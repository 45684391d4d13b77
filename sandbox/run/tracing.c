/* SPDX-License-Identifier: MIT */
/* The places where traces go: see tracing.h. */
#include "run/tracing.h"

#include "base/fd.h"
#include "run/metering.h"
#include "run/outcome.h"
#include "trace/trace_live.h"

#include <errno.h>

static void open_kept(struct tracing *t)
{
	struct cloche_err err = { 0 };

	if (t->store < 0)
		t->store = trace_store_open(t->dir, true, &err);
	if (t->store < 0 || trace_store_begin(t->store, &t->kept, &err) < 0)
		t->unkept = err;
}

void tracing_begin(struct tracing *t, int run_fd, FILE *file, bool wanted, const char *function,
		   struct metering_trace *ret)
{
	t->unkept.code = 0;
	t->wanted = wanted || t->dir;
	t->live = trace_live_find(run_fd, t->live);
	if (t->dir)
		open_kept(t);
	*ret = (struct metering_trace){
		.file = file, .kept = t->kept.f, .live = t->live, .function = function
	};
}

static void end_kept(struct tracing *t, struct outcome *out)
{
	bool empty;

	if (!t->kept.f)
		return;
	empty = ftello(t->kept.f) == 0;
	/* Of what never ran there is nothing to see, and why is told elsewhere. */
	if (!out->ran || empty)
		trace_store_drop(t->store, &t->kept);
	if (out->ran && empty)
		(void)cloche_err_set(&t->unkept, ENODATA, "%s",
				     out->metered.known ? "nothing was recorded"
							: out->metered.why);
	if (!t->kept.f)
		return;
	if (trace_store_keep(t->store, &t->kept, out->request_id, &trace_store_limits,
			     &t->unkept) == 0)
		out->metered.traced = true;
}

void tracing_lose(struct tracing *t, const struct cloche_err *why)
{
	if (!t->kept.f)
		return;
	trace_store_drop(t->store, &t->kept);
	t->unkept = *why;
}

void tracing_end(struct tracing *t, struct outcome *out)
{
	t->filed = out->metered.traced;
	end_kept(t, out);
	out->metered.trace_lost = t->wanted && !out->metered.traced;
}

void tracing_close(struct tracing *t)
{
	if (t->kept.f)
		trace_store_drop(t->store, &t->kept);
	fd_close(&t->store);
	t->live = trace_live_close(t->live);
}
