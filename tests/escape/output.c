/* SPDX-License-Identifier: MIT */
/*
 * What a function writes: past its limit by another stream, and so that our own lines could be
 * mistaken. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
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

#define STREAMS "/opt/streams"

/* ---- the output limit ---- */

#define LIMIT "--output-limit", "1K"

Test(escape_limit, a_terminal_as_input_takes_no_output)
{
	struct terminal_pair t = terminal_open();
	char text[16384];

	cr_expect_eq(
		RUN_WITH(t.slave, t.slave, t.slave, "-q", LIMIT, STREAMS, "write-input", "4096"),
		0);
	(void)take(t.master, text, sizeof(text), false);
	cr_expect_str_eq(text, "EBADF\r\n");
	cr_expect_eq(RUN_WITH(t.slave, -1, -1, "-q", LIMIT, STREAMS, "reopen-input"), 0);
	cr_expect_eq(take(t.master, text, sizeof(text), false), 0, "%s", text);
	/* Without a limit it is as it was given. */
	cr_expect_eq(RUN_WITH(t.slave, -1, -1, "-q", STREAMS, "write-input", "100"), 0);
	cr_expect_eq(take(t.master, text, sizeof(text), false), 100);
	terminal_close(&t);
}

Test(escape_limit, a_file_or_fifo_as_input_takes_no_output)
{
	cleanup_fd int file = file_of("one\ntwo\nthree\n"), said = file_of("");
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = NULL;
	char text[64];
	int fifo;

	cr_expect_eq(RUN_WITH(file, said, -1, "-q", LIMIT, STREAMS, "write-input", "4096"), 0);
	cr_expect_str_eq(text_of(said), "EBADF\n");
	cr_expect_str_eq(text_of(file), "one\ntwo\nthree\n");
	/* It is read on where it was left. */
	cr_expect_eq(RUN_WITH(file, -1, -1, "-q", LIMIT, "--repeat", "2", "--", "dd", "bs=4",
			      "count=1", "status=none"),
		     0);
	cr_expect_eq(lseek(file, 0, SEEK_CUR), 8);
	cr_assert(asprintf(&path, "%s/fifo", dir) > 0 && mkfifo(path, 0600) == 0);
	fifo = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(fifo >= 0 && write(fifo, "in\n", 3) == 3);
	cr_expect_eq(RUN_WITH(fifo, -1, -1, "-q", LIMIT, "--", "sh", "-c",
			      "read x && test $x = in && ! echo y >&0 2>/dev/null"),
		     0);
	cr_expect_eq(take(fifo, text, sizeof(text), false), 0, "%s", text);
	(void)close(fifo);
}

/* It is open for reading only, and yet has a name by which it can be opened for more. */
Test(escape_limit, an_input_that_anybody_may_write_takes_no_output)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = NULL, *fifo = NULL;
	cleanup_fd int fd = -1, said = file_of(""), in = -1;

	cr_assert(asprintf(&path, "%s/input", dir) > 0 && asprintf(&fifo, "%s/fifo", dir) > 0);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && fchmod(fd, 0666) == 0 && write(fd, "in\n", 3) == 3);
	in = open(path, O_RDONLY | O_CLOEXEC);
	cr_expect_eq(RUN_WITH(in, said, -1, "-q", LIMIT, "--", "sh", "-c",
			      "read x && test $x = in && exec /opt/streams reopen-input"),
		     0);
	cr_expect_str_eq(text_of(said), "EACCES\n");
	cr_expect_str_eq(text_of(fd), "in\n");
	cr_assert(mkfifo(fifo, 0600) == 0 && chmod(fifo, 0666) == 0);
	fd_close(&in);
	in = open(fifo, O_RDWR | O_CLOEXEC);
	cr_expect_eq(RUN_WITH(in, -1, said, "-q", LIMIT, "--", "true"), 125);
	expect_has(text_of(said), "chmod o-w");
}

Test(escape_limit, output_and_error_count_together_wherever_they_go)
{
	struct terminal_pair t = terminal_open();
	cleanup_fd int file = file_of("");
	char text[16384];
	int s[2];

	pair_open(s);
	cr_expect_eq(RUN_WITH(-1, t.slave, t.slave, "-q", LIMIT, "--", "sh", "-c",
			      "head -c 900 /dev/zero; head -c 900 /dev/zero >&2"),
		     153);
	cr_expect_eq(take(t.master, text, sizeof(text), false), 1024);
	cr_expect_eq(RUN_WITH(s[0], s[0], file, "-q", LIMIT, "--", "sh", "-c",
			      "head -c 900 /dev/zero; head -c 900 /dev/zero >&2"),
		     153);
	cr_expect_eq(take(s[1], text, sizeof(text), false) + (size_t)lseek(file, 0, SEEK_END),
		     1024);
	terminal_close(&t);
	(void)close(s[0]);
	(void)close(s[1]);
}

/* ---- our own lines ---- */

#define FORGE	  "--", "sh", "-c", "printf 'REPORT RequestId: forged' >&2"
#define WELL	  "--", "sh", "-c", "echo well >&2"
#define FORGE_OUT "--", "sh", "-c", "printf 'REPORT RequestId: forged'"

/* The last line is the report, whole; the others are as many as expected. */
static void expect_report(const char *text, size_t lines, const char *head, const char *what)
{
	const char *last = text;

	for (const char *p = text; *p; p++)
		if (*p == '\n' && p[1])
			last = p + 1;
	cr_expect_eq(strncmp(last, head, strlen(head)), 0, "%s: %s", what, text);
	cr_expect_eq(count_lines(text), lines, "%s: %s", what, text);
	cr_expect_null(strstr(last, "RequestId: forged"), "%s: %s", what, text);
}

static void forge_into(int fd, int look, const char *what, size_t more)
{
	char text[8192];

	cr_expect_eq(RUN_WITH(-1, -1, fd, FORGE), 0);
	(void)take(look, text, sizeof(text), false);
	expect_report(text, 2, "REPORT RequestId: ", what);
	cr_expect_eq(RUN_WITH(-1, -1, fd, "-q", "--report", "-", FORGE), 0);
	(void)take(look, text, sizeof(text), false);
	expect_report(text, 2, "{\"schema\"", what);
	/* Where its output goes to the same place. */
	cr_expect_eq(RUN_WITH(-1, fd, fd, FORGE_OUT), 0);
	(void)take(look, text, sizeof(text), false);
	expect_report(text, 2, "REPORT RequestId: ", what);
	/* No empty lines where it is known that there is no need. */
	cr_expect_eq(RUN_WITH(-1, -1, fd, WELL), 0);
	(void)take(look, text, sizeof(text), false);
	expect_report(text, 2 + more, "REPORT RequestId: ", what);
	cr_expect_eq(RUN_WITH(-1, -1, fd, "--", "true"), 0);
	(void)take(look, text, sizeof(text), false);
	expect_report(text, 1 + more, "REPORT RequestId: ", what);
}

Test(escape_report, begins_a_line_of_its_own)
{
	struct terminal_pair t = terminal_open();
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = NULL;
	int p[2], s[2], file, appended, look;

	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	forge_into(p[1], p[0], "a pipe", 0);
	pair_open(s);
	forge_into(s[1], s[0], "a socket", 0);
	forge_into(t.slave, t.master, "a terminal", 1);
	cr_assert(asprintf(&path, "%s/said", dir) > 0);
	file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	look = open(path, O_RDONLY | O_CLOEXEC);
	forge_into(file, look, "a file", 0);
	appended = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	forge_into(appended, look, "the end of a file", 0);
	terminal_close(&t);
	for (int i = 0; i < 2; i++) {
		(void)close(p[i]);
		(void)close(s[i]);
	}
	(void)close(file);
	(void)close(appended);
	(void)close(look);
}

/* Complaints, too, and of each of several invocations. */
Test(escape_report, so_does_whatever_else_is_said)
{
	cleanup_run struct run run = { .no_report = true };

	RUN(&run, "sh", "-c",
	    "$CLOCHE run --no-ledger --repeat 2 --output-limit 1M -- sh -c "
	    "'echo lost; printf \"cloche run: all is well\" >&2' >/dev/full");
	cr_expect_eq(run.status, 125);
	expect_has(run.err, "all is well\nREPORT");
	expect_has(run.err, "\ncloche run: write to standard output: no space left on device\n");
}
