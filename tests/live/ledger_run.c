/* SPDX-License-Identifier: MIT */
/*
 * `cloche run` and the ledger: one record for each invocation, with the report's figures, from many
 * processes at a time, there before the answer is. Needs root.
 */
#include "base/fd.h"
#include "ledger/money.h"
#include "tests/lib/env.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/records.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_request(const json_t *list, const char *id)
{
	json_t *one;
	size_t i;

	json_array_foreach (list, i, one)
		if (strcmp(record_text(one, "request_id"), id) == 0)
			return true;
	return false;
}

/* The sum of one member of all records, as text with 12 decimals. */
static void sum_of(const json_t *list, const char *key, char *ret)
{
	money_t sum = 0, one;
	json_t *record;
	size_t i;

	json_array_foreach (list, i, record) {
		cr_assert_eq(money_parse(record_text(record, key), &one, NULL), 0);
		cr_assert_eq(money_add(&sum, one), 0);
	}
	money_format_fixed(sum, 12, ret);
}

/* ---- the record ---- */

Test(ledger_run, the_record_says_what_the_report_says)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	json_t *list, *r;

	RUN_CLOCHE(&run, "--ledger", dir, "--name", "busy-1", "-m", "128M", "-t", "20s", "--", "sh",
		   "-c", "i=0; while [ $i -lt 300 ]; do i=$((i + 1)); done; exit 3");
	cr_assert_eq(run.status, 3, "%s", run.err);
	list = records_read(dir);
	cr_assert_eq(json_array_size(list), 1);
	r = json_array_get(list, 0);
	cr_expect_str_eq(record_text(r, "request_id"), report_text(&run, "request_id"));
	cr_expect_str_eq(record_text(r, "function"), "busy-1");
	cr_expect_str_eq(report_text(&run, "function"), "busy-1");
	cr_expect_eq(record_number(r, "owner_uid"), 0);
	cr_expect_str_eq(record_text(r, "owner_name"), report_text(&run, "owner.name"));
	cr_expect_str_eq(record_text(r, "verdict"), "error");
	cr_expect_eq(record_number(r, "exit_code"), 3);
	cr_expect(json_is_true(json_object_get(r, "cold")));
	cr_expect_str_eq(record_text(r, "reuse"), "none");
	cr_expect_str_eq(record_text(r, "started_at"), report_text(&run, "started_at"));
	cr_expect_eq(record_number(r, "launch_ns"), report_int(&run, "time.launch_ns"));
	cr_expect_eq(record_number(r, "init_ns"), report_int(&run, "time.init_ns"));
	cr_expect_eq(record_number(r, "wall_ns"), report_int(&run, "time.wall_ns"));
	cr_expect_eq(record_number(r, "on_cpu_ns"), report_int(&run, "cpu.on_cpu_ns"));
	cr_expect_eq(record_number(r, "memory_limit_bytes"), 128 << 20);
	cr_expect_eq(record_number(r, "memory_peak_bytes"), report_int(&run, "memory.peak_bytes"));
	cr_expect_eq(record_number(r, "duration_ns"), report_int(&run, "bill.duration_ns"));
	cr_expect_eq(record_number(r, "billed_ms"), report_int(&run, "bill.billed_ms"));
	cr_expect_str_eq(record_text(r, "gb_seconds"), report_text(&run, "bill.gb_seconds"));
	cr_expect_str_eq(record_text(r, "usd"), report_text(&run, "bill.usd"));
	cr_expect_str_eq(record_text(r, "prices"), "lambda");
	cr_expect_eq(strlen(record_text(r, "prices_sha256")), 64);
	cr_expect_str_eq(record_text(r, "policy"), report_text(&run, "policy.name"));
	cr_expect_str_eq(record_text(r, "policy_sha256"), report_text(&run, "policy.sha256"));
	cr_expect_eq(strlen(record_text(r, "code_sha256")), 64); /* see code.c */
	json_decref(list);
}

/* What the report calls null, the record does. */
Test(ledger_run, what_was_not_measured_is_null)
{
	static const struct {
		const char *record, *report;
	} figures[] = { { "busy_ns", "time.busy_ns" },
			{ "waiting_ns", "time.waiting_ns" },
			{ "idle_ns", "time.idle_ns" },
			{ "contention_ns", "bill.contention_ns" },
			{ "on_cpu_ns", "cpu.on_cpu_ns" },
			{ "throttled_ns", "cpu.throttled_ns" },
			{ "memory_peak_bytes", "memory.peak_bytes" } };
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	json_t *list;

	RUN_CLOCHE(&run, "--ledger", dir, "--", "true");
	list = records_read(dir);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		cr_expect(json_equal(json_object_get(json_array_get(list, 0), figures[i].record),
				     report_get(&run, figures[i].report)),
			  "%s", figures[i].record);
	json_decref(list);
}

Test(ledger_run, what_never_ran_costs_nothing)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	json_t *list, *r;

	RUN_CLOCHE(&run, "--ledger", dir, "--", "no-such-command");
	cr_assert_eq(run.status, 127);
	list = records_read(dir);
	r = json_array_get(list, 0);
	cr_expect_str_eq(record_text(r, "verdict"), "launch_error");
	cr_expect_str_eq(record_text(r, "usd"), "0.000000000000");
	cr_expect_str_eq(record_text(r, "request_usd"), "0.000000000000");
	cr_expect(json_is_null(json_object_get(r, "wall_ns")));
	cr_expect(json_is_null(json_object_get(r, "exit_code")));
	json_decref(list);
}

Test(ledger_run, repeat_records_each_and_whether_it_was_cold)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	json_t *list, *r;
	size_t i;

	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--repeat", "5", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	list = records_read(dir);
	cr_assert_eq(json_array_size(list), 5);
	json_array_foreach (list, i, r) {
		json_t *report = json_array_get(run.reports, i);

		cr_expect_str_eq(record_text(r, "request_id"), record_text(report, "request_id"));
		cr_expect_str_eq(record_text(r, "reuse"), "context");
		cr_expect_eq(
			json_is_true(json_object_get(r, "cold")),
			!strcmp(record_text(json_object_get(report, "context"), "start"), "cold"));
	}
	cr_expect(json_is_true(json_object_get(json_array_get(list, 0), "cold")));
	json_decref(list);
}

/* Names that are not UTF-8, or too long, must not cost the record. */
Test(ledger_run, odd_names_are_recorded_as_they_can_be)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char command[1024], policy[512];
	json_t *list;

	(void)snprintf(policy, sizeof(policy), "%s/p\xff\xc3\xa9.json", dir);
	(void)snprintf(command, sizeof(command), "'%s' policy show default >'%s'",
		       env_need("CLOCHE"), policy);
	RUN(&run, "sh", "-c", command);
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	run.no_report = true;
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--policy", policy, "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_str_eq(run.err, "");
	list = records_read(dir);
	cr_assert_str_eq(record_text(json_array_get(list, 0), "policy"), "p?\xc3\xa9");
	json_decref(list);
}

/* The head says how far the ledger is safe from power loss. */
Test(ledger_run, sync_reaches_the_disk_before_the_answer)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	cleanup_fd int head = -1;
	struct ledger_synced synced;
	char path[512];
	struct stat st;

	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	(void)snprintf(path, sizeof(path), "%s/head", dir);
	head = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(head >= 0 && !ledger_synced_read(head, &synced));
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--ledger-sync", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert(ledger_synced_read(head, &synced));
	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", dir);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(synced.segment, 1);
	cr_assert_eq(synced.end, (uint64_t)st.st_size);
}

/* ---- which ledger ---- */

Test(ledger_run, no_ledger_makes_none)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[512];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/none", dir);
	cr_assert_eq(setenv("CLOCHE_LEDGER", path, 1), 0);
	CLOCHE(&run, "run", "-q", "--no-ledger", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(stat(path, &st), -1);
	run_free(&run);
	/* Without the option, the variable names the ledger: for run and for the readers. */
	CLOCHE(&run, "run", "-q", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	run_free(&run);
	CLOCHE(&run, "audit", "verify");
	expect_has(run.out, "(1 invocations)");
	run_free(&run);
	CLOCHE(&run, "bill", "--json");
	expect_has(run.out, "\"total\":{\"invocations\":1,");
}

/* ---- many, and deaths ---- */

#define WRITERS 12
#define EACH	4

Test(ledger_run, many_processes_at_once_lose_nothing, .timeout = 120)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char ledger[512], report[512], repeat[8];
	pid_t pids[WRITERS];
	json_t *list;

	(void)snprintf(ledger, sizeof(ledger), "%s/new", dir);
	(void)snprintf(repeat, sizeof(repeat), "%d", EACH);
	for (int i = 0; i < WRITERS; i++) {
		(void)snprintf(report, sizeof(report), "%s/%d", dir, i);
		pids[i] = fork();
		cr_assert(pids[i] >= 0);
		if (pids[i] == 0) {
			(void)execl(env_need("CLOCHE"), "cloche", "run", "-q", "--report", report,
				    "-m", "32M", "--ledger", ledger, "--repeat", repeat, "--",
				    "true", NULL);
			_exit(99);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert_eq(status, 0, "run %d: %x", i, status);
	}
	ledgers_expect_whole(ledger, (uint64_t)WRITERS * EACH);
	list = records_read(ledger);
	for (int i = 0; i < WRITERS; i++) {
		cleanup_file FILE *f = NULL;
		json_t *one;

		(void)snprintf(report, sizeof(report), "%s/%d", dir, i);
		f = fopen(report, "re");
		cr_assert(f);
		for (int n = 0; n < EACH; n++) {
			one = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
			cr_assert(one, "report %d of %d", n, i);
			cr_assert(has_request(list, record_text(one, "request_id")));
			json_decref(one);
		}
	}
	json_decref(list);
}

/* The supervisor dies the moment after it has answered: what it answered for is there. */
Test(ledger_run, a_kill_right_after_the_answer_loses_nothing, .timeout = 120)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	uint64_t before = 0;

	for (int round = 1; round <= 15; round++) {
		char line[16384];
		int fds[2], status;
		struct ledger_finding finding;
		FILE *answers;
		json_t *list;
		pid_t pid;

		cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
		pid = fork();
		cr_assert(pid >= 0);
		if (pid == 0) {
			(void)dup2(fds[1], 2);
			(void)execl(env_need("CLOCHE"), "cloche", "run", "-q", "--report", "-",
				    "--ledger", dir, "--repeat", "100000", "--", "true", NULL);
			_exit(99);
		}
		(void)close(fds[1]);
		answers = fdopen(fds[0], "r");
		for (int i = 0; i < round; i++)
			cr_assert(fgets(line, sizeof(line), answers));
		cr_assert_eq(kill(pid, SIGKILL), 0);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

		finding = ledgers_verify(dir);
		cr_assert(!finding.broken, "%s", finding.text);
		cr_assert_geq(finding.records, before + (uint64_t)round);
		before = finding.records;
		/* That one, and all that it had said by then. */
		list = records_read(dir);
		do {
			json_t *one = json_loads(line, 0, NULL);

			if (one)
				cr_assert(has_request(list, record_text(one, "request_id")), "%s",
					  line);
			json_decref(one);
		} while (fgets(line, sizeof(line), answers));
		json_decref(list);
		(void)fclose(answers);
	}
}

Test(ledger_run, a_torn_end_is_mended_by_the_next_run)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[512];
	struct stat st;

	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--repeat", "3", "--", "true");
	run_free(&run);
	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", dir);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(truncate(path, st.st_size - 40), 0);
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "1 records were missing at its end");
	run_free(&run);
	cr_assert_eq(ledgers_verify(dir).records, 3);
	RUN(&run, env_need("CLOCHE"), "audit", "verify", "--ledger", dir);
	expect_has(run.out, "bytes of records that a crash had torn were cut off");
}

/* Whole records are gone, as after a power failure: runs go on, and it is said by the run that
 * finds it and from then on by every audit. */
Test(ledger_run, records_that_vanished_are_told_of_and_never_forgotten)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[512];

	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--repeat", "5", "--", "true");
	run_free(&run);
	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", dir);
	cr_assert_eq(truncate(path, 0), 0);
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--repeat", "2", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "6 records were missing at its end");
	cr_assert_eq(count_lines(run.err), 1, "%s", run.err);
	run_free(&run);
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_str_eq(run.err, "");
	run_free(&run);
	CLOCHE(&run, "audit", "verify", "--ledger", dir);
	cr_assert_eq(run.status, 1, "%s", run.out);
	cr_assert(!strstr(run.out, "intact"), "%s", run.out);
	expect_has(run.out, "not whole: 6 records are missing");
	expect_has(run.out, " 5 records (3 invocations) in 1 segment, ");
	expect_has(run.out, "\nmissing: 6 records before record 2 (segment 1), as noted at 2");
	run_free(&run);
	CLOCHE(&run, "audit", "verify", "--json", "--ledger", dir);
	cr_assert_eq(run.status, 1, "%s", run.out);
	expect_has(run.out, "\"intact\":false");
	expect_has(run.out, "\"lost_entries\":6");
	expect_has(run.out, "\"lost\":[{\"before\":2,\"segment\":1,\"entries\":6,\"noted_at\":\"2");
	run_free(&run);
	CLOCHE(&run, "bill", "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "6 records are missing from this ledger and not counted here");
	run_free(&run);
	/* Whoever else writes first tells of it too. */
	cr_assert_eq(truncate(path, 0), 0);
	CLOCHE(&run, "audit", "seal", "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "records were missing at its end");
}

/* What becomes of the witness. */
enum harm { HARM_REMOVED, HARM_CHANGED, HARM_PUT_BACK };

static void run_true(const char *dir, const char *times)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--repeat", times, "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
}

/* A ledger whose end is cut off behind a whole record, three records, and its head harmed. */
static void ledger_harmed(const char *dir, enum harm harm)
{
	cleanup_run struct run run = { 0 };
	char segment[512], head[512], old[512];
	struct ledger_finding f;

	(void)tmpdir_path(segment, dir, "000000000001.seg");
	(void)tmpdir_path(head, dir, "head");
	(void)tmpdir_path(old, dir, "old");
	run_true(dir, "2");
	RUN(&run, "cp", head, old);
	run_true(dir, "1");
	f = ledgers_verify(dir);
	run_true(dir, "3");
	cr_assert_eq(truncate(segment, (off_t)f.end.end), 0);
	if (harm == HARM_REMOVED)
		cr_assert_eq(unlink(head), 0);
	else if (harm == HARM_CHANGED)
		file_flip(head, 60);
	else
		cr_assert_eq(rename(old, head), 0);
}

static const struct {
	enum harm harm;
	const char *verify, *run, *noted, *bill;
	unsigned lines; /* of the next run's warning */
} harms[] = {
	{ HARM_REMOVED, "'head', which knew where it ended, is missing", "'head' was missing",
	  "\nhead missing before record 5 ", "may have been removed from", 1 },
	{ HARM_CHANGED, "3 records behind record 4 were removed", "'head' was damaged",
	  "\nhead damaged before record 5 ", "are missing from", 2 },
	{ HARM_PUT_BACK, "'head' is older than it", "'head' was older than it",
	  "\nhead older before record 5 ", "may have been removed from", 1 },
};

/* The end is cut off behind a whole record, and the witness against that with it. */
Test(ledger_run, a_head_removed_changed_or_put_back_is_told_of_and_never_forgotten)
{
	for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
		cleanup_tmpdir char *dir = tmpdir_make();
		cleanup_run struct run run = { 0 };

		ledger_harmed(dir, harms[i].harm);
		CLOCHE(&run, "audit", "verify", "--ledger", dir);
		cr_assert_eq(run.status, 1, "%s", run.out);
		expect_has(run.out, harms[i].verify);
		cr_assert(!strstr(run.out, "intact"), "%s", run.out);
		run_free(&run);
		RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "true");
		cr_assert_eq(run.status, 0, "%s", run.err);
		expect_has(run.err, harms[i].run);
		cr_assert_eq(count_lines(run.err), harms[i].lines, "%s", run.err);
		run_free(&run);
		RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "true");
		cr_assert_str_eq(run.err, "");
		run_free(&run);
		CLOCHE(&run, "audit", "verify", "--ledger", dir);
		cr_assert_eq(run.status, 1, "%s", run.out);
		cr_assert(!strstr(run.out, "intact"), "%s", run.out);
		expect_has(run.out, harms[i].noted);
		run_free(&run);
		CLOCHE(&run, "audit", "verify", "--json", "--ledger", dir);
		cr_assert_eq(run.status, 1, "%s", run.out);
		expect_has(run.out, "\"intact\":false");
		run_free(&run);
		CLOCHE(&run, "bill", "--ledger", dir);
		expect_has(run.err, harms[i].bill);
	}
}

Test(ledger_run, a_broken_ledger_takes_no_new_work)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[512];

	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "true");
	run_free(&run);
	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", dir);
	file_flip(path, -200);
	(void)snprintf(path, sizeof(path), "%s/head", dir);
	cr_assert_eq(unlink(path), 0);
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "sh", "-c", "echo ran");
	cr_assert_eq(run.status, 125, "%s", run.err);
	expect_has(run.err, "is broken at record 2");
	cr_assert_eq(count_lines(run.err), 1, "%s", run.err);
	cr_assert_str_eq(run.out, "");
}

Test(ledger_run, a_ledger_that_others_can_write_is_refused)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	cr_assert_eq(chmod(dir, 0770), 0);
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "true");
	cr_assert_eq(run.status, 125);
	expect_has(run.err, "can be written by other users");
}

/* ---- the bill ---- */

Test(ledger_run, the_bill_is_the_sum_of_all_that_was_reported)
{
	static const char *const runs[][10] = {
		{ "--name", "f", "-m", "128M", "--", "true" },
		{ "--name", "f", "-m", "512M", "--", "sh", "-c", "exit 4" },
		{ "--name", "g", "--prices", "lambda-2019", "-m", "200M", "--", "true" },
		{ "-t", "50ms", "-m", "64M", "--", "sleep", "9" },
		{ "-m", "16M", "--", "tail", "/dev/zero" },
		{ "--", "no-such-command" },
	};
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run bill = { 0 };
	char text[MONEY_LEN];
	money_t usd = 0, one;
	json_t *list, *total;

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		cleanup_run struct run run = { 0 };
		const char *args[24] = { "-q", "--ledger", dir, "--cpu", "shared", "-t", "60s" };

		memcpy(args + 7, runs[i], sizeof(runs[i]));
		run_cloche(&run, args);
		if (json_is_null(report_get(&run, "bill")))
			continue;
		cr_assert_eq(money_parse(report_text(&run, "bill.usd"), &one, NULL), 0);
		cr_assert_eq(money_add(&usd, one), 0);
	}
	CLOCHE(&bill, "bill", "--json", "--ledger", dir);
	cr_assert_eq(bill.status, 0, "%s", bill.err);
	total = json_loads(bill.out, JSON_REJECT_DUPLICATES, NULL);
	money_format_fixed(usd, 12, text);
	cr_assert_str_eq(record_text(json_object_get(total, "total"), "usd"), text);
	list = records_read(dir);
	sum_of(list, "usd", text);
	cr_assert_str_eq(record_text(json_object_get(total, "total"), "usd"), text);
	sum_of(list, "request_usd", text);
	cr_assert_str_eq(record_text(json_object_get(total, "total"), "request_usd"), text);
	cr_assert_eq(record_number(json_object_get(total, "total"), "invocations"), 6);
	json_decref(list);
	json_decref(total);
	run_free(&bill);
	CLOCHE(&bill, "bill", "--csv", "--by", "verdict", "--ledger", dir);
	expect_has(bill.out, "\"ok\",2,2,");
	expect_has(bill.out, "\"timeout\",1,1,");
	expect_has(bill.out, "\"oom\",1,1,");
	expect_has(bill.out, "\"error\",1,1,");
	expect_has(bill.out, "\"launch_error\",1,1,");
}

/* The index is no substitute for the ledger. */
Test(ledger_run, no_bill_of_a_ledger_that_lost_a_segment)
{
	static const char *const verbs[][4] = { { "bill" }, { "cost", "--function", "f" } };
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[512];

	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--name", "f", "--repeat", "2", "--", "true");
	run_free(&run);
	CLOCHE(&run, "audit", "seal", "--ledger", dir);
	run_free(&run);
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "true");
	run_free(&run);
	CLOCHE(&run, "bill", "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", dir);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(setenv("CLOCHE_LEDGER", dir, 1), 0);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		const char *argv[6] = { env_need("CLOCHE") };

		run_free(&run);
		memcpy(argv + 1, verbs[i], sizeof(verbs[i]));
		run_argv(&run, argv);
		cr_assert_eq(run.status, 1, "%s", run.out);
		cr_assert_str_eq(run.out, "");
		expect_has(run.err, "segment 1 is missing");
		cr_assert_eq(count_lines(run.err), 1, "%s", run.err);
	}
}

/* `cloche cost` from what `cloche run` measured at two sizes. */
Test(ledger_run, cost_knows_what_was_run)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--name", "f", "-m", "128M", "-t", "60s", "--",
		   "true");
	run_free(&run);
	CLOCHE(&run, "cost", "--function", "f", "--rate", "1/s", "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "128 MB: $");
	expect_has(run.out, "a month of 30 days at this rate; mean of 1 invocation, ");
	expect_has(run.out, "what another would cost is not guessed");
	run_free(&run);
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--name", "f", "-m", "512M", "-t", "60s", "--",
		   "true");
	run_free(&run);
	CLOCHE(&run, "cost", "--function", "f", "--memory", "128", "--ledger", dir);
	expect_has(run.out, "512 MB: $");
	expect_has(run.out, "than with 128 MB");
	cr_assert(!strstr(run.out, "guessed"), "%s", run.out);
	cr_assert(!strstr(run.out, "price lists"), "%s", run.out);
	run_free(&run);
	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--name", "f", "-m", "512M", "-t", "60s",
		   "--prices", "lambda-2019", "--", "true");
	run_free(&run);
	CLOCHE(&run, "cost", "--function", "f", "--memory", "128", "--ledger", dir);
	expect_has(run.out, "charged by 2 price lists (lambda, lambda-2019), which the means mix");
	run_free(&run);
	CLOCHE(&run, "bill", "--by", "prices", "--csv", "--ledger", dir);
	expect_has(run.out, "\"lambda\",2,2,");
	expect_has(run.out, "\"lambda-2019\",1,1,");
}

/* A price list that does not know this size is met before anything runs. */
Test(ledger_run, a_size_without_a_price_is_refused)
{
	cleanup_run struct run run = { 0 };

	CLOCHE(&run, "run", "--no-ledger", "--prices", "lambda-2019", "-m", "3009", "--", "true");
	cr_assert_eq(run.status, 2, "%s", run.err);
	expect_has(run.err, "ends at 3008 MB");
	run_free(&run);
	CLOCHE(&run, "tune", "--no-ledger", "--prices", "lambda-2019", "--sizes", "128,3009", "--",
	       "true");
	cr_assert_eq(run.status, 2, "%s", run.err);
	expect_has(run.err, "ends at 3008 MB");
	run_free(&run);
	/* Of its usual sizes, tune takes those that have a price. */
	CLOCHE(&run, "tune", "--no-ledger", "--prices", "lambda-2019", "--runs", "1", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "\n 1769 MB ");
	cr_assert(!strstr(run.out, " 3538 MB "), "%s", run.out);
}

/* ---- wrong use ---- */

static const struct {
	const char *args[6];
	const char *says;
} wrong[] = {
	{ { "--ledger" }, "needs a value" },
	{ { "--ledger", "", "--", "true" }, "--ledger: ''" },
	{ { "--ledger-full", "maybe", "--", "true" }, "--ledger-full: 'maybe'" },
	{ { "--name", "", "--", "true" }, "--name: ''" },
	{ { "--name", "a b", "--", "true" }, "--name: 'a b'" },
	{ { "--prices", "nope", "--", "true" }, "--prices: no price list 'nope'" },
};

Test(ledger_run, wrong_use_is_one_clear_line)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *argv[10] = { env_need("CLOCHE"), "run" };
		cleanup_run struct run run = { 0 };

		memcpy(argv + 2, wrong[i].args, sizeof(wrong[i].args));
		run_argv(&run, argv);
		cr_assert_eq(run.status, 2, "%s: %d", argv[2], run.status);
		expect_has(run.err, wrong[i].says);
		expect_has(run.err, "--help'");
		cr_assert_eq(count_lines(run.err), 1, "%s", run.err);
	}
}
