/* SPDX-License-Identifier: MIT */
/*
 * `cloche run` as a user sees it, in real contexts: exit statuses, what gets in and out, and what
 * its caller's signals do. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- exit statuses ---- */

Test(run_status, own_zero)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "0");
	expect_end(&run, 0, "ok");
	cr_expect_eq(report_int(&run, "exit_code"), 0);
	cr_expect(report_is_null(&run, "signal"));
}

Test(run_status, own_other)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "77");
	expect_end(&run, 77, "error");
	cr_expect_eq(report_int(&run, "exit_code"), 77);
}

/* A status that Cloche uses itself is still the command's own in the report. */
Test(run_status, own_124_is_no_timeout)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "124");
	expect_end(&run, 124, "error");
	cr_expect_eq(report_int(&run, "exit_code"), 124);
}

Test(run_status, signal)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "signal", "15");
	expect_end(&run, 128 + 15, "signal");
	cr_expect_str_eq(report_text(&run, "signal"), "SIGTERM");
	cr_expect(report_is_null(&run, "exit_code"));
}

/* Died of SIGKILL, yet nobody ran out of memory: the kernel's count decides, not the signal. */
Test(run_status, sigkill_is_no_oom)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "signal", "9");
	expect_end(&run, 137, "signal");
	cr_expect_eq(report_int(&run, "memory.oom_kills"), 0);
}

Test(run_status, not_found)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "no-such-command");
	expect_end(&run, 127, "launch_error");
	cr_expect(strstr(run.err, "no-such-command") != NULL, "%s", run.err);
}

/* In a PATH search the empty name would be the directories themselves. */
Test(run_status, empty_name_is_not_found)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "");
	expect_end(&run, 127, "launch_error");
	cr_expect(strstr(run.err, "''") != NULL, "%s", run.err);
}

Test(run_status, not_executable)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "/etc/passwd");
	expect_end(&run, 126, "launch_error");
	cr_expect(strstr(run.err, "/etc/passwd") != NULL, "%s", run.err);
}

Test(run_status, a_directory_is_not_executable)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "/usr/bin");
	expect_end(&run, 126, "launch_error");
}

Test(run_status, no_such_workdir_is_125)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-w", "/no/such", INSIDE, "exit", "0");
	expect_end(&run, 125, "launch_error");
	cr_expect(strstr(run.err, "/no/such") != NULL, "%s", run.err);
}

/* ---- what gets in and out ---- */

Test(run_streams, input_and_output_are_the_commands_own)
{
	cleanup_run struct run run = { .input = "one\0two\n", .input_len = 8 };

	RUN_CLOCHE(&run, "-q", "--", "cat");
	expect_end(&run, 0, "ok");
	cr_expect(run.out_len == 8 && memcmp(run.out, "one\0two\n", 8) == 0);
	cr_expect_str_eq(run.err, "");
}

Test(run_streams, error_is_the_commands_own)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--", "sh", "-c", "echo oops >&2");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "");
	cr_expect_str_eq(run.err, "oops\n");
}

/* This program is started by posix_spawn(3), which leaves two signals ignored. */
Test(run_env, no_signal_is_ignored)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

Test(run_env, built_from_nothing)
{
	static const char *const envp[] = { "SECRET=1", "LD_PRELOAD=/x.so",
					    "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=vt100",
					    NULL };
	static const char *const may[] = { "PATH=", "HOME=", "LANG=", "TZ=" };
	cleanup_run struct run run = { .envp = envp };
	unsigned seen = 0;

	RUN_CLOCHE(&run, "-e", "A=b=c", "-e", "EMPTY=", "--", "/usr/bin/env");
	expect_end(&run, 0, "ok");
	for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n")) {
		bool known = strcmp(line, "A=b=c") == 0 || strcmp(line, "EMPTY=") == 0;

		for (size_t i = 0; i < 4; i++)
			known |= strncmp(line, may[i], strlen(may[i])) == 0;
		cr_expect(known, "%s is in the environment", line);
		seen++;
	}
	cr_expect_eq(seen, 6);
}

Test(run_env, given_variables_win)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-e", "LANG=de_DE", "-e", "X=1", "-e", "X=2", "--", "sh", "-c",
		   "echo $LANG $X; env | grep -c -e ^LANG= -e ^X=");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "de_DE 2\n2\n");
}

Test(run_env, from_a_file)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	cleanup_free char *path = NULL;
	cleanup_file FILE *f = NULL;

	cr_assert(asprintf(&path, "%s/e n\nv", dir) > 0);
	f = fopen(path, "we");
	cr_assert(f && fputs("# no variable\nFROM_FILE=yes and no\n", f) >= 0 && fflush(f) == 0);
	RUN_CLOCHE(&run, "--env-file", path, "--", "sh", "-c", "echo \"$FROM_FILE\"");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "yes and no\n");
}

/* As by env(1): where the command is looked for is where its own children would be. */
Test(run_env, path_is_where_the_command_is)
{
	cleanup_run struct run given = { 0 }, nowhere = { 0 }, here = { 0 };

	RUN_INSIDE(&given, "-q", "-e", "PATH=/nonexistent:/opt", "--", "inside", "exit", "7");
	cr_expect_eq(given.status, 7, "%s", given.err);
	RUN_INSIDE(&nowhere, "-q", "-e", "PATH=/opt", "--", "true");
	cr_expect_eq(nowhere.status, 127, "%s", nowhere.err);
	RUN_INSIDE(&here, "-q", "-w", "/opt", "-e", "PATH=/nonexistent:", "--", "inside", "exit",
		   "8");
	cr_expect_eq(here.status, 8, "%s", here.err);
}

Test(run_files, workdir)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "pwd");
	cr_expect_str_eq(run.out, "/tmp\n");
	run_free(&run);
	RUN_CLOCHE(&run, "-w", "/usr/bin", "--", "pwd");
	cr_expect_str_eq(run.out, "/usr/bin\n");
}

Test(run_files, bind_is_read_only_unless_asked)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	cleanup_free char *bind = NULL, *made = NULL;

	cr_assert(asprintf(&bind, "%s:/mnt:ro", dir) > 0 && asprintf(&made, "%s/made", dir) > 0);
	cr_assert_eq(chmod(dir, 0777), 0);
	RUN_CLOCHE(&run, "-b", bind, "--", "sh", "-c", "touch /mnt/made");
	expect_end(&run, 1, "error");
	cr_expect(strstr(run.err, "Read-only file system") != NULL, "%s", run.err);
	cr_expect_eq(access(made, F_OK), -1);
	run_free(&run);
	memcpy(strrchr(bind, ':'), ":rw", 3);
	RUN_CLOCHE(&run, "-b", bind, "--", "sh", "-c", "touch /mnt/made");
	expect_end(&run, 0, "ok");
	cr_expect_eq(access(made, F_OK), 0);
}

Test(run_files, bind_with_blank_and_newline)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	cleanup_free char *path = NULL, *bind = NULL;
	cleanup_file FILE *f = NULL;

	cr_assert(asprintf(&path, "%s/a b\nc", dir) > 0 &&
		  asprintf(&bind, "%s:/mnt/x y\nz", path) > 0);
	f = fopen(path, "we");
	cr_assert(f && fputs("seen\n", f) >= 0 && fflush(f) == 0);
	RUN_CLOCHE(&run, "-b", bind, "--", "cat", "/mnt/x y\nz");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "seen\n");
}

/* ---- the caller's wish ---- */

/* A signal that is there before the function is: it must not be forgotten once there is something
 * to end. */
Test(run_cancel, before_the_start)
{
	static const char pending[] = "import os, signal, sys\n"
				      "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
				      "os.kill(os.getpid(), signal.SIGINT)\n"
				      "os.execv(sys.argv[1], sys.argv[1:])";
	cleanup_run struct run run = { 0 };

	RUN(&run, "python3", "-c", pending, env_need("CLOCHE"), "run", "-t", "20s", "--", "sh",
	    "-c", "sleep 5; echo survived");
	cr_expect_eq(run.status, 128 + SIGINT, "status %d: %s", run.status, run.err);
	cr_expect_str_eq(run.out, "");
}

/* Whatever signal it is, there is a report, and the status names it. */
Test(run_cancel, by_any_signal)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGALRM };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		cleanup_run struct run run = { 0 };
		char line[300];

		(void)snprintf(line, sizeof(line),
			       "import os, signal, sys\n"
			       "signal.pthread_sigmask(signal.SIG_BLOCK, [%d])\n"
			       "os.kill(os.getpid(), %d)\n"
			       "os.execv(sys.argv[1], sys.argv[1:])",
			       signals[i], signals[i]);
		RUN(&run, "python3", "-c", line, env_need("CLOCHE"), "run", "-q", "--report", "-",
		    "-t", "20s", "--", "sleep", "5");
		cr_expect_eq(run.status, 128 + signals[i], "status %d: %s", run.status, run.err);
		cr_expect_not_null(strstr(run.err, "\"verdict\":\"cancelled\""), "%s", run.err);
	}
}

/* What was to be ignored stays so: nohup(1). */
Test(run_cancel, not_by_what_is_ignored)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, "sh", "-c",
	    "trap '' HUP; (sleep 0.3; kill -HUP $$) & exec $CLOCHE run -q -- sleep 1");
	cr_expect_eq(run.status, 0, "status %d: %s", run.status, run.err);
}

/* ---- the host afterwards ---- */

Test(run_host, no_cgroup_is_left)
{
	cleanup_run struct run run = { 0 };
	cleanup_free char *before = NULL, *after = NULL;
	size_t was = leftover_cgroups(&before);

	RUN_INSIDE(&run, "--repeat", "2", INSIDE, "leave", "process");
	expect_end(&run, 0, "ok");
	cr_expect_leq(leftover_cgroups(&after), was, "%s", after);
}

/* Going in front of all others ends: for the function before it begins, for pid 1, which keeps the
 * deadline, when there is something to reap, as the function could leave it crowds. */
Test(run, none_goes_before_others_when_it_runs)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--repeat", "2", INSIDE, "usual");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "0 0\n0 0\n");
}
