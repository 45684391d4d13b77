/* SPDX-License-Identifier: MIT */
/*
 * Hostile text in every place that a verb prints: arguments, paths, profiles, ledgers, price files,
 * traces, reports. Whatever is said of it, on a pipe or a terminal, no control character of it
 * comes out. No contexts are made.
 */
#include "tests/lib/env.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/run.h"
#include "tests/lib/stdio.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A title, a cleared screen, a line rewritten, C1 both ways, text turned round, a line end. */
#define EVIL	 "e\033]0;t\007\033[2J\r\b\302\23331m\342\200\256\342\201\246\342\200\250\177v"
#define EVIL_RAW EVIL "\233w"

#define EVIL_LINE EVIL "\nintact: forged"

static const char evil_line[] = EVIL_LINE;

static bool is_harmful(const unsigned char *p)
{
	if (p[0] == 0xc2)
		return p[1] >= 0x80 && p[1] < 0xa0;
	if (p[0] == 0xe2)
		return (p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) ||
		       (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
	return (*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f ||
	       /* A byte that begins no character, behind one that is none either. */
	       (*p >= 0x80 && *p < 0xa0 && p[-1] < 0x80);
}

/* "" or what is harmful in it. own: what this program itself says to a terminal is let pass. */
static void expect_harmless(const char *text, bool own, const char *what)
{
	for (const char *p = text; *p; p++) {
		size_t sgr = own && *p == '\033' && p[1] == '[' ? strspn(p + 2, "0123456789;") : 0;

		if (sgr && p[2 + sgr] == 'm') {
			p += 2 + sgr;
			continue;
		}
		if (own && *p == '\r' && p[1] == '\n')
			continue;
		cr_assert(!is_harmful((const unsigned char *)p), "%s: byte %d, 0x%02x: %s", what,
			  (int)(p - text), (unsigned char)*p, text);
	}
}

static const char *const words[][5] = {
	{ evil_line },
	{ "help", evil_line },
	{ "run", "--" EVIL_LINE },
	{ "run", "--timeout", evil_line },
	{ "run", "--policy", evil_line, "true" },
	{ "run", "--prices", evil_line, "true" },
	{ "run", "--name", evil_line, "true" },
	{ "run", "--bind", evil_line, "true" },
	{ "run", "--rootfs", evil_line, "true" },
	{ "run", "--env", evil_line, "true" },
	{ "run", "--env-file", evil_line, "true" },
	{ "policy", evil_line },
	{ "policy", "show", evil_line },
	{ "policy", "check", evil_line },
	{ "policy", "explain", evil_line },
	{ "policy", "explain", "default", evil_line },
	{ "policy", "explain", "default", "read", evil_line },
	{ "policy", "test", "default", evil_line },
	{ "policy", "diff", "default", evil_line },
	{ "policy", "learn", "--" EVIL_LINE },
	{ "image", evil_line },
	{ "image", "show", evil_line },
	{ "image", "verify", evil_line },
	{ "image", "remove", evil_line },
	{ "image", "build", evil_line },
	{ "image", "build", "--dir", evil_line, "x" },
	{ "image", "import", evil_line, "x" },
	{ "trace", evil_line },
	{ "trace", "--format", evil_line },
	{ "trace", "--for", evil_line },
	{ "trace", "--list", "--dir", evil_line },
	{ "bill", evil_line },
	{ "bill", "--by", evil_line },
	{ "bill", "--since", evil_line },
	{ "bill", "--ledger", evil_line },
	{ "bill", "--" EVIL_LINE },
	{ "cost", "--rate", evil_line },
	{ "cost", "--memory", evil_line },
	{ "cost", "--function", evil_line, "--ledger", "/nonexistent" },
	{ "audit", evil_line },
	{ "audit", "verify", evil_line },
	{ "audit", "verify", "--against", evil_line },
	{ "audit", "verify", "--key", evil_line },
	{ "audit", "head", "--ledger", evil_line },
	{ "audit", "show", "--ledger", evil_line },
	{ "audit", "key", "/nonexistent/" EVIL_LINE },
	{ "report", evil_line },
	{ "report", evil_line, evil_line },
	{ "doctor", evil_line },
	{ "doctor", "--" EVIL_LINE },
	{ "tune", "--" EVIL_LINE },
	{ "tune", "--sizes", evil_line },
};

Test(shown, hostile_arguments_are_made_visible, .timeout = 120)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (int raw = 0; raw < 2; raw++) {
			const char *argv[8] = { env_need("CLOCHE") };
			char replaced[5][256];
			cleanup_run struct run run = { 0 };

			for (int k = 0; k < 5 && words[i][k]; k++) {
				(void)snprintf(replaced[k], sizeof(replaced[k]), "%s%s",
					       words[i][k],
					       raw && strstr(words[i][k], EVIL) ? "\233w" : "");
				argv[k + 1] = replaced[k];
			}
			run_argv(&run, argv);
			cr_assert_neq(run.status, 0, "%s %s", argv[1], argv[2]);
			expect_harmless(run.out, false, words[i][0]);
			expect_harmless(run.err, false, words[i][0]);
			cr_assert(!strstr(run.err, "\nintact"), "%s", run.err);
			cr_assert(*run.err, "%s %s: not a word", argv[1], argv[2]);
		}
}

static void file_put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %m", path);
}

static char profile[512], broken[512], prices[512], table[512], trace[512], report[512],
	ledger[512];

/* Files by somebody else, with what JSON and YAML let into a string. */
static char *files_make(void)
{
	static const char comment[] = "e\\u001b]0;t\\u0007\\u001b[2J\\r\\b\\u009b31m\\u202e\\u2066"
				      "\\u2028\\u007fv\\nintact: forged";
	char *dir = tmpdir_make(), text[4096];
	struct ledger_record r;
	struct ledger *l;

	(void)tmpdir_path(profile, dir, "profile.json");
	(void)snprintf(text, sizeof(text),
		       "{\"comment\": \"%s\", \"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": "
		       "[{\"comment\": \"%s\", \"names\": [\"read\"], \"action\": "
		       "\"SCMP_ACT_ALLOW\"}, {\"comment\": \"" EVIL "\", \"names\": [\"write\"], "
		       "\"action\": \"SCMP_ACT_ALLOW\"}]}",
		       comment, comment);
	/* Control characters stand in JSON as escapes only. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20)
			*p = '.';
	file_put(profile, text);
	(void)tmpdir_path(broken, dir, "broken.json");
	(void)snprintf(
		text, sizeof(text),
		"{\"%s\": 1, \"defaultAction\": \"%s\", \"syscalls\": [{\"names\": [\"%s\"], "
		"\"action\": \"%s\"}]}",
		comment, comment, comment, comment);
	file_put(broken, text);
	file_put(tmpdir_path(prices, dir, "prices.yaml"),
		 "gb_second: \"\\e]0;t\\a\\N\\x9b\\u202e\"\n\"\\e[2J\": 1\n");
	file_put(tmpdir_path(table, dir, "t.table"), "EPERM " EVIL_RAW "\n" EVIL_RAW " read\n");
	(void)snprintf(
		text, sizeof(text),
		"{\"schema\":\"cloche.trace/1\",\"request_id\":\"%s\",\"started_at\":\"%s\"}\n",
		comment, comment);
	file_put(tmpdir_path(trace, dir, "trace.jsonl"), text);
	(void)snprintf(text, sizeof(text),
		       "{\"schema\":\"cloche.report/1\",\"request_id\":\"%s\",\"verdict\":\"%s\","
		       "\"function\":\"<b>%s\",\"denied\":[{\"syscall\":\"%s\",\"args\":[\"%s\"]}],"
		       "\"degraded\":[{\"what\":\"%s\",\"why\":\"%s\"}]}",
		       comment, comment, comment, comment, comment, comment, comment);
	file_put(tmpdir_path(report, dir, "report.json"), text);
	(void)tmpdir_path(ledger, dir, "ledger");
	l = ledgers_open(ledger, 0, false);
	ledgers_record(1, &r);
	(void)snprintf(r.function, sizeof(r.function), "%s", evil_line);
	(void)snprintf(r.owner_name, sizeof(r.owner_name), "\033[2J\302\233\r");
	(void)snprintf(r.verdict, sizeof(r.verdict), "\033]\302\205\n\a");
	(void)snprintf(r.prices, sizeof(r.prices), "%s", evil_line);
	r.owner_uid = 0;
	cr_assert_eq(ledger_append(l, &r, NULL, NULL), 0);
	(void)ledger_close(l);
	return dir;
}

static const char *const readers[][9] = {
	{ "policy", "show", profile },
	{ "policy", "check", profile },
	{ "policy", "check", broken },
	{ "policy", "show", broken },
	{ "policy", "explain", profile },
	{ "policy", "explain", profile, "read" },
	{ "policy", "explain", profile, "write" },
	{ "policy", "explain", "--json", profile, "read" },
	{ "policy", "test", profile, table },
	{ "policy", "diff", "default", profile },
	{ "policy", "diff", "--json", "default", profile },
	{ "policy", "diff", "default", broken },
	{ "cost", "-m", "128", "--duration", "1s", "--prices", prices },
	{ "run", "--prices", prices, "true" },
	{ "run", "--policy", broken, "true" },
	{ "run", "--env-file", table, "true" },
	{ "trace", trace },
	{ "trace", "--format", "json", trace },
	{ "trace", "--format", "perfetto", trace },
	{ "report", report, "--html", "-" },
	{ "report", trace, "--html", "-" },
	{ "audit", "show", "--ledger", ledger },
	{ "audit", "show", "--json", "--ledger", ledger },
	{ "audit", "verify", "--ledger", ledger },
	{ "audit", "verify", "--against", broken },
	{ "audit", "verify", "--key", table },
	{ "bill", "--ledger", ledger },
	{ "bill", "--by", "owner", "--ledger", ledger },
	{ "bill", "--by", "verdict", "--ledger", ledger },
	{ "bill", "--by", "prices", "--ledger", ledger },
	{ "bill", "--json", "--ledger", ledger },
	{ "bill", "--by", "prices", "--json", "--ledger", ledger },
	{ "cost", "--function", evil_line, "--ledger", ledger },
	{ "cost", "--function", evil_line, "--json", "--ledger", ledger },
};

Test(shown, hostile_files_are_made_visible, .timeout = 120)
{
	cleanup_tmpdir char *dir = files_make();
	static char out[1 << 18];

	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		const char *argv[11] = { env_need("CLOCHE") };
		cleanup_run struct run run = { 0 };
		bool json = false;
		char what[700];

		memcpy(argv + 1, readers[i], sizeof(readers[i]));
		for (int k = 1; argv[k]; k++)
			json = json || !strcmp(argv[k], "--json") || !strcmp(argv[k], "perfetto");
		(void)snprintf(what, sizeof(what), "%s %s %s", argv[1], argv[2], argv[3]);
		run_argv(&run, argv);
		/* In a pipe a profile is itself. */
		if (strcmp(argv[2], "show") != 0 || strcmp(argv[1], "policy") != 0)
			expect_harmless(run.out, false, what);
		expect_harmless(run.err, false, what);
		cr_assert(!strstr(run.out, "\nintact: forged"), "%s: %s", what, run.out);
		cr_assert(!strstr(run.err, "\nintact: forged"), "%s: %s", what, run.err);
		if (json && run.out_len) {
			json_t *o = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);

			cr_assert(o, "%s: no JSON: %s", what, run.out);
			json_decref(o);
		}
		(void)cloche_on_terminal(argv, 200, out, sizeof(out));
		expect_harmless(out, true, what);
	}
	(void)dir;
}

/* CSV's line ends are its own; what is in its fields is made visible. */
Test(shown, csv_keeps_its_line_ends)
{
	cleanup_tmpdir char *dir = files_make();
	cleanup_run struct run run = { 0 };

	CLOCHE(&run, "bill", "--csv", "--ledger", ledger);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "fair_usd\r\n");
	expect_has(run.out, "\\x1b[2J\\x0d\\x08");
	cr_assert(!strchr(run.out, '\033') && !strchr(run.out, '\177'), "%s", run.out);
	(void)dir;
}

/* Nobody who writes into a file that is shown can have a colour of it. */
Test(shown, colours_are_this_programs_own)
{
	cleanup_tmpdir char *dir = files_make();
	static char out[1 << 16];
	const char *argv[] = { "cloche", "policy", "explain", profile, "read", NULL };

	(void)cloche_on_terminal(argv, 200, out, sizeof(out));
	expect_has(out, "\033[1mread");
	expect_has(out, "\033[32mALLOW");
	cr_assert(!strstr(out, "\033[2J"), "%s", out);
	(void)dir;
}
