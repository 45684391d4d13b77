/* SPDX-License-Identifier: MIT */
/* The pictures of a page. Stretches too thin to be seen are drawn as one, so that a million
 * switches do not make a million rectangles. */
#include "trace/page_picture.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/meter_abi.h"
#include "trace/trace.h"
#include "trace/trace_text.h"

#define WIDTH	     1000.0
#define ROW	     14
#define THREADS_MAX  60
#define INSTANTS_MAX 400
#define THIN	     0.25

void picture_text(FILE *f, const char *text)
{
	char *clean = trace_clean(text, strlen(text));

	for (const char *s = clean ? clean : "?"; *s; s++)
		switch (*s) {
		case '&':
			(void)fputs("&amp;", f);
			break;
		case '<':
			(void)fputs("&lt;", f);
			break;
		case '>':
			(void)fputs("&gt;", f);
			break;
		case '"':
			(void)fputs("&quot;", f);
			break;
		case '\'':
			(void)fputs("&#39;", f);
			break;
		default:
			(void)putc_unlocked(*s, f);
		}
	free(clean);
}

const char *picture_time(char buf[static 32], uint64_t ns)
{
	if (ns < 1000)
		(void)snprintf(buf, 32, "%u ns", (unsigned)ns);
	else if (ns < 1000000)
		(void)snprintf(buf, 32, "%.3f µs", (double)ns / 1e3);
	else if (ns < 1000000000)
		(void)snprintf(buf, 32, "%.3f ms", (double)ns / 1e6);
	else
		(void)snprintf(buf, 32, "%.3f s", (double)ns / 1e9);
	return buf;
}

void picture_bar(FILE *f, const uint64_t part_ns[PARTS])
{
	double all = 0, x = 0;
	char time[32];

	for (int i = 0; i < PARTS; i++)
		all += (double)part_ns[i];
	(void)fputs("<svg class=\"bar\" viewBox=\"0 0 1000 40\" role=\"img\" "
		    "aria-label=\"where the wall time went\" preserveAspectRatio=\"none\">\n",
		    f);
	for (int i = 0; i < PARTS && all > 0; i++) {
		double w = (double)part_ns[i] / all * WIDTH;

		(void)fprintf(f,
			      "<rect class=\"p%d\" x=\"%.3f\" y=\"0\" width=\"%.3f\" height=\"40\">"
			      "<title>%s %s</title></rect>\n",
			      i, x, w, part_text((enum part)i), picture_time(time, part_ns[i]));
		x += w;
	}
	(void)fputs("</svg>\n<ul class=\"legend\">\n", f);
	for (int i = 0; i < PARTS; i++)
		(void)fprintf(f, "<li><i class=\"p%d\"></i>%s <b>%s</b> %.1f %%</li>\n", i,
			      part_text((enum part)i), picture_time(time, part_ns[i]),
			      all > 0 ? (double)part_ns[i] / all * 100 : 0.0);
	(void)fputs("</ul>\n", f);
}

/* ---- the timeline ------------------------------------------------------------------------- */

struct line {
	FILE *f;
	const struct trace *t;
	char class; /* of the rectangle that is being gathered: its letter and number */
	int number; /* -1: none */
	double from, to;
};

static double at(const struct line *l, uint64_t ns)
{
	double all = (double)(l->t->end_ns - l->t->begin_ns);

	return all > 0 ? (double)(ns - l->t->begin_ns) / all * WIDTH : 0;
}

static void flush(struct line *l)
{
	if (l->number < 0)
		return;
	(void)fprintf(
		l->f, "<rect class=\"%c%d\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"%d\"/>\n",
		l->class, l->number, l->from, l->to - l->from > THIN ? l->to - l->from : THIN, ROW);
	l->number = -1;
}

/* Joins what cannot be told apart; of two kinds within a hair's breadth the longer stays. */
static void stretch(struct line *l, char class, int number, uint64_t from_ns, uint64_t to_ns)
{
	double from = at(l, from_ns), to = at(l, to_ns);

	if (l->number == number && from - l->to < THIN) {
		l->to = to;
		return;
	}
	if (l->number >= 0 && to - from < THIN && from - l->to < THIN) {
		l->to = to;
		return;
	}
	flush(l);
	l->class = class;
	l->number = number;
	l->from = from;
	l->to = to;
}

/* A row is a picture of its own that takes all the width there is; its name is text of the page, so
 * that it keeps its size where the picture shrinks. */
static void row_open(struct line *l, const char *name, uint32_t tid)
{
	(void)fputs("<span>", l->f);
	if (tid)
		(void)fprintf(l->f, "%u ", tid);
	picture_text(l->f, name);
	(void)fprintf(l->f, "</span><svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\">\n",
		      (int)WIDTH, ROW);
}

static void row_close(struct line *l)
{
	flush(l);
	(void)fputs("</svg>\n", l->f);
}

static void axis(const struct line *l)
{
	uint64_t all = l->t->end_ns - l->t->begin_ns;
	char half[32], end[32];

	(void)fprintf(l->f, "<span></span><div class=\"axis\"><i>0</i><i>%s</i><i>%s</i></div>\n",
		      picture_time(half, all / 2), picture_time(end, all));
}

static void instants(struct line *l, uint32_t tid)
{
	char what[1024];
	int n = 0;

	for (size_t i = 0; i < l->t->n && n < INSTANTS_MAX; i++) {
		const struct trace_event *e = &l->t->events[i];

		if (e->tid != tid || !*trace_text_event(e, what, sizeof(what)))
			continue;
		n++;
		(void)fprintf(l->f, "<path class=\"i\" d=\"M%.2f 0v%d\"><title>", at(l, e->at_ns),
			      ROW);
		picture_text(l->f, what);
		(void)fputs("</title></path>\n", l->f);
	}
}

/* The last name that it had. */
static const char *thread_name(const struct trace *t, uint32_t tid)
{
	for (size_t i = t->n; i > 0; i--)
		if (t->events[i - 1].tid == tid)
			return t->events[i - 1].comm;
	return "";
}

static size_t count_threads(const struct trace_span *s, size_t n)
{
	size_t threads = 0;

	for (size_t i = 0; i < n; i++)
		threads += !i || s[i].tid != s[i - 1].tid;
	return threads;
}

static void threads(struct line *l, const struct trace_span *s, size_t n)
{
	int shown = 0;

	for (size_t i = 0; i < n && shown < THREADS_MAX; shown++) {
		uint32_t tid = s[i].tid;

		row_open(l, thread_name(l->t, tid), tid);
		for (; i < n && s[i].tid == tid; i++)
			stretch(l, 's', (int)s[i].state, s[i].from_ns, s[i].to_ns);
		flush(l);
		instants(l, tid);
		row_close(l);
	}
}

int picture_timeline(FILE *f, const struct trace *t)
{
	struct line l = { .f = f, .t = t, .number = -1 };
	struct trace_span *s = NULL;
	struct trace_part *p = NULL;
	size_t n = 0, m = 0, all;
	int r = trace_spans(t, &s, &n);

	if (!r)
		r = trace_parts(t, s, n, &p, &m);
	if (r)
		goto out;
	all = count_threads(s, n);
	(void)fputs("<div class=\"time\" role=\"img\" aria-label=\"timeline of threads\">\n", f);
	row_open(&l, "wall time", 0);
	for (size_t i = 0; i < m; i++)
		stretch(&l, 'p', (int)p[i].part, p[i].from_ns, p[i].to_ns);
	row_close(&l);
	threads(&l, s, n);
	axis(&l);
	(void)fputs("</div>\n<ul class=\"legend\">", f);
	for (int i = 0; i < SPAN_STATES; i++)
		(void)fprintf(f, "<li><i class=\"s%d\"></i>%s</li>\n", i,
			      span_state_text((enum span_state)i));
	(void)fputs("</ul>\n", f);
	if (all > THREADS_MAX)
		(void)fprintf(f, "<p>%zu more threads are not drawn.</p>\n", all - THREADS_MAX);
out:
	free(p);
	free(s);
	return r;
}
