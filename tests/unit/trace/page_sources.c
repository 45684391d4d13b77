/* SPDX-License-Identifier: MIT */
/* What `cloche report` is given: reports in a row, a trace, and files that are neither. */
#include "trace/page_sources.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/guard.h"
#include "trace/trace.h"

#define REPORT "{\"schema\":\"cloche.report/1\",\"request_id\":\"a\"}"

static int read_bytes(struct page_sources *s, const char *text, size_t len, struct cloche_err *err)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, len, "r");
	int r;

	cr_assert_not_null(f);
	r = page_sources_read(s, f, "f", err);
	cr_assert_eq(fclose(f), 0);
	return r;
}

Test(page_sources, reports_may_stand_in_any_row)
{
	static const char *const rows[] = { REPORT REPORT, REPORT "\n" REPORT "\n",
					    "\r\n\t " REPORT " \n\n " REPORT };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_page_sources struct page_sources s = { 0 };
		struct cloche_err err = { 0 };

		cr_assert_eq(read_bytes(&s, rows[i], strlen(rows[i]), &err), 0, "%s", err.text);
		cr_expect_eq(s.n_reports, 2);
		cr_expect_eq(s.n_traces, 0);
	}
}

Test(page_sources, a_trace_is_told_by_its_first_object)
{
	static const char trace[] =
		"{\"schema\":\"cloche.trace/1\",\"request_id\":\"b\",\"started_at\":\"\"}\n";
	cleanup_page_sources struct page_sources s = { 0 };
	struct cloche_err err = { 0 };

	cr_assert_eq(read_bytes(&s, REPORT, strlen(REPORT), &err), 0, "%s", err.text);
	cr_assert_eq(read_bytes(&s, trace, strlen(trace), &err), 0, "%s", err.text);
	cr_assert_eq(s.n_reports, 1);
	cr_assert_eq(s.n_traces, 1);
	cr_expect_str_eq(s.traces[0].request_id, "b");
}

Test(page_sources, what_is_neither_is_named)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *why;
	} cases[] = {
		{ " \n", 2, "'f' is empty" },
		{ "\0", 1, "'f' object 1: neither" },
		{ "[]", 2, "'f' object 1: neither" },
		{ "{\"schema\":1}", 12, "'f' object 1: neither" },
		{ "{\"schema\":\"cloche.report/2\"}", 28, "'f' object 1: neither" },
		{ REPORT "\0", sizeof(REPORT), "'f' object 2: neither" },
		{ REPORT "x", sizeof(REPORT), "'f' object 2: neither" },
		{ "{\"schema\":\"cloche.report/1\",\"a\":1,\"a\":2}", 42, "'f' object 1: neither" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup_page_sources struct page_sources s = { 0 };
		struct cloche_err err = { 0 };

		cr_expect_eq(read_bytes(&s, cases[i].bytes, cases[i].len, &err), -EPROTO, "%zu", i);
		cr_expect(strncmp(err.text, cases[i].why, strlen(cases[i].why)) == 0, "%zu: %s", i,
			  err.text);
	}
}

Test(page_sources, any_cut_is_refused)
{
	for (size_t len = 1; len < strlen(REPORT); len++) {
		cleanup_page_sources struct page_sources s = { 0 };
		struct cloche_err err = { 0 };
		char *copy = guard_copy(REPORT, len);

		cr_expect_eq(read_bytes(&s, copy, len, &err), -EPROTO, "%zu", len);
		guard_free(copy, len);
	}
}
