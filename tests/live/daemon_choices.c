/* SPDX-License-Identifier: MIT */
/*
 * What a user may choose of an invocation that the daemon runs: by which prices it is told what it
 * cost, in which ledger of its own it is, too, what it sees of the meter; with its own rights, and
 * nothing of it changes what the daemon writes down. Needs root.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

/* A file below the daemon's directory, the user's. */
static void make_file(const struct daemon *d, const char *name, const char *text, char ret[600])
{
	FILE *f;

	(void)snprintf(ret, 600, "%s/%s", d->dir, name);
	f = fopen(ret, "we");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %m", ret);
	cr_assert_eq(chown(ret, 1000, 1000), 0);
}

static void make_dir(const struct daemon *d, const char *name, uid_t owner, char ret[600])
{
	(void)snprintf(ret, 600, "%s/%s", d->dir, name);
	cr_assert(mkdir(ret, 0700) == 0 && chown(ret, owner, owner) == 0, "%s: %m", ret);
}

/* Of a user's run; json_decref. */
static json_t *report_of(const struct daemon *d, struct run *run, const char *const args[])
{
	const char *all[DAEMON_ARGS_MAX] = { "-q",    "--report", "-",	"-m", "32M",
					     "--cpu", "shared",	  "-t", "60s" };
	json_t *report;
	size_t at = 0;
	char *line;

	while (all[at])
		at++;
	for (size_t n = 0; args[n]; n++)
		all[at + n] = args[n];
	daemon_run_as_user(d, run, all);
	line = run->err ? strchr(run->err, '{') : NULL;
	report = line ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	cr_assert(report != NULL, "%d, no report in %s", run->status, run->err);
	return report;
}
#define REPORT_OF(d, run, ...) report_of((d), (run), (const char *const[]){ __VA_ARGS__, NULL })

/* The only record of a ledger; json_decref. */
static json_t *record_of(const char *ledger)
{
	cleanup_run struct run run = { 0 };
	json_t *all = json_array(), *record;
	const char *at;

	CLOCHE(&run, "audit", "show", "--json", "--ledger", ledger);
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (at = run.out; (at = strchr(at, '{'));) {
		json_error_t e;
		json_t *one = json_loads(at, JSON_DISABLE_EOF_CHECK, &e);

		cr_assert_not_null(one, "%s", at);
		at += e.position;
		if (json_object_get(one, "request_id"))
			json_array_append(all, one);
		json_decref(one);
	}
	cr_assert_eq(json_array_size(all), 1, "%s", run.out);
	record = json_incref(json_array_get(all, 0));
	json_decref(all);
	return record;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static void expect_no_record(const struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	if (access(d->ledger, F_OK) < 0)
		return;
	CLOCHE(&run, "audit", "show", "--json", "--ledger", d->ledger);
	cr_expect_null(strstr(run.out, "request_id"), "%s", run.out);
}

/* ---- prices ---------------------------------------------------------------------------------- */

Test(daemon_choices, prices_of_ones_own_are_for_oneself)
{
	cleanup_run struct run run = { 0 };
	json_t *report, *record;
	struct daemon d;
	char prices[600];

	daemon_prepare(&d);
	daemon_start(&d);
	make_file(&d, "mine.yaml", "name: mine\ngb_second: 0\n", prices);
	report = REPORT_OF(&d, &run, "--prices", prices, "--", "true");
	cr_expect_str_eq(text_of(json_object_get(report, "bill"), "prices"), "mine");
	cr_expect_str_eq(text_of(json_object_get(report, "bill"), "usd"), "0.000000000000");
	record = record_of(d.ledger);
	cr_expect_str_eq(text_of(record, "request_id"), text_of(report, "request_id"));
	cr_expect_str_eq(text_of(record, "prices"), "lambda");
	json_decref(report);
	json_decref(record);
	daemon_stop(&d);
}

/* Read by the client, with its rights, before anything is asked for. */
Test(daemon_choices, prices_that_are_none)
{
	static const struct {
		const char *name, *text, *why;
	} files[] = {
		{ "fifo", NULL, "not a regular file" },
		{ "broken.yaml", "gb_second: [1\n", "broken.yaml" },
		{ "roots.yaml", "gb_second: 0\n", "ermission denied" },
		{ "none.yaml", NULL, "o such file" },
	};
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		cleanup_run struct run run = { 0 };
		char path[600];

		(void)snprintf(path, sizeof(path), "%s/%s", d.dir, files[i].name);
		if (files[i].text)
			make_file(&d, files[i].name, files[i].text, path);
		if (i == 0)
			cr_assert_eq(mkfifo(path, 0666), 0);
		if (i == 2)
			cr_assert(chown(path, 0, 0) == 0 && chmod(path, 0600) == 0);
		AS_USER(&d, &run, "--prices", path, "--", "echo", "ran");
		cr_expect_eq(run.status, 2, "%s: %d", files[i].name, run.status);
		expect_has(run.err, "--prices");
		expect_has(run.err, files[i].why);
		cr_expect_eq(count_lines(run.err), 1, "%s", run.err);
		cr_expect_str_eq(run.out, "");
	}
	expect_no_record(&d);
	daemon_stop(&d);
}

/* ---- the meter ------------------------------------------------------------------------------- */

Test(daemon_choices, the_meter_off_is_for_oneself)
{
	cleanup_run struct run run = { 0 };
	json_t *report, *record;
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	report = REPORT_OF(&d, &run, "--meter", "off", "--", "true");
	cr_expect(json_is_null(json_object_get(json_object_get(report, "time"), "busy_ns")));
	cr_expect(json_is_null(json_object_get(json_object_get(report, "memory"), "peak_bytes")));
	expect_has(run.err, "--meter off");
	record = record_of(d.ledger);
	cr_expect(json_is_integer(json_object_get(record, "busy_ns")));
	cr_expect(json_is_integer(json_object_get(record, "memory_peak_bytes")));
	json_decref(report);
	json_decref(record);
	daemon_stop(&d);
}

/* ---- ledgers --------------------------------------------------------------------------------- */

Test(daemon_choices, a_ledger_of_ones_own_has_it_too)
{
	static const char *const same[] = { "request_id", "verdict",	   "wall_ns",
					    "billed_ms",  "code_sha256",   "owner_uid",
					    "prices",	  "policy_sha256", "busy_ns",
					    "started_at", "exit_code" };
	cleanup_run struct run run = { 0 }, bill = { 0 };
	json_t *mine, *theirs;
	struct daemon d;
	char ledger[600];

	daemon_prepare(&d);
	daemon_start(&d);
	make_dir(&d, "mine", 1000, ledger);
	AS_USER(&d, &run, "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--ledger", ledger,
		"--ledger-sync", "--", "sh", "-c", "exit 7");
	cr_expect_eq(run.status, 7, "%s", run.err);
	cr_expect_str_eq(run.err, "");
	mine = record_of(ledger);
	theirs = record_of(d.ledger);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		cr_expect(json_equal(json_object_get(mine, same[i]),
				     json_object_get(theirs, same[i])) == 1,
			  "%s", same[i]);
	cr_expect_str_neq(text_of(mine, "request_id"), "");
	json_decref(mine);
	json_decref(theirs);
	CLOCHE(&bill, "audit", "verify", "--ledger", ledger);
	cr_expect_eq(bill.status, 0, "%s", bill.err);
	/* No record is one of the user's own. */
	run_free(&run);
	AS_USER(&d, &run, "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--no-ledger", "--",
		"true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_expect_records(&d, " ok ", 1);
	daemon_stop(&d);
}

/* Before anything is run, and with the user's rights. */
Test(daemon_choices, a_ledger_that_cannot_be)
{
	cleanup_run struct run run = { 0 }, on = { 0 }, none = { 0 }, held = { 0 };
	char ledger[600], fifo[700];
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	make_dir(&d, "roots", 0, ledger);
	AS_USER(&d, &run, "-m", "32M", "--cpu", "shared", "-t", "60s", "--ledger", ledger, "--",
		"echo", "ran");
	cr_expect_eq(run.status, 125, "%d", run.status);
	expect_has(run.err, "refused, nothing was run");
	expect_has(run.err, "ermission denied");
	cr_expect_str_eq(run.out, "");
	make_dir(&d, "stuck", 1000, ledger);
	(void)snprintf(fifo, sizeof(fifo), "%s/head", ledger);
	cr_assert(mkfifo(fifo, 0600) == 0 && chown(fifo, 1000, 1000) == 0);
	AS_USER(&d, &held, "-m", "32M", "--cpu", "shared", "-t", "60s", "--ledger", ledger, "--",
		"echo", "ran");
	cr_expect_eq(held.status, 125, "%d", held.status);
	cr_expect(!held.timed_out);
	AS_USER(&d, &none, "-m", "32M", "--cpu", "shared", "-t", "60s", "--ledger-sync", "--",
		"echo", "ran");
	cr_expect_eq(none.status, 125, "%d", none.status);
	expect_has(none.err, "--ledger-sync");
	expect_has(none.err, "--ledger");
	cr_expect_eq(count_lines(none.err), 1, "%s", none.err);
	expect_no_record(&d);
	(void)snprintf(ledger, sizeof(ledger), "%s/roots", d.dir);
	AS_USER(&d, &on, "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--ledger", ledger,
		"--ledger-full", "continue", "--", "echo", "ran");
	cr_expect_eq(on.status, 0, "%s", on.err);
	cr_expect_str_eq(on.out, "ran\n");
	expect_has(on.err, "no safe record");
	daemon_expect_records(&d, " ok ", 1);
	daemon_stop(&d);
}

/* ---- CPUs ------------------------------------------------------------------------------------ */

/* What the function may use, by a client that may use that one alone. */
static void run_on(const struct daemon *d, bool by_root, const char *cpu, const char *vcpus,
		   struct run *run)
{
	char command[1500];

	(void)snprintf(
		command, sizeof(command),
		"exec taskset -c %s %s %s/cloche run -q -m 32M --cpu %s -t 60s -- sh -c 'nproc; "
		"grep Cpus_allowed_list: /proc/self/status'",
		cpu,
		by_root ? "env -u CLOCHE_CONTROL"
			: "setpriv --reuid=" DAEMON_USER " --regid=" DAEMON_USER
			  " --clear-groups env -u CLOCHE_LEDGER",
		d->dir, vcpus);
	RUN(run, "sh", "-c", command);
}

Test(daemon_choices, a_function_has_its_clients_cpus_as_by_root)
{
	static const char *const cpus[] = { "0", "1" };
	struct daemon d;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		test_skip("there is one CPU only");
	daemon_prepare(&d);
	daemon_start(&d);
	cr_assert_eq(setenv("CLOCHE_CONTROL", d.control, 1), 0);
	for (size_t i = 0; i < 4; i++) {
		cleanup_run struct run run = { 0 };
		char says[64];

		(void)snprintf(says, sizeof(says), "1\nCpus_allowed_list:\t%s\n", cpus[i % 2]);
		run_on(&d, i >= 2, cpus[i % 2], "shared", &run);
		cr_expect_eq(run.status, 0, "%s", run.err);
		cr_expect_str_eq(run.out, says);
	}
	/* Two vCPUs there are not on one CPU. */
	for (int by_root = 0; by_root < 2; by_root++) {
		cleanup_run struct run run = { 0 };

		run_on(&d, by_root, "1", "2", &run);
		cr_expect_neq(run.status, 0);
		expect_has(run.err, "--cpu 2.000: from 0.001 to 1, the CPUs of this host");
	}
	daemon_stop(&d);
}
