/* SPDX-License-Identifier: MIT */
/*
 * Standard streams that a function opens by name: which kinds in which ways, what comes through,
 * and what the caller's pipes, files and terminals are like then. Needs root.
 */
#include "base/fd.h"
#include "host/slot.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/stdio.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAMS "/opt/streams"

#define NONE   "r EACCES, w EACCES, rw EACCES, trunc EACCES, append EACCES\n"
#define READ   "r done, w EACCES, rw EACCES, trunc EACCES, append EACCES\n"
#define MOUNT  "r done, w EROFS, rw EROFS, trunc EROFS, append EROFS\n"
#define WRITES "r EACCES, w done, rw EACCES, trunc done, append done\n"
#define ALL    "r done, w done, rw done, trunc done, append done\n"

/* ---- in which ways ---- */

/* By /dev/stdin, /dev/fd/0, /proc/self/fd/0 alike. */
static void expect_text(const char *text, const char *row, const char *what)
{
	size_t len = strlen(row);

	cr_expect(strlen(text) == 3 * len && strncmp(text, row, len) == 0 &&
			  strncmp(text + len, row, len) == 0 &&
			  strncmp(text + 2 * len, row, len) == 0,
		  "%s: %snot %s", what, text, row);
}

static void expect_ways(int fd, int as, const char *row, const char *what)
{
	cleanup_fd int said = file_of("");
	int fds[3] = { -1, -1, -1 };
	char digit[2] = { (char)('0' + as), '\0' };

	fds[as == 2 ? 1 : 2] = said;
	fds[as] = fd;
	cr_expect_eq(
		end_of(start(fds, (const char *const[]){ "-q", STREAMS, "ways", digit, NULL })), 0,
		"%s", what);
	expect_text(text_of(said), row, what);
}

/* As the caller gets it from a shell. */
static int file_in(const char *dir, const char *name, mode_t mode, int flags)
{
	char path[512];
	int fd = open(tmpdir_path(path, dir, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && fchmod(fd, mode) == 0 && write(fd, "before\n", 7) == 7);
	(void)close(fd);
	fd = open(path, flags | O_CLOEXEC);
	cr_assert_geq(fd, 0, "%s: %m", path);
	return fd;
}

static void expect_content(const char *dir, const char *name, const char *content)
{
	char path[512], text[256] = "";
	cleanup_fd int fd = open(tmpdir_path(path, dir, name), O_RDONLY | O_CLOEXEC);

	cr_assert_geq(read(fd, text, sizeof(text) - 1), 0, "%s: %m", path);
	cr_expect_str_eq(text, content, "%s", name);
}

Test(live_stream_names, pipes_for_what_they_are_open_for)
{
	int p[2], both;
	char path[40];

	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	expect_ways(p[0], 0, READ, "a pipe's end for reading");
	for (int as = 1; as < 3; as++)
		expect_ways(p[1], as, WRITES, "a pipe's end for writing");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	both = open(path, O_RDWR | O_CLOEXEC);
	expect_ways(both, 0, ALL, "a pipe that is open for both");
	(void)close(both);
	(void)close(p[0]);
	(void)close(p[1]);
}

Test(live_stream_names, a_socket_as_the_pipe_that_it_is)
{
	int s[2];

	pair_open(s);
	expect_ways(s[0], 0, READ, "a socket as input");
	expect_ways(s[0], 1, WRITES, "a socket as output");
	(void)close(s[0]);
	(void)close(s[1]);
}

/* Other file systems have no idmapped mounts on every kernel that this runs on. */
static bool maps(const char *dir)
{
	struct statfs fs;

	cr_assert_eq(statfs(dir, &fs), 0);
	return fs.f_type == EXT4_SUPER_MAGIC;
}

Test(live_stream_names, files_for_reading)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_fd int own = file_in(dir, "own", 0600, O_RDONLY);
	cleanup_fd int group = file_in(dir, "group", 0640, O_RDONLY);
	cleanup_fd int anyones = file_in(dir, "anyones", 0666, O_RDONLY);
	cleanup_fd int known = file_in(dir, "known", 0644, O_RDONLY);

	cr_assert_eq(fchown(group, 12345, 12345), 0);
	expect_ways(own, 0, maps(dir) ? MOUNT : NONE, "mode 0600");
	expect_ways(group, 0, maps(dir) ? MOUNT : NONE, "a stranger's, mode 0640");
	expect_ways(anyones, 0, MOUNT, "mode 0666");
	expect_ways(known, 0, READ, "mode 0644");
}

/* Nothing of the file can be had but that more is written to its end, or where it was. */
Test(live_stream_names, files_for_writing)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_fd int append = file_in(dir, "append", 0666, O_WRONLY | O_APPEND);
	cleanup_fd int plain = file_in(dir, "plain", 0600, O_WRONLY);

	cr_assert_eq(lseek(plain, 7, SEEK_SET), 7);
	for (int as = 1; as < 3; as++) {
		expect_ways(append, as, WRITES, "for appending");
		expect_ways(plain, as, WRITES, "for writing");
	}
	for (int i = 0; i < 2; i++) {
		int fd = i ? append : plain;

		cr_expect_eq(
			RUN_WITH(-1, fd, fd, "-q", "--", "sh", "-c",
				 "echo 1; echo 2 >/dev/stdout; echo 3 >>/dev/stderr; echo 4 >&2"),
			0);
	}
	expect_content(dir, "append", "before\n1\n2\n3\n4\n");
	expect_content(dir, "plain", "before\n1\n2\n3\n4\n");
	/* With a limit that only files keep it is the file itself. */
	expect_ways(append, 1, WRITES, "for appending");
	cr_expect_eq(RUN_WITH(-1, plain, -1, "-q", "--fsize", "4K", "--", "head", "-c", "8192",
			      "/dev/zero"),
		     128 + SIGXFSZ);
	cr_expect_eq(lseek(plain, 0, SEEK_END), 4096);
}

/* One that the caller opened for both may be opened as its mode lets. */
Test(live_stream_names, files_for_both)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_fd int own = file_in(dir, "own", 0600, O_RDWR);
	cleanup_fd int anyones = file_in(dir, "anyones", 0666, O_RDWR);

	expect_ways(own, 0, NONE, "mode 0600");
	expect_ways(own, 1, NONE, "mode 0600");
	expect_ways(anyones, 0, ALL, "mode 0666");
}

Test(live_stream_names, fifos_as_their_mode_lets)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char path[512];
	int fd;

	cr_assert_eq(mkfifo(tmpdir_path(path, dir, "fifo"), 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	expect_ways(fd, 0, NONE, "mode 0600");
	(void)close(fd);
}

Test(live_stream_names, devices)
{
	for (int as = 0; as < 3; as++)
		expect_ways(-1, as, ALL, "/dev/null");
}

/* ---- terminals ---- */

static void expect_terminal(const struct terminal_pair *t, int mode, const char *row)
{
	cleanup_fd int said = file_of(""),
		       fd = open(ptsname(t->master), mode | O_NOCTTY | O_CLOEXEC);
	const int fds[3] = { fd, -1, said };

	cr_assert_geq(fd, 0, "%m");
	cr_expect_eq(
		run_on_terminal(t, fds, (const char *const[]){ "-q", STREAMS, "ways", "0", NULL }),
		0);
	expect_text(text_of(said), row, "the own terminal");
}

static bool same_rights(const struct stat *a, const struct stat *b)
{
	return a->st_uid == b->st_uid && a->st_gid == b->st_gid && a->st_mode == b->st_mode;
}

Test(live_stream_names, the_own_terminal)
{
	static const int modes[] = { O_RDWR, O_RDONLY, O_WRONLY };
	static const char *const rows[] = { ALL, READ, WRITES };
	struct stat was, now;

	for (size_t i = 0; i < 3; i++) {
		struct terminal_pair t = terminal_open();

		cr_assert(fchown(t.slave, (uid_t)-1, 5) == 0 && fchmod(t.slave, 0620) == 0 &&
			  fstat(t.slave, &was) == 0);
		expect_terminal(&t, modes[i], rows[i]);
		cr_expect(fstat(t.slave, &now) == 0 && same_rights(&was, &now));
		terminal_close(&t);
	}
}

Test(live_stream_names, what_is_said_on_a_terminal)
{
	struct terminal_pair t = terminal_open();
	const int fds[3] = { t.slave, t.slave, t.slave };
	char text[256];

	cr_assert_eq(write(t.master, "hello\n", 6), 6);
	cr_expect_eq(run_on_terminal(&t, fds,
				     (const char *const[]){
					     "-q", "--", "sh", "-c",
					     "read x </dev/stdin; echo $x >/dev/stderr", NULL }),
		     0);
	(void)take(t.master, text, sizeof(text), false);
	cr_expect_str_eq(text, "hello\r\nhello\r\n");
	terminal_close(&t);
}

/* ---- what comes through ---- */

static void expect_run(const char *script, const char *out)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, "sh", "-c", script);
	cr_expect_str_eq(run.out, out, "%s: %s", script, run.err);
}

#define FUNCTION "$CLOCHE run -q -t 50s "

Test(live_stream_names, bytes_through_pipes)
{
	expect_run("echo 20 22 | " FUNCTION "-- cat /dev/stdin", "20 22\n");
	expect_run("echo 20 22 | " FUNCTION "-- cat /proc/self/fd/0 | cat", "20 22\n");
	expect_run(FUNCTION "-- sh -c 'echo x >/dev/stderr' 2>&1 >/dev/null | cat", "x\n");
	expect_run(FUNCTION "-- sh -c 'echo x | tee /dev/stderr' 2>&1 | cat", "x\nx\n");
	expect_run("echo x | " FUNCTION "-- sh -c 'cat /dev/stdin | cat /dev/stdin'", "x\n");
	expect_run(FUNCTION "--repeat 2 -- sh -c 'echo x >/dev/stdout' | cat", "x\nx\n");
	expect_run("printf 'ab' | " FUNCTION "--repeat 2 -- head -c 1 /dev/stdin", "ab");
	expect_run("echo x | " FUNCTION "--output-limit 1K -- tee /dev/stderr 2>&1", "x\nx\n");
}

/* A loop of a script reads the file that the functions read, and they go on where it was. */
Test(live_stream_names, a_file_is_read_on)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *script = NULL;

	cr_assert(asprintf(&script,
			   "cd '%s' && umask 077 && printf 'a\\nb\\nc\\nd\\n' >file && exec <file\n"
			   "while read -r x; do echo read $x; " FUNCTION "-- head -c 2; done\n"
			   "exec <file; " FUNCTION "--repeat 2 -- head -c 2; cat; " FUNCTION
			   "-- cat; exec <file; " FUNCTION "-- cat; cat",
			   dir) > 0);
	expect_run(script, "read a\nb\nread c\nd\na\nb\nc\nd\na\nb\nc\nd\n");
}

/* ---- as it was ---- */

static void pipe_open(int p[2], struct stat *st)
{
	cr_assert(pipe2(p, O_CLOEXEC) == 0 && fstat(p[0], st) == 0);
}

static void pipe_close(const int p[2])
{
	(void)close(p[0]);
	(void)close(p[1]);
}

static void expect_rights(const int p[2], const struct stat *was, const char *what)
{
	struct stat now;

	cr_expect(fstat(p[0], &now) == 0 && same_rights(was, &now), "%s: mode %o, group %u", what,
		  now.st_mode, now.st_gid);
}

/* Several may write to one pipe, and the first to end leaves the others theirs. */
Test(live_stream_names, a_pipe_is_set_back_by_the_last)
{
	struct stat was, in_was;
	int out[2], go[2];
	char text[64];
	pid_t slow;

	pipe_open(out, &was);
	pipe_open(go, &in_was);
	slow = START(go[0], out[1], -1, "-q", "--", "sh", "-c",
		     "echo up; read x </dev/stdin; echo $x >/dev/stdout");
	cr_assert_eq(read(out[0], text, sizeof(text)), 3);
	cr_expect_eq(RUN_WITH(-1, out[1], -1, "-q", "--", "sh", "-c", "echo quick >/dev/stdout"),
		     0);
	cr_assert_eq(read(out[0], text, sizeof(text)), 6);
	cr_assert_eq(write(go[1], "slow\n", 5), 5);
	cr_expect_eq(end_of(slow), 0);
	cr_expect_eq(take(out[0], text, sizeof(text), false), 5);
	expect_rights(out, &was, "after both");
	expect_rights(go, &in_was, "the input");
	pipe_close(out);
	pipe_close(go);
}

/* Of one that two read the first has the name, and the second's descriptor is as good as ever. */
Test(live_stream_names, a_pipe_that_two_read)
{
	struct stat was, out_was;
	int in[2], out[2];
	char text[64];
	pid_t first;

	pipe_open(in, &was);
	pipe_open(out, &out_was);
	first = START(in[0], out[1], -1, "-q", "--", "sh", "-c", "echo up; head -c 2 /dev/stdin");
	cr_assert_eq(read(out[0], text, sizeof(text)), 3);
	expect_ways(in[0], 0, NONE, "of the second");
	cr_assert_eq(write(in[1], "a\n", 2), 2);
	cr_expect_eq(end_of(first), 0);
	expect_rights(in, &was, "after both");
	expect_ways(in[0], 0, READ, "when it is alone");
	pipe_close(in);
	pipe_close(out);
}

/* With pid 1 of its context, whose end is that of the function and of the locks. */
static void kill_all(pid_t pid)
{
	cr_assert(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && kill(pid, SIGKILL) == 0);
	while (wait(NULL) > 0)
		;
}

/* SIGKILL leaves it open to the function, which is dead; the next run sets it back. */
Test(live_stream_names, a_pipe_of_a_run_that_was_killed)
{
	struct stat was, out_was, now;
	int in[2], out[2];
	char text[64];
	pid_t pid;

	pipe_open(in, &was);
	pipe_open(out, &out_was);
	pid = START(in[0], out[1], -1, "-q", "--", "sh", "-c", "echo up; read x");
	cr_assert_eq(read(out[0], text, sizeof(text)), 3);
	cr_assert(fstat(in[0], &now) == 0 && now.st_gid - SLOT_UID_BASE < SLOT_MAX);
	kill_all(pid);
	expect_ways(in[0], 0, READ, "the same pipe");
	expect_ways(out[1], 1, WRITES, "the same pipe");
	expect_rights(in, &was, "after the next run");
	expect_rights(out, &out_was, "after the next run");
	/* As output now. */
	pid = START(in[0], out[1], -1, "-q", "--", "sh", "-c", "echo up; read x");
	cr_assert_eq(read(out[0], text, sizeof(text)), 3);
	kill_all(pid);
	expect_ways(in[1], 1, WRITES, "the same pipe");
	expect_rights(in, &was, "after the next run");
	pipe_close(in);
	pipe_close(out);
}

/* Whoever made it may have chosen its mode. */
Test(live_stream_names, a_pipe_of_another_mode_is_left_alone)
{
	struct stat was;
	int p[2];

	pipe_open(p, &was);
	cr_assert(fchmod(p[0], 0400) == 0 && fstat(p[0], &was) == 0);
	expect_ways(p[0], 0, NONE, "mode 0400");
	expect_rights(p, &was, "after the run");
	pipe_close(p);
}
