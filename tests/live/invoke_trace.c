/* SPDX-License-Identifier: MIT */
/* Traces of deployed functions' invocations: of one event each, also in a process that stays. Needs
 * root. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "tests/lib/env.h"
#include "tests/lib/functions.h"
#include "tests/lib/trace_file.h"
#include "trace/trace.h"

static const char code[] = "import os, time\n"
			   "open('/dev/null', 'w').close()\n"
			   "def handler(event, context):\n"
			   "    open('/tmp/of-' + event, 'w').close()\n"
			   "    if event == 'leave':\n"
			   "        os._exit(3)\n"
			   "    return event\n";

static const char yaml[] =
	"functions:\n"
	"  stays: {runtime: python3, code: code, handler: app.handler, timeout: 60s}\n"
	"  forks: {runtime: python3, code: code, handler: app.handler, timeout: 60s, reuse: fork}\n"
	"  clean: {runtime: python3, code: code, handler: app.handler, timeout: 60s,\n"
	"          reuse: context}\n"
	"  once: {runtime: exec, code: code, timeout: 60s,\n"
	"         handler: [sh, -c, 'read x; : >/tmp/of-$x']}\n";

static void begin(struct project *s)
{
	project_begin(s, "");
	project_put(s, "code/app.py", code);
	project_deploy(s, yaml);
	cr_assert_eq(s->run.status, 0, "%s", s->run.err);
	/* The client makes files there. */
	cr_assert_eq(chmod(s->project, 01777), 0);
}

static const char *path_in(const struct project *s, const char *name)
{
	static char path[700];

	(void)snprintf(path, sizeof(path), "%s/%s", s->project, name);
	return path;
}

static bool has(const char *path, const char *word)
{
	cleanup_free char *text = NULL;
	struct cloche_err err;
	size_t len;

	cr_assert_eq(file_load(AT_FDCWD, path, 64 << 20, &text, &len, &err), 0, "%s", err.text);
	return strstr(text, word) != NULL;
}

static json_t *report_of(const char *said)
{
	const char *at = strchr(said, '{');
	json_t *report = at ? json_loads(at, JSON_DISABLE_EOF_CHECK, NULL) : NULL;

	cr_assert_not_null(report, "%s", said);
	return report;
}

static json_int_t number(const char *said, const char *of, const char *key)
{
	json_t *report = report_of(said);
	json_int_t n = json_integer_value(json_object_get(json_object_get(report, of), key));

	json_decref(report);
	return n;
}

/* A host that has much to do may miss something of it, which is said in both. */
static bool is_complete(const char *said)
{
	json_t *report = report_of(said);
	bool is = json_is_true(json_object_get(json_object_get(report, "trace"), "complete"));

	json_decref(report);
	return is;
}

/* One event's, and nothing of another's. */
static void expect_traced(struct project *s, const char *function, const char *event,
			  const char *verdict)
{
	const char *path = path_in(s, "t");
	cleanup_trace struct trace t = { 0 };
	char of[64], payload[64];

	(void)snprintf(payload, sizeof(payload), strcmp(function, "once") == 0 ? "%s\n" : "\"%s\"",
		       event);
	(void)unlink(path);
	project_by(s, DAEMON_USER,
		   (const char *const[]){ "invoke", "-q", "--report", "-", "--trace", path,
					  function, payload, NULL });
	cr_assert_eq(s->run.status != 0, strcmp(verdict, "ok") != 0, "%s %s: %s", function, event,
		     s->run.err);
	t = trace_file_read(path);
	cr_expect(t.ended && t.lost == 0 && t.n == t.n_written, "%s: %s", event, s->run.err);
	cr_expect_eq(t.complete, is_complete(s->run.err), "%s: %s", event, s->run.err);
	cr_expect_str_eq(t.function, function);
	cr_expect_str_eq(t.verdict, verdict);
	cr_expect_eq(number(s->run.err, "trace", "events"), (json_int_t)t.n);
	(void)snprintf(of, sizeof(of), "/tmp/of-%s", event);
	cr_expect(has(path, of), "%s", of);
	cr_expect_eq(strcmp(event, "first") != 0, !has(path, "/tmp/of-first"), "%s", event);
	cr_expect_not(has(path, "/dev/null"), "%s: of init", event);
	project_by(s, DAEMON_USER, (const char *const[]){ "trace", path, NULL });
	project_expect(s, of);
}

Test(invoke_trace, is_of_one_event)
{
	struct project s;

	begin(&s);
	expect_traced(&s, "stays", "first", "ok");
	for (int i = 0; i < 4; i++)
		expect_traced(&s, "stays", "second", "ok");
	OWN("invoke", "--report", "-", "stays", "\"third\"");
	cr_expect_eq(number(s.run.err, "context", "invocation"), 6);
	cr_expect(strstr(s.run.err, "\"trace\":null"), "%s", s.run.err);
	expect_traced(&s, "stays", "leave", "error");
	expect_traced(&s, "stays", "after", "ok");
	expect_traced(&s, "once", "first", "ok");
	expect_traced(&s, "once", "second", "ok");
	daemon_expect_records(&s.d, "stays         ok", 7);
	project_end(&s);
}

/* However it is there for the next. */
Test(invoke_trace, is_of_one_event_however_it_is_reused)
{
	static const char *const functions[] = { "forks", "clean" };
	struct project s;

	begin(&s);
	for (size_t i = 0; i < 2; i++) {
		expect_traced(&s, functions[i], "first", "ok");
		expect_traced(&s, functions[i], "second", "ok");
		expect_traced(&s, functions[i], "leave", "error");
		expect_traced(&s, functions[i], "second", "ok");
	}
	project_end(&s);
}

/* By the daemon, or where its owner has a folder. */
Test(invoke_trace, is_kept)
{
	struct project s;
	char id[40];

	begin(&s);
	OWN("invoke", "-q", "stays", "\"first\"");
	OWN("invoke", "--keep-trace", "stays", "\"second\"");
	project_expect(&s, "second");
	cr_assert(strstr(s.run.err, "REPORT RequestId: "), "%s", s.run.err);
	(void)snprintf(id, sizeof(id), "%.36s",
		       strstr(s.run.err, "RequestId: ") + strlen("RequestId: "));
	OWN("trace", id);
	project_expect(&s, "/tmp/of-second");
	cr_expect_null(strstr(s.run.out, "/tmp/of-first"));
	OWN("trace", "--list");
	project_expect(&s, "stays");
	project_end(&s);
}

Test(invoke_trace, what_cannot_be_written_costs_no_invocation)
{
	struct project s;

	begin(&s);
	OWN("invoke", "--trace", "/proc/none", "stays", "\"first\"");
	project_expect(&s, "first");
	cr_expect(strstr(s.run.err, "; there is no trace"), "%s", s.run.err);
	OWN("invoke", "--trace", "-", "stays");
	cr_expect_eq(s.run.status, 2, "%s", s.run.err);
	OWN("invoke", "--trace", path_in(&s, "t"), "--report", path_in(&s, "t"), "stays");
	project_refused(&s, 2, "--report and --trace name one file");
	project_end(&s);
}
