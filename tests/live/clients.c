/* SPDX-License-Identifier: MIT */
/* A real client of the Runtime API that nobody made for this: a shell script with curl(1), as
 * Lambda's tutorial has one. Needs root and curl. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/env.h"
#include "tests/lib/functions.h"

/* The event is the response; every second time as if by a proxy. */
static const char bootstrap[] =
	"#!/bin/sh\n"
	"set -eu\n"
	"api=\"http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime\"\n"
	"by=\n"
	"while :; do\n"
	"    curl -sSf $by -D /tmp/head -o /tmp/event \"$api/invocation/next\"\n"
	"    id=$(sed -n 's/^lambda-runtime-aws-request-id: *\\([0-9a-f-]*\\).*/\\1/Ip' "
	"/tmp/head)\n"
	"    if [ \"$(cat /tmp/event)\" = '\"fail\"' ]; then\n"
	"        curl -sSf $by -H 'Lambda-Runtime-Function-Error-Type: Shell.Error' \\\n"
	"            -d '{\"errorType\":\"Shell.Error\",\"errorMessage\":\"as asked\"}' \\\n"
	"            \"$api/invocation/$id/error\" >/dev/null\n"
	"    else\n"
	"        curl -sSf $by --data-binary @/tmp/event \"$api/invocation/$id/response\" "
	">/dev/null\n"
	"    fi\n"
	"    if [ \"$by\" ]; then by=; else by=\"-x http://$AWS_LAMBDA_RUNTIME_API\"; fi\n"
	"done\n";

static void begin(struct project *s)
{
	char path[700];

	if (access("/usr/bin/curl", X_OK) < 0)
		test_skip("needs /usr/bin/curl");
	project_begin(s, "");
	project_put(s, "code/bootstrap", bootstrap);
	(void)snprintf(path, sizeof(path), "%s/code/bootstrap", s->project);
	cr_assert_eq(chmod(path, 0755), 0);
	project_deploy(
		s, "functions:\n"
		   "  shell: {runtime: provided.al2023, code: code, timeout: 60s, memory: 512}\n"
		   "  apart: {runtime: provided, code: code, timeout: 60s, memory: 512,\n"
		   "          reuse: context}\n");
}

Test(clients, a_shell_script_with_curl)
{
	struct project s;

	begin(&s);
	for (int i = 0; i < 4; i++) {
		OWN("invoke", "shell", "{\"a\": [1, \"two\"]}");
		cr_assert_eq(s.run.status, 0, "%s%s", s.run.out, s.run.err);
		cr_expect(strstr(s.run.out, "{\"a\": [1, \"two\"]}"), "%s", s.run.out);
		cr_expect_eq(strstr(s.run.err, "Init Duration") != NULL, i == 0, "%s", s.run.err);
	}
	OWN("invoke", "shell", "\"fail\"");
	cr_expect_eq(s.run.status, 1, "%s", s.run.err);
	cr_expect(strstr(s.run.out, "\"errorMessage\":\"as asked\""), "%s", s.run.out);
	for (int i = 0; i < 2; i++) {
		OWN("invoke", "apart", "5");
		cr_assert_eq(s.run.status, 0, "%s%s", s.run.out, s.run.err);
		cr_expect(strstr(s.run.out, "5"), "%s", s.run.out);
	}
	project_end(&s);
}

/* For a megabyte and more curl asks first whether it may (100-continue). */
Test(clients, a_long_event_and_a_long_response)
{
	static char event[(3 << 20) + 3];
	struct project s;
	char path[700];

	memset(event, 'x', sizeof(event) - 1);
	event[0] = event[sizeof(event) - 2] = '"';
	begin(&s);
	project_put(&s, "event", event);
	(void)snprintf(path, sizeof(path), "@%s/event", s.project);
	for (int i = 0; i < 2; i++) {
		OWN("invoke", "shell", path);
		cr_assert_eq(s.run.status, 0, "%s", s.run.err);
		cr_expect_geq(s.run.out_len, sizeof(event) - 1);
		cr_expect_eq(memcmp(s.run.out, event, sizeof(event) - 1), 0);
	}
	project_end(&s);
}
