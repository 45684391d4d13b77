/* SPDX-License-Identifier: MIT */
/* A trace as people read it. */
#include "trace/trace_text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/meter_abi.h"
#include "trace/trace.h"
#include "trace/trace_spans.h"

struct text {
	char *buf;
	size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, args);
	va_end(args);
	if (n > 0)
		t->len += (size_t)n < t->size - t->len ? (size_t)n : t->size - t->len - 1;
}

/* As a shell would want it. */
static void put_word(struct text *t, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-./=:,+@%";

	if (*word && !word[strspn(word, plain)]) {
		put(t, " %s", word);
		return;
	}
	put(t, " '");
	for (; *word; word++)
		put(t, *word == '\'' ? "'\\''" : "%c", *word);
	put(t, "'");
}

static void put_result(struct text *t, int64_t result)
{
	const char *name = result < 0 && result > -4096 ? strerrorname_np((int)-result) : NULL;

	if (name)
		put(t, ": %s", name);
	else if (result < 0)
		put(t, ": error %" PRId64, result);
}

static void put_exit(struct text *t, uint32_t status)
{
	const char *name = sigabbrev_np((int)(status & 0x7f));

	if (status & 0x7f)
		put(t, "exit by SIG%s", name ? name : "?");
	else
		put(t, "exit %u", status >> 8 & 0xff);
}

static void put_signal(struct text *t, const struct trace_event *e)
{
	const char *name = sigabbrev_np((int)e->arg);
	int32_t code = (int32_t)(e->value >> 32);

	if (name)
		put(t, "signal SIG%s", name);
	else
		put(t, "signal %u", e->arg);
	if (code > 0)
		put(t, " by the kernel");
	else if ((uint32_t)e->value == e->pid)
		put(t, " by itself");
	else
		put(t, " by process %u", (uint32_t)e->value);
}

static void put_open(struct text *t, const struct trace_event *e)
{
	put(t, "open");
	put_word(t, e->text);
	if (e->cut)
		put(t, "...");
	/* openat2 is on record whatever its flags, which the function may have rewritten. */
	put(t, e->arg & O_CREAT			? " to create or write"
	       : e->arg & (O_ACCMODE | O_TRUNC) ? " to write"
						: " by openat2");
	put_result(t, (int64_t)e->value);
}

static void put_denied(struct text *t, const struct trace_event *e)
{
	bool native = strcmp(e->abi, "x86_64") == 0;

	put(t, "denied %s%s%s(", native ? "" : e->abi, native ? "" : " ", e->text);
	for (size_t i = 0; i < 6; i++)
		put(t, "%s0x%" PRIx64, i ? ", " : "", e->args[i]);
	put(t, ")");
	if (e->value)
		put_result(t, (int64_t)e->value);
	else
		put(t, ", with SIGSYS");
}

const char *trace_text_event(const struct trace_event *e, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };

	*buf = 0;
	switch (e->type) {
	case METER_EV_FORK:
		put(&t, e->value ? "new thread %u" : "fork %u", e->arg);
		break;
	case METER_EV_EXEC:
		put(&t, "exec");
		put_word(&t, e->text);
		for (size_t i = 1; i < e->argc; i++)
			put_word(&t, e->argv[i]);
		if (e->cut)
			put(&t, " ...");
		if (e->arg && e->arg != e->tid)
			put(&t, ", called by thread %u", e->arg);
		break;
	case METER_EV_EXIT:
		put_exit(&t, e->arg);
		break;
	case METER_EV_SIGNAL:
		put_signal(&t, e);
		break;
	case METER_EV_OOM:
		put(&t, "killed: out of memory");
		break;
	case METER_EV_UNTHROTTLE:
		put(&t, "the quota's next period begins");
		break;
	case METER_EV_OPEN:
		put_open(&t, e);
		break;
	case METER_EV_CONNECT:
	case METER_EV_BIND:
		if (strncmp(e->text, "unix:", 5) == 0)
			put(&t, "%s %s", trace_type_text(e->type), e->text);
		else
			put(&t, strchr(e->text, ':') ? "%s [%s]:%u" : "%s %s:%u",
			    trace_type_text(e->type), e->text, (unsigned)e->value);
		break;
	case METER_EV_DENIED:
		put_denied(&t, e);
		break;
	default:
		break;
	}
	return buf;
}

/* ---- the timeline ------------------------------------------------------------------------- */

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void put_line(FILE *f, const struct trace *t, uint64_t at_ns, uint32_t tid, const char *comm,
		     const char *what)
{
	if (tid)
		(void)fprintf(f, "%+14.6f  %7u %-15s  %s\n", ms(at_ns - t->begin_ns), tid, comm,
			      what);
	else
		(void)fprintf(f, "%+14.6f  %7s %-15s  %s\n", ms(at_ns - t->begin_ns), "", "", what);
}

static int by_begin(const void *a, const void *b)
{
	const struct trace_span *x = a, *y = b;

	return (x->from_ns > y->from_ns) - (x->from_ns < y->from_ns);
}

static void put_span(FILE *f, const struct trace *t, const struct trace_span *s)
{
	char what[80];
	int n = snprintf(what, sizeof(what), "%s %.6f ms", span_state_text(s->state),
			 ms(s->to_ns - s->from_ns));

	if (s->state == SPAN_RUNNING)
		(void)snprintf(what + n, sizeof(what) - (size_t)n, " (CPU %u)", s->cpu);
	put_line(f, t, s->from_ns, s->tid, "", what);
}

static void put_figures(FILE *f, const struct trace *t)
{
	if (!t->ended) {
		(void)fprintf(f, "\nThe recording has no end: it was cut off.\n");
		return;
	}
	(void)fprintf(f,
		      "\nwall %.6f ms = busy %.6f + held by its quota %.6f + waiting for others "
		      "%.6f + idle %.6f\non CPU %.6f ms, all threads\n",
		      ms(t->end_ns - t->begin_ns), ms(t->busy_ns), ms(t->quota_ns),
		      ms(t->contention_ns), ms(t->idle_ns), ms(t->on_cpu_ns));
	if (t->lost)
		(void)fprintf(f, "incomplete: %" PRIu64 " events were lost\n", t->lost);
	else if (!t->complete)
		(void)fprintf(f, "incomplete: some threads or switches were not seen\n");
}

int trace_text_write(FILE *f, const struct trace *t, bool cpu)
{
	struct trace_span *spans = NULL;
	size_t n = 0, next = 0;
	char what[8192];
	int r = cpu ? trace_spans(t, &spans, &n) : 0;

	if (r)
		return r;
	if (n)
		qsort(spans, n, sizeof(*spans), by_begin);
	(void)fprintf(f, "request %s, %s\n\n%14s  %7s %-15s  %s\n",
		      *t->request_id ? t->request_id : "-", *t->started_at ? t->started_at : "-",
		      "ms", "thread", "name", "what");
	for (size_t i = 0; i < t->n; i++) {
		const struct trace_event *e = &t->events[i];

		while (next < n && spans[next].from_ns <= e->at_ns)
			put_span(f, t, &spans[next++]);
		if (*trace_text_event(e, what, sizeof(what)))
			put_line(f, t, e->at_ns, e->tid, e->comm, what);
	}
	while (next < n)
		put_span(f, t, &spans[next++]);
	free(spans);
	put_figures(f, t);
	return 0;
}
