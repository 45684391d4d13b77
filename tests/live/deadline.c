/* SPDX-License-Identifier: MIT */
/*
 * Who holds up the supervisor, or stops it, holds up no deadline: a reader of the function's output
 * who sleeps, a function that makes events faster than they are written, streams that it makes
 * non-blocking. What would hang here ends by the test's own limit. Needs root, CLOCHE and HELPERS.
 */
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"

#define PATIENCE_MS 20000

static pid_t spawn(const char *const argv[], int out, int err)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, STDIN_FILENO);
		(void)dup2(out >= 0 ? out : null, STDOUT_FILENO);
		(void)dup2(err >= 0 ? err : null, STDERR_FILENO);
		execv(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

/* Its wait status; -1: it did not end. */
static int end_of(pid_t pid)
{
	struct process p = process_open(pid);
	struct pollfd end = { .fd = p.pidfd, .events = POLLIN };
	bool ended = poll(&end, 1, PATIENCE_MS) > 0;
	int status = -1;

	if (!ended)
		process_kill(&p);
	return process_reap(&p, &status) == 0 && ended ? status : -1;
}

static bool comes_to_its_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	while (poll(&p, 1, PATIENCE_MS) > 0)
		if (read(fd, &c, 1) <= 0)
			return true;
	return false;
}

/* A pipe, to the last byte: who has more for it waits. */
static bool is_filled(int pipe)
{
	int size = fcntl(pipe, F_GETPIPE_SZ), n = 0;

	for (int i = 0; i < PATIENCE_MS && ioctl(pipe, FIONREAD, &n) == 0 && n < size; i++)
		(void)poll(NULL, 0, 1);
	return n >= size;
}

static void proc_text(pid_t pid, const char *file, char text[static 512])
{
	char path[96];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, 511);
	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		(void)close(fd);
}

static pid_t child_of(pid_t pid)
{
	char file[64], text[512];

	(void)snprintf(file, sizeof(file), "task/%d/children", (int)pid);
	proc_text(pid, file, text);
	return (pid_t)atoi(text);
}

/* pid 1 of the context has buried the function and told so: it sleeps again. */
static bool pid_1_has_told(pid_t supervisor)
{
	pid_t init = child_of(supervisor);
	char text[512], *state;

	for (int i = 0; init > 0 && i < PATIENCE_MS; i++) {
		proc_text(init, "stat", text);
		state = strrchr(text, ')');
		if (child_of(init) == 0 && state && strncmp(state, ") S", 3) == 0)
			return true;
		(void)poll(NULL, 0, 1);
	}
	return false;
}

static json_t *report_of(const char *path)
{
	json_t *o = json_load_file(path, JSON_DISABLE_EOF_CHECK, NULL);

	cr_assert_not_null(o, "%s is no report", path);
	return o;
}

/* The function is dead at its deadline, though what it wrote is read by nobody yet. */
Test(deadline, a_reader_who_sleeps, .timeout = 60)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char fifo[128], bind[160], report[128];
	const char *argv[] = { env_need("CLOCHE"),
			       "run",
			       "-q",
			       "-t",
			       "3s",
			       "--output-limit",
			       "100M",
			       "--report",
			       report,
			       "-b",
			       bind,
			       "--",
			       "sh",
			       "-c",
			       "exec 3>/mnt/alive; exec yes",
			       NULL };
	int out[2], status, alive;
	json_t *o;
	pid_t pid;

	(void)snprintf(fifo, sizeof(fifo), "%s/alive", dir);
	(void)snprintf(bind, sizeof(bind), "%s:/mnt/alive:rw", fifo);
	(void)snprintf(report, sizeof(report), "%s/report", dir);
	cr_assert(mkfifo(fifo, 0666) == 0 && chmod(fifo, 0666) == 0 && chmod(dir, 0755) == 0);
	/* Not waiting for the writer: on a slow machine the deadline may come before it. */
	alive = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(alive, 0);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	pid = spawn(argv, out[1], -1);
	(void)close(out[1]);
	cr_expect(comes_to_its_end(alive), "the function lives on, or never wrote");
	cr_expect_eq(waitpid(pid, NULL, WNOHANG), 0, "what it wrote was not waited for");
	cr_expect(comes_to_its_end(out[0]), "the output has no end");
	status = end_of(pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 124, "%x", (unsigned)status);
	o = report_of(report);
	cr_expect_str_eq(json_string_value(json_object_get(o, "verdict")), "timeout");
	json_decref(o);
	(void)close(alive);
	(void)close(out[0]);
}

/* Runs a script that first writes a line to /mnt/alive, stops the supervisor, waits for the end of
 * what runs, and some time more. Returns its report, and how long it was stopped after that end. */
static json_t *run_stopped(const char *limit, const char *value, const char *script,
			   int64_t *ret_ns)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char fifo[128], bind[160], report[128], c;
	const char *argv[] = { env_need("CLOCHE"),
			       "run",
			       "-q",
			       "-t",
			       "300s",
			       limit,
			       value,
			       "--report",
			       report,
			       "-b",
			       bind,
			       "--",
			       "sh",
			       "-c",
			       script,
			       NULL };
	int status, alive;
	int64_t dead_ns;
	json_t *o;
	pid_t pid;

	(void)snprintf(fifo, sizeof(fifo), "%s/alive", dir);
	(void)snprintf(bind, sizeof(bind), "%s:/mnt/alive:rw", fifo);
	(void)snprintf(report, sizeof(report), "%s/report", dir);
	cr_assert(mkfifo(fifo, 0666) == 0 && chmod(fifo, 0666) == 0 && chmod(dir, 0755) == 0);
	pid = spawn(argv, -1, -1);
	alive = open(fifo, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(alive, &c, 1), 1, "it does not run");
	cr_assert_eq(kill(pid, SIGSTOP), 0);
	cr_assert(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	cr_expect(comes_to_its_end(alive), "the function lives on");
	dead_ns = clock_now_ns();
	cr_expect_eq(waitpid(pid, &status, WNOHANG | WCONTINUED), 0, "it is not stopped");
	/* Not to wait for anything, but to be late by so much. */
	(void)poll(NULL, 0, 1000);
	*ret_ns = clock_now_ns() - dead_ns;
	cr_assert_eq(kill(pid, SIGCONT), 0);
	status = end_of(pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 124, "%x", (unsigned)status);
	o = report_of(report);
	(void)close(alive);
	return o;
}

/* Who is stopped stretches no deadline: pid 1 keeps it. How late it was is told as it was, and not
 * by when the supervisor came to hear of it. */
Test(deadline, a_supervisor_that_is_stopped, .timeout = 60)
{
	int64_t stopped_ns;
	json_t *o = run_stopped("-t", "6s", "exec 3>/mnt/alive; echo >&3; exec sleep 60",
				&stopped_ns),
	       *late;

	cr_expect_str_eq(json_string_value(json_object_get(o, "verdict")), "timeout");
	late = json_object_get(json_object_get(o, "time"), "timeout_overshoot_ns");
	cr_expect(json_is_integer(late) && json_integer_value(late) < stopped_ns / 2,
		  "late by %lld ns", (long long)json_integer_value(late));
	json_decref(o);
}

/* Nor the limit of CPU time, of one process or of many that come and go. */
Test(deadline, a_supervisor_that_is_stopped_and_cpu_time, .timeout = 120)
{
	static const char *const scripts[] = {
		"exec 3>/mnt/alive; echo >&3; while :; do :; done",
		"exec 3>/mnt/alive; echo >&3; while :; do (: & :); done",
	};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		int64_t stopped_ns;
		json_t *o = run_stopped("--cpu-time", "500ms", scripts[i], &stopped_ns);

		cr_expect_str_eq(json_string_value(json_object_get(o, "verdict")), "cpu_timeout");
		json_decref(o);
	}
}

/* The caller's wish is not held up either. */
Test(deadline, a_reader_who_sleeps_and_a_caller_who_left, .timeout = 60)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char fifo[128], bind[160];
	const char *argv[] = { env_need("CLOCHE"),
			       "run",
			       "-q",
			       "-t",
			       "60s",
			       "--output-limit",
			       "100M",
			       "-b",
			       bind,
			       "--",
			       "sh",
			       "-c",
			       "yes & exec 3>/mnt/alive; exec yes",
			       NULL };
	int out[2], status, alive;
	pid_t pid;

	(void)snprintf(fifo, sizeof(fifo), "%s/alive", dir);
	(void)snprintf(bind, sizeof(bind), "%s:/mnt/alive:rw", fifo);
	cr_assert(mkfifo(fifo, 0666) == 0 && chmod(fifo, 0666) == 0 && chmod(dir, 0755) == 0);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	pid = spawn(argv, out[1], -1);
	alive = open(fifo, O_RDONLY | O_CLOEXEC); /* it runs */
	cr_assert_eq(kill(pid, SIGTERM), 0);
	status = end_of(pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM, "%x",
		  (unsigned)status);
	(void)close(alive);
	(void)close(out[0]);
	(void)close(out[1]);
}

/* Output beyond the limit is the verdict, also when it and the function's end are seen at once. */
Test(deadline, what_is_cut_at_the_end_is_said, .timeout = 60)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char alive_path[128], go_path[128], alive_bind[160], go_bind[160], report[128];
	const char *argv[] = { env_need("CLOCHE"),
			       "run",
			       "-q",
			       "-t",
			       "60s",
			       "--output-limit",
			       "1K",
			       "--report",
			       report,
			       "-b",
			       alive_bind,
			       "-b",
			       go_bind,
			       "--",
			       "sh",
			       "-c",
			       "exec 3>/mnt/alive; read x </mnt/go; head -c 3000 /dev/zero",
			       NULL };
	int status, alive, go;
	json_t *o;
	pid_t pid;

	(void)snprintf(alive_path, sizeof(alive_path), "%s/alive", dir);
	(void)snprintf(go_path, sizeof(go_path), "%s/go", dir);
	(void)snprintf(alive_bind, sizeof(alive_bind), "%s:/mnt/alive:rw", alive_path);
	(void)snprintf(go_bind, sizeof(go_bind), "%s:/mnt/go:rw", go_path);
	(void)snprintf(report, sizeof(report), "%s/report", dir);
	cr_assert(chmod(dir, 0755) == 0 && mkfifo(alive_path, 0666) == 0 &&
		  mkfifo(go_path, 0666) == 0 && chmod(alive_path, 0666) == 0 &&
		  chmod(go_path, 0666) == 0);
	pid = spawn(argv, -1, -1);
	alive = open(alive_path, O_RDONLY | O_CLOEXEC);
	go = open(go_path, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(kill(pid, SIGSTOP), 0);
	cr_assert_eq(write(go, "\n", 1), 1);
	cr_expect(comes_to_its_end(alive));
	cr_expect(pid_1_has_told(pid));
	cr_assert_eq(kill(pid, SIGCONT), 0);
	status = end_of(pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGXFSZ, "%x",
		  (unsigned)status);
	o = report_of(report);
	cr_expect_str_eq(json_string_value(json_object_get(o, "verdict")), "output_limit");
	json_decref(o);
	(void)close(alive);
	(void)close(go);
}

/* Two processes that make events faster than a trace of them can be written. */
Test(deadline, a_flood_of_events, .timeout = 90)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { .timeout_ms = PATIENCE_MS };
	const char *const watch[] = { env_need("CLOCHE"), "trace", "--format", "json", NULL };
	char trace[128], helpers[4200], said[64] = "";
	int err[2];
	pid_t watcher;

	(void)snprintf(trace, sizeof(trace), "%s/trace", dir);
	(void)snprintf(helpers, sizeof(helpers), "%s:/opt/helpers", env_need("HELPERS"));
	cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
	watcher = spawn(watch, -1, err[1]);
	cr_assert(read(err[0], said, sizeof(said) - 1) > 0 && strstr(said, "watching"), "%s", said);
	for (int i = 0; i < 2; i++) {
		run.timeout_ms = PATIENCE_MS;
		if (i == 0)
			RUN_CLOCHE(&run, "-q", "--cpu", "2", "-t", "300ms", "-b", helpers, "--",
				   "/opt/helpers/inside", "events", "2");
		else
			RUN_CLOCHE(&run, "-q", "--cpu", "2", "-t", "300ms", "--trace", trace, "-b",
				   helpers, "--", "/opt/helpers/inside", "events", "2");
		cr_expect(!run.timed_out, "%s: the deadline is forgotten", i ? "file" : "watched");
		if (!run.timed_out)
			cr_expect_str_eq(report_text(&run, "verdict"), "timeout");
		run_free(&run);
	}
	(void)kill(watcher, SIGTERM);
	(void)waitpid(watcher, NULL, 0);
	(void)close(err[0]);
	(void)close(err[1]);
}

/* Standard error is the caller's, with all its flags: the function fills it and makes it
 * non-blocking, and the report and the line come all the same. */
Test(deadline, a_full_standard_error_loses_no_report, .timeout = 60)
{
	char helpers[4200], *text = calloc(1, 1 << 20);
	const char *argv[] = { env_need("CLOCHE"),    "run",   "--report", "-", "-b", helpers, "--",
			       "/opt/helpers/inside", "choke", "2",	   NULL };
	size_t n = 0;
	int err[2], out[2], status;
	ssize_t k;
	pid_t pid;

	(void)snprintf(helpers, sizeof(helpers), "%s:/opt/helpers", env_need("HELPERS"));
	cr_assert(pipe2(err, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	pid = spawn(argv, out[1], err[1]);
	(void)close(err[1]);
	(void)close(out[1]);
	/* Nothing is read before there is no room and the function has seen it. */
	cr_expect(read(out[0], text, 5) == 5 && is_filled(err[0]), "it did not fill the pipe");
	for (n = 0; n < (1 << 20) - 1 && (k = read(err[0], text + n, (1 << 20) - 1 - n)) > 0;)
		n += (size_t)k;
	status = end_of(pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
	cr_expect_not_null(strstr(text, "REPORT RequestId"), "no line");
	cr_expect_not_null(strstr(text, "\"schema\":\"cloche.report/1\""), "no report");
	(void)close(err[0]);
	(void)close(out[0]);
	free(text);
}

/* And the next invocation finds its streams as the first one did. */
Test(deadline, flags_of_a_stream_are_not_handed_on)
{
	cleanup_run struct run run = { .input = "abc" };
	char helpers[4200];

	(void)snprintf(helpers, sizeof(helpers), "%s:/opt/helpers", env_need("HELPERS"));
	RUN_CLOCHE(&run, "-q", "--repeat", "3", "-b", helpers, "--", "/opt/helpers/inside", "flags",
		   "0");
	cr_expect_str_eq(run.out, "blocks\nblocks\nblocks\n");
}
