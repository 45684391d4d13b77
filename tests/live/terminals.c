/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-terminals of a function's own: programs that need one, how many there are, whose they are,
 * and what is left of them. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/roots.h"
#include "tests/lib/run.h"
#include "tests/lib/stdio.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(const char *program)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/usr/bin/%s", program);
	if (access(path, X_OK) < 0)
		test_skip("needs %s", path);
}

/* ---- programs ---- */

Test(live_terminals, python_spawns)
{
	static const char text[] =
		"import os, pty, sys\n"
		"m, s = pty.openpty()\n"
		"print(os.ttyname(s), flush=True)\n"
		"sys.exit(pty.spawn(['sh', '-c', 'tty; test -t 0 && echo me >/dev/tty']))";
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--", "python3", "-c", text);
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "/dev/pts/0\n/dev/pts/1\r\nme\r\n");
}

Test(live_terminals, script_records)
{
	cleanup_run struct run run = { 0 };

	need("script");
	RUN_CLOCHE(&run, "--", "script", "-qec", "tty && exit 7", "/dev/null");
	expect_end(&run, 7, "error");
	expect_has(run.out, "/dev/pts/0\r\n");
}

Test(live_terminals, expect_talks)
{
	static const char text[] =
		"set timeout 40; spawn -noecho sh -c {read x; echo got $x; tty}; send \"well\\r\"; "
		"expect {got well} {expect {/dev/pts/0} {expect eof; exit 5}}";
	cleanup_run struct run run = { 0 };

	need("expect");
	RUN_CLOCHE(&run, "--", "expect", "-c", text);
	expect_end(&run, 5, "error");
}

/* Its server ends with its last session, which is here when it is told to. */
Test(live_terminals, tmux_serves)
{
	static const char script[] =
		"mkfifo /tmp/up && tmux -f /dev/null new-session -d 'tty >/tmp/up; exec cat' &&\n"
		"cat /tmp/up && tmux list-sessions -F '#{session_windows}' && tmux kill-server";
	cleanup_run struct run run = { 0 };

	need("tmux");
	RUN_CLOCHE(&run, "--", "sh", "-c", script);
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "/dev/pts/0\n1\n");
}

/* As at a prompt: the caller's terminal is its streams. */
Test(live_terminals, inside_the_callers_own)
{
	struct terminal_pair t = terminal_open();
	const int fds[3] = { t.slave, t.slave, t.slave };
	char text[1024];

	need("script");
	cr_expect_eq(run_on_terminal(&t, fds,
				     (const char *const[]){ "-q", "--", "script", "-qec", "tty",
							    "/dev/null", NULL }),
		     0);
	(void)take(t.master, text, sizeof(text), false);
	expect_has(text, "/dev/pts/0\r");
	terminal_close(&t);
}

/* ---- how many, and whose ---- */

/* Says how many it could open and holds them to the end of its input. */
static const char open_all[] = "import os, pty, sys\n"
			       "n = 0\n"
			       "try:\n"
			       "    while True:\n"
			       "        pty.openpty()\n"
			       "        n += 1\n"
			       "except OSError:\n"
			       "    print(n, sorted(os.listdir('/dev/pts'))[:2], flush=True)\n"
			       "sys.stdin.read()\n";

/* Each invocation has all of them, though none of the one before gave any back by itself. */
Test(live_terminals, eight_for_each_invocation)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--repeat", "3", "--", "python3", "-c", open_all);
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "8 ['0', '1']\n8 ['0', '1']\n8 ['0', '1']\n");
	cr_assert_eq(json_array_size(run.reports), 3);
	cr_expect_str_eq(
		json_string_value(json_object_get(
			json_object_get(json_array_get(run.reports, 2), "context"), "start")),
		"warm");
}

/* While another context has all of its own, and the caller one. */
Test(live_terminals, nobody_elses_are_there)
{
	static const char script[] =
		"echo /dev/pts/*; python3 -c 'import os, pty\nprint(os.ttyname(pty.openpty()[1]))'";
	struct terminal_pair t = terminal_open();
	cleanup_run struct run run = { 0 };
	char text[64];
	int in[2], out[2];
	pid_t other;

	cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	other = START(in[0], out[1], -1, "-q", "--", "python3", "-c", open_all);
	cr_assert_gt(read(out[0], text, sizeof(text)), 0);
	RUN_CLOCHE(&run, "--", "sh", "-c", script);
	cr_expect_str_eq(run.out, "/dev/pts/ptmx\n/dev/pts/0\n");
	(void)close(in[0]);
	(void)close(in[1]);
	cr_expect_eq(end_of(other), 0);
	(void)close(out[0]);
	(void)close(out[1]);
	terminal_close(&t);
}

/* A root that is a directory has them, too. */
Test(live_terminals, in_a_root_of_its_own)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "hoard");
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--rootfs", root, "--", "/bin/hoard", "pty", "100");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "8 ENOSPC\n");
}
