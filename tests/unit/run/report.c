/* SPDX-License-Identifier: MIT */
/*
 * The report, the REPORT line, the record and the exit status are functions of the outcome alone:
 * of values made here, without a context or privilege, and of a copy that came through a socket.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "ledger/ledger_record.h"
#include "run/outcome.h"
#include "run/record.h"
#include "run/report.h"

#define EXITED(n) ((n) << 8)

static struct outcome usual(void)
{
	struct outcome out = {
		.request_id = "01234567-89ab-4cde-8f01-23456789abcd",
		.function = "thumbnail",
		.owner = { .uid = 1000, .name = "user" },
		.context = { .made = true,
			     .id = "11234567-89ab-4cde-8f01-23456789abcd",
			     .invocation = 1,
			     .idmapped = true,
			     .vcpu_micro = 72400 },
		.policy = { .name = "default", .reports = true },
		.limits = { .memory_bytes = 128 << 20, .pids = 64, .timeout_ns = 3000000000 },
		.verdict = VERDICT_OK,
		.ran = true,
		.told = true,
		.overshoot_ns = -1,
		.wall_ns = 1234567,
		.charged_known = true,
		.charged = true,
		.charge = { .duration_ns = 1234567,
			    .billed_ms = 2,
			    .gb_seconds = "0.000250000",
			    .usd = "0.000000004167" },
		.prices = "lambda"
	};

	out.metered.known = true;
	out.metered.usage = (struct meter_usage){ .complete = true,
						  .wall_ns = 1234567,
						  .busy_ns = 1000000,
						  .idle_ns = 234567,
						  .memory_known = true,
						  .memory_peak_bytes = (3 << 20) + 1 };
	return out;
}

static json_t *report_of(const struct outcome *out)
{
	cleanup_free char *line = report_json(out);
	json_t *j = json_loads(line, 0, NULL);

	cr_assert(j, "no JSON: %s", line);
	return j;
}

static const char *text_at(json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static const struct {
	enum verdict verdict;
	int status;
	const char *stage;
	int code;
	int exit_status;
	const char *word, *line, *message; /* in the REPORT line; NULL: nothing */
} rows[] = {
	{ VERDICT_OK, EXITED(0), "", 0, 0, "ok", NULL, NULL },
	{ VERDICT_ERROR, EXITED(7), "", 0, 7, "error", "Error Type: Runtime.ExitError", NULL },
	{ VERDICT_SIGNAL, SIGSEGV, "", 0, 139, "signal", "Error Type: Runtime.ExitError", NULL },
	{ VERDICT_TIMEOUT, SIGKILL, "", 0, 124, "timeout", "Status: timeout",
	  "Task timed out after 3.00 seconds" },
	{ VERDICT_CPU_TIMEOUT, SIGKILL, "", 0, 124, "cpu_timeout", "Cloche.CpuTimeout",
	  "the CPU time limit was reached" },
	{ VERDICT_OOM, SIGKILL, "", 0, 137, "oom", "Runtime.OutOfMemory",
	  "the memory limit was reached and the kernel killed it" },
	{ VERDICT_PIDS, SIGABRT, "", 0, 134, "pids", "Cloche.ProcessLimit",
	  "a process was refused at the process limit, and it aborted" },
	{ VERDICT_OUTPUT_LIMIT, SIGKILL, "", 0, 153, "output_limit", "Cloche.OutputLimit",
	  "the output limit was reached" },
	{ VERDICT_DENIED, SIGSYS, "", 0, 159, "denied", "Cloche.PolicyDenied",
	  "the policy killed it for a denied system call" },
	{ VERDICT_CANCELLED, SIGKILL, "", 0, 130, "cancelled", "Cloche.Cancelled",
	  "the caller asked for the end" },
	{ VERDICT_INIT_ERROR, 0, "", 0, 1, "init_error", "Runtime.ExitError",
	  "it ended, or failed, before its first event" },
	{ VERDICT_INIT_TIMEOUT, SIGKILL, "", 0, 124, "init_timeout", "Status: timeout",
	  "it did not ask for its first event in time" },
	{ VERDICT_LAUNCH_ERROR, 0, "exec", ENOENT, 127, "launch_error",
	  "\tMax Memory Used: 0 MB\tStatus: error\tError Type: Runtime.InvalidEntrypoint\t\n",
	  "why" },
	{ VERDICT_LAUNCH_ERROR, 0, "exec", EACCES, 126, "launch_error",
	  "Error Type: Runtime.InvalidEntrypoint\t", "why" },
	{ VERDICT_LAUNCH_ERROR, 0, "workdir", ENOENT, 125, "launch_error",
	  "Error Type: Runtime.InvalidWorkingDir\t", "why" },
	{ VERDICT_LAUNCH_ERROR, 0, "cgroup", ENOENT, 125, "launch_error",
	  "Error Type: Cloche.LaunchError\t", "why" },
};

Test(report, every_verdict)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome out = usual();
		cleanup_free char *line = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&line, &len);
		json_t *j;

		out.verdict = rows[i].verdict;
		out.status = rows[i].status;
		out.ran = rows[i].verdict != VERDICT_LAUNCH_ERROR;
		if (!out.ran)
			out.err = (struct cloche_err){ .code = rows[i].code, .text = "why" };
		(void)snprintf(out.err.stage, sizeof(out.err.stage), "%s", rows[i].stage);
		cr_assert_eq(outcome_exit_status(&out), rows[i].exit_status, "row %zu", i);
		j = report_of(&out);
		cr_assert_str_eq(text_at(j, "verdict"), rows[i].word);
		if (rows[i].message)
			cr_assert_str_eq(text_at(j, "message"), rows[i].message);
		else
			cr_assert(json_is_null(json_object_get(j, "message")), "row %zu", i);
		cr_assert_eq(json_is_null(json_object_get(j, "exit_code")),
			     !out.ran || !WIFEXITED(out.status), "row %zu", i);
		report_line(&out, f);
		(void)fclose(f);
		cr_assert_eq(!!strstr(line, "Status:"), !!rows[i].line, "%s", line);
		if (rows[i].line)
			cr_assert(strstr(line, rows[i].line), "%s", line);
		json_decref(j);
	}
}

Test(report, the_line_is_lambdas)
{
	struct outcome out = usual();
	cleanup_free char *line = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&line, &len);

	report_line(&out, f);
	(void)fclose(f);
	cr_assert_str_eq(line, "REPORT RequestId: 01234567-89ab-4cde-8f01-23456789abcd\t"
			       "Duration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\t"
			       "Max Memory Used: 4 MB\t\n");
}

/* The figure's place in the report, and what takes it away. */
Test(report, what_is_not_known_is_null_and_named)
{
	struct outcome out = usual();
	json_t *j, *degraded, *row;
	size_t i;
	bool named = false;

	out.metered.known = false;
	(void)snprintf(out.metered.why, sizeof(out.metered.why), "--meter off");
	j = report_of(&out);
	cr_assert(json_is_null(json_object_get(json_object_get(j, "time"), "busy_ns")));
	cr_assert(json_is_null(json_object_get(json_object_get(j, "memory"), "peak_bytes")));
	degraded = json_object_get(j, "degraded");
	json_array_foreach (degraded, i, row)
		named |= !strcmp(text_at(row, "what"), "time.busy_ns") &&
			 !strcmp(text_at(row, "reason"), "--meter off");
	cr_assert(named);
	json_decref(j);
}

Test(report, an_outcome_crosses_a_socket)
{
	struct outcome out = usual(), come;
	cleanup_free char *here = NULL, *there = NULL;
	char first[HASH_HEX_LEN], second[HASH_HEX_LEN];
	struct ledger_record one, two;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	cr_assert_eq(send(pair[0], &out, sizeof(out), 0), (ssize_t)sizeof(out));
	here = report_json(&out);
	record_make(&out, &one);
	memset(&out, 0x5a, sizeof(out)); /* it kept nothing of where it came from */
	cr_assert_eq(recv(pair[1], &come, sizeof(come), 0), (ssize_t)sizeof(come));
	there = report_json(&come);
	record_make(&come, &two);
	cr_assert_str_eq(here, there);
	hash_sha256_hex(&one, sizeof(one), first);
	hash_sha256_hex(&two, sizeof(two), second);
	cr_assert_str_eq(first, second);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

Test(report, the_record_says_what_the_report_says)
{
	struct outcome out = usual();
	struct ledger_record record;

	record_make(&out, &record);
	cr_assert_str_eq(record.verdict, "ok");
	cr_assert_str_eq(record.function, "thumbnail");
	cr_assert_eq(record.owner_uid, 1000);
	cr_assert_eq(record.wall_ns, 1234567);
	cr_assert_eq(record.busy_ns, 1000000);
	cr_assert_eq(record.billed_ms, 2);
	cr_assert_eq(record.memory_peak_bytes, (3 << 20) + 1);
	cr_assert(record.cold);
	out.metered.known = false;
	record_make(&out, &record);
	cr_assert_eq(record.busy_ns, LEDGER_NULL);
	cr_assert_eq(record.memory_peak_bytes, LEDGER_NULL);
}

static void expect_init_line(const struct outcome *init, bool invoked, const char *want)
{
	cleanup_free char *line = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&line, &len);

	report_init_line(init, invoked, f);
	(void)fclose(f);
	cr_expect_str_eq(line, want);
}

static void expect_status_in_line(const struct outcome *out, const char *want)
{
	cleanup_free char *line = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&line, &len);
	const char *status;

	report_line(out, f);
	(void)fclose(f);
	status = strstr(line, "Status: ");
	cr_expect_str_eq(status ? status : "", want, "%s", line);
}

/* What it told of is its own affair; but not that it has ended. */
Test(report, the_line_of_an_error_that_was_answered)
{
	struct outcome out = usual();

	out.verdict = VERDICT_ERROR;
	out.answered = true;
	(void)snprintf(out.error_type, sizeof(out.error_type), "Of.Mine");
	out.status = 0;
	expect_status_in_line(&out, "");
	out.status = EXITED(129);
	expect_status_in_line(&out, "Status: error\tError Type: Runtime.ExitError\t\n");
	out.status = SIGKILL;
	out.killed = true;
	expect_status_in_line(&out, "");
}

/* As CloudWatch has them. */
Test(report, the_line_of_an_init)
{
	struct outcome init = usual();

	expect_init_line(&init, false, "INIT_REPORT Init Duration: 1.23 ms\tPhase: init\n");
	init.verdict = VERDICT_INIT_ERROR;
	expect_init_line(&init, false,
			 "INIT_REPORT Init Duration: 1.23 ms\tPhase: init\tStatus: error\t"
			 "Error Type: Runtime.ExitError\n");
	init.verdict = VERDICT_OOM;
	expect_init_line(&init, true,
			 "INIT_REPORT Init Duration: 1.23 ms\tPhase: invoke\tStatus: error\t"
			 "Error Type: Runtime.OutOfMemory\n");
	init.verdict = VERDICT_INIT_TIMEOUT;
	init.wall_ns = 9999559999;
	expect_init_line(&init, false,
			 "INIT_REPORT Init Duration: 9999.56 ms\tPhase: init\tStatus: timeout\n");
	init.verdict = VERDICT_INIT_ERROR;
	init.answered = true;
	expect_init_line(&init, true,
			 "INIT_REPORT Init Duration: 9999.56 ms\tPhase: invoke\tStatus: error\t"
			 "Error Type: Runtime.Unknown\n");
	(void)snprintf(init.error_type, sizeof(init.error_type), "Runtime.ImportModuleError");
	expect_init_line(&init, true,
			 "INIT_REPORT Init Duration: 9999.56 ms\tPhase: invoke\tStatus: error\t"
			 "Error Type: Runtime.ImportModuleError\n");
}
