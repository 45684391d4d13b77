/* SPDX-License-Identifier: MIT */
/* The page of `cloche report`: where the wall time went, what the function did, what it costs. */
#include "trace/page.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <string.h>

#include "bpf/meter_abi.h"
#include "trace/page_picture.h"
#include "trace/trace.h"
#include "trace/trace_text.h"

#define EVENTS_MAX 1000
#define AMOUNT_MAX 24 /* characters */

/* default-src 'none': the browser itself refuses whatever a hole in the escaping could ask for. */
static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	"style-src 'unsafe-inline'\"/>\n"
	"<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>Cloche report</title>\n"
	"<style>\n"
	":root{color-scheme:light dark;--fg:#1b1f24;--dim:#57606a;--bg:#fff;--line:#d0d7de;"
	"--ok:#1a7f37;--bad:#b3202b;--idle:#8c959f}\n"
	"@media screen and "
	"(prefers-color-scheme:dark){:root{--fg:#e6edf3;--dim:#9198a1;--bg:#0d1117;"
	"--line:#30363d;--ok:#3fb950;--bad:#ff7b72;--idle:#6e7681}}\n"
	"body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);"
	"max-width:70rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}\n"
	"section{border-top:1px solid var(--line);margin-top:2rem}\n"
	"h2 small{font-weight:normal;color:var(--dim)}\n"
	"svg{width:100%;display:block}\n"
	"svg.bar{height:40px}\n"
	".time{display:grid;grid-template-columns:max-content 1fr;gap:.2rem .8rem;"
	"align-items:center;font:12px/1.4 monospace;margin-top:1.5rem}\n"
	".time svg{height:14px;overflow:visible}\n"
	".axis{display:grid;grid-template-columns:1fr 1fr 1fr;color:var(--dim)}\n"
	".axis i{font-style:normal;text-align:center}.axis i:first-child{text-align:left}"
	".axis i:last-child{text-align:right}\n"
	"table{border-collapse:collapse;width:100%}\n"
	"td,th{text-align:left;padding:.15rem .6rem;border-bottom:1px solid var(--line);"
	"vertical-align:top}\n"
	".n,.t{text-align:right;font-variant-numeric:tabular-nums}td.n{white-space:nowrap}\n"
	"th.h,.events td:nth-child(-n+3){white-space:nowrap}.events "
	"td:last-child{width:100%}\n"
	".cols th{overflow-wrap:normal}\n"
	".cols{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));"
	"gap:1.5rem}\n"
	".legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.5rem}\n"
	".legend i{display:inline-block;width:.9em;height:.9em;margin-right:.4em}\n"
	".p0,.s0{fill:#2da44e;background:#2da44e}.p1,.s2{fill:#cf222e;background:#cf222e}"
	".p2,.s1{fill:#e16f24;background:#e16f24}.p3{fill:var(--idle);background:var(--idle)}\n"
	".i{stroke:var(--fg);stroke-width:1.5;vector-effect:non-scaling-stroke}\n"
	".ok{color:var(--ok)}.bad{color:var(--bad)}\n"
	"@media(max-width:40rem){.time{grid-template-columns:1fr}"
	".time svg{margin-bottom:.3rem}.time span:empty{display:none}.events tr{display:flex;"
	"flex-wrap:wrap;border-bottom:1px solid var(--line)}.events td{border:0;"
	"text-align:left}.events tr:first-child{display:none}}\n"
	"@media print{:root{color-scheme:light}svg,.legend "
	"i{print-color-adjust:exact}body{margin:0}"
	"tr,svg,.time,.legend{break-inside:avoid}h2,h3{break-after:avoid}}\n"
	"</style>\n</head>\n<body>\n<h1>Cloche report</h1>\n";

static const json_t *get(const json_t *o, const char *a, const char *b)
{
	const json_t *v = json_object_get(o, a);

	return b ? json_object_get(v, b) : v;
}

static bool get_ns(const json_t *o, const char *a, const char *b, uint64_t *ret)
{
	const json_t *v = get(o, a, b);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

static const char *get_text(const json_t *o, const char *a, const char *b)
{
	const char *s = json_string_value(get(o, a, b));

	return s ? s : "";
}

/* ---- figures ------------------------------------------------------------------------------ */

enum unit { UNIT_TIME, UNIT_BYTES, UNIT_COUNT, UNIT_TEXT };

struct figure {
	const char *name, *a, *b;
	enum unit unit;
};

static void put_value(FILE *f, const json_t *v, enum unit unit)
{
	json_int_t n = json_integer_value(v);
	char time[32];

	if (json_is_string(v))
		picture_text(f, json_string_value(v));
	else if (json_is_real(v))
		(void)fprintf(f, "%.6g", json_real_value(v));
	else if (!json_is_integer(v))
		(void)fputs("not measured", f);
	else if (unit == UNIT_TIME && n >= 0)
		(void)fputs(picture_time(time, (uint64_t)n), f);
	else if (unit == UNIT_BYTES && n >= 0)
		(void)fprintf(f, "%.2f MiB", (double)n / 1048576);
	else
		(void)fprintf(f, "%" JSON_INTEGER_FORMAT, n);
}

static void put_figures(FILE *f, const json_t *report, const char *title,
			const struct figure *figures, size_t n)
{
	(void)fprintf(f, "<div><h3>%s</h3>\n<table>\n", title);
	for (size_t i = 0; i < n; i++) {
		const json_t *v = get(report, figures[i].a, figures[i].b);

		/* A text may have any length: it is broken where a number or an amount is not. */
		(void)fprintf(f, "<tr><th>%s</th><td class=\"%c\">", figures[i].name,
			      json_string_length(v) > AMOUNT_MAX ? 't' : 'n');
		put_value(f, v, figures[i].unit);
		(void)fputs("</td></tr>\n", f);
	}
	(void)fputs("</table></div>\n", f);
}

static const struct figure use[] = {
	{ "on CPU, all threads", "cpu", "on_cpu_ns", UNIT_TIME },
	{ "on a run queue", "cpu", "runnable_ns", UNIT_TIME },
	{ "throttled", "cpu", "throttled_ns", UNIT_TIME },
	{ "launch (not billed)", "time", "launch_ns", UNIT_TIME },
	{ "switches, voluntary", "cpu", "switches_voluntary", UNIT_COUNT },
	{ "switches, forced", "cpu", "switches_forced", UNIT_COUNT },
	{ "memory, peak", "memory", "peak_bytes", UNIT_BYTES },
	{ "page cache beside it", "memory", "cache_bytes", UNIT_BYTES },
	{ "memory, limit", "memory", "limit_bytes", UNIT_BYTES },
	{ "page faults, minor", "memory", "faults_minor", UNIT_COUNT },
	{ "page faults, major", "memory", "faults_major", UNIT_COUNT },
	{ "OOM kills", "memory", "oom_kills", UNIT_COUNT },
	{ "read", "io", "read_bytes", UNIT_BYTES },
	{ "written", "io", "write_bytes", UNIT_BYTES },
	{ "received", "network", "rx_bytes", UNIT_BYTES },
	{ "sent", "network", "tx_bytes", UNIT_BYTES },
	{ "processes started", "processes", "started", UNIT_COUNT },
	{ "processes, peak", "processes", "peak", UNIT_COUNT },
};

static const struct figure costs[] = {
	{ "duration", "bill", "duration_ns", UNIT_TIME },
	{ "billed, ms", "bill", "billed_ms", UNIT_COUNT },
	{ "GB-seconds", "bill", "gb_seconds", UNIT_TEXT },
	{ "US dollars", "bill", "usd", UNIT_TEXT },
	{ "price list", "bill", "prices", UNIT_TEXT },
	{ "of it, waiting for others", "bill", "contention_ns", UNIT_TIME },
	{ "vCPUs", "limits", "vcpus", UNIT_COUNT },
};

/* ---- sections ----------------------------------------------------------------------------- */

/* The report's figures, else the trace's. Without a meter the report says null and neither has. */
static bool parts_of(const json_t *report, const struct trace *t, uint64_t part[PARTS])
{
	uint64_t waiting;

	if (t && t->ended) {
		part[PART_BUSY] = t->busy_ns;
		part[PART_QUOTA] = t->quota_ns;
		part[PART_CONTENTION] = t->contention_ns;
		part[PART_IDLE] = t->idle_ns;
		return true;
	}
	if (!get_ns(report, "time", "busy_ns", &part[PART_BUSY]) ||
	    !get_ns(report, "time", "idle_ns", &part[PART_IDLE]) ||
	    !get_ns(report, "time", "waiting_ns", &waiting) ||
	    !get_ns(report, "bill", "contention_ns", &part[PART_CONTENTION]) ||
	    part[PART_CONTENTION] > waiting)
		return false;
	part[PART_QUOTA] = waiting - part[PART_CONTENTION];
	return true;
}

static void put_wall(FILE *f, const json_t *report, const struct trace *t)
{
	uint64_t part[PARTS], wall = 0;
	char time[32];

	(void)fputs("<h3>Where the wall time went", f);
	if (t && t->ended)
		wall = t->end_ns - t->begin_ns;
	if (wall || get_ns(report, "time", "wall_ns", &wall))
		(void)fprintf(f, ": %s", picture_time(time, wall));
	(void)fputs("</h3>\n", f);
	if (parts_of(report, t, part))
		picture_bar(f, part);
	else
		(void)fputs("<p>Not measured: see what was degraded below.</p>\n", f);
}

static void put_events(FILE *f, const struct trace *t)
{
	char what[8192];
	size_t shown = 0, more = 0;

	(void)fputs("<h3>What it did</h3>\n<table class=\"events\">\n"
		    "<tr><th class=\"h n\">ms</th><th class=\"h n\">thread</th>"
		    "<th class=\"h\">name</th><th class=\"h\">what</th></tr>\n",
		    f);
	for (size_t i = 0; i < t->n; i++) {
		const struct trace_event *e = &t->events[i];

		if (e->type == METER_EV_UNTHROTTLE || !*trace_text_event(e, what, sizeof(what)))
			continue;
		if (shown++ >= EVENTS_MAX) {
			more++;
			continue;
		}
		(void)fprintf(f, "<tr%s><td class=\"n\">%.6f</td><td class=\"n\">%u</td><td>",
			      e->type == METER_EV_DENIED || e->type == METER_EV_OOM
				      ? " class=\"bad\""
				      : "",
			      (double)(e->at_ns - t->begin_ns) / 1e6, e->tid);
		picture_text(f, e->comm);
		(void)fputs("</td><td>", f);
		picture_text(f, what);
		(void)fputs("</td></tr>\n", f);
	}
	(void)fputs("</table>\n", f);
	if (more)
		(void)fprintf(f,
			      "<p>%zu more events are not shown; <code>cloche trace</code> has "
			      "them.</p>\n",
			      more);
	if (t->complete)
		return;
	(void)fputs("<p class=\"bad\">The trace is incomplete: ", f);
	if (!t->ended)
		(void)fputs("it has no end.</p>\n", f);
	else if (t->lost)
		(void)fprintf(f, "%" PRIu64 " events were lost.</p>\n", t->lost);
	else
		(void)fputs("some threads or switches were not seen.</p>\n", f);
}

static void put_degraded(FILE *f, const json_t *report)
{
	const json_t *list = get(report, "degraded", NULL), *o;
	size_t i;

	if (!json_array_size(list))
		return;
	(void)fputs("<h3>Degraded</h3>\n<table>\n", f);
	json_array_foreach (list, i, o) {
		(void)fputs("<tr><th>", f);
		picture_text(f, get_text(o, "what", NULL));
		(void)fputs("</th><td>", f);
		picture_text(f, get_text(o, "reason", NULL));
		(void)fputs("</td></tr>\n", f);
	}
	(void)fputs("</table>\n", f);
}

/* In a trace each has its time; a report knows them too, and how often each was tried. */
static void put_denied(FILE *f, const json_t *report)
{
	const json_t *list = get(report, "denied", NULL), *o, *arg;
	size_t i, j;

	if (!json_array_size(list))
		return;
	(void)fputs("<h3>What was denied</h3>\n<table>\n"
		    "<tr><th class=\"h\">call</th><th class=\"h\">answer</th>"
		    "<th class=\"h n\">times</th></tr>\n",
		    f);
	json_array_foreach (list, i, o) {
		const char *arch = get_text(o, "arch", NULL); /* not in older reports */

		(void)fputs("<tr><td>", f);
		if (*arch && strcmp(arch, "x86_64") != 0) {
			picture_text(f, arch);
			(void)fputs(" ", f);
		}
		picture_text(f, get_text(o, "syscall", NULL));
		(void)fputs("(", f);
		json_array_foreach (get(o, "args", NULL), j, arg) {
			(void)fputs(j ? ", " : "", f);
			picture_text(f, json_is_string(arg) ? json_string_value(arg) : "?");
		}
		(void)fputs(")</td><td>", f);
		picture_text(f, get_text(o, "errno", NULL));
		(void)fputs("</td><td class=\"n\">", f);
		put_value(f, get(o, "count", NULL), UNIT_COUNT);
		(void)fputs("</td></tr>\n", f);
	}
	(void)fputs("</table>\n", f);
}

static void put_heading(FILE *f, const json_t *report, const struct trace *t)
{
	const char *verdict = get_text(report, "verdict", NULL);
	const char *function = get_text(report, "function", NULL);
	const char *signal = get_text(report, "signal", NULL);
	const json_t *code = get(report, "exit_code", NULL);

	(void)fprintf(f, "<section>\n<h2><span class=\"%s\">",
		      strcmp(verdict, "ok") == 0 ? "ok" : "bad");
	picture_text(f, report ? verdict : "trace");
	(void)fputs("</span> ", f);
	picture_text(f, *function ? function : "one run");
	(void)fputs(" <small>", f);
	picture_text(f, report ? get_text(report, "request_id", NULL) : t->request_id);
	(void)fputs(", ", f);
	picture_text(f, report ? get_text(report, "started_at", NULL) : t->started_at);
	(void)fputs("</small></h2>\n<p>", f);
	if (json_is_integer(code))
		(void)fprintf(f, "exit status %" JSON_INTEGER_FORMAT ". ",
			      json_integer_value(code));
	picture_text(f, signal);
	(void)fputs(*signal ? ". " : "", f);
	picture_text(f, get_text(report, "message", NULL));
	(void)fputs("</p>\n", f);
}

static int put_section(FILE *f, const json_t *report, const struct trace *t)
{
	int r = 0;

	put_heading(f, report, t);
	put_wall(f, report, t);
	if (t)
		r = picture_timeline(f, t);
	if (t)
		put_events(f, t);
	if (report) {
		put_denied(f, report);
		(void)fputs("<div class=\"cols\">\n", f);
		put_figures(f, report, "What it used", use, sizeof(use) / sizeof(use[0]));
		put_figures(f, report, "What it costs", costs, sizeof(costs) / sizeof(costs[0]));
		(void)fputs("</div>\n", f);
		put_degraded(f, report);
	}
	(void)fputs("</section>\n", f);
	return r;
}

static const struct trace *trace_find(const struct trace *traces, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (*id && strcmp(traces[i].request_id, id) == 0)
			return &traces[i];
	return NULL;
}

static bool report_find(json_t *const *reports, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(get_text(reports[i], "request_id", NULL), id) == 0)
			return true;
	return false;
}

int page_write(FILE *f, json_t *const *reports, size_t n_reports, const struct trace *traces,
	       size_t n_traces)
{
	int r = 0;

	(void)fputs(head, f);
	for (size_t i = 0; i < n_reports && !r; i++)
		r = put_section(
			f, reports[i],
			trace_find(traces, n_traces, get_text(reports[i], "request_id", NULL)));
	for (size_t i = 0; i < n_traces && !r; i++)
		if (!report_find(reports, n_reports, traces[i].request_id))
			r = put_section(f, NULL, &traces[i]);
	(void)fputs("</body>\n</html>\n", f);
	return r;
}
