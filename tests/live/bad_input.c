/* SPDX-License-Identifier: MIT */
/*
 * What `cloche run` does with what it cannot use: one line on standard error that names the thing,
 * the right status, and nothing started, nothing left. Every refused command line asks for a
 * command that would leave a mark on the host if it were started all the same.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGS_MAX 6

struct bad {
	const char *args[ARGS_MAX]; /* before the command */
	const char *names;	    /* what the line must name */
};

static size_t lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* The command of every refused line: a mark in a directory that it could write to. */
struct mark {
	char *dir, *path, *bind;
};

static struct mark mark_make(void)
{
	struct mark m = { .dir = tmpdir_make() };

	cr_assert(asprintf(&m.path, "%s/started", m.dir) > 0 &&
		  asprintf(&m.bind, "%s:/mnt:rw", m.dir) > 0);
	cr_assert_eq(chmod(m.dir, 0777), 0);
	return m;
}

static void mark_free(struct mark *m)
{
	tmpdir_free(&m->dir);
	free(m->path);
	free(m->bind);
}

#define cleanup_mark __attribute__((cleanup(mark_free)))

static void run_with(struct run *run, const struct mark *m, const char *const args[])
{
	const char *argv[ARGS_MAX + 8] = { env_need("CLOCHE"), "run" };
	size_t n = 2;

	for (size_t i = 0; i < ARGS_MAX && args[i]; i++)
		argv[n++] = args[i];
	argv[n++] = "-b";
	argv[n++] = m->bind;
	argv[n++] = "--";
	argv[n++] = "touch";
	argv[n++] = "/mnt/started";
	run_argv(run, argv);
}

static void expect_refused(const struct bad *bad, int status)
{
	cleanup_mark struct mark mark = mark_make();
	cleanup_run struct run run = { 0 };
	const char *shown = bad->args[1] ? bad->args[1] : "";

	run_with(&run, &mark, bad->args);
	cr_expect(run.status == status, "%s %.60s: status %d, expected %d: %s", bad->args[0], shown,
		  run.status, status, run.err);
	cr_expect(lines(run.err) == 1 && run.err_len > 0 && run.err[run.err_len - 1] == '\n',
		  "%s %.60s: not one line: %s", bad->args[0], shown, run.err);
	cr_expect(strstr(run.err, bad->names) != NULL, "%s %.60s: '%s' is not named: %s",
		  bad->args[0], shown, bad->names, run.err);
	cr_expect(status != 2 || strstr(run.err, "--help") != NULL, "no hint: %s", run.err);
	cr_expect_eq(run.out_len, 0);
	cr_expect(access(mark.path, F_OK) < 0, "%s %.60s: the command was started", bad->args[0],
		  shown);
}

#define N(table) (sizeof(table) / sizeof((table)[0]))

static void expect_all_refused(const struct bad *table, size_t n, int status)
{
	cleanup_free char *before = NULL, *after = NULL;
	/* A user makes none, and may not look. */
	size_t was = geteuid() == 0 ? leftover_cgroups(&before) : 0;

	for (size_t i = 0; i < n; i++)
		expect_refused(&table[i], status);
	cr_expect(geteuid() != 0 || leftover_cgroups(&after) <= was, "%s is left", after);
}

/* The mark is one: what is not refused leaves it. */
Test(bad_input, a_good_line_leaves_the_mark)
{
	cleanup_mark struct mark mark = mark_make();
	cleanup_run struct run run = { 0 };

	run_with(&run, &mark, (const char *const[ARGS_MAX]){ "-q" });
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_eq(access(mark.path, F_OK), 0);
}

Test(bad_input, sizes)
{
	static const struct bad table[] = {
		{ { "-m", "" }, "memory" },
		{ { "-m", "lots" }, "lots" },
		{ { "-m", "-64M" }, "-64M" },
		{ { "-m", "64X" }, "64X" },
		{ { "-m", " 64M" }, "memory" },
		{ { "-m", "0x40" }, "0x40" },
		{ { "-m", "1M" }, "memory" },
		{ { "-m", "0" }, "memory" },
		{ { "-m", "1000T" }, "memory" },
		{ { "-m", "99999999999999999999" }, "memory" },
		{ { "-m", "nan" }, "nan" },
		{ { "--fsize", "much" }, "fsize" },
		{ { "--tmp-size", "x" }, "tmp-size" },
		{ { "--tmp-size", "0" }, "tmp-size" },
		{ { "-m", "64M", "--tmp-size", "64M" }, "tmp-size" },
		{ { "--shm-size", "x" }, "shm-size" },
		{ { "-m", "64M", "--shm-size", "64M" }, "shm-size" },
		{ { "-b", "/usr:/./proc/x" }, "/proc" },
		{ { "-b", "/usr:/./" }, "--rootfs" },
		{ { "--output-limit", "0" }, "output-limit" },
		{ { "--output-limit", "-1" }, "output-limit" },
	};

	expect_all_refused(table, N(table), 2);
}

Test(bad_input, durations)
{
	static const struct bad table[] = {
		{ { "-t", "" }, "timeout" },
		{ { "-t", "soon" }, "soon" },
		{ { "-t", "-1s" }, "-1s" },
		{ { "-t", "0" }, "timeout" },
		{ { "-t", "1us" }, "timeout" },
		{ { "-t", "901s" }, "timeout" },
		{ { "-t", "3 s" }, "timeout" },
		{ { "-t", "inf" }, "inf" },
		{ { "-t", "1e3" }, "1e3" },
		{ { "--cpu-time", "0" }, "cpu-time" },
		{ { "--cpu-time", "x" }, "cpu-time" },
	};

	expect_all_refused(table, N(table), 2);
}

Test(bad_input, counts_and_words)
{
	static const struct bad table[] = {
		{ { "--pids", "0" }, "pids" },
		{ { "--pids", "many" }, "many" },
		{ { "--pids", "-1" }, "-1" },
		{ { "--pids", "5000000" }, "pids" },
		{ { "--nofile", "2" }, "nofile" },
		{ { "--nofile", "1e3" }, "1e3" },
		{ { "--repeat", "0" }, "repeat" },
		{ { "--repeat", "-2" }, "repeat" },
		{ { "--cpu", "0" }, "cpu" },
		{ { "--cpu", "all" }, "all" },
		{ { "--cpu", "100000" }, "cpu" },
		{ { "--net", "host" }, "host" },
		{ { "--net", "" }, "net" },
		{ { "--report", "" }, "--report ''" },
		{ { "--trace", "" }, "--trace ''" },
		{ { "--trace", "-" }, "--trace '-'" },
		{ { "--report", "/dev/null", "--trace", "/dev/null" }, "one file" },
		{ { "--report", "/tmp/cloche-no-such", "--trace", "/tmp/./cloche-no-such" },
		  "one file" },
		{ { "--name", "-" }, "--name" },
		{ { "-t", "901" }, "--timeout 901s" },
		{ { "-t", "900001ms" }, "--timeout 900001ms" },
		{ { "--cpu-time", "0" }, "'0'" },
		{ { "--tmp-size", "1"
				  "K" },
		  "'1K'" },
		{ { "-m", "4095K" }, "--memory 4095K" },
		{ { "-w", "tmp" }, "tmp" },
		{ { "-w", "/tmp/../etc" }, ".." },
		{ { "--no-such-option" }, "--no-such-option" },
		{ { "-Z" }, "-Z" },
	};

	expect_all_refused(table, N(table), 2);
}

Test(bad_input, variables)
{
	static const struct bad table[] = {
		{ { "-e", "NOVALUE" }, "NOVALUE" },
		{ { "-e", "=x" }, "=x" },
		{ { "-e", "" }, "env" },
		{ { "--env-file", "/no/such/file" }, "/no/such/file" },
		{ { "--env-file", "/tmp" }, "/tmp" },
	};

	expect_all_refused(table, N(table), 2);
}

Test(bad_input, binds_that_are_no_binds)
{
	static const struct bad table[] = {
		{ { "-b", "" }, "bind" },	{ { "-b", ":/x" }, ":/x" },
		{ { "-b", "/usr:" }, "/usr:" }, { { "-b", "/usr:/x:rx" }, "/usr:/x:rx" },
		{ { "-b", "/usr:x" }, "bind" }, { { "-b", "/usr:/a/../../x" }, ".." },
		{ { "-b", "/usr:/" }, "bind" }, { { "-b", "/usr://" }, "bind" },
	};

	expect_all_refused(table, N(table), 2);
}

/* Right as a command line, wrong on this host: found out before the command starts. */
Test(bad_input, what_is_not_there)
{
	static const struct bad table[] = {
		{ { "-b", "/no/such/path:/x" }, "/no/such/path" },
		{ { "--rootfs", "/no/such/root" }, "/no/such/root" },
		{ { "--rootfs", "/etc/passwd" }, "/etc/passwd" },
		{ { "--policy", "no-such-policy" }, "no-such-policy" },
		{ { "--policy", "/no/such/policy.json" }, "/no/such/policy.json" },
		{ { "--policy", "/etc/passwd" }, "/etc/passwd" },
		{ { "-q", "-w", "/no/such/dir" }, "/no/such/dir" },
	};

	expect_all_refused(table, N(table), 125);
}

static void expect_bad_file(const char *option, const char *text, size_t len, const char *names,
			    int status)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = NULL;
	FILE *f;

	cr_assert(asprintf(&path, "%s/input", dir) > 0);
	f = fopen(path, "we");
	cr_assert(f && fwrite(text, 1, len, f) == len && fclose(f) == 0);
	expect_refused(&(struct bad){ { option, path }, names }, status);
}

Test(bad_input, a_nul_in_an_env_file)
{
	expect_bad_file("--env-file", "GOOD=1\nBAD=a\0b\n", 15, "2", 2);
}

Test(bad_input, profiles)
{
	static const char unknown_action[] = "{\"defaultAction\":\"SCMP_ACT_MAYBE\"}";
	static const char not_json[] = "{\"defaultAction\":\n";
	static const char twice[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultAction\":\"SCMP_ACT_ALLOW\"}";

	expect_bad_file("--policy", unknown_action, strlen(unknown_action), "SCMP_ACT_MAYBE", 125);
	expect_bad_file("--policy", not_json, strlen(not_json), "input", 125);
	expect_bad_file("--policy", twice, strlen(twice), "defaultAction", 125);
	expect_bad_file("--policy", "", 0, "input", 125);
}

Test(bad_input, a_command_is_missing)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, env_need("CLOCHE"), "run");
	cr_expect_eq(run.status, 2);
	cr_expect_eq(lines(run.err), 1, "%s", run.err);
	run_free(&run);
	RUN(&run, env_need("CLOCHE"), "run", "-m", "64M", "--");
	cr_expect_eq(run.status, 2);
	cr_expect_eq(lines(run.err), 1, "%s", run.err);
	run_free(&run);
	RUN(&run, env_need("CLOCHE"), "run", "-m");
	cr_expect_eq(run.status, 2);
	cr_expect(lines(run.err) == 1 && strstr(run.err, "-m"), "%s", run.err);
}

/* A control character in a name must not end up as one on a terminal or break the line. */
/* What cannot be written costs the output, is said in one line, and never the run or its end. */
Test(bad_input, outputs_that_cannot_be_written, .timeout = 30)
{
	static const struct {
		const char *option, *file, *says;
	} outputs[] = {
		{ "--report", "fifo", "nobody reads from it; the report goes to standard error" },
		{ "--trace", "fifo", "nobody reads from it; there is no trace" },
		{ "--report", "none/r", "No such file or directory; the report goes" },
		{ "--trace", "none/t", "No such file or directory; there is no trace" },
		{ "--report", "/dev/full", "No space left on device; the report goes" },
		{ "--trace", "/dev/full",
		  "the trace could not be written to '/dev/full': No space left on device" },
	};
	cleanup_tmpdir char *dir = tmpdir_make();
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/fifo", dir);
	cr_assert_eq(mkfifo(path, 0600), 0);
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
		cleanup_run struct run run = { 0 };

		(void)snprintf(path, sizeof(path), "%s/%s", dir, outputs[i].file);
		RUN(&run, env_need("CLOCHE"), "run", "-q", "--no-ledger", outputs[i].option,
		    *outputs[i].file == '/' ? outputs[i].file : path, "--", "echo", "done");
		cr_expect_eq(run.status, 0, "%s %s: %s", outputs[i].option, path, run.err);
		cr_expect_str_eq(run.out, "done\n");
		cr_expect(strstr(run.err, outputs[i].says), "%s", run.err);
	}
}

/* What another user planted where root writes is not followed; root's own links are. */
Test(bad_input, outputs_through_the_links_of_others)
{
	static const char *const options[] = { "--report", "--trace" };
	cleanup_tmpdir char *dir = tmpdir_make();
	char link[300], target[300];

	(void)snprintf(link, sizeof(link), "%s/link", dir);
	(void)snprintf(target, sizeof(target), "%s/target", dir);
	for (int own = 0; own < 2; own++)
		for (int i = 0; i < 2; i++) {
			cleanup_run struct run run = { 0 };

			cr_assert_eq(symlink("target", link), 0);
			cr_assert_eq(lchown(link, own ? 0 : 65534, 0), 0);
			RUN(&run, env_need("CLOCHE"), "run", "-q", "--no-ledger", options[i], link,
			    "--", "echo", "done");
			cr_expect_eq(run.status, 0, "%s", run.err);
			cr_expect_str_eq(run.out, "done\n");
			cr_expect_eq(access(target, F_OK) == 0, own, "%s: %s", options[i], run.err);
			cr_expect(own || strstr(run.err, "symbolic link of another user"), "%s",
				  run.err);
			cr_assert_eq(unlink(link), 0);
			cr_assert(unlink(target) == 0 || !own);
		}
}

Test(bad_input, a_newline_in_a_value)
{
	expect_refused(&(struct bad){ { "-m", "6\n4" }, "memory" }, 2);
	expect_refused(&(struct bad){ { "--pids", "\033[2J" }, "pids" }, 2);
}

Test(bad_input, ten_thousand_binds)
{
	cleanup_free const char **argv = calloc(20010, sizeof(*argv));
	cleanup_run struct run run = { 0 };
	size_t n = 0;

	cr_assert_not_null(argv);
	argv[n++] = env_need("CLOCHE");
	argv[n++] = "run";
	for (size_t i = 0; i < 10000; i++) {
		argv[n++] = "-b";
		argv[n++] = "/usr/share:/mnt/x";
	}
	argv[n++] = "true";
	run_argv(&run, argv);
	cr_expect_eq(run.status, 2, "%d: %s", run.status, run.err);
	cr_expect(lines(run.err) == 1 && strstr(run.err, "10000"), "%s", run.err);
}

/* 2 MB in pieces that execve(2) takes. */
Test(bad_input, a_huge_environment)
{
	cleanup_free char *value = malloc(100001);
	const char *argv[64] = { env_need("CLOCHE"), "run" };
	cleanup_run struct run run = { 0 };
	size_t n = 2;

	cr_assert_not_null(value);
	memset(value, 'x', 100000);
	memcpy(value, "A=", 2);
	value[100000] = '\0';
	for (int i = 0; i < 20; i++) {
		argv[n++] = "-e";
		argv[n++] = value;
	}
	argv[n++] = "true";
	run_argv(&run, argv);
	cr_expect_eq(run.status, 2, "%d: %.200s", run.status, run.err);
	cr_expect(lines(run.err) == 1 && strstr(run.err, "--env"), "%.200s", run.err);
}

/* A link to "/" makes visible what it points to at most: the host's root, where files that only
 * root may read stay unreadable. */
Test(bad_input, a_link_to_the_root)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = NULL, *bind = NULL;
	cleanup_run struct run run = { 0 };

	cr_assert(asprintf(&path, "%s/link", dir) > 0 && asprintf(&bind, "%s:/mnt", path) > 0);
	cr_assert_eq(symlink("/", path), 0);
	RUN(&run, env_need("CLOCHE"), "run", "-q", "-b", bind, "--", "cat", "/mnt/etc/shadow");
	cr_expect_neq(run.status, 0);
	cr_expect_eq(run.out_len, 0);
	cr_expect_eq(lines(run.err), 1, "%s", run.err);
}

/* In characters, not bytes. */
static size_t widest(const char *text)
{
	size_t most = 0, n = 0;

	for (; *text; text++) {
		n = *text == '\n' ? 0 : n + ((*text & 0xc0) != 0x80);
		most = n > most ? n : most;
	}
	return most;
}

Test(bad_input, help)
{
	static const char *const verbs[] = { "run",  "image", "policy",	   "doctor",
					     "bill", "cost",  "trace",	   "report",
					     "tune", "audit", "completion" };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		cleanup_run struct run run = { 0 }, brief = { 0 };

		RUN(&run, env_need("CLOCHE"), verbs[i], "--help");
		cr_expect_eq(run.status, 0, "%s", verbs[i]);
		cr_expect_eq(run.err_len, 0, "%s", run.err);
		cr_expect(strstr(run.out, "Usage: cloche"), "%s", run.out);
		cr_expect_leq(widest(run.out), 80, "%s", verbs[i]);
		RUN(&brief, env_need("CLOCHE"), verbs[i], "-h");
		cr_expect_eq(brief.status, 0, "%s", brief.err);
		cr_expect_str_eq(brief.out, run.out);
	}
}

Test(bad_input, no_verb)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, env_need("CLOCHE"));
	cr_expect_eq(run.status, 2);
	cr_expect_eq(run.out_len, 0);
	cr_expect_eq(lines(run.err), 1, "%s", run.err);
	cr_expect(strstr(run.err, "--help"));
}

Test(bad_input, help_of_run_has_examples)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, env_need("CLOCHE"), "run", "--help");
	cr_expect(strstr(run.out, "--memory") && strstr(run.out, "Examples"));
}
