/* SPDX-License-Identifier: MIT */
/*
 * `cloche ps` and `cloche top`: what contexts the daemon has, for each owner his own and of others
 * nothing, on a terminal live; and what `cloche doctor` says of it.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include "base/fd.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#define OTHER "1001"

/* The user's view; "0" is root's. To be freed. */
static json_t *view(const struct daemon *d, const char *user)
{
	cleanup_run struct run run = { 0 };
	struct daemon as = *d;
	json_t *rows = json_array();

	as.user = user;
	as.verb = "ps";
	AS_USER(&as, &run, "--json");
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *row = json_loads(line, 0, NULL);

		cr_assert(row != NULL, "%s", line);
		(void)json_array_append_new(rows, row);
	}
	return rows;
}

static const char *text_of(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s ? s : "";
}

static int64_t number_of(const json_t *row, const char *key)
{
	const json_t *n = json_object_get(row, key);

	cr_expect(json_is_integer(n), "%s", key);
	return json_integer_value(n);
}

/* Exactly these, as scripts know them. */
static void expect_keys(const json_t *row)
{
	static const char *const keys[] = { "context",	   "owner",	   "function",
					    "command",	   "state",	   "age_ns",
					    "invocations", "memory_bytes", "cpu_ns" };
	const json_t *owner = json_object_get(row, "owner");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		cr_expect(json_object_get(row, keys[i]), "%s", keys[i]);
	cr_expect_eq(json_object_size(row), sizeof(keys) / sizeof(keys[0]));
	cr_expect(json_object_size(owner) == 2 && json_object_get(owner, "uid") &&
		  json_object_get(owner, "name"));
}

Test(ps, owners_see_their_own_and_root_all)
{
	struct client mine, others;
	struct daemon d;
	json_t *rows;

	daemon_prepare(&d);
	daemon_start(&d);
	mine = client_begin(&d);
	d.user = OTHER;
	others = client_begin_args(&d, (const char *const[]){ "-m", "32M", "--cpu", "shared", "-t",
							      "300s", "--", "sh", "-c",
							      "echo begun; exec sleep 299", NULL });
	d.user = DAEMON_USER;

	rows = view(&d, DAEMON_USER);
	cr_assert_eq(json_array_size(rows), 1);
	expect_keys(json_array_get(rows, 0));
	cr_expect_eq(number_of(json_object_get(json_array_get(rows, 0), "owner"), "uid"), 1000);
	cr_expect_str_eq(text_of(json_array_get(rows, 0), "state"), "busy");
	cr_expect(strstr(text_of(json_array_get(rows, 0), "command"), "exec sleep 300"));
	cr_expect(json_is_null(json_object_get(json_array_get(rows, 0), "function")));
	cr_expect_eq(number_of(json_array_get(rows, 0), "invocations"), 1);
	cr_expect_gt(number_of(json_array_get(rows, 0), "age_ns"), 0);
	cr_expect_gt(number_of(json_array_get(rows, 0), "memory_bytes"), 0);
	cr_expect_gt(number_of(json_array_get(rows, 0), "cpu_ns"), 0);
	json_decref(rows);

	rows = view(&d, OTHER);
	cr_assert_eq(json_array_size(rows), 1);
	cr_expect(strstr(text_of(json_array_get(rows, 0), "command"), "exec sleep 299"));
	json_decref(rows);
	rows = view(&d, "1002");
	cr_expect_eq(json_array_size(rows), 0);
	json_decref(rows);
	rows = view(&d, "0");
	cr_expect_eq(json_array_size(rows), 2);
	json_decref(rows);

	cr_assert_eq(kill(mine.pid, SIGINT), 0);
	cr_expect_eq(process_status(mine.pid), 130);
	cr_assert_eq(kill(others.pid, SIGINT), 0);
	cr_expect_eq(process_status(others.pid), 130);
	client_expect_over(&mine);
	client_expect_over(&others);
	daemon_stop(&d);
}

/* Also what is foreign in a command is harmless in a table. */
Test(ps, what_is_kept_is_ready_and_has_its_history)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	json_t *rows = NULL;
	int64_t first = 0;

	daemon_prepare(&d);
	daemon_start(&d);
	for (int i = 1; i <= 2; i++) {
		AS_USER(&d, &run, "-m", "32M", "--cpu", "shared", "-t", "60s", "--", "true",
			"\033[31m");
		cr_assert_eq(run.status, 0, "%s", run.err);
		run_free(&run);
		/* It is answered for before it is proved clean; what is counted is a moment old.
		 * CPU is that of both, though the second's cgroups are new. */
		do {
			json_decref(rows);
			rows = view(&d, DAEMON_USER);
		} while (json_array_size(rows) != 1 ||
			 strcmp(text_of(json_array_get(rows, 0), "state"), "ready") != 0 ||
			 number_of(json_array_get(rows, 0), "cpu_ns") <= first);
		cr_expect_eq(number_of(json_array_get(rows, 0), "invocations"), i);
		first = number_of(json_array_get(rows, 0), "cpu_ns");
	}
	json_decref(rows);
	d.verb = "ps";
	daemon_run_as_user(&d, &run, (const char *const[]){ NULL });
	cr_expect_eq(run.status, 0);
	expect_has(run.out, "CONTEXT");
	expect_has(run.out, "ready");
	cr_expect(!strchr(run.out, '\033'), "%s", run.out);
	cr_expect_eq(count_lines(run.out), 2, "%s", run.out);
	daemon_stop(&d);
}

Test(ps, without_a_daemon)
{
	static const char *const verbs[] = { "ps", "top" };
	struct daemon d;

	daemon_prepare(&d);
	for (int i = 0; i < 2; i++) {
		cleanup_run struct run run = { 0 };

		d.verb = verbs[i];
		daemon_run_as_user(&d, &run, (const char *const[]){ NULL });
		cr_expect_eq(run.status, 125);
		expect_has(run.err, "no daemon can be reached");
		cr_expect_eq(count_lines(run.err), 1);
		cr_expect_str_eq(run.out, "");
	}
	tmpdir_free(&d.dir);
}

/* ---- top ------------------------------------------------------------------------------------- */

Test(ps, top_in_a_pipe_is_one_pass)
{
	cleanup_run struct run run = { 0 };
	struct client c;
	struct daemon d;

	daemon_prepare(&d);
	daemon_reconfigure(&d, "per_owner: {contexts: 7, memory: 1G}\n");
	daemon_start(&d);
	c = client_begin(&d);
	d.verb = "top";
	daemon_run_as_user(&d, &run, (const char *const[]){ NULL });
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "1 of 7 contexts: 1 busy, 0 ready, 0 other");
	expect_has(run.out, " of 1.0G");
	expect_has(run.out, "%CPU");
	expect_has(run.out, "exec sleep 300");
	cr_expect(!strchr(run.out, '\033'), "%s", run.out);
	/* How busy the daemon is tells of others. */
	cr_expect(!strstr(run.out, "daemon "), "%s", run.out);
	run_free(&run);
	d.user = "0";
	daemon_run_as_user(&d, &run, (const char *const[]){ NULL });
	expect_has(run.out, "cloche top  1 of ");
	expect_has(run.out, "  daemon ");
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	cr_expect_eq(process_status(c.pid), 130);
	client_expect_over(&c);
	daemon_stop(&d);
}

/* All that comes until the text does. */
static void expect_seen(int terminal, const char *text)
{
	char buf[65536];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(buf) && (n = read(terminal, buf + len, sizeof(buf) - len)) > 0) {
		len += (size_t)n;
		if (memmem(buf, len, text, strlen(text)))
			return;
	}
	cr_assert_fail("'%s' was not seen", text);
}

Test(ps, top_on_a_terminal_hears_keys_and_leaves_it_as_it_was)
{
	const char *argv[DAEMON_ARGS_MAX];
	struct termios was, after;
	char control[700];
	struct daemon d;
	int terminal, slave;
	pid_t pid;

	daemon_prepare(&d);
	daemon_start(&d);
	d.verb = "top";
	daemon_user_argv(&d, (const char *const[]){ NULL }, argv, control);
	cr_assert_eq(openpty(&terminal, &slave, NULL, NULL, NULL), 0, "%m");
	cr_assert_eq(tcgetattr(slave, &was), 0);
	pid = fork();
	if (pid == 0) {
		(void)close(terminal);
		if (login_tty(dup(slave)) == 0)
			(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	expect_seen(terminal, "by CPU; c CPU");
	cr_assert_eq(write(terminal, "m", 1), 1);
	expect_seen(terminal, "by memory; c CPU");
	cr_assert_eq(write(terminal, "a", 1), 1);
	expect_seen(terminal, "by age; c CPU");
	cr_assert_eq(write(terminal, "q", 1), 1);
	expect_seen(terminal, "\033[?25h\033[?1049l");
	cr_expect_eq(process_status(pid), 0);
	cr_assert_eq(tcgetattr(slave, &after), 0);
	cr_expect_eq(was.c_lflag, after.c_lflag);
	(void)close(slave);
	(void)close(terminal);
	daemon_stop(&d);
}

/* ---- doctor ---------------------------------------------------------------------------------- */

Test(ps, the_doctor_knows_whether_it_serves)
{
	cleanup_run struct run run = { 0 };
	struct client c;
	struct daemon d;
	json_t *top;

	daemon_prepare(&d);
	d.verb = "doctor";
	daemon_run_as_user(&d, &run, (const char *const[]){ NULL });
	expect_has(run.out, "No daemon serves at ");
	expect_has(run.out, "Contexts cannot be made here:");
	cr_expect_eq(run.status, 1);
	run_free(&run);
	daemon_start(&d);
	d.verb = "run";
	c = client_begin(&d);
	d.verb = "doctor";
	AS_USER(&d, &run, "--json");
	top = json_loads(run.out, 0, NULL);
	cr_assert(top != NULL, "%s", run.out);
	cr_expect_eq(number_of(json_object_get(top, "daemon"), "contexts"), 1);
	cr_expect(json_is_true(json_object_get(json_object_get(top, "daemon"), "serves")));
	cr_expect_eq(strlen(text_of(json_object_get(top, "daemon"), "since")),
		     strlen("2026-01-02T03:04:05.678901Z"));
	json_decref(top);
	run_free(&run);
	d.user = OTHER;
	daemon_run_as_user(&d, &run, (const char *const[]){ NULL });
	expect_has(run.out, ": 0 contexts.");
	expect_has(run.out, "Contexts are made by the daemon:");
	cr_expect_eq(run.status, 0);
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	cr_expect_eq(process_status(c.pid), 130);
	client_expect_over(&c);
	daemon_stop(&d);
}
