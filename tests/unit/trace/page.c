/* SPDX-License-Identifier: MIT */
/* The page of a report: well formed whatever a function wrote, and nothing in it that asks for
 * more. */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/meter_abi.h"
#include "tests/lib/page_form.h"
#include "trace/page.h"
#include "trace/trace.h"

#define ID   "12345678-1234-4234-8234-123456789abc"
#define EVIL "</td><script src=//x>\"'onload=alert(1)&\x1b<!--]]>"

static const char report[] =
	"{\"schema\":\"cloche.report/1\",\"request_id\":\"" ID "\",\"function\":null,"
	"\"started_at\":\"2026-01-02T03:04:05.000000Z\",\"verdict\":\"error\",\"exit_code\":7,"
	"\"signal\":null,\"message\":\"</p><script>\\\"'&\","
	"\"time\":{\"wall_ns\":10000000,\"busy_ns\":4000000,\"waiting_ns\":3000000,"
	"\"idle_ns\":3000000},\"cpu\":{\"on_cpu_ns\":4500000},\"memory\":{\"peak_bytes\":1048576},"
	"\"bill\":{\"usd\":\"0.000000000001\",\"contention_ns\":1000000},"
	"\"limits\":{\"vcpus\":0.5},"
	"\"denied\":[{\"syscall\":\"mount\",\"args\":[\"0x1\",\"0x2\"],\"count\":3,"
	"\"errno\":\"EPERM\"}],"
	"\"degraded\":[{\"what\":\"<b>\",\"reason\":\"<i>\"}]}";

static void add(struct trace *t, const void *ev)
{
	struct trace_event e;

	cr_assert_eq(trace_event_of(ev, &e), 0);
	cr_assert_eq(trace_add(t, &e), 0);
}

static void add_plain(struct trace *t, uint64_t at_ns, uint32_t type, uint32_t arg)
{
	struct meter_event e = { .at_ns = at_ns,
				 .type = type,
				 .pid = 7,
				 .tgid = 7,
				 .arg = arg,
				 .comm = "<script>\"'&" };

	add(t, &e);
}

static void fill(struct trace *t, unsigned switches)
{
	struct meter_event_exec x = { .ev = { .at_ns = 1000000,
					      .type = METER_EV_EXEC,
					      .pid = 7,
					      .tgid = 7,
					      .comm = "<img>" } };

	*t = (struct trace){ .ended = true,
			     .complete = true,
			     .request_id = ID,
			     .begin_ns = 1000000,
			     .end_ns = 11000000,
			     .busy_ns = 4000000,
			     .quota_ns = 2000000,
			     .contention_ns = 1000000,
			     .idle_ns = 3000000 };
	x.path_len = (uint32_t)snprintf(x.path, sizeof(x.path), EVIL) + 1;
	x.args_len = x.args_all = x.path_len;
	memcpy(x.args, x.path, x.path_len);
	add(t, &x);
	for (unsigned i = 0; i < switches; i++) {
		add_plain(t, 1000000 + i * 9000000ULL / switches, METER_EV_ON, 0);
		add_plain(t, 1000000 + i * 9000000ULL / switches + 1, METER_EV_OFF,
			  METER_OFF_SLEEP);
	}
	trace_sort(t);
}

static char *page(const char *json, const struct trace *t, size_t n)
{
	json_t *o = json ? json_loads(json, 0, NULL) : NULL;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	cr_assert(!json || o);
	cr_assert_eq(page_write(f, &o, o != NULL, t, n), 0);
	cr_assert_eq(fclose(f), 0);
	json_decref(o);
	return text;
}

static void check_form(const char *s)
{
	const char *at = s, *why = page_form_why(s, &at);

	cr_assert_null(why, "%s at '%.40s'", why, at);
}

static unsigned count(const char *s, const char *what)
{
	unsigned n = 0;

	while ((s = strstr(s, what)))
		n++, s++;
	return n;
}

Test(page, report_and_trace_become_one_section)
{
	struct trace t;
	char *s;

	fill(&t, 3);
	s = page(report, &t, 1);
	check_form(s);
	cr_assert_eq(count(s, "<section>"), 1);
	cr_assert_not_null(strstr(s, "busy <b>4.000 ms</b> 40.0 %"), "%s", s);
	cr_assert_not_null(strstr(s, "held by its quota <b>2.000 ms</b> 20.0 %"));
	cr_assert_not_null(strstr(s, "<rect class=\"p0\" x=\"0.000\" y=\"0\" width=\"400.000\""));
	cr_assert_not_null(strstr(s, "exec &#39;&lt;/td&gt;&lt;script src=//x&gt;&quot;"));
	cr_assert_not_null(strstr(s, "exit status 7"));
	cr_assert_eq(count(s, "<div class=\"time\""), 1);
	cr_assert_null(strstr(s, "incomplete"));
	cr_assert_not_null(strstr(s, "0.000000000001"));
	cr_assert_not_null(strstr(s, "<th>&lt;b&gt;</th><td>&lt;i&gt;</td>"));
	cr_assert_not_null(strstr(s, "default-src 'none'"));
	free(s);
	trace_free(&t);
}

Test(page, a_report_alone_has_its_own_bar)
{
	char *s = page(report, NULL, 0);

	check_form(s);
	/* waiting less contention is the quota's. */
	cr_assert_not_null(strstr(s, "held by its quota <b>2.000 ms</b> 20.0 %"));
	cr_assert_not_null(strstr(s, "waiting for others <b>1.000 ms</b> 10.0 %"));
	cr_assert_null(strstr(s, "class=\"time\""));
	cr_assert_not_null(
		strstr(s, "<tr><td>mount(0x1, 0x2)</td><td>EPERM</td><td class=\"n\">3</td>"));
	free(s);
}

/* A figure that is null is not zero. */
Test(page, what_was_not_measured_is_said)
{
	char *s = page("{\"request_id\":\"x\",\"verdict\":\"ok\",\"time\":{\"wall_ns\":5,"
		       "\"busy_ns\":null}}",
		       NULL, 0);

	check_form(s);
	cr_assert_not_null(strstr(s, "Not measured"));
	cr_assert_not_null(strstr(s, "<th>read</th><td class=\"n\">not measured</td>"));
	cr_assert_null(strstr(s, "svg class=\"bar\""));
	free(s);
}

Test(page, a_trace_alone_is_shown)
{
	struct trace t;
	char *s;

	fill(&t, 2);
	s = page(NULL, &t, 1);
	check_form(s);
	cr_assert_eq(count(s, "<section>"), 1);
	free(s);
	trace_free(&t);
}

/* What an incomplete trace lacks is said as it is: not "0 events were lost". */
Test(page, why_a_trace_is_incomplete)
{
	static const struct {
		bool ended;
		uint64_t lost;
		const char *says;
	} cases[] = {
		{ true, 0, "incomplete: some threads or switches were not seen." },
		{ true, 7, "incomplete: 7 events were lost." },
		{ false, 0, "incomplete: it has no end." },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trace t;
		char *s;

		fill(&t, 2);
		t.complete = false;
		t.ended = cases[i].ended;
		t.lost = cases[i].lost;
		s = page(NULL, &t, 1);
		cr_assert_not_null(strstr(s, cases[i].says), "%s", s);
		free(s);
		trace_free(&t);
	}
}

/* Two hundred thousand switches do not make a page that no browser opens. */
Test(page, thin_stretches_are_drawn_as_one)
{
	struct trace t;
	char *s;

	fill(&t, 200000);
	s = page(NULL, &t, 1);
	check_form(s);
	cr_assert_lt(count(s, "<rect"), 10000, "%u", count(s, "<rect"));
	cr_assert_lt(strlen(s), 1 << 20);
	free(s);
	trace_free(&t);
}
