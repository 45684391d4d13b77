/* SPDX-License-Identifier: MIT */
/*
 * `cloche run` as a user sees it, in real contexts: exit statuses, what gets in and out, each limit
 * with its verdict, the report, the cleanliness of a reused context. Needs root. No test asserts a
 * time but that it was not below a limit.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSIDE "/opt/inside"

/* -b HELPERS:/opt */
static const char *helpers_bind(void)
{
	static char bind[4096];

	(void)snprintf(bind, sizeof(bind), "%s:/opt", env_need("HELPERS"));
	return bind;
}

/* Where memory is the matter: a small one buys so little CPU that a slow host takes minutes. */
#define ROOMY "--cpu", "1", "-t", "60s"

#define RUN_INSIDE(run, ...) RUN_CLOCHE(run, "-b", helpers_bind(), __VA_ARGS__)

static void expect(const struct run *run, int status, const char *verdict)
{
	cr_expect(run->status == status, "status %d, expected %d; standard error: %s", run->status,
		  status, run->err);
	cr_expect_str_eq(report_text(run, "verdict"), verdict);
}

static bool is_null(const struct run *run, const char *path)
{
	return json_is_null(report_get(run, path));
}

/* ---- exit statuses ---- */

Test(run_status, own_zero)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "0");
	expect(&run, 0, "ok");
	cr_expect_eq(report_int(&run, "exit_code"), 0);
	cr_expect(is_null(&run, "signal"));
}

Test(run_status, own_other)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "77");
	expect(&run, 77, "error");
	cr_expect_eq(report_int(&run, "exit_code"), 77);
}

/* A status that Cloche uses itself is still the command's own in the report. */
Test(run_status, own_124_is_no_timeout)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "124");
	expect(&run, 124, "error");
	cr_expect_eq(report_int(&run, "exit_code"), 124);
}

Test(run_status, signal)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "signal", "15");
	expect(&run, 128 + 15, "signal");
	cr_expect_str_eq(report_text(&run, "signal"), "SIGTERM");
	cr_expect(is_null(&run, "exit_code"));
}

/* Died of SIGKILL, yet nobody ran out of memory: the kernel's count decides, not the signal. */
Test(run_status, sigkill_is_no_oom)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "signal", "9");
	expect(&run, 137, "signal");
	cr_expect_eq(report_int(&run, "memory.oom_kills"), 0);
}

Test(run_status, not_found)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "no-such-command");
	expect(&run, 127, "launch_error");
	cr_expect(strstr(run.err, "no-such-command") != NULL, "%s", run.err);
}

/* In a PATH search the empty name would be the directories themselves. */
Test(run_status, empty_name_is_not_found)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "");
	expect(&run, 127, "launch_error");
	cr_expect(strstr(run.err, "''") != NULL, "%s", run.err);
}

Test(run_status, not_executable)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "/etc/passwd");
	expect(&run, 126, "launch_error");
	cr_expect(strstr(run.err, "/etc/passwd") != NULL, "%s", run.err);
}

Test(run_status, a_directory_is_not_executable)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "/usr/bin");
	expect(&run, 126, "launch_error");
}

Test(run_status, no_such_workdir_is_125)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-w", "/no/such", INSIDE, "exit", "0");
	expect(&run, 125, "launch_error");
	cr_expect(strstr(run.err, "/no/such") != NULL, "%s", run.err);
}

/* ---- what gets in and out ---- */

Test(run_streams, input_and_output_are_the_commands_own)
{
	cleanup_run struct run run = { .input = "one\0two\n", .input_len = 8 };

	RUN_CLOCHE(&run, "-q", "--", "cat");
	expect(&run, 0, "ok");
	cr_expect(run.out_len == 8 && memcmp(run.out, "one\0two\n", 8) == 0);
	cr_expect_str_eq(run.err, "");
}

Test(run_streams, error_is_the_commands_own)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--", "sh", "-c", "echo oops >&2");
	expect(&run, 0, "ok");
	cr_expect_str_eq(run.out, "");
	cr_expect_str_eq(run.err, "oops\n");
}

/* This program is started by posix_spawn(3), which leaves two signals ignored. */
Test(run_env, no_signal_is_ignored)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status");
	expect(&run, 0, "ok");
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
	expect(&run, 0, "ok");
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
	expect(&run, 0, "ok");
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
	expect(&run, 0, "ok");
	cr_expect_str_eq(run.out, "yes and no\n");
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
	expect(&run, 1, "error");
	cr_expect(strstr(run.err, "Read-only file system") != NULL, "%s", run.err);
	cr_expect_eq(access(made, F_OK), -1);
	run_free(&run);
	memcpy(strrchr(bind, ':'), ":rw", 3);
	RUN_CLOCHE(&run, "-b", bind, "--", "sh", "-c", "touch /mnt/made");
	expect(&run, 0, "ok");
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
	expect(&run, 0, "ok");
	cr_expect_str_eq(run.out, "seen\n");
}

/* ---- limits ---- */

Test(run_memory, four_megabytes_are_enough_for_a_static_program)
{
	cleanup_run struct run run = { 0 };

	test_needs("memory.peak");
	RUN_INSIDE(&run, "-m", "4M", ROOMY, INSIDE, "eat", "2");
	expect(&run, 0, "ok");
	cr_expect_str_eq(run.out, "eaten\n");
	cr_expect_eq(report_int(&run, "memory.limit_bytes"), 4 << 20);
	cr_expect_geq(report_int(&run, "memory.peak_bytes"), 2 << 20);
	cr_expect_leq(report_int(&run, "memory.peak_bytes"), 4 << 20);
}

Test(run_memory, more_is_oom)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "4M", ROOMY, INSIDE, "eat", "8");
	expect(&run, 137, "oom");
	cr_expect_str_eq(run.out, "");
	cr_expect_geq(report_int(&run, "memory.oom_kills"), 1);
}

/* The killed one is a grandchild: its parent lives and reports a plain status. */
Test(run_memory, oom_of_a_grandchild)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "16M", ROOMY, "--", "sh", "-c", "/opt/inside eat 64; exit 3");
	expect(&run, 137, "oom");
	cr_expect_geq(report_int(&run, "memory.oom_kills"), 1);
}

/* A limit that was hit without ending the run is in the counters, not in the verdict. */
Test(run_memory, survived_oom_is_ok)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "16M", ROOMY, "--", "sh", "-c", "/opt/inside eat 64; exit 0");
	expect(&run, 0, "ok");
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
	expect(&run, 124, "timeout");
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
	expect(&run, 0, "ok");
	cr_expect_eq(leftover_processes(pair), 0);
}

/* The look for survivors sees a process that has the mark. */
Test(run_timeout, survivors_would_be_seen)
{
	char *const argv[] = { "sleep", "60", NULL }, *const envp[] = { "CLOCHE_TEST_SEEN=1",
									NULL };
	int ready[2];
	pid_t pid;
	char c;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)execve("/bin/sleep", argv, envp);
		_exit(1);
	}
	(void)close(ready[1]);
	cr_assert_eq(read(ready[0], &c, 1), 0); /* closed by exec */
	cr_expect_eq(leftover_processes("CLOCHE_TEST_SEEN=1"), 1);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

Test(run_limits, cpu_time)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--cpu-time", "100ms", "-t", "20s", "--", "/opt/burn");
	expect(&run, 124, "cpu_timeout");
	cr_expect_geq(report_int(&run, "cpu.on_cpu_ns"), 100000000);
	cr_expect(is_null(&run, "time.timeout_overshoot_ns"));
}

/* A tenth of a CPU by quota: 50 ms of CPU cannot be had in 200 ms. */
Test(run_limits, quota_throttles)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--cpu", "0.1", "-t", "10s", "--", "/opt/burn", "500");
	expect(&run, 0, "ok");
	cr_expect_geq(report_int(&run, "cpu.throttled_periods"), 1);
	cr_expect_lt(report_int(&run, "cpu.on_cpu_ns"), report_int(&run, "time.wall_ns") / 2);
}

Test(run_limits, full_tmp_is_enospc)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "32M", ROOMY, "--tmp-size", "8M", INSIDE, "fill", "/tmp");
	expect(&run, 0, "ok");
	cr_expect_str_eq(run.out, "ENOSPC after 8192 KiB\n");
	cr_expect_eq(report_int(&run, "memory.oom_kills"), 0);
}

/* The largest default there is: half the memory, at the smallest memory. */
Test(run_limits, full_tmp_of_default_size_is_enospc)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "4M", ROOMY, INSIDE, "fill", "/tmp");
	expect(&run, 0, "ok");
	cr_expect_str_eq(run.out, "ENOSPC after 2048 KiB\n");
}

Test(run_limits, pids_refuses_fork)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--pids", "5", INSIDE, "fork", "20");
	expect(&run, 0, "ok");
	cr_expect_str_eq(run.out, "4 children, then EAGAIN\n");
	cr_expect_eq(report_int(&run, "limits.pids"), 5);
	run_free(&run);
	RUN_INSIDE(&run, "--pids", "5", INSIDE, "fork", "4");
	cr_expect_str_eq(run.out, "4 children, then enough\n");
}

Test(run_limits, failed_because_of_pids)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--pids", "5", INSIDE, "fork", "-20");
	expect(&run, 1, "pids");
}

Test(run_limits, nofile)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--nofile", "64", INSIDE, "open", "100");
	expect(&run, 0, "ok");
	cr_expect_str_eq(run.out, "61 files, then EMFILE\n");
}

/* Fewer than the launch itself has open; three are the standard ones. */
Test(run_limits, small_nofile)
{
	static const char *const limits[] = { "3", "4", "16", "23" };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		cleanup_run struct run run = { 0 };
		char said[64];

		RUN_INSIDE(&run, "--nofile", limits[i], INSIDE, "open", "100");
		expect(&run, 0, "ok");
		(void)snprintf(said, sizeof(said), "%d files, then EMFILE\n", atoi(limits[i]) - 3);
		cr_expect_str_eq(run.out, said);
	}
}

Test(run_limits, fsize)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--fsize", "64K", INSIDE, "fill", "/tmp");
	expect(&run, 128 + 25, "signal");
	cr_expect_str_eq(report_text(&run, "signal"), "SIGXFSZ");
}

Test(run_limits, output_limit)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-q", "--output-limit", "64K", INSIDE, "write", "1000000");
	expect(&run, 153, "output_limit");
	cr_expect_eq(run.out_len, 65536);
	run_free(&run);
	RUN_INSIDE(&run, "-q", "--output-limit", "64K", INSIDE, "write", "65536");
	expect(&run, 0, "ok");
	cr_expect_eq(run.out_len, 65536);
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

/* ---- the report ---- */

/* Lambda's line: fields between tabs, a tab at the end. */
Test(run_report, line)
{
	cleanup_run struct run run = { 0 };
	char id[40] = { 0 };
	double ms;
	unsigned long long billed, memory, peak;

	test_needs("memory.peak");
	RUN_INSIDE(&run, "-m", "128M", INSIDE, "exit", "0");
	cr_assert_eq(sscanf(run.err,
			    "REPORT RequestId: %36s\tDuration: %lf ms\tBilled Duration: %llu ms\t"
			    "Memory Size: %llu MB\tMax Memory Used: %llu MB",
			    id, &ms, &billed, &memory, &peak),
		     5, "%s", run.err);
	cr_expect(run.err_len > 5 && strcmp(run.err + run.err_len - 5, " MB\t\n") == 0);
	cr_expect(strstr(run.err, "\tDuration: ") && strstr(run.err, " ms\tBilled Duration: ") &&
		  strstr(run.err, " ms\tMemory Size: 128 MB\tMax Memory Used: "));
	cr_expect_str_eq(id, report_text(&run, "request_id"));
	cr_expect_eq(memory, 128);
	cr_expect_eq((int64_t)billed, report_int(&run, "bill.billed_ms"));
	cr_expect_eq((int64_t)peak,
		     (report_int(&run, "memory.peak_bytes") + (1 << 20) - 1) / (1 << 20));
}

Test(run_report, bare_numbers_are_mib_and_seconds)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "64", "-t", "2", INSIDE, "exit", "0");
	cr_expect_eq(report_int(&run, "limits.memory_bytes"), 64 << 20);
	cr_expect_eq(report_int(&run, "limits.timeout_ns"), 2000000000);
}

static bool named_in_degraded(const struct run *run, const char *path)
{
	json_t *entry;
	size_t i;

	json_array_foreach (report_get(run, "degraded"), i, entry) {
		const char *what = json_string_value(json_object_get(entry, "what"));
		const char *reason = json_string_value(json_object_get(entry, "reason"));

		if (what && reason && *reason && strncmp(path, what, strlen(what)) == 0 &&
		    strchr(".", path[strlen(what)]))
			return true;
	}
	return false;
}

/* A figure is there, or it is null and named: never zero in its place. */
Test(run_report, a_null_figure_is_named)
{
	static const char *const figures[] = {
		"time.launch_ns",
		"time.wall_ns",
		"time.busy_ns",
		"time.waiting_ns",
		"time.idle_ns",
		"cpu.on_cpu_ns",
		"cpu.user_ns",
		"cpu.system_ns",
		"cpu.throttled_ns",
		"cpu.runnable_ns",
		"cpu.clocks.bpf_ns",
		"memory.peak_bytes",
		"io.read_bytes",
		"io.write_bytes",
		"network.rx_bytes",
		"network.tx_bytes",
		"processes.started",
		"processes.peak",
		"cpu.clocks.cgroup_ns",
		"denied",
		"trace",
		"bill.contention_ns",
		"memory.oom_kills",
	};
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "0");
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		cr_expect(is_null(&run, figures[i]) == named_in_degraded(&run, figures[i]),
			  "%s is %s in degraded", figures[i],
			  is_null(&run, figures[i]) ? "null and not" : "known and yet");
}

/* Also of what never ran, which costs nothing. */
Test(run_report, what_never_ran_says_so)
{
	static const char *const groups[] = {
		"time.wall_ns",	      "cpu.on_cpu_ns",	  "memory.peak_bytes",
		"io.read_bytes",      "network.rx_bytes", "processes.started",
		"bill.contention_ns", "denied",		  "trace"
	};
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--", "/nonexistent");
	expect(&run, 127, "launch_error");
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		cr_expect(is_null(&run, groups[i]) && named_in_degraded(&run, groups[i]), "%s",
			  groups[i]);
	cr_expect_eq(report_int(&run, "bill.billed_ms"), 0);
	cr_expect_str_eq(report_text(&run, "bill.usd"), "0.000000000000");
}

/* By name, arguments and number of times; asked of who came last in a reused context too. */
Test(run_report, denied_calls_are_named)
{
	cleanup_run struct run run = { 0 };

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, "--repeat", "2", INSIDE, "deny", "3");
	expect(&run, 0, "ok");
	cr_assert_eq(json_array_size(run.reports), 2);
	for (size_t i = 0; i < 2; i++) {
		json_t *list = json_object_get(json_array_get(run.reports, i), "denied");
		json_t *call = json_array_get(list, 0);

		cr_assert_eq(json_array_size(list), 1);
		cr_expect_str_eq(json_string_value(json_object_get(call, "syscall")), "mount");
		cr_expect_eq(json_integer_value(json_object_get(call, "count")), 3);
		cr_expect_str_eq(json_string_value(json_object_get(call, "errno")), "EPERM");
		cr_expect_str_eq(
			json_string_value(json_array_get(json_object_get(call, "args"), 4)), "0x5");
	}
}

Test(run_report, nothing_denied_is_an_empty_list)
{
	cleanup_run struct run run = { 0 };

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, INSIDE, "exit", "0");
	cr_expect(json_is_array(report_get(&run, "denied")));
	cr_expect_eq(json_array_size(report_get(&run, "denied")), 0);
}

/* Who asks for it again and again is ended: the supervisor has better things to do. */
Test(run_report, a_flood_of_denied_calls_ends_the_run)
{
	cleanup_run struct run run = { 0 };

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, "-t", "60s", INSIDE, "deny", "1000000");
	expect(&run, 159, "denied");
	cr_expect(strstr(report_text(&run, "message"), "10000") != NULL);
}

/* No listener can be there yet when the launch itself is denied: it must not wait for one. */
Test(run_report, a_policy_that_denies_exec_is_a_launch_error)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/noexec.json", dir);
	f = fopen(path, "we");
	cr_assert_not_null(f);
	(void)fputs("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
		    "[\"execve\"],\"action\":\"SCMP_ACT_ERRNO\"}]}",
		    f);
	(void)fclose(f);
	RUN_CLOCHE(&run, "--policy", path, "--", "true");
	expect(&run, 126, "launch_error");
}

Test(run_report, wall_is_the_sum_of_its_parts)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--", "/opt/burn", "20");
	cr_assert_gt(report_int(&run, "time.wall_ns"), 0);
	if (is_null(&run, "time.busy_ns")) {
		cr_expect(is_null(&run, "time.waiting_ns") && is_null(&run, "time.idle_ns"));
		return;
	}
	cr_expect_eq(report_int(&run, "time.wall_ns"), report_int(&run, "time.busy_ns") +
							       report_int(&run, "time.waiting_ns") +
							       report_int(&run, "time.idle_ns"));
}

Test(run_report, what_it_says_of_a_run)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "0");
	cr_expect_eq(json_array_size(run.reports), 1);
	cr_expect_str_eq(report_text(&run, "schema"), "cloche.report/1");
	cr_expect_eq(strlen(report_text(&run, "request_id")), 36);
	cr_expect_eq(report_text(&run, "request_id")[14], '4');
	cr_expect_eq(report_int(&run, "owner.uid"), getuid());
	cr_expect_str_eq(report_text(&run, "context.start"), "cold");
	cr_expect_str_eq(report_text(&run, "context.reuse"), "none");
	cr_expect_str_eq(report_text(&run, "policy.name"), "default");
	cr_expect_eq(strlen(report_text(&run, "policy.sha256")), 64);
	cr_expect_str_eq(report_text(&run, "bill.prices"), "lambda");
	cr_expect_eq(report_int(&run, "bill.billed_ms"),
		     (report_int(&run, "time.wall_ns") + 999999) / 1000000);
	cr_expect_gt(report_int(&run, "time.launch_ns"), 0);
}

/* The run is not lost, and its status is its own. */
Test(run_report, that_cannot_be_written_goes_to_standard_error)
{
	cleanup_run struct run run = { .no_report = true };

	RUN_INSIDE(&run, "--report", "/no/such/report", INSIDE, "exit", "5");
	cr_expect_eq(run.status, 5);
	cr_expect(strstr(run.err, "/no/such/report") != NULL, "%s", run.err);
	cr_expect(strstr(run.err, "\n{\"schema\":\"cloche.report/1\"") != NULL, "%s", run.err);
	run_free(&run);
	RUN_INSIDE(&run, "--report", "/dev/full", INSIDE, "exit", "5");
	cr_expect_eq(run.status, 5);
	cr_expect(strstr(run.err, "{\"schema\":\"cloche.report/1\"") != NULL, "%s", run.err);
}

/* ---- reuse ---- */

static const char *context_text(const struct run *run, size_t i, const char *key)
{
	json_t *context = json_object_get(json_array_get(run->reports, i), "context");

	return json_string_value(json_object_get(context, key));
}

Test(run_repeat, a_clean_context_is_kept)
{
	cleanup_run struct run run = { 0 };

	test_needs("fsopen");
	RUN_INSIDE(&run, "--repeat", "3", INSIDE, "leave", "nothing");
	expect(&run, 0, "ok");
	cr_assert_eq(json_array_size(run.reports), 3);
	cr_expect_str_eq(context_text(&run, 0, "start"), "cold");
	for (size_t i = 1; i < 3; i++) {
		json_t *context = json_object_get(json_array_get(run.reports, i), "context");

		cr_expect_str_eq(context_text(&run, i, "id"), context_text(&run, 0, "id"));
		cr_expect_str_eq(context_text(&run, i, "start"), "warm");
		cr_expect_str_eq(context_text(&run, i, "reuse"), "context");
		cr_expect_eq(json_integer_value(json_object_get(context, "invocation")),
			     (json_int_t)i + 1);
		cr_expect_str_neq(json_string_value(json_object_get(json_array_get(run.reports, i),
								    "request_id")),
				  report_text(&run, "request_id"));
	}
}

/* Counters begin anew: the second of two equal invocations must not hold the sum. */
Test(run_repeat, counters_are_of_one_invocation)
{
	cleanup_run struct run run = { 0 };
	json_t *cpu;

	test_needs("fsopen");
	RUN_INSIDE(&run, "-m", "16M", ROOMY, "--repeat", "2", "--", "sh", "-c",
		   "/opt/inside eat 64; exit 0");
	cr_assert_eq(json_array_size(run.reports), 2);
	cr_expect_str_eq(context_text(&run, 1, "start"), "warm");
	cr_expect_eq(report_int(&run, "memory.oom_kills"), 1);
	cpu = json_object_get(json_array_get(run.reports, 1), "memory");
	cr_expect_eq(json_integer_value(json_object_get(cpu, "oom_kills")), 1);
}

static void expect_replaced(const char *what, const char *why)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--repeat", "2", INSIDE, "leave", what);
	/* Not "error": the second invocation did not find what the first one left. */
	expect(&run, 0, "ok");
	cr_assert_eq(json_array_size(run.reports), 2);
	cr_expect_str_eq(context_text(&run, 1, "start"), "cold", "%s", what);
	cr_expect_str_neq(context_text(&run, 1, "id"), context_text(&run, 0, "id"), "%s", what);
	cr_expect_null(context_text(&run, 0, "replaced"));
	cr_assert_not_null(context_text(&run, 1, "replaced"), "%s", what);
	cr_expect(strstr(context_text(&run, 1, "replaced"), why) != NULL, "%s: %s", what,
		  context_text(&run, 1, "replaced"));
}

Test(run_repeat, a_file_in_tmp_costs_the_context)
{
	expect_replaced("file", "/tmp");
	expect_replaced("hidden", "/tmp");
}

/* What the launch itself made there for a bind is no dirt; what lies beside it is. */
Test(run_repeat, a_bind_below_tmp_costs_nothing)
{
	cleanup_free char *bind = NULL;
	cleanup_run struct run clean = { 0 }, dirty = { 0 };

	cr_assert(asprintf(&bind, "%s:/tmp/a/b", env_need("HELPERS")) > 0);
	RUN_CLOCHE(&clean, "-b", bind, "--repeat", "2", "--", "/tmp/a/b/inside", "exit", "0");
	expect(&clean, 0, "ok");
	cr_expect_str_eq(context_text(&clean, 1, "start"), "warm");
	RUN_CLOCHE(&dirty, "-b", bind, "--repeat", "2", "--", "/tmp/a/b/inside", "leave", "file");
	expect(&dirty, 0, "ok");
	cr_expect_str_eq(context_text(&dirty, 1, "start"), "cold");
}

Test(run_repeat, shared_memory_costs_the_context)
{
	test_needs("system-v-ipc");
	expect_replaced("shm", "/dev/shm");
	expect_replaced("sysv", "System V");
}

Test(run_repeat, a_message_queue_costs_the_context)
{
	test_needs("fsopen");
	test_needs("posix-mqueue");
	expect_replaced("mqueue", "message queue");
}

/* It stands in the next one's /proc/net/tcp, and holds its port. */
Test(run_repeat, a_connection_costs_the_context)
{
	static const char *const leaves[] = { "connection", "nothing" };

	test_needs("fsopen");
	for (int i = 0; i < 2; i++) {
		cleanup_run struct run run = { 0 };

		RUN_INSIDE(&run, "--net", "loopback", "--repeat", "2", INSIDE, "leave", leaves[i]);
		expect(&run, 0, "ok");
		cr_expect_str_eq(context_text(&run, 1, "start"), i ? "warm" : "cold");
		cr_expect(i || strstr(context_text(&run, 1, "replaced"), "TCP connection"));
	}
}

Test(run_repeat, a_process_costs_the_context)
{
	expect_replaced("process", "process");
}

Test(run_repeat, a_killed_invocation_costs_the_context)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--repeat", "2", "-t", "100ms", "--", "sleep", "9");
	expect(&run, 124, "timeout");
	cr_assert_eq(json_array_size(run.reports), 2);
	cr_expect_str_eq(
		json_string_value(json_object_get(json_array_get(run.reports, 1), "verdict")),
		"timeout");
	cr_assert_not_null(context_text(&run, 1, "replaced"));
	cr_expect(strstr(context_text(&run, 1, "replaced"), "killed") != NULL);
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
	expect(&run, 0, "ok");
	cr_expect_leq(leftover_cgroups(&after), was, "%s", after);
}
