/* SPDX-License-Identifier: MIT */
/* A function's log: what was written is read again, bounded, and never two lines as one. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "function/function_lines.h"
#include "function/function_log.h"

#define ID "123e4567-e89b-42d3-a456-426614174000"

static int make_dir(char path[static 32])
{
	(void)snprintf(path, 32, "/tmp/cloche-log-XXXXXX");
	cr_assert(mkdtemp(path));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_dir(int dir, const char *path)
{
	(void)unlinkat(dir, FUNCTION_LOG_NAME, 0);
	(void)unlinkat(dir, FUNCTION_LOG_OLD, 0);
	(void)close(dir);
	cr_expect_eq(rmdir(path), 0);
}

static char *load(int dir, const char *name)
{
	struct cloche_err err = { 0 };
	char *text = NULL;
	size_t len;

	cr_assert_geq(file_load(dir, name, 1U << 20, &text, &len, &err), 0, "%s", err.text);
	return text;
}

Test(function_log, what_was_written_is_read_again)
{
	static const char raw[] = "\x1b[31m a\tb\0c \r";
	struct function_log_entry e;
	cleanup_free char *text = NULL;
	struct function_log log;
	char path[32], *end;
	int dir = make_dir(path);

	function_log_init(&log, dir, 1U << 20);
	cr_assert_eq(function_log_write(&log, 12345, ID, raw, sizeof(raw) - 1), 0);
	cr_assert_eq(function_log_write(&log, 12346, "", "", 0), 0);
	function_log_close(&log);
	text = load(dir, FUNCTION_LOG_NAME);
	end = memchr(text, '\n', 200);
	cr_assert(end);
	cr_assert_eq(function_log_parse(text, (size_t)(end - text), &e), FUNCTION_LOG_ENTRY);
	cr_expect_eq(e.real_ns, 12345);
	cr_expect_str_eq(e.request_id, ID);
	cr_expect_eq(e.len, sizeof(raw) - 1);
	cr_expect_arr_eq(e.message, raw, sizeof(raw) - 1);
	cr_assert_eq(function_log_parse(end + 1, strlen(end + 1) - 1, &e), FUNCTION_LOG_ENTRY);
	cr_expect_str_eq(e.request_id, "");
	cr_expect_eq(e.len, 0);
	remove_dir(dir, path);
}

Test(function_log, it_never_has_more_than_its_bound)
{
	cleanup_free char *old = NULL;
	char path[32], line[100];
	struct function_log log;
	struct stat a, b;
	int dir = make_dir(path);

	memset(line, 'x', sizeof(line));
	function_log_init(&log, dir, 4096);
	for (int i = 0; i < 200; i++) {
		cr_assert_eq(function_log_write(&log, 1, "", line, sizeof(line)), 0);
		if (fstatat(dir, FUNCTION_LOG_OLD, &a, 0) < 0)
			a.st_size = 0;
		cr_assert_eq(fstatat(dir, FUNCTION_LOG_NAME, &b, 0), 0);
		cr_assert_leq(a.st_size + b.st_size, 4096 + 2);
	}
	function_log_close(&log);
	old = load(dir, FUNCTION_LOG_OLD);
	cr_expect_str_eq(old + strlen(old) - 3, "\n0\n", "who follows it is told where it ends");
	remove_dir(dir, path);
}

Test(function_log, behind_half_a_line_begins_a_new_one)
{
	cleanup_free char *text = NULL;
	struct function_log log;
	char path[32];
	int dir = make_dir(path);
	int fd = openat(dir, FUNCTION_LOG_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, "99 - torn", 9), 9);
	(void)close(fd);
	function_log_init(&log, dir, 1U << 20);
	cr_assert_eq(function_log_write(&log, 100, "", "whole", 5), 0);
	function_log_close(&log);
	text = load(dir, FUNCTION_LOG_NAME);
	cr_expect_str_eq(text, "99 - torn\n100 - whole\n");
	remove_dir(dir, path);
}

Test(function_log, what_is_no_entry_is_none)
{
	static const char *const none[] = { "",	     " ",      "5",	  "5 ",	    "5 -",
					    "x - m", "-1 - m", "5 abc m", "00 - m", "5  m" };
	struct function_log_entry e;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		cr_expect_eq(function_log_parse(none[i], strlen(none[i]), &e), FUNCTION_LOG_NONE,
			     "'%s'", none[i]);
	cr_expect_eq(function_log_parse("0", 1, &e), FUNCTION_LOG_ROTATED);
}

/* ---- lines ----------------------------------------------------------------------------------- */

struct told {
	char text[256];
	size_t n, longest;
};

static void tell(void *arg, const char *text, size_t len)
{
	struct told *t = arg;
	size_t at = strlen(t->text);

	t->n++;
	t->longest = len > t->longest ? len : t->longest;
	if (len < 20)
		(void)snprintf(t->text + at, sizeof(t->text) - at, "%.*s|", (int)len, text);
}

Test(function_lines, however_it_is_cut_into_pieces)
{
	static const char all[] = "a\n\nbcd\ne";

	for (size_t piece = 1; piece < sizeof(all); piece++) {
		struct told told = { .n = 0 };
		struct function_lines l = { .line = tell, .arg = &told };

		for (size_t at = 0; at < sizeof(all) - 1; at += piece)
			function_lines_take(&l, all + at,
					    at + piece < sizeof(all) - 1 ? piece
									 : sizeof(all) - 1 - at);
		cr_expect_str_eq(told.text, "a||bcd|", "in pieces of %zu", piece);
		function_lines_flush(&l);
		cr_expect_str_eq(told.text, "a||bcd|e|", "in pieces of %zu", piece);
		function_lines_flush(&l);
		cr_expect_eq(told.n, 4);
		function_lines_free(&l);
	}
}

Test(function_lines, what_is_too_long_is_cut_and_its_newline_is_no_line)
{
	cleanup_free char *much = malloc(2 * FUNCTION_LOG_LINE + 1);
	struct told told = { .n = 0 };
	struct function_lines l = { .line = tell, .arg = &told };

	memset(much, 'x', 2 * FUNCTION_LOG_LINE);
	much[2 * FUNCTION_LOG_LINE] = '\n';
	function_lines_take(&l, much, 2 * FUNCTION_LOG_LINE + 1);
	cr_expect_eq(told.n, 2);
	cr_expect_eq(told.longest, FUNCTION_LOG_LINE);
	/* And in pieces, the newline by itself. */
	for (size_t at = 0; at < 2 * FUNCTION_LOG_LINE; at += 1024)
		function_lines_take(&l, much + at, 1024);
	function_lines_take(&l, "\n\n", 2);
	cr_expect_eq(told.n, 5, "%zu", told.n);
	cr_expect_eq(l.size, 0, "no memory is held");
	function_lines_free(&l);
}
