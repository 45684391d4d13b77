/* SPDX-License-Identifier: MIT */
/* Traces without a kernel: hostile text, there and back through a file, and the three forms. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <linux/bpf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bpf/meter_abi.h"
#include "trace/trace.h"
#include "trace/trace_json.h"
#include "trace/trace_perfetto.h"
#include "trace/trace_spans.h"
#include "trace/trace_text.h"

#define US 1000ULL

static void add(struct trace *t, const void *ev)
{
	struct trace_event e;

	cr_assert_eq(trace_event_of(ev, &e), 0);
	cr_assert_eq(trace_add(t, &e), 0);
}

static struct meter_event plain(uint64_t us, uint32_t type, uint32_t tid, uint32_t arg,
				uint64_t value)
{
	return (struct meter_event){ .at_ns = us * US,
				     .type = type,
				     .pid = tid,
				     .tgid = tid,
				     .cpu = 1,
				     .arg = arg,
				     .value = value,
				     .comm = "work" };
}

static void add_plain(struct trace *t, uint64_t us, uint32_t type, uint32_t tid, uint32_t arg,
		      uint64_t value)
{
	struct meter_event e = plain(us, type, tid, arg, value);

	add(t, &e);
}

static void add_at(struct trace *t, uint32_t cpu, uint64_t us, uint32_t type, uint32_t tid,
		   uint32_t arg)
{
	struct meter_event e = plain(us, type, tid, arg, 0);

	e.tgid = 10;
	e.cpu = cpu;
	add(t, &e);
}

static void add_exec(struct trace *t, uint64_t us, const char *path, const char *args, size_t len)
{
	struct meter_event_exec x = { .ev = plain(us, METER_EV_EXEC, 10, 10, 0) };

	(void)snprintf(x.path, sizeof(x.path), "%s", path);
	x.path_len = (uint32_t)strlen(x.path) + 1;
	memcpy(x.args, args, len);
	x.args_len = (uint32_t)len;
	x.args_all = (uint32_t)len;
	add(t, &x);
}

/*
 * us:   100        200       300        400        500       600     700     800
 * 10:   exec, run           throttled   (freed) w.  run      sleep           run (end 900)
 * 20:                fork, waits .............. run ... 450 dead
 */
static void fill(struct trace *t)
{
	static const char args[] = "sh\0-c\0it's \"q\"\n\xff\xe2\x80\xae";
	struct meter_event_open o = { .ev = plain(150, METER_EV_OPEN, 10, 0, (uint64_t)-EACCES),
				      .flags = 0101,
				      .path_len = 5,
				      .path = "/t/x" };
	struct meter_event_addr c = { .ev = plain(160, METER_EV_CONNECT, 10, 0, 0),
				      .family = AF_INET,
				      .port = 80,
				      .addr = { 10, 0, 0, 1 } };
	struct meter_event_denied d = { .ev = plain(170, METER_EV_DENIED, 10, 165,
						    (uint64_t)-EPERM),
					.arch = 0xc000003e,
					.args = { 0xdead, 2 } };

	*t = (struct trace){ .ended = true,
			     .begin_ns = 100 * US,
			     .end_ns = 900 * US,
			     .busy_ns = 500 * US,
			     .quota_ns = 50 * US,
			     .contention_ns = 50 * US,
			     .idle_ns = 200 * US,
			     .on_cpu_ns = 500 * US,
			     .complete = true,
			     .request_id = "12345678-1234-4234-8234-123456789abc",
			     .started_at = "2026-01-02T03:04:05.000000Z" };
	add_plain(t, 50, METER_EV_ON, 10, 0, 0); /* the launcher's: goes */
	add_exec(t, 100, "/bin/sh", args, sizeof(args));
	add(t, &o);
	add(t, &c);
	add(t, &d);
	add_plain(t, 200, METER_EV_FORK, 10, 20, 0);
	/* Out of order, as rings between CPUs are. */
	add_plain(t, 500, METER_EV_ON, 10, 0, 300 * US);
	add_plain(t, 300, METER_EV_OFF, 10, METER_OFF_THROTTLED, 0);
	add_plain(t, 350, METER_EV_UNTHROTTLE, 0, 0, 0);
	add_plain(t, 400, METER_EV_ON, 20, 0, 350 * US);
	add_plain(t, 440, METER_EV_EXIT, 20, 9, 0);
	add_plain(t, 450, METER_EV_OFF, 20, METER_OFF_DEAD, 0);
	add_plain(t, 600, METER_EV_SIGNAL, 10, 10, 10);
	add_plain(t, 600, METER_EV_OFF, 10, METER_OFF_SLEEP, 0);
	add_plain(t, 800, METER_EV_ON, 10, 0, 0);
	trace_sort(t);
}

typedef int writer(FILE *f, const struct trace *t);

static int write_json(FILE *f, const struct trace *t)
{
	trace_json_write(f, t);
	return 0;
}

static int write_text(FILE *f, const struct trace *t)
{
	return trace_text_write(f, t, true);
}

static char *text_of(writer *fn, const struct trace *t, size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	cr_assert_eq(fn(f, t), 0);
	cr_assert_eq(fclose(f), 0);
	return text;
}

static int read_text(const char *text, size_t len, struct trace *t, struct cloche_err *err)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, len ? len : 1, "r");
	int r;

	if (!len)
		(void)fgetc(f);
	r = trace_json_read(f, "file", t, err);
	(void)fclose(f);
	return r;
}

Test(trace, text_is_clean_whatever_it_was)
{
	const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain ~", "plain ~" },
		{ "a\nb\x1b[31m\x7f", "a\\x0ab\\x1b[31m\\x7f" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x94", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x94" },
		{ "\xff\xc3", "\\xff\\xc3" },
		{ "\xc0\x80", "\\xc0\\x80" },			/* overlong */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },		/* a surrogate */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* too large */
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" },		/* right to left */
		{ "\xc2\x9b", "\\xc2\\x9b" },			/* CSI in C1 */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *s = trace_clean(rows[i].in, strlen(rows[i].in));
		char *again = trace_clean(s, strlen(s));

		cr_assert_str_eq(s, rows[i].out);
		cr_assert_str_eq(again, s);
		free(again);
		free(s);
	}
}

Test(trace, goes_into_a_file_and_comes_back)
{
	struct trace t, back;
	char *one, *two;
	size_t len, len2;

	fill(&t);
	cr_assert_eq(t.n, 14);
	one = text_of(write_json, &t, &len);
	cr_assert_eq(read_text(one, len, &back, NULL), 0);
	cr_assert(back.ended && back.complete);
	cr_assert_eq(back.n, t.n);
	two = text_of(write_json, &back, &len2);
	cr_assert_str_eq(one, two);
	free(one);
	free(two);
	trace_free(&back);
	trace_free(&t);
}

/* A recording that was killed is cut anywhere: what is there is read, whole lines only. */
Test(trace, every_cut_is_read_or_refused)
{
	struct cloche_err err;
	struct trace t, back;
	size_t len, head;
	char *text;

	fill(&t);
	text = text_of(write_json, &t, &len);
	head = (size_t)(strchr(text, '\n') - text);
	for (size_t n = 0; n < len; n++) {
		char *copy = malloc(n + 1);
		int r;

		memcpy(copy, text, n);
		err = (struct cloche_err){ 0 };
		r = read_text(copy, n, &back, &err);
		cr_assert_eq(r == 0, n >= head, "cut at %zu: %s", n, err.text);
		cr_assert(r == 0 || err.text[0]);
		cr_assert(!back.ended || n == len - 1);
		cr_assert(r || back.ended || !back.complete);
		trace_free(&back);
		free(copy);
	}
	free(text);
	trace_free(&t);
}

Test(trace, what_is_no_trace_is_refused_by_line)
{
	const char *head =
		"{\"schema\":\"cloche.trace/1\",\"request_id\":\"x\",\"started_at\":\"y\"}";
	const struct {
		const char *line, *says;
	} rows[] = {
		{ "{}\n", "line 2: \"event\"" },
		{ "[]\n", "line 2" },
		{ "{\"event\":\"jump\"}\n", "line 2: \"event\"" },
		{ "{\"event\":\"oom\",\"at_ns\":-1}\n", "line 2: \"at_ns\"" },
		{ "{\"event\":\"oom\",\"at_ns\":1,\"pid\":4294967296}\n", "line 2: \"pid\"" },
		{ "{\"event\":\"oom\",\"event\":\"oom\"}\n", "line 2" },
		{ "{\"event\":\"exec\",\"at_ns\":1,\"pid\":1,\"tid\":1,\"cpu\":1,\"comm\":\"c\","
		  "\"path\":\"p\",\"argv\":[1],\"cut\":false}\n",
		  "line 2: \"argv\"" },
		{ "{\"event\":\"denied\",\"at_ns\":1,\"pid\":1,\"tid\":1,\"cpu\":1,\"comm\":\"c\","
		  "\"syscall\":\"s\",\"number\":1,\"result\":-1,\"args\":[\"1\",2,3,4,5,6]}\n",
		  "line 2: \"args\"" },
		{ "not json\n", "line 2" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct cloche_err err = { 0 };
		struct trace t;
		char text[1024];
		int n = snprintf(text, sizeof(text), "%s\n%s", head, rows[i].line);

		cr_assert_lt(read_text(text, (size_t)n, &t, &err), 0, "%s", rows[i].line);
		cr_assert_not_null(strstr(err.text, rows[i].says), "%s", err.text);
		trace_free(&t);
	}
}

Test(trace, spans_and_parts)
{
	const struct trace_span want[] = {
		{ 100 * US, 300 * US, 10, 10, 1, SPAN_RUNNING, 0 },
		{ 300 * US, 350 * US, 10, 10, 1, SPAN_THROTTLED, 0 },
		{ 350 * US, 500 * US, 10, 10, 1, SPAN_WAITING, 0 },
		{ 500 * US, 600 * US, 10, 10, 1, SPAN_RUNNING, 0 },
		{ 800 * US, 900 * US, 10, 10, 1, SPAN_RUNNING, 0 },
		{ 350 * US, 400 * US, 20, 20, 1, SPAN_WAITING, 0 },
		{ 400 * US, 450 * US, 20, 20, 1, SPAN_RUNNING, 0 },
	};
	const struct trace_part parts[] = {
		{ 100 * US, 300 * US, PART_BUSY },	 { 300 * US, 350 * US, PART_QUOTA },
		{ 350 * US, 400 * US, PART_CONTENTION }, { 400 * US, 450 * US, PART_BUSY },
		{ 450 * US, 500 * US, PART_CONTENTION }, { 500 * US, 600 * US, PART_BUSY },
		{ 600 * US, 800 * US, PART_IDLE },	 { 800 * US, 900 * US, PART_BUSY },
	};
	struct trace_span *s;
	struct trace_part *p;
	struct trace t;
	size_t n, m;

	fill(&t);
	cr_assert_eq(trace_spans(&t, &s, &n), 0);
	cr_assert_eq(n, sizeof(want) / sizeof(*want), "%zu", n);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(s[i].from_ns, want[i].from_ns, "span %zu", i);
		cr_assert_eq(s[i].to_ns, want[i].to_ns, "span %zu", i);
		cr_assert_eq(s[i].tid, want[i].tid);
		cr_assert_eq(s[i].state, want[i].state, "span %zu", i);
	}
	cr_assert_eq(trace_parts(&t, s, n, &p, &m), 0);
	cr_assert_eq(m, sizeof(parts) / sizeof(*parts), "%zu", m);
	for (size_t i = 0; i < m; i++) {
		cr_assert_eq(p[i].from_ns, parts[i].from_ns, "part %zu", i);
		cr_assert_eq(p[i].to_ns, parts[i].to_ns, "part %zu", i);
		cr_assert_eq(p[i].part, parts[i].part, "part %zu", i);
	}
	free(p);
	free(s);
	trace_free(&t);
}

/* Two wake up on idle CPUs. By the kernel's book the one began 15 us before its ON; the other 20 us
 * before its own, when the first was on a CPU already as far as anybody could see. */
Test(trace, a_slice_begins_before_its_on)
{
	static const char text[] =
		"{\"schema\":\"cloche.trace/1\",\"request_id\":\"x\",\"started_at\":\"y\"}\n"
#define EVENT(what, at, tid, rest)                                                               \
	"{\"event\":\"" what "\",\"at_ns\":" #at ",\"pid\":" #tid ",\"tid\":" #tid ",\"cpu\":0," \
	"\"comm\":\"c\"," rest "}\n"
#define OFF "\"why\":\"sleep\",\"early_ns\":"
		EVENT("on", 120, 1, "\"since_ns\":100,\"throttled\":false") EVENT(
			"on", 122, 2,
			"\"since_ns\":100,\"throttled\":false") EVENT("off", 150, 2,
								      OFF "20,\"beside_ns\":20")
			EVENT("off", 200, 1,
			      OFF "15,\"beside_ns\":0") "{\"event\":\"end\",\"begin_ns\":90,\"end_"
							"ns\":200,\"busy_ns\":95,\"quota_ns\":0,"
							"\"contention_ns\":5,\"idle_ns\":10,\"on_"
							"cpu_ns\":143,\"events\":4,\"lost\":0,"
							"\"complete\":true}\n";
	static const struct trace_part parts[] = { { 90, 100, PART_IDLE },
						   { 100, 105, PART_CONTENTION },
						   { 105, 200, PART_BUSY } };
	struct cloche_err err = { 0 };
	uint64_t on_cpu = 0;
	struct trace_span *s;
	struct trace_part *p;
	struct trace t;
	size_t n, m;

	cr_assert_eq(read_text(text, sizeof(text) - 1, &t, &err), 0, "%s", err.text);
	cr_assert_eq(trace_spans(&t, &s, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (s[i].state == SPAN_RUNNING)
			on_cpu += s[i].to_ns - s[i].from_ns;
	cr_assert_eq(on_cpu, 95 + 48);
	cr_assert_eq(trace_parts(&t, s, n, &p, &m), 0);
	cr_assert_eq(m, 3, "%zu", m);
	for (size_t i = 0; i < m; i++)
		cr_assert(p[i].from_ns == parts[i].from_ns && p[i].to_ns == parts[i].to_ns &&
				  p[i].part == parts[i].part,
			  "part %zu", i);
	free(p);
	free(s);
	trace_free(&t);
}

Test(trace, text_tells_it)
{
	static const char *const says[] = {
		"\n     +0.000000       10 work             exec /bin/sh -c 'it'\\''s \"q\"",
		"\"q\"\\x0a\\xff\\xe2\\x80\\xae'\n",
		"open /t/x to create or write: EACCES\n",
		"connect 10.0.0.1:80\n",
		"denied mount(0xdead, 0x2, 0x0, 0x0, 0x0, 0x0): EPERM\n",
		"fork 20\n",
		"exit by SIGKILL\n",
		"signal SIGUSR1 by itself\n",
		"on CPU 0.200000 ms (CPU 1)\n",
		"throttled 0.050000 ms\n",
		"\nwall 0.800000 ms = busy 0.500000 + held by its quota 0.050000 + waiting",
		"waiting for others 0.050000 + idle 0.200000\n",
	};
	struct trace t;
	size_t len;
	char *text;

	fill(&t);
	text = text_of(write_text, &t, &len);
	for (size_t i = 0; i < sizeof(says) / sizeof(*says); i++)
		cr_assert_not_null(strstr(text, says[i]), "no '%s' in:\n%s", says[i], text);
	free(text);
	trace_free(&t);
}

/* ---- the Trace Event Format --------------------------------------------------------------- */

static double number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	cr_assert(json_is_number(v), "no %s", key);
	return json_number_value(v);
}

static const char *string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

struct checked {
	size_t n[128];	/* events by phase */
	double wall_to; /* the wall track: no gap */
	double x_to[2]; /* of threads 10 and 20 */
};

static void check_event(struct checked *c, const json_t *o)
{
	char ph = *string(o, "ph");
	double ts = number(o, "ts");
	unsigned tid = (unsigned)number(o, "tid");

	(void)number(o, "pid");
	c->n[(unsigned char)ph]++;
	cr_assert(strchr("XMCi", ph), "phase %c", ph);
	cr_assert(ts >= 0 && ts <= 800);
	cr_assert(*string(o, "name"));
	if (ph == 'X' && tid == 0) {
		cr_assert_float_eq(ts, c->wall_to, 1e-6);
		c->wall_to = ts + number(o, "dur");
		cr_assert(*string(o, "cname"));
	} else if (ph == 'X') {
		double *to = &c->x_to[tid == 20];

		cr_assert(ts >= *to && number(o, "dur") > 0);
		*to = ts + number(o, "dur");
		cr_assert(*string(o, "cname"));
	} else if (ph == 'C') {
		cr_assert(json_is_integer(json_object_get(json_object_get(o, "args"), "on CPU")));
	}
}

Test(trace, perfetto_can_open_it)
{
	struct checked c = { 0 };
	const json_t *events, *o;
	json_error_t why;
	struct trace t;
	size_t len, i;
	json_t *root;
	char *text;

	fill(&t);
	text = text_of(trace_perfetto_write, &t, &len);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	cr_assert_not_null(root, "%s in:\n%s", why.text, text);
	events = json_object_get(root, "traceEvents");
	cr_assert(json_is_array(events));
	json_array_foreach (events, i, o)
		check_event(&c, o);
	cr_assert_eq(c.n['X'], 7 + 8);
	cr_assert_float_eq(c.wall_to, 800, 1e-6);
	cr_assert_eq(c.n['i'], 8);
	cr_assert_geq(c.n['C'], 8);
	cr_assert_eq(c.n['M'], 7);
	json_decref(root);
	free(text);
	trace_free(&t);
}

/* Readers add in floating point, or cut off to ns first: what touches must do so either way. */
Test(trace, perfetto_times_add_up)
{
	struct trace t = { .ended = true, .begin_ns = 3, .end_ns = 3 + 899999999999 };
	double to = 0;
	const json_t *o;
	size_t len, i, n = 0;
	json_t *root;
	char *text;

	for (uint64_t at = 4; at < t.end_ns; at += at / 3 + 7, n++)
		add_plain(&t, at, n % 2 ? METER_EV_OFF : METER_EV_ON, 10, METER_OFF_SLEEP, 0);
	trace_sort(&t);
	text = text_of(trace_perfetto_write, &t, &len);
	root = json_loadb(text, len, 0, NULL);
	cr_assert_not_null(root);
	n = 0;
	json_array_foreach (json_object_get(root, "traceEvents"), i, o) {
		double ts = number(o, "ts");

		if (*string(o, "ph") == 'i' || *string(o, "ph") == 'C')
			cr_assert_eq((uint64_t)(ts * 1000), (uint64_t)llround(ts * 1000));
		if (*string(o, "ph") != 'X' || number(o, "tid") != 0)
			continue;
		cr_assert_eq(ts, to, "%zu", n);
		if (n++)
			cr_assert_eq((uint64_t)(ts * 1000), t.events[n - 2].at_ns - t.begin_ns);
		to = ts + number(o, "dur");
	}
	cr_assert_gt(n, 50);
	cr_assert_eq((uint64_t)(to * 1000), t.end_ns - t.begin_ns);
	json_decref(root);
	free(text);
	trace_free(&t);
}

/* Ends of spans that were lost draw nothing wrong: no span is longer than what is known. */
Test(trace, losses_leave_gaps)
{
	struct trace_span *s;
	struct trace t = { .ended = true, .begin_ns = 0, .end_ns = 1000 * US };
	size_t n;

	add_plain(&t, 100, METER_EV_ON, 10, 0, 0);
	add_plain(&t, 300, METER_EV_ON, 10, 0, 200 * US); /* the OFF between them is lost */
	add_plain(&t, 400, METER_EV_OFF, 10, METER_OFF_SLEEP, 0);
	add_plain(&t, 500, METER_EV_OFF, 10, METER_OFF_SLEEP, 0); /* the ON is lost */
	trace_sort(&t);
	cr_assert_eq(trace_spans(&t, &s, &n), 0);
	cr_assert_eq(n, 1);
	cr_assert_eq(s[0].from_ns, 300 * US);
	cr_assert_eq(s[0].to_ns, 400 * US);
	free(s);
	trace_free(&t);
}

/* Who was born after the beginning was not running since then, though its first ON is lost; who
 * execs runs. */
Test(trace, an_unseen_start_is_not_the_beginning)
{
	struct trace_span *s;
	struct trace t = { .ended = true, .begin_ns = 0, .end_ns = 1000 * US };
	size_t n;

	add_plain(&t, 50, METER_EV_OFF, 9, METER_OFF_SLEEP, 0); /* running since the beginning */
	add_plain(&t, 100, METER_EV_FORK, 9, 20, 0);
	add_exec(&t, 400, "/bin/sh", "sh", 3); /* thread 10, after an OFF: its ON is lost */
	add_plain(&t, 300, METER_EV_OFF, 10, METER_OFF_PREEMPTED, 0);
	add_plain(&t, 500, METER_EV_OFF, 10, METER_OFF_DEAD, 0);
	add_plain(&t, 600, METER_EV_OFF, 20, METER_OFF_DEAD, 0); /* its ON is lost */
	trace_sort(&t);
	cr_assert_eq(trace_spans(&t, &s, &n), 0);
	cr_assert_eq(n, 3);
	cr_assert(s[0].tid == 9 && s[0].from_ns == 0 && s[0].to_ns == 50 * US);
	cr_assert(s[1].tid == 10 && s[1].from_ns == 0 && s[1].to_ns == 300 * US);
	cr_assert(s[2].tid == 10 && s[2].from_ns == 400 * US && s[2].to_ns == 500 * US);
	free(s);
	trace_free(&t);
}

static void add_exec_by(struct trace *t, uint64_t us, uint32_t old_tid)
{
	struct meter_event_exec x = { .ev = plain(us, METER_EV_EXEC, 10, old_tid, 0) };

	add(t, &x);
}

static void check_spans(struct trace *t, const struct trace_span *want, size_t want_n)
{
	struct trace_span *s;
	size_t n;

	trace_sort(t);
	cr_assert_eq(trace_spans(t, &s, &n), 0);
	cr_assert_eq(n, want_n, "%zu", n);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(s[i].tid, want[i].tid, "span %zu", i);
		cr_assert_eq(s[i].from_ns, want[i].from_ns, "span %zu", i);
		cr_assert_eq(s[i].to_ns, want[i].to_ns, "span %zu", i);
		cr_assert_eq(s[i].state, want[i].state, "span %zu", i);
	}
	free(s);
	trace_free(t);
}

/*
 * A quota that takes the whole queue, as kernels before 6.18 have it; from 450 us on nobody saw
 * that it let go:
 *
 * us:   100    200    300    400    450        550  580
 * 10:   run    waits  held   410: run
 * 20:          run    held   420: run, held         run
 * 30:   sleeps          350  waits  held       run
 */
Test(trace, a_quota_takes_all_who_wait)
{
	const struct trace_span want[] = {
		{ 100 * US, 200 * US, 10, 10, 1, SPAN_RUNNING, 0 },
		{ 200 * US, 300 * US, 10, 10, 1, SPAN_WAITING, 0 },
		{ 300 * US, 400 * US, 10, 10, 1, SPAN_THROTTLED, 0 },
		{ 400 * US, 410 * US, 10, 10, 1, SPAN_WAITING, 0 },
		{ 410 * US, 600 * US, 10, 10, 1, SPAN_RUNNING, 0 },
		{ 200 * US, 300 * US, 20, 20, 1, SPAN_RUNNING, 0 },
		{ 300 * US, 400 * US, 20, 20, 1, SPAN_THROTTLED, 0 },
		{ 400 * US, 420 * US, 20, 20, 1, SPAN_WAITING, 0 },
		{ 420 * US, 450 * US, 20, 20, 1, SPAN_RUNNING, 0 },
		{ 450 * US, 580 * US, 20, 20, 1, SPAN_THROTTLED, 0 },
		{ 580 * US, 600 * US, 20, 20, 1, SPAN_RUNNING, 0 },
		{ 350 * US, 400 * US, 30, 30, 1, SPAN_THROTTLED, 0 },
		{ 400 * US, 450 * US, 30, 30, 1, SPAN_WAITING, 0 },
		{ 450 * US, 550 * US, 30, 30, 1, SPAN_THROTTLED, 0 },
		{ 550 * US, 600 * US, 30, 30, 1, SPAN_RUNNING, 0 },
	};
	struct trace t = { .ended = true, .begin_ns = 100 * US, .end_ns = 600 * US }, back;
	struct cloche_err err;
	size_t len;
	char *text;

	add_plain(&t, 90, METER_EV_ON, 10, 0, 0);
	add_plain(&t, 90, METER_EV_OFF, 30, METER_OFF_SLEEP, 0);
	add_plain(&t, 200, METER_EV_OFF, 10, METER_OFF_PREEMPTED, 0);
	add_plain(&t, 200, METER_EV_ON, 20, 0, 200 * US);
	add_plain(&t, 300, METER_EV_OFF, 20, METER_OFF_THROTTLED_ALL, 0);
	add_plain(&t, 400, METER_EV_UNTHROTTLE, 0, 0, 0);
	add_plain(&t, 410, METER_EV_ON, 10, 0, 200 * US);
	add_plain(&t, 420, METER_EV_ON, 20, 0, 300 * US);
	add_plain(&t, 450, METER_EV_OFF, 20, METER_OFF_THROTTLED_ALL, 0);
	add_plain(&t, 550, METER_EV_ON, 30, METER_ON_BEGAN_HELD | METER_ON_HELD, 350 * US);
	add_plain(&t, 580, METER_EV_ON, 20, 1, 450 * US);
	trace_sort(&t);
	text = text_of(write_json, &t, &len);
	cr_assert_eq(read_text(text, len, &back, &err), 0, "%s", err.text);
	free(text);
	trace_free(&t);
	check_spans(&back, want, sizeof(want) / sizeof(*want));
}

/* Thread 11 execs: the leader 10 dies, and 11 goes on under its number. */
Test(trace, an_exec_by_a_thread_hands_the_number_on)
{
	const struct trace_span seen[] = {
		{ 0, 250 * US, 10, 10, 1, SPAN_RUNNING, 0 },	    /* the leader */
		{ 300 * US, 350 * US, 10, 10, 1, SPAN_RUNNING, 0 }, /* the caller, on its way */
		{ 350 * US, 400 * US, 10, 10, 1, SPAN_WAITING, 0 },
		{ 400 * US, 600 * US, 10, 10, 1, SPAN_RUNNING, 0 },
		{ 100 * US, 280 * US, 11, 11, 2, SPAN_RUNNING, 0 },
		{ 800 * US, 900 * US, 11, 11, 1, SPAN_RUNNING, 0 }, /* another one of this number */
	};
	const struct trace_span unseen[] = {
		{ 0, 280 * US, 10, 10, 1, SPAN_RUNNING, 0 },
		{ 500 * US, 600 * US, 10, 10, 2, SPAN_RUNNING, 0 },
		{ 100 * US, 500 * US, 11, 11, 2, SPAN_RUNNING, 0 },
	};
	const struct trace_span early[] = {
		{ 0, 400 * US, 10, 10, 1, SPAN_RUNNING, 0 },
		{ 450 * US, 600 * US, 10, 10, 2, SPAN_RUNNING, 0 },
		{ 100 * US, 280 * US, 11, 11, 2, SPAN_RUNNING, 0 },
	};
	struct trace t = { .ended = true, .begin_ns = 0, .end_ns = 1000 * US };

	add_plain(&t, 50, METER_EV_FORK, 10, 11, 1);
	add_at(&t, 2, 100, METER_EV_ON, 11, 0);
	add_plain(&t, 250, METER_EV_OFF, 10, METER_OFF_DEAD, 0);
	add_at(&t, 2, 280, METER_EV_OFF, 11, METER_OFF_SLEEP);
	add_plain(&t, 300, METER_EV_ON, 10, 0, 0);
	add_plain(&t, 350, METER_EV_OFF, 10, METER_OFF_PREEMPTED, 0);
	add_plain(&t, 400, METER_EV_ON, 10, 0, 350 * US);
	add_exec_by(&t, 500, 11);
	add_plain(&t, 600, METER_EV_OFF, 10, METER_OFF_SLEEP, 0);
	add_plain(&t, 700, METER_EV_FORK, 10, 11, 1);
	add_plain(&t, 800, METER_EV_ON, 11, 0, 0);
	add_plain(&t, 900, METER_EV_OFF, 11, METER_OFF_DEAD, 0);
	check_spans(&t, seen, sizeof(seen) / sizeof(*seen));

	/* The leader's death is on record under the caller's number, which it got first. */
	t = (struct trace){ .ended = true, .begin_ns = 0, .end_ns = 1000 * US };
	add_plain(&t, 0, METER_EV_ON, 10, 0, 0);
	add_plain(&t, 50, METER_EV_FORK, 10, 11, 1);
	add_at(&t, 2, 100, METER_EV_ON, 11, 0);
	add_at(&t, 1, 280, METER_EV_OFF, 11, METER_OFF_DEAD);
	add_exec_by(&t, 500, 11);
	add_at(&t, 2, 600, METER_EV_OFF, 10, METER_OFF_SLEEP);
	check_spans(&t, unseen, sizeof(unseen) / sizeof(*unseen));

	/* The caller leaves its CPU under the leader's number, while the leader is on another. */
	t = (struct trace){ .ended = true, .begin_ns = 0, .end_ns = 1000 * US };
	add_plain(&t, 0, METER_EV_ON, 10, 0, 0);
	add_plain(&t, 50, METER_EV_FORK, 10, 11, 1);
	add_at(&t, 2, 100, METER_EV_ON, 11, 0);
	add_at(&t, 2, 280, METER_EV_OFF, 10, METER_OFF_SLEEP);
	add_at(&t, 1, 400, METER_EV_OFF, 11, METER_OFF_DEAD);
	add_at(&t, 2, 450, METER_EV_ON, 10, 0);
	add_exec_by(&t, 500, 11);
	add_at(&t, 2, 600, METER_EV_OFF, 10, METER_OFF_SLEEP);
	check_spans(&t, early, sizeof(early) / sizeof(*early));
}

/* A number that is given out twice is two threads: the second was not running in between. */
Test(trace, a_number_given_out_again_is_another_thread)
{
	const struct trace_span want[] = {
		{ 100 * US, 200 * US, 11, 11, 1, SPAN_RUNNING, 0 },
		{ 500 * US, 600 * US, 11, 11, 1, SPAN_RUNNING, 0 },
	};
	struct trace t = { .ended = true, .begin_ns = 0, .end_ns = 1000 * US };

	add_plain(&t, 50, METER_EV_FORK, 10, 11, 1);
	add_plain(&t, 100, METER_EV_ON, 11, 0, 0);
	add_plain(&t, 200, METER_EV_OFF, 11, METER_OFF_DEAD, 0);
	add_plain(&t, 300, METER_EV_FORK, 10, 11, 1);
	add_plain(&t, 400, METER_EV_OFF, 11, METER_OFF_SLEEP, 0); /* its ON is lost */
	add_plain(&t, 500, METER_EV_ON, 11, 0, 0);
	add_plain(&t, 600, METER_EV_OFF, 11, METER_OFF_DEAD, 0);
	check_spans(&t, want, sizeof(want) / sizeof(*want));
}
