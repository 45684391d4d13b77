/* SPDX-License-Identifier: MIT */
/* The verbs bill, cost and audit as users see them: what they print, and their exit status. */
#include "base/clock.h"
#include "ledger/bill.h"
#include "tests/lib/env.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/run.h"
#include "tests/lib/stdio.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void append(const char *dir, uint64_t from, uint64_t to)
{
	cleanup_ledger struct ledger *l = ledgers_open(dir, 0, false);

	ledgers_append(l, from, to);
}

Test(ledger_cli, the_worked_example_of_2019)
{
	cleanup_run struct run run = { 0 };

	CLOCHE(&run, "cost", "--memory", "2432", "--duration", "3m", "--rate", "50/min", "--prices",
	       "lambda-2019");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "$0.0071262 a call, $0.35631 a minute, $513.0864 a day\n");
}

Test(ledger_cli, tiers_count_by_the_month)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/p.yaml", dir);
	f = fopen(path, "we");
	cr_assert(f);
	(void)fputs("gb_second: 0.00002\ntiers: [{up_to: 1000000, gb_second: 0.00002},"
		    " {gb_second: 0.00001}]\n",
		    f);
	cr_assert_eq(fclose(f), 0);
	/* 2,592,000 GB-seconds in 30 days: a million at 2, the rest at 1. */
	CLOCHE(&run, "cost", "-m", "1024", "--duration", "1s", "--rate", "1/s", "--prices", path);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "$0.00002 a call");
	expect_has(run.out, "$35.92 a month of 30 days, by the tiers");
}

Test(ledger_cli, cost_from_history_compares_what_was_measured)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	struct ledger *l = ledgers_open(dir, 0, false);
	struct ledger_record r;

	for (uint64_t n = 0; n < 30; n++) {
		bool big = n % 3 == 0;

		ledgers_record(n, &r);
		(void)strcpy(r.function, "f");
		(void)strcpy(r.verdict, "ok");
		r.owner_uid = 0;
		r.memory_limit_bytes = (big ? 1024LL : 512LL) << 20;
		r.duration_ns = big ? 60000000 : 100000000;
		r.charge = (big ? 1000 : 800) * MONEY_USD / 1000000000;
		r.fair = r.charge;
		r.contention_ns = 0;
		r.request = 0;
		cr_assert_eq(ledger_append(l, &r, NULL, NULL), 0);
	}
	(void)ledger_close(l);
	CLOCHE(&run, "cost", "--function", "f", "--ledger", dir, "--rate", "1/s");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "512 MB: $0.000000800000 a call, $2.07 a month");
	expect_has(run.out, "measured 40.0 % faster, 25.0 % dearer than with 512 MB");
	run_free(&run);
	CLOCHE(&run, "cost", "--function", "f", "--memory", "1024", "--ledger", dir);
	expect_has(run.out, "measured 66.7 % slower, 20.0 % cheaper than with 1024 MB");
	run_free(&run);
	CLOCHE(&run, "cost", "--function", "f", "--memory", "2048", "--ledger", dir);
	cr_assert_eq(run.status, 1);
	expect_has(run.err, "not guessed");
}

/* At 1024 MB others had the CPUs for the half of each: that is neither time nor money; at 512 MB
 * they had what its own quota would have kept. */
Test(ledger_cli, cost_is_what_it_would_have_been_with_nobody_beside)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	struct ledger *l = ledgers_open(dir, 0, false);
	struct ledger_record r;

	for (uint64_t n = 0; n < 20; n++) {
		bool big = n % 2 == 0;

		ledgers_record(n, &r);
		(void)strcpy(r.function, "f");
		(void)strcpy(r.verdict, "ok");
		r.owner_uid = 0;
		r.memory_limit_bytes = (big ? 1769LL : 512LL) << 20;
		r.init_ns = 0;
		r.wall_ns = r.duration_ns = (big ? 200 : 1000) * NSEC_PER_MSEC;
		r.on_cpu_ns = (big ? 100 : 294) * NSEC_PER_MSEC;
		r.contention_ns = (big ? 100 : 700) * NSEC_PER_MSEC;
		r.charge = 1000 * MONEY_USD / 1000000000;
		r.fair = r.charge * (big ? 5 : 3) / 10;
		r.request = 0;
		cr_assert_eq(ledger_append(l, &r, NULL, NULL), 0);
	}
	(void)ledger_close(l);
	CLOCHE(&run, "cost", "f", "--ledger", dir, "--memory", "512");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out,
		   "512 MB: $0.000001000000 a call; mean of 10 invocations, 1000.000 ms\n");
	expect_has(run.out, "1769 MB: $0.000000500000 a call; mean of 10 invocations, 100.000 ms "
			    "(and 100.000 ms while others had the CPUs)");
	expect_has(run.out, "measured 90.0 % faster, 50.0 % cheaper than with 512 MB");
	run_free(&run);
	CLOCHE(&run, "cost", "f", "--ledger", dir, "--json");
	expect_has(run.out, "\"mean_duration_ns\":200000000,\"mean_uncontended_ns\":100000000,"
			    "\"contention_ns\":1000000000,");
}

/* The sum of the records that `audit show` prints, by text, is what `bill` says. */
Test(ledger_cli, the_bill_is_the_sum_of_the_records)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	money_t usd = 0, one;
	char text[MONEY_LEN];
	json_t *o;
	char *save = NULL;
	size_t n = 0;

	append(dir, 0, 777);
	CLOCHE(&run, "audit", "show", "--json", "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (char *line = strtok_r(run.out, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		cr_assert(o, "%s", line);
		cr_assert_eq(money_parse(json_string_value(json_object_get(o, "usd")), &one, NULL),
			     0);
		cr_assert_eq(money_add(&usd, one), 0);
		json_decref(o);
		n++;
	}
	cr_assert_eq(n, 777);
	money_format_fixed(usd, 12, text);
	run_free(&run);
	CLOCHE(&run, "bill", "--json", "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	o = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(o);
	cr_assert_str_eq(json_string_value(json_object_get(json_object_get(o, "total"), "usd")),
			 text);
	json_decref(o);
	run_free(&run);
	CLOCHE(&run, "bill", "--by", "owner", "--ledger", dir);
	expect_has(run.out, text);
	expect_has(run.out, "contention was not measured in 389 of 777");
}

/* What `cloche bill` prints on a terminal of so many columns. */
static void bill_on_terminal(const char *dir, unsigned short columns, char *out, size_t size)
{
	const char *argv[] = { "cloche", "bill", "--ledger", dir, NULL };

	cr_assert_eq(cloche_on_terminal(argv, columns, out, size), 0, "%s", out);
}

Test(ledger_cli, a_terminal_gets_whole_lines)
{
	static const struct {
		unsigned short columns;
		const char *last;
	} rows[] = { { 200, "contention was not" },
		     { 125, "no room for: bars\r\n" },
		     { 100, "no room for: USD, REQUESTS, bars\r\n" },
		     { 80, "no room for: COLD, USED s, USD, REQUESTS, bars\r\n" } };
	cleanup_tmpdir char *dir = tmpdir_make();
	char out[8192];

	append(dir, 0, 30);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bill_on_terminal(dir, rows[i].columns, out, sizeof(out));
		expect_has(out, " TOTAL ");
		expect_has(out, rows[i].last);
		cr_expect_eq(strstr(out, "##") != NULL, rows[i].columns == 200, "%s", out);
		for (char *at = out, *end; (end = strstr(at, "\r\n")); at = end + 2)
			if (strncmp(at, "contention", 10) != 0)
				cr_expect_leq(end - at, rows[i].columns, "%s", out);
	}
}

Test(ledger_cli, csv_quotes_what_users_named)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	struct ledger *l = ledgers_open(dir, 0, false);
	struct ledger_record r;

	ledgers_record(1, &r);
	(void)strcpy(r.owner_name, "=cmd");
	(void)strcpy(r.function, "a\"b,c");
	cr_assert_eq(ledger_append(l, &r, NULL, NULL), 0);
	(void)ledger_close(l);
	CLOCHE(&run, "bill", "--csv", "--ledger", dir);
	expect_has(run.out, "\r\n\"'=cmd/a\"\"b,c\",1,");
}

/* A ledger that another user can read: that user gets their own records and no others. */
Test(ledger_cli, owners_see_their_own_only)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char command[2048];

	if (geteuid() != 0)
		test_skip("needs root, to be another user");
	append(dir, 0, 30);
	(void)snprintf(command, sizeof(command),
		       "cp '%s' '%s/cloche' && chmod 755 '%s/cloche' && chown -R 1001 '%s' && "
		       "cd '%s' && setpriv --reuid 1001 --clear-groups ./cloche bill --by owner "
		       "--json --ledger . && setpriv --reuid 1001 --clear-groups ./cloche audit "
		       "show --ledger . && setpriv --reuid 1001 --clear-groups ./cloche bill "
		       "--owner 1002 --ledger .",
		       env_need("CLOCHE"), dir, dir, dir, dir);
	RUN(&run, "sh", "-c", command);
	cr_assert_eq(run.status, 2, "%s", run.err);
	expect_has(run.err, "only root sees other owners' bills");
	expect_has(run.out, "\"owner\":\"owner1\"");
	expect_has(run.out, "\"total\":{\"invocations\":10,");
	cr_assert(!strstr(run.out, "owner2") && !strstr(run.out, "owner0"), "%s", run.out);
	expect_has(run.out, "-000000000028");
	cr_assert(!strstr(run.out, "-000000000029"), "%s", run.out);
}

Test(ledger_cli, verify_says_intact_or_names_the_record)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[512], key[512], pub[600];

	append(dir, 0, 20);
	CLOCHE(&run, "audit", "verify", "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "intact: 21 records (20 invocations)");
	run_free(&run);

	(void)snprintf(key, sizeof(key), "%s/mine", dir);
	(void)snprintf(pub, sizeof(pub), "%s.pub", key);
	CLOCHE(&run, "audit", "key", key);
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	CLOCHE(&run, "audit", "seal", "--key", key, "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	CLOCHE(&run, "audit", "verify", "--key", pub, "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "1 sealed, 1 signed");
	run_free(&run);
	CLOCHE(&run, "audit", "verify", "--key", key, "--ledger", dir);
	cr_assert_eq(run.status, 1);
	expect_has(run.err, "is the secret one");
	cr_assert_str_eq(run.out, "");
	run_free(&run);
	CLOCHE(&run, "audit", "seal", "--key", pub, "--ledger", dir);
	cr_assert_eq(run.status, 1);
	expect_has(run.err, "is a public key");
	run_free(&run);

	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", dir);
	file_flip(path, 2000);
	CLOCHE(&run, "audit", "verify", "--ledger", dir);
	cr_assert_eq(run.status, 1);
	expect_has(run.out, "broken at record 6 (segment 1, byte ");
	run_free(&run);
	CLOCHE(&run, "audit", "verify", "--json", "--ledger", dir);
	cr_assert_eq(run.status, 1);
	expect_has(run.out, "\"intact\":false");
	expect_has(run.out, "\"number\":6");
}

__attribute__((format(printf, 1, 2))) static void shell(const char *fmt, ...)
{
	cleanup_run struct run run = { 0 };
	char command[2048];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	RUN(&run, "sh", "-c", command);
	cr_assert_eq(run.status, 0, "%s: %s", command, run.err);
}

/* `audit verify --ledger DIR --against LINE`, with one more option if there is one: the status, and
 * what it says in a single line (or with --json). */
static void verify_against(const char *dir, const char *against, const char *option,
			   const char *value, int status, const char *says, const char *too)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, env_need("CLOCHE"), "audit", "verify", "--ledger", dir, "--against", against,
	    option, value);
	cr_assert_eq(run.status, status, "%s", run.out);
	expect_has(run.out, says);
	expect_has(run.out, too);
	if (status && !option)
		cr_assert_eq(count_lines(run.out), 1, "%s", run.out);
}

/* Ledger and head go back together: only what was kept elsewhere tells. */
Test(ledger_cli, a_line_of_head_tells_a_rollback)
{
	cleanup_tmpdir char *dir = tmpdir_make(), *keep = tmpdir_make();
	const char *cloche = env_need("CLOCHE");
	cleanup_run struct run run = { 0 };
	char lines[512], key[512], pub[600], line[1024];

	(void)tmpdir_path(lines, keep, "lines");
	(void)tmpdir_path(key, keep, "k");
	(void)snprintf(pub, sizeof(pub), "%s.pub", key);
	shell("'%s' audit key '%s'", cloche, key);
	append(dir, 0, 3);
	shell("'%s' audit head --ledger '%s' >'%s' && cp -a '%s' '%s/old'", cloche, dir, lines, dir,
	      keep);
	append(dir, 3, 5);
	shell("'%s' audit head --ledger '%s' --key '%s' >>'%s'", cloche, dir, key, lines);
	CLOCHE(&run, "audit", "head", "--ledger", dir);
	cr_assert_eq(count_lines(run.out), 1, "%s", run.out);
	expect_has(run.out, " record=6 segment=1 ");
	expect_has(run.out, " invocations=5 ");
	(void)snprintf(line, sizeof(line), "%.*s", (int)run.out_len - 1, run.out);
	run_free(&run);
	verify_against(dir, line, NULL, NULL, 0, "extends what was given (1 line)", "");
	CLOCHE(&run, "audit", "verify", "--ledger", dir);
	expect_has(run.out, "only --against shows");
	run_free(&run);
	/* Signed by whom? The ledger does not know that key. */
	verify_against(dir, lines, NULL, NULL, 1, "line 2 of ",
		       "a key that this ledger does not know");
	verify_against(dir, line, "--key", pub, 1, "it is not signed", "");
	shell("cp '%s' '%s/seal.key'", key, dir);
	verify_against(dir, lines, NULL, NULL, 0, "(2 lines)", "");
	/* Back to the copy: the first line still holds. */
	shell("cp '%s/old/'* '%s'", keep, dir);
	CLOCHE(&run, "audit", "verify", "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.out);
	run_free(&run);
	verify_against(dir, lines, NULL, NULL, 1, "line 2 of ",
		       "the ledger ends before it, at record 4");
	verify_against(dir, line, "--json", NULL, 1, "\"intact\":false", "\"refused\":[{");
	append(dir, 10, 20);
	verify_against(dir, line, NULL, NULL, 1, "another record stands there", "");
}

static const struct {
	const char *args[8];
	int status;
	const char *says;
} wrong[] = {
	{ { "cost" }, 2, "give --memory and --duration" },
	{ { "cost", "--memory", "128" }, 2, "--duration" },
	{ { "cost", "-m", "0", "--duration", "1s" }, 2, "--memory 0 bytes: from 4M" },
	{ { "cost", "-m", "3M", "--duration", "1s" }, 2, "--memory 3M: from 4M" },
	{ { "cost", "--memory" }, 2, "needs a value" },
	{ { "cost", "--memory", "x", "--duration", "1" }, 2, "'x'" },
	{ { "cost", "--rate", "5" }, 2, "'5' is no rate" },
	{ { "cost", "--rate", "0/s" }, 2, "no rate" },
	{ { "cost", "--rate", "5/fortnight" }, 2, "no rate" },
	{ { "cost", "-m", "4G", "--duration", "1", "--prices", "lambda-2019" }, 2, "3008 MB" },
	{ { "cost", "-m", "64", "--duration", "1", "--prices", "nope" },
	  2,
	  "--prices: no price list 'nope'" },
	{ { "bill", "--json", "--csv" }, 2, "--csv: not together with --json" },
	{ { "bill", "--csv", "--json" }, 2, "--json: not together with --csv" },
	{ { "cost", "--function", "f", "--duration", "1" }, 2, "leave out" },
	{ { "cost", "--function", "" }, 2, "--function: ''" },
	{ { "bill", "--function", "" }, 2, "--function: ''" },
	{ { "bill", "--by", "moon" }, 2, "'moon'" },
	{ { "bill", "--since", "2026-02-31" }, 2, "'2026-02-31'" },
	{ { "bill", "--since", "" }, 2, "--since" },
	{ { "bill", "--nope" }, 2, "unknown option '--nope'" },
	{ { "bill", "extra" }, 2, "'extra'" },
	{ { "bill", "--ledger", "/nonexistent" }, 1, "/nonexistent" },
	{ { "bill", "--ledger", "/proc" }, 1, "not a ledger" },
	{ { "audit" }, 2, "say verify" },
	{ { "audit", "moan" }, 2, "'moan'" },
	{ { "audit", "verify", "x" }, 2, "'x'" },
	{ { "audit", "verify", "--against", "/nonexistent" }, 2, "nor a file" },
	{ { "audit", "verify", "--against", "" }, 2, "nor a file" },
	{ { "audit", "verify", "--against", "/dev/null" }, 2, "no line of" },
	{ { "audit", "verify", "--against", "/bin/sh" }, 2, "not lines of" },
	{ { "audit", "verify", "--against", "cloche-ledger-1 record=3" }, 2, "not a line of" },
	{ { "audit", "verify", "--against", "/etc/passwd" }, 2, "line 1: not a line of" },
	{ { "audit", "head", "x" }, 2, "'x'" },
	{ { "audit", "head", "--ledger", "/nonexistent" }, 1, "/nonexistent" },
	{ { "audit", "verify", "--key", "/dev/null" }, 1, "/dev/null" },
	{ { "audit", "verify", "--ledger", "/nonexistent" }, 1, "/nonexistent" },
	{ { "audit", "key" }, 2, "needs a FILE" },
};

Test(ledger_cli, wrong_use_is_one_clear_line)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *argv[10] = { env_need("CLOCHE") };
		cleanup_run struct run run = { 0 };

		memcpy(argv + 1, wrong[i].args, sizeof(wrong[i].args));
		run_argv(&run, argv);
		cr_assert_eq(run.status, wrong[i].status, "%s %s: %d", argv[1], argv[2],
			     run.status);
		expect_has(run.err, wrong[i].says);
		cr_assert_eq(strchr(run.err, '\n') - run.err, (ptrdiff_t)run.err_len - 1, "%s",
			     run.err);
		cr_assert_eq(run.out_len, 0, "%s", run.out);
		if (wrong[i].status == 2)
			expect_has(run.err, "--help'");
	}
}

Test(ledger_cli, help_goes_to_standard_output_and_fits)
{
	static const char *const verbs[] = { "bill", "cost", "audit" };

	for (size_t i = 0; i < 3; i++) {
		cleanup_run struct run run = { 0 };
		char *save = NULL;

		CLOCHE(&run, verbs[i], "--help");
		cr_assert_eq(run.status, 0);
		cr_assert_eq(run.err_len, 0);
		expect_has(run.out, "Examples:");
		for (char *l = strtok_r(run.out, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
			cr_assert_leq(strlen(l), 80, "%s", l);
	}
}
