/* SPDX-License-Identifier: MIT */
/* The library that live tests stand on: it must tell the truth before they can. */
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/tmpdir.h"

Test(run, tells_statuses_apart)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, "/bin/true");
	cr_expect_eq(run.status, 0);
	cr_expect_eq(run.signal, 0);
	run_free(&run);
	RUN(&run, "false");
	cr_expect_eq(run.status, 1);
	run_free(&run);
	RUN(&run, "sh", "-c", "kill -TERM $$");
	cr_expect_eq(run.status, 128 + SIGTERM);
	cr_expect_eq(run.signal, SIGTERM);
}

Test(run, keeps_both_outputs_whole)
{
	cleanup_run struct run run = { 0 };

	/* More than a pipe holds, on both at once. */
	RUN(&run, "sh", "-c",
	    "head -c 300000 /dev/zero | tr '\\0' x; head -c 200000 /dev/zero >&2");
	cr_expect_eq(run.status, 0);
	cr_expect_eq(run.out_len, 300000);
	cr_expect_eq(run.err_len, 200000);
	cr_expect_eq(run.out[299999], 'x');
	cr_expect_eq(run.out[300000], '\0');
}

Test(run, gives_input_and_environment)
{
	static const char *const envp[] = { "PATH=/bin:/usr/bin", "ONLY=this", NULL };
	cleanup_run struct run run = { .input = "a\0b", .input_len = 3, .envp = envp };

	RUN(&run, "cat");
	cr_expect_eq(run.out_len, 3);
	cr_expect_arr_eq(run.out, "a\0b", 3);
	run_free(&run);
	RUN(&run, "env");
	cr_expect_str_eq(run.out, "PATH=/bin:/usr/bin\nONLY=this\n");
	run_free(&run);
	run.input = NULL;
	run.input_len = 0;
	RUN(&run, "cat");
	cr_expect_str_eq(run.out, "");
}

Test(run, ends_what_does_not_end, .timeout = 20)
{
	cleanup_run struct run run = { .timeout_ms = 50 };

	RUN(&run, "sh", "-c", "echo begun; trap '' TERM; while :; do :; done");
	cr_expect(run.timed_out);
	cr_expect_eq(run.signal, SIGKILL);
}

/* A child of the program that keeps the pipe open holds nobody up. */
Test(run, does_not_wait_for_grandchildren, .timeout = 20)
{
	cleanup_run struct run run = { 0 };
	pid_t left;

	RUN(&run, "sh", "-c", "sleep 1000 & echo $!");
	cr_expect(!run.timed_out);
	cr_expect_eq(run.status, 0);
	left = (pid_t)strtol(run.out, NULL, 10);
	cr_expect_gt(left, 1);
	cr_expect_eq(kill(left, SIGKILL), 0);
}

/* A stand-in for the program: writes two reports where it is told to. */
static char *stand_in_make(const char *dir, const char *body)
{
	char *path = NULL;
	FILE *f;

	cr_assert(asprintf(&path, "%s/cloche", dir) > 0);
	f = fopen(path, "we");
	cr_assert(f && fprintf(f, "#!/bin/sh\n%s\n", body) > 0 && fclose(f) == 0);
	cr_assert_eq(chmod(path, 0700), 0);
	cr_assert_eq(setenv("CLOCHE", path, 1), 0);
	return path;
}

Test(run, reads_reports)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = stand_in_make(
		dir, "[ \"$1 $2\" = 'run --report' ] || exit 99\n"
		     "echo '{\"verdict\":\"ok\",\"time\":{\"wall_ns\":7}}' > \"$3\"\n"
		     "echo '{\"verdict\":\"oom\"}' >> \"$3\"\nshift 3; echo \"$@\"; exit 3");
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "prog", "a b");
	cr_expect_eq(run.status, 3);
	cr_expect_str_eq(run.out, "-t 50s -- prog a b\n");
	cr_expect_eq(json_array_size(run.reports), 2);
	cr_expect_str_eq(report_text(&run, "verdict"), "ok");
	cr_expect_eq(report_int(&run, "time.wall_ns"), 7);
	run_free(&run);
	RUN_CLOCHE(&run, "--timeout=1s", "prog");
	cr_expect_str_eq(run.out, "--timeout=1s prog\n");
}

Test(run, sees_that_there_is_no_report)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = stand_in_make(dir, "exit 2");
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "x");
	cr_expect_eq(run.status, 2);
	cr_expect_null(run.report);
}

Test(tmpdir, removes_all_of_it)
{
	char *dir = tmpdir_make(), path[256], inner[300];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s", dir);
	(void)snprintf(inner, sizeof(inner), "%s/sub", dir);
	cr_assert_eq(mkdir(inner, 0700), 0);
	(void)snprintf(inner, sizeof(inner), "%s/sub/link", dir);
	cr_assert_eq(symlink("/", inner), 0);
	tmpdir_free(&dir);
	cr_expect_null(dir);
	cr_expect_neq(lstat(path, &st), 0);
	cr_expect_eq(stat("/etc/passwd", &st), 0);
}
