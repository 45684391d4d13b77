/* SPDX-License-Identifier: MIT */
/*
 * Watching: what another process's invocation does is seen as it happens, and no watcher, whatever
 * becomes of it, is ever felt by an invocation. Other runs on this host are seen as well: lines are
 * taken by request id. Needs root, CLOCHE and HELPERS.
 */
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/spawn.h"
#include "tests/lib/stdio.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

/* What is seen of all this: an exec, a denied call, a fork, an exit. */
#define BUSY "sh", "-c", "unshare -U true 2>/dev/null; exit 0"

struct watcher {
	pid_t pid;
	int out, err;
	char *text; /* what it said until now */
	size_t len;
};

#define NO_WATCHER                   \
	{                            \
		.out = -1, .err = -1 \
	}

static void watcher_kill(struct watcher *w, int sig)
{
	if (w->pid <= 0)
		return;
	(void)kill(w->pid, sig);
	(void)kill(w->pid, SIGCONT);
	(void)waitpid(w->pid, NULL, 0);
	w->pid = 0;
}

/* So that it takes its socket away. */
static void watcher_end(struct watcher *w)
{
	watcher_kill(w, SIGTERM);
	fd_close(&w->out);
	fd_close(&w->err);
	free(w->text);
}

#define cleanup_watcher __attribute__((cleanup(watcher_end)))

/* Takes what comes; false when nothing did for so long that nothing will. */
static bool watcher_read(struct watcher *w)
{
	struct pollfd p = { .fd = w->out, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, 20000) <= 0)
		return false;
	w->text = realloc(w->text, w->len + 65537);
	cr_assert_not_null(w->text);
	n = read(w->out, w->text + w->len, 65536);
	if (n > 0)
		w->len += (size_t)n;
	w->text[w->len] = 0;
	return n > 0;
}

/* There is room for eight on a host: the test that takes it all runs beside no other. Held until
 * the test's process ends. */
static void hold_watching(int how)
{
	static int fd = -1;
	const char *dir = getenv("TMPDIR");
	char path[300];

	if (fd >= 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/cloche-watching", dir ? dir : "/tmp");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && flock(fd, how) == 0, "%s: %m", path);
}

/* Returns when it listens. */
static void watcher_start(struct watcher *w, const char *format)
{
	const char *const argv[] = { env_need("CLOCHE"), "trace", "--format", format, NULL };
	char said[200] = "";
	int out[2], err[2];
	size_t n = 0;

	hold_watching(LOCK_SH);
	cr_assert(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	*w = (struct watcher){ .out = out[0], .err = err[0] };
	w->pid = spawn_argv(argv, out[1], err[1]);
	(void)close(out[1]);
	(void)close(err[1]);
	while (!strchr(said, '\n')) {
		ssize_t k = read(w->err, said + n, sizeof(said) - 1 - n);

		cr_assert_gt(k, 0, "the watcher ended: %s", said);
		n += (size_t)k;
	}
	expect_has(said, "watching");
}

static bool is_last(const char *line, const char *id)
{
	return strstr(line, id) &&
	       (strstr(line, "\"event\":\"end\"") || strstr(line, "\"event\":\"gone\"") ||
		strstr(line, "  end ") || strstr(line, "  gone: "));
}

/* The last line of the invocation, when it has come: owned by the watcher's text. Looked for from
 * *at on, which is moved behind the whole lines that are not it. */
static const char *last_line_from(const struct watcher *w, const char *id, size_t *at)
{
	const char *line, *end;

	for (; w->text && (end = strchr(line = w->text + *at, '\n'));
	     *at += (size_t)(end - line) + 1) {
		cleanup_free char *one = strndup(line, (size_t)(end - line));

		if (is_last(one, id))
			return line;
	}
	return NULL;
}

static const char *last_line(const struct watcher *w, const char *id)
{
	size_t at = 0;

	return last_line_from(w, id, &at);
}

/* What was said of one invocation, until its end: lines, to be freed. */
static char *watcher_see(struct watcher *w, const char *id)
{
	char *text = NULL;
	size_t size, at = 0;
	FILE *f;

	/* What was looked at once is not again: there may be tens of thousands of lines. */
	while (!last_line_from(w, id, &at))
		cr_assert(watcher_read(w), "no end of %s in: %s", id, w->text ? w->text : "");
	f = open_memstream(&text, &size);
	for (const char *line = w->text, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		cleanup_free char *one = strndup(line, (size_t)(end - line));

		if (strstr(one, id))
			(void)fprintf(f, "%s\n", one);
	}
	cr_assert_eq(fclose(f), 0);
	return text;
}

static size_t count_of(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

static int64_t int_of(const char *line, const char *key)
{
	json_t *o = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
	int64_t n = json_integer_value(json_object_get(o, key));

	cr_assert(json_is_integer(json_object_get(o, key)), "%s in %s", key, line);
	json_decref(o);
	return n;
}

Test(trace_live, sees_a_run_of_another_process)
{
	cleanup_watcher struct watcher w = NO_WATCHER;
	cleanup_run struct run run = { 0 };
	cleanup_free char *seen = NULL;
	const char *id, *end;

	watcher_start(&w, "json");
	RUN_CLOCHE(&run, "-q", "--name", "busy", "--", BUSY);
	cr_assert_eq(run.status, 0, "%s", run.err);
	id = report_text(&run, "request_id");
	cr_assert(json_is_null(report_get(&run, "trace")), "the caller asked for none");
	seen = watcher_see(&w, id);
	end = last_line(&w, id);
	cr_assert_eq(count_of(seen, "\"event\":\"start\",\"function\":\"busy\""), 1, "%s", seen);
	expect_has(seen, "\"event\":\"exec\"");
	expect_has(seen, "\"event\":\"fork\"");
	expect_has(seen, "\"syscall\":\"unshare\"");
	expect_has(seen, "\"event\":\"exit\"");
	expect_has(end, "\"verdict\":\"ok\"");
	cr_assert_eq(int_of(end, "lost"), 0);
	cr_assert_eq(int_of(end, "wall_ns"), report_int(&run, "time.wall_ns"));
	cr_assert_eq(int_of(end, "events"), (int64_t)count_of(seen, "\"at_ns\""));
}

/* While it happens, not afterwards: the function goes on only when it was seen. */
Test(trace_live, sees_it_while_it_runs)
{
	cleanup_watcher struct watcher w = NO_WATCHER;
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC), gate = -1;
	char fifo[300], bind[600], script[400];
	const char *const argv[] = { env_need("CLOCHE"),
				     "run",
				     "-q",
				     "-t",
				     "30s",
				     "-b",
				     bind,
				     "--",
				     "sh",
				     "-c",
				     script,
				     NULL };
	pid_t pid;

	(void)snprintf(fifo, sizeof(fifo), "%s/gate", dir);
	(void)snprintf(bind, sizeof(bind), "%s", dir);
	(void)snprintf(script, sizeof(script), "uname >/dev/null; read x <%s; exit 7", fifo);
	cr_assert_eq(mkfifo(fifo, 0666), 0);
	cr_assert_eq(chmod(dir, 0755), 0);
	watcher_start(&w, "text");
	pid = spawn_argv(argv, null, null);
	while (!w.text || !strstr(w.text, " exec /usr/bin/uname"))
		cr_assert(watcher_read(&w), "%s", w.text ? w.text : "");
	cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0);
	gate = open(fifo, O_WRONLY | O_CLOEXEC);
	fd_close(&gate);
	cr_assert_eq(end_of(pid), 7);
}

Test(trace_live, text_is_aligned_escaped_and_plain)
{
	cleanup_watcher struct watcher w = NO_WATCHER;
	cleanup_run struct run run = { 0 };
	cleanup_free char *seen = NULL;
	char id[9];

	watcher_start(&w, "text");
	RUN_CLOCHE(&run, "-q", "--", "sh", "-c", "true \"$1\"; uname \"$1\" 2>/dev/null", "x",
		   "\033[2J\n\xe2\x80\xae");
	(void)snprintf(id, sizeof(id), "%s", report_text(&run, "request_id"));
	seen = watcher_see(&w, id);
	cr_assert_null(strchr(w.text, '\033'));
	cr_assert_null(strstr(w.text, "\xe2\x80\xae"));
	/* In the command of the start, and in the execs of sh and uname. */
	cr_assert_eq(count_of(seen, "\\x1b[2J\\x0a\\xe2\\x80\\xae"), 3, "%s", seen);
	for (const char *line = seen, *end; (end = strchr(line, '\n')); line = end + 1) {
		cr_assert_eq(strncmp(line, id, 8), 0, "%s", seen);
		cr_assert(end - line > 51 && line[50] == ' ' && line[51] != ' ', "%s", line);
	}
}

Test(trace_live, several_watchers_and_invocations)
{
	cleanup_watcher struct watcher one = NO_WATCHER, two = NO_WATCHER;
	cleanup_run struct run run = { 0 };

	watcher_start(&one, "json");
	watcher_start(&two, "json");
	RUN_CLOCHE(&run, "-q", "--repeat", "3", "--", "true");
	cr_assert_eq(json_array_size(run.reports), 3);
	for (size_t i = 0; i < 3; i++) {
		json_t *o = json_array_get(run.reports, i);
		const char *id = json_string_value(json_object_get(o, "request_id"));
		cleanup_free char *a = watcher_see(&one, id), *b = watcher_see(&two, id);

		cr_assert_str_eq(a, b);
		expect_has(a, "\"event\":\"exec\"");
	}
}

/* Nobody is told that he watches when he does not. */
Test(trace_live, the_ninth_watcher_is_refused)
{
	struct watcher w[8];
	cleanup_run struct run ninth = { 0 };

	hold_watching(LOCK_EX);
	for (int i = 0; i < 8; i++)
		watcher_start(&w[i], "json");
	CLOCHE(&ninth, "trace", "--for", "1s");
	cr_expect_eq(ninth.status, 1);
	cr_expect_str_eq(ninth.err, "cloche trace: 8 watch already, and no more can\n");
	for (int i = 0; i < 8; i++)
		watcher_end(&w[i]);
	run_free(&ninth);
	CLOCHE(&ninth, "trace", "--for", "100ms");
	cr_expect_eq(ninth.status, 0, "%s", ninth.err);
}

/* As of any other program, whose reader left. */
Test(trace_live, a_reader_who_left_ends_it_quietly)
{
	cleanup_run struct run run = { 0 };

	hold_watching(LOCK_SH);
	RUN(&run, "bash", "-c", "$CLOCHE trace --for 5s | head -1; echo ${PIPESTATUS[0]}");
	cr_expect_not_null(strstr(run.out, "\n141\n"), "%s", run.out);
	cr_expect_str_eq(run.err, "cloche trace: watching\n");
}

/* Its pipe is full and it waits for a reader who sleeps: a signal ends it all the same. */
Test(trace_live, a_reader_who_sleeps_keeps_it_from_no_end)
{
	cleanup_watcher struct watcher w = NO_WATCHER;
	cleanup_run struct run run = { 0 };
	char path[64];
	int status = 0;

	watcher_start(&w, "json");
	RUN_CLOCHE(&run, "-q", "--", "sh", "-c",
		   "i=0; while [ $i -lt 5000 ]; do : >/tmp/a; i=$((i + 1)); done");
	cr_assert_eq(run.status, 0, "%s", run.err);
	/* "1 0x1 …": it waits in write(1, …). */
	(void)snprintf(path, sizeof(path), "/proc/%d/syscall", w.pid);
	for (bool waits = false; !waits;) {
		cleanup_free char *call = contents(path);

		waits = strncmp(call, "1 0x1 ", 6) == 0;
	}
	(void)kill(w.pid, SIGTERM);
	cr_assert_eq(waitpid(w.pid, &status, 0), w.pid);
	w.pid = 0;
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", (unsigned)status);
}

Test(trace_live, a_reader_who_sleeps_keeps_it_no_longer_than_asked)
{
	const char *const argv[] = { env_need("CLOCHE"), "trace", "--for", "100ms", NULL };
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char page[4096] = "";
	int out[2], status = 0;
	pid_t pid;

	hold_watching(LOCK_SH);
	cr_assert_eq(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(out[1], page, sizeof(page)) > 0)
		;
	cr_assert_eq(fcntl(out[1], F_SETFL, 0), 0);
	pid = spawn_argv(argv, out[1], null);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", (unsigned)status);
	(void)close(out[0]);
	(void)close(out[1]);
}

Test(trace_live, without_the_meter_start_and_end)
{
	cleanup_watcher struct watcher w = NO_WATCHER;
	cleanup_run struct run run = { 0 };
	cleanup_free char *seen = NULL;

	watcher_start(&w, "json");
	RUN_CLOCHE(&run, "-q", "--meter", "off", "--", "false");
	seen = watcher_see(&w, report_text(&run, "request_id"));
	cr_assert_eq(count_of(seen, "\n"), 2, "%s", seen);
	expect_has(seen, "\"event\":\"start\"");
	expect_has(seen, "\"verdict\":\"error\"");
}

static bool has_socket(pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/run/cloche/watch/%d", pid);
	return access(path, F_OK) == 0;
}

Test(trace_live, ends_by_a_signal_and_leaves_nothing)
{
	static const int signals[] = { SIGINT, SIGTERM };

	for (size_t i = 0; i < 2; i++) {
		struct watcher w;

		watcher_start(&w, "text");
		cr_assert(has_socket(w.pid));
		cr_assert_eq(kill(w.pid, signals[i]), 0);
		cr_assert_eq(end_of(w.pid), 0);
		cr_assert_not(has_socket(w.pid));
		w.pid = 0;
		watcher_end(&w);
	}
}

Test(trace_live, ends_after_its_time)
{
	cleanup_run struct run run = { 0 };

	hold_watching(LOCK_SH);
	CLOCHE(&run, "trace", "--for", "10ms");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_not(run.timed_out);
}

/* Its socket stays. Runs pass over it, the next watcher takes it away. */
Test(trace_live, killed_between_two_runs)
{
	cleanup_watcher struct watcher next = NO_WATCHER;
	cleanup_run struct run run = { 0 };
	cleanup_free char *seen = NULL;
	cleanup_watcher struct watcher w = NO_WATCHER;
	pid_t pid;

	watcher_start(&w, "json");
	pid = w.pid;
	watcher_kill(&w, SIGKILL);
	cr_assert(has_socket(pid));
	RUN_CLOCHE(&run, "--", "true");
	cr_assert_eq(run.status, 0);
	cr_assert_eq(count_of(run.err, "\n"), 1, "no more than the REPORT line: %s", run.err);
	run_free(&run);
	watcher_start(&next, "json");
	cr_assert_not(has_socket(pid));
	RUN_CLOCHE(&run, "-q", "--", "true");
	seen = watcher_see(&next, report_text(&run, "request_id"));
	expect_has(seen, "\"event\":\"exec\"");
}

/* A run that goes on, from the line on that shows that it does. */
static pid_t run_until_seen(struct watcher *w, const char *report, char id[static 37])
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *const argv[] = { env_need("CLOCHE"),
				     "run",
				     "-q",
				     "--report",
				     report,
				     "--name",
				     "goes-on",
				     "--",
				     "sh",
				     "-c",
				     "uname >/dev/null; sleep 0.3; unshare -U true; exit 5",
				     NULL };
	const char *mark = "\",\"event\":\"start\",\"function\":\"goes-on\"";
	pid_t pid = spawn_argv(argv, null, null);

	while (!w->text || !strstr(w->text, mark) || !strstr(w->text, "/usr/bin/uname"))
		cr_assert(watcher_read(w), "%s", w->text ? w->text : "");
	(void)snprintf(id, 37, "%s", strstr(w->text, mark) - 36);
	return pid;
}

Test(trace_live, killed_in_the_midst_of_a_run)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_watcher struct watcher w = NO_WATCHER;
	cleanup_run struct run sweep = { 0 };
	cleanup_free char *text = NULL;
	char path[300], id[37];
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/report", dir);
	watcher_start(&w, "json");
	pid = run_until_seen(&w, path, id);
	watcher_kill(&w, SIGKILL);
	cr_assert_eq(end_of(pid), 5);
	text = contents(path);
	expect_has(text, "\"verdict\":\"error\"");
	CLOCHE(&sweep, "trace", "--for", "1ms");
	cr_assert_eq(sweep.status, 0, "%s", sweep.err);
}

Test(trace_live, tells_when_the_run_is_killed)
{
	cleanup_watcher struct watcher w = NO_WATCHER;
	cleanup_free char *seen = NULL;
	char id[37];
	pid_t pid;

	watcher_start(&w, "json");
	pid = run_until_seen(&w, "/dev/null", id);
	(void)kill(pid, SIGKILL);
	cr_assert_eq(end_of(pid), 128 + SIGKILL);
	seen = watcher_see(&w, id);
	expect_has(seen, "\"event\":\"gone\"");
}

/* More than a socket holds, while nobody reads: were a send to wait, the run would never end. */
Test(trace_live, one_that_sleeps_delays_nothing_and_is_told_what_it_lost, .timeout = 60)
{
	cleanup_watcher struct watcher w = NO_WATCHER;
	cleanup_run struct run run = { 0 };
	cleanup_free char *seen = NULL;
	int64_t lost, unseen;
	const char *id;

	watcher_start(&w, "json");
	cr_assert_eq(kill(w.pid, SIGSTOP), 0);
	RUN_CLOCHE(&run, "-q", "-t", "20s", "--trace", "/dev/null", "--", "sh", "-c",
		   "i=0; while [ $i -lt 20000 ]; do : >/tmp/a; i=$((i + 1)); done");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_not(run.timed_out);
	cr_assert_str_eq(report_text(&run, "verdict"), "ok");
	id = report_text(&run, "request_id");
	cr_assert_eq(kill(w.pid, SIGCONT), 0);
	seen = watcher_see(&w, id);
	lost = int_of(last_line(&w, id), "lost");
	unseen = report_int(&run, "trace.events") - (int64_t)count_of(seen, "\"at_ns\"");
	cr_assert_gt(unseen, 0, "the socket held all: too few events for this test");
	cr_assert_eq(lost, unseen + report_int(&run, "trace.lost"));
}
