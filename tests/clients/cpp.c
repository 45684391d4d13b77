/* SPDX-License-Identifier: MIT */
/*
 * AWS's own client for C++, unmodified, through the daemon: a function that is linked with
 * aws-lambda-cpp and the libcurl that comes with it, in the folder that CPP names (tests/clients.mk
 * makes it). Needs root.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime_api.h"
#include "tests/lib/env.h"
#include "tests/lib/functions.h"

/* As many bytes as a response of the function's may have. */
#define MOST RUNTIME_PAYLOAD_MAX

static void begin(struct project *s)
{
	cleanup_run struct run copy = { 0 };
	char from[700], to[700];

	project_begin(s, "");
	(void)snprintf(from, sizeof(from), "%s/bootstrap", env_need("CPP"));
	(void)snprintf(to, sizeof(to), "%s/code", s->project);
	RUN(&copy, "install", "-m", "755", "-t", to, from);
	cr_assert_eq(copy.status, 0, "%s", copy.err);
	project_deploy(s, "functions:\n"
			  "  f: {runtime: provided.al2023, code: code, timeout: 60s, memory: 512}\n"
			  "  apart: {runtime: provided, code: code, timeout: 60s, memory: 512,\n"
			  "          reuse: context}\n");
	project_expect(s, "deployed apart");
}

static void invoke(struct project *s, const char *function, const char *event)
{
	project_by(s, DAEMON_USER,
		   (const char *const[]){ "invoke", "--report", "-", function, event, NULL });
}

static void expect_verdict(const struct project *s, int status, const char *verdict)
{
	char want[64];

	(void)snprintf(want, sizeof(want), "\"verdict\":\"%s\"", verdict);
	cr_expect_eq(s->run.status, status, "%d: %.300s%s", s->run.status, s->run.out, s->run.err);
	cr_expect(strstr(s->run.err, want), "%s", s->run.err);
}

static void expect_start(const struct project *s, const char *start)
{
	char want[64];

	(void)snprintf(want, sizeof(want), "\"start\":\"%s\"", start);
	cr_expect(strstr(s->run.err, want), "%s", s->run.err);
}

/* "N ID ARN in time". */
static void expect_count(struct project *s, const char *function, int n, const char *start)
{
	char count[16], arn[64], *id;

	invoke(s, function, "\"count\"");
	expect_verdict(s, 0, "ok");
	expect_start(s, start);
	(void)snprintf(count, sizeof(count), "%d ", n);
	cr_expect(strncmp(s->run.out, count, strlen(count)) == 0, "%s", s->run.out);
	(void)snprintf(arn, sizeof(arn), ":function:%s in time", function);
	cr_expect(strstr(s->run.out, arn), "%s", s->run.out);
	id = strchr(s->run.out, ' ');
	cr_assert(id && strlen(id) > 37, "%s", s->run.out);
	id[37] = '\0';
	cr_expect(strstr(s->run.err, id + 1), "%s is not in %s", id + 1, s->run.err);
}

Test(cpp, several_events_in_one_process)
{
	struct project s;

	begin(&s);
	for (int i = 1; i <= 3; i++)
		expect_count(&s, "f", i, i == 1 ? "cold" : "warm");
	invoke(&s, "f", "{\"a\": [1, \"\303\244\"]}");
	expect_verdict(&s, 0, "ok");
	cr_expect_str_eq(s.run.out, "{\"a\": [1, \"\303\244\"]}");
	for (int i = 0; i < 2; i++)
		expect_count(&s, "apart", 1, i ? "warm" : "cold");
	project_end(&s);
}

/* And the process stays. */
Test(cpp, an_error)
{
	struct project s;

	begin(&s);
	for (int i = 0; i < 2; i++) {
		invoke(&s, "f", "\"fail\"");
		expect_verdict(&s, 1, "error");
		expect_start(&s, i ? "warm" : "cold");
		cr_expect(strstr(s.run.out, "\"errorType\":\"Cpp.Error\""), "%s", s.run.out);
		cr_expect(strstr(s.run.out, "\"errorMessage\":\"no \\\"such\\\" thing\""), "%s",
			  s.run.out);
	}
	expect_count(&s, "f", 3, "warm");
	project_end(&s);
}

/* One that is too large it is told of by 413; then it ends by itself, and nothing is wrong. */
Test(cpp, large_responses)
{
	const size_t lengths[] = { 6 << 20, MOST };
	struct project s;
	char event[64];

	begin(&s);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(event, sizeof(event), "{\"n\":%zu}", lengths[i]);
		invoke(&s, "f", event);
		expect_verdict(&s, 0, "ok");
		expect_start(&s, i ? "warm" : "cold");
		cr_expect_eq(s.run.out_len, lengths[i]);
		cr_expect(s.run.out[0] == '"' && strspn(s.run.out + 1, "x") == lengths[i] - 2);
	}
	(void)snprintf(event, sizeof(event), "{\"n\":%zu}", (size_t)MOST + 1);
	invoke(&s, "f", event);
	expect_verdict(&s, 1, "error");
	cr_expect(strstr(s.run.out, "Function.ResponseSizeTooLarge"), "%.300s", s.run.out);
	expect_count(&s, "f", 1, "cold");
	project_end(&s);
}

Test(cpp, a_large_event)
{
	static char event[MOST + 1];
	struct project s;
	char path[700];

	memset(event, 'x', MOST);
	event[0] = event[MOST - 1] = '"';
	begin(&s);
	project_put(&s, "event", event);
	(void)snprintf(path, sizeof(path), "@%s/event", s.project);
	for (int i = 0; i < 2; i++) {
		invoke(&s, "f", path);
		expect_verdict(&s, 0, "ok");
		cr_expect_eq(s.run.out_len, MOST);
		cr_expect(s.run.out_len == MOST && memcmp(s.run.out, event, MOST) == 0);
	}
	project_end(&s);
}
