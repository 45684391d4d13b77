/* SPDX-License-Identifier: MIT */
/*
 * Each limit of `cloche run` and what it does to a function that meets it: its verdict, or an
 * errno. Needs root. No test asserts a time but that it was not below a limit.
 */
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(run_memory, four_megabytes_are_enough_for_a_static_program)
{
	cleanup_run struct run run = { 0 };

	test_needs("bpf-pins");
	RUN_INSIDE(&run, "-m", "4M", ROOMY, INSIDE, "eat", "2");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "eaten\n");
	cr_expect_eq(report_int(&run, "memory.limit_bytes"), 4 << 20);
	cr_expect_geq(report_int(&run, "memory.peak_bytes"), 2 << 20);
	cr_expect_leq(report_int(&run, "memory.peak_bytes"), 4 << 20);
}

Test(run_memory, more_is_oom)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "4M", ROOMY, INSIDE, "eat", "8");
	expect_end(&run, 137, "oom");
	cr_expect_str_eq(run.out, "");
	cr_expect_geq(report_int(&run, "memory.oom_kills"), 1);
}

/* Whose child is killed may notice and end by itself, with whatever status. */
Test(run_memory, oom_of_a_child_is_not_the_functions_end)
{
	static const int statuses[] = { 3, 7, 137 };

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		cleanup_run struct run run = { 0 };
		char script[64];

		(void)snprintf(script, sizeof(script), "/opt/inside eat 64; exit %d", statuses[i]);
		RUN_INSIDE(&run, "-m", "16M", ROOMY, "--", "sh", "-c", script);
		expect_end(&run, statuses[i], "error");
		cr_expect_geq(report_int(&run, "memory.oom_kills"), 1);
	}
}

/* By a signal of its own doing, too, though it is the OOM killer's: the meter has seen whose it
 * was.
 */
Test(run_memory, own_sigkill_after_the_oom_of_a_child_is_no_oom)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "16M", ROOMY, "--meter", "required", "--", "sh", "-c",
		   "/opt/inside eat 64; kill -KILL $$");
	expect_end(&run, 137, "signal");
	cr_expect_geq(report_int(&run, "memory.oom_kills"), 1);
}

/* The same memory twice: the kernel kills both, and says of one only that it was the victim. */
Test(run_memory, oom_of_what_it_shares_its_memory_with)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "16M", ROOMY, INSIDE, "eat-by-child", "64");
	expect_end(&run, 137, "oom");
}

/* A limit that was hit without ending the run is in the counters, not in the verdict. */
Test(run_memory, survived_oom_is_ok)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "16M", ROOMY, "--", "sh", "-c", "/opt/inside eat 64; exit 0");
	expect_end(&run, 0, "ok");
	cr_expect_geq(report_int(&run, "memory.oom_kills"), 1);
}

/* timeout(1)'s status; the overshoot is what it took until the last process was gone. */
static void expect_timeout(const char *command)
{
	cleanup_run struct run run = { 0 };
	char mark[64], pair[80];

	(void)snprintf(pair, sizeof(pair), "CLOCHE_TEST_MARK=%d", (int)getpid());
	(void)snprintf(mark, sizeof(mark), "/opt/%s", command);
	RUN_INSIDE(&run, "-t", "200ms", "-m", "256M", "-e", pair, "--", mark);
	expect_end(&run, 124, "timeout");
	cr_expect_geq(report_int(&run, "time.timeout_overshoot_ns"), 0);
	cr_expect_geq(report_int(&run, "time.wall_ns"), 200000000);
	cr_expect_str_eq(report_text(&run, "message"), "Task timed out after 0.20 seconds");
	cr_expect_eq(leftover_processes(pair), 0, "a process of %s survived", command);
}

Test(run_timeout, busy_loop)
{
	expect_timeout("burn");
}

Test(run_timeout, fork_bomb)
{
	expect_timeout("forkbomb");
}

/* The command is over, a daemon of its is not: it ends with the run and costs no time-out. */
Test(run_timeout, nothing_survives_the_end)
{
	cleanup_run struct run run = { 0 };
	char pair[80];

	(void)snprintf(pair, sizeof(pair), "CLOCHE_TEST_MARK=%d", (int)getpid());
	RUN_INSIDE(&run, "-e", pair, INSIDE, "leave", "process");
	expect_end(&run, 0, "ok");
	cr_expect_eq(leftover_processes(pair), 0);
}

/* The look for survivors sees a process that has the mark. */
Test(run_timeout, survivors_would_be_seen)
{
	/* Its environment is not there yet when execve(2) closes what it should: it says when. */
	char *const argv[] = { "sh", "-c", "echo; kill -STOP $$", NULL };
	char *const envp[] = { "CLOCHE_TEST_SEEN=1", NULL };
	int ready[2];
	pid_t pid;
	char c;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)dup2(ready[1], STDOUT_FILENO);
		(void)execve("/bin/sh", argv, envp);
		_exit(1);
	}
	(void)close(ready[1]);
	cr_assert_eq(read(ready[0], &c, 1), 1);
	cr_expect_eq(leftover_processes("CLOCHE_TEST_SEEN=1"), 1);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

Test(run_limits, cpu_time)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--cpu-time", "100ms", "-t", "20s", "--", "/opt/burn");
	expect_end(&run, 124, "cpu_timeout");
	/* What a hypervisor took of a slice is known only when the slice has ended. */
	cr_expect_geq(report_int(&run, "cpu.on_cpu_ns"), 90000000);
	cr_expect(report_is_null(&run, "time.timeout_overshoot_ns"));
}

/* A tenth of a CPU by quota: 50 ms of CPU cannot be had in 200 ms. Others may leave it even less.
 */
Test(run_limits, quota_throttles)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--cpu", "0.1", "-t", "10s", "--", "/opt/burn", "500");
	expect_end(&run, 0, "ok");
	cr_expect(report_int(&run, "cpu.throttled_periods") >= 1 ||
		  report_int(&run, "bill.contention_ns") > report_int(&run, "time.wall_ns") / 4);
	cr_expect_lt(report_int(&run, "cpu.on_cpu_ns"), report_int(&run, "time.wall_ns") / 2);
}

/* Of one path that there is. */
static FILE *open_one(const char *pattern)
{
	glob_t found = { 0 };
	FILE *f = glob(pattern, 0, NULL, &found) == 0 ? fopen(found.gl_pathv[0], "re") : NULL;

	globfree(&found);
	return f;
}

/* With the host's first and last quota the kernel rewrites its code: there is always one more. */
Test(run_limits, no_quota_is_the_hosts_last)
{
	cleanup_run struct run run = { 0 };
	long long quota = -1;
	FILE *f;

	RUN_INSIDE(&run, "--", "true");
	expect_end(&run, 0, "ok");
	f = open_one("/sys/fs/cgroup/cpu*/cloche/quota/cpu.cfs_quota_us");
	if (!f)
		f = open_one("/sys/fs/cgroup/cloche/quota/cpu.max");
	cr_assert(f, "there is no such cgroup");
	cr_expect_eq(fscanf(f, "%lld", &quota), 1);
	cr_expect_gt(quota, 0);
	(void)fclose(f);
}

Test(run_limits, full_tmp_is_enospc)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "32M", ROOMY, "--tmp-size", "8M", INSIDE, "fill", "/tmp");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "ENOSPC after 8192 KiB\n");
	cr_expect_eq(report_int(&run, "memory.oom_kills"), 0);
}

/* The largest default there is: half the memory, at the smallest memory. */
Test(run_limits, full_tmp_of_default_size_is_enospc)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "4M", ROOMY, INSIDE, "fill", "/tmp");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "ENOSPC after 2048 KiB\n");
}

Test(run_limits, pids_refuses_fork)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--pids", "5", INSIDE, "fork", "20");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "4 children, then EAGAIN\n");
	cr_expect_eq(report_int(&run, "limits.pids"), 5);
	run_free(&run);
	RUN_INSIDE(&run, "--pids", "5", INSIDE, "fork", "4");
	cr_expect_str_eq(run.out, "4 children, then enough\n");
}

Test(run_limits, pids_end_who_gives_up)
{
	cleanup_run struct run exits = { 0 }, aborts = { 0 }, unharmed = { 0 };

	RUN_INSIDE(&exits, "--pids", "5", INSIDE, "fork", "-20");
	expect_end(&exits, 1, "error");
	cr_expect_geq(report_int(&exits, "processes.denied"), 1);
	RUN_INSIDE(&aborts, "--pids", "5", "--", "sh", "-c", "/opt/inside fork 20; kill -ABRT $$");
	expect_end(&aborts, 134, "pids");
	RUN_INSIDE(&unharmed, "--", "sh", "-c", "kill -ABRT $$");
	expect_end(&unharmed, 134, "signal");
}

Test(run_limits, nofile)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--nofile", "64", INSIDE, "open", "100");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "61 files, then EMFILE\n");
}

/* What is behind a descriptor is nobody's memory: all processes together have one for each 4 KiB.
 */
Test(run_limits, nofile_follows_memory)
{
	static const struct {
		const char *memory, *pids, *said;
	} rows[] = {
		{ "64M", "64", "253 files, then EMFILE\n" },
		{ "64M", "16", "1021 files, then EMFILE\n" },
		{ "8M", "64", "61 files, then EMFILE\n" },
		{ "512M", "64", "1021 files, then EMFILE\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_run struct run run = { 0 };

		RUN_INSIDE(&run, "-m", rows[i].memory, ROOMY, "--pids", rows[i].pids, INSIDE,
			   "open", "2000");
		expect_end(&run, 0, "ok");
		cr_expect_str_eq(run.out, rows[i].said, "%s: %s", rows[i].memory, run.out);
	}
}

/* Fewer than the launch itself has open; three are the standard ones. */
Test(run_limits, small_nofile)
{
	static const char *const limits[] = { "3", "4", "16", "23" };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		cleanup_run struct run run = { 0 };
		char said[64];

		RUN_INSIDE(&run, "--nofile", limits[i], INSIDE, "open", "100");
		expect_end(&run, 0, "ok");
		(void)snprintf(said, sizeof(said), "%d files, then EMFILE\n", atoi(limits[i]) - 3);
		cr_expect_str_eq(run.out, said);
	}
}

Test(run_limits, fsize)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--fsize", "64K", INSIDE, "fill", "/tmp");
	expect_end(&run, 128 + 25, "signal");
	cr_expect_str_eq(report_text(&run, "signal"), "SIGXFSZ");
}

Test(run_limits, output_limit)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-q", "--output-limit", "64K", INSIDE, "write", "1000000");
	expect_end(&run, 153, "output_limit");
	cr_expect_eq(run.out_len, 65536);
	run_free(&run);
	RUN_INSIDE(&run, "-q", "--output-limit", "64K", INSIDE, "write", "65536");
	expect_end(&run, 0, "ok");
	cr_expect_eq(run.out_len, 65536);
}

/* With a limit the output passes through us: a reader that went away is gone for the function, too.
 */
Test(run_limits, output_limit_passes_a_broken_pipe_on)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, "sh", "-c",
	    "{ $CLOCHE run -q --output-limit 1M -t 20s -- yes; echo $? >&2; } | head "
	    "-n 1");
	cr_expect_str_eq(run.out, "y\n");
	cr_expect_str_eq(run.err, "141\n");
}

Test(run_limits, output_that_cannot_be_written_is_told)
{
	cleanup_run struct run lost = { 0 }, goes_on = { 0 };

	RUN(&lost, "sh", "-c", "$CLOCHE run -q --output-limit 1M -- echo hi >/dev/full");
	cr_expect_eq(lost.status, 125);
	expect_has(lost.err, "write to standard output: no space left on device\n");
	RUN(&goes_on, "sh", "-c",
	    "$CLOCHE run -q --output-limit 1M -- "
	    "sh -c 'trap \"\" PIPE; echo hi; sleep 0.2; echo ho || exit 9' >/dev/full");
	cr_expect_eq(goes_on.status, 9, "%s", goes_on.err);
}

Test(run_limits, output_limit_keeps_the_order)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, "sh", "-c",
	    "$CLOCHE run -q --output-limit 1M -- "
	    "sh -c 'for i in 1 2 3; do echo o$i; echo e$i >&2; done' 2>&1");
	cr_expect_str_eq(run.out, "o1\ne1\no2\ne2\no3\ne3\n");
}

Test(run_net, loopback_only_when_asked)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--net", "loopback", INSIDE, "loopback");
	cr_expect_str_eq(run.out, "connected\n");
	run_free(&run);
	RUN_INSIDE(&run, INSIDE, "loopback");
	cr_expect_str_neq(run.out, "connected\n");
	cr_expect(run.out && run.out[0] == 'E', "%s", run.out);
}
