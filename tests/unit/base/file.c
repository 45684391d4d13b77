/* SPDX-License-Identifier: MIT */
/* Whole files and control files. */
#include "base/file.h"

#include <criterion/criterion.h>
#include <sys/wait.h>
#include <sys/prctl.h>
#include <signal.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "tests/lib/tmpdir.h"

static void file_make(int dirfd, const char *name, size_t len)
{
	cleanup_fd int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t i;

	cr_assert(fd >= 0);
	for (i = 0; i < len; i++)
		cr_assert_eq(write(fd, "abcdefg" + i % 7, 1), 1);
}

/* Sizes around the limit and around the first chunk, each read exactly or refused. */
Test(file, load_keeps_the_limit)
{
	static const size_t sizes[] = { 0, 1, 99, 100, 101, 4095, 4096, 4097, 9000 };
	cleanup_tmpdir char *path = tmpdir_make();
	cleanup_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t i, m;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		file_make(dir, "f", sizes[i]);
		for (m = 0; m < sizeof(sizes) / sizeof(sizes[0]); m++) {
			cleanup_free char *buf = NULL;
			struct cloche_err err = { 0 };
			size_t len = 12345, n;
			int r = file_load(dir, "f", sizes[m], &buf, &len, &err);

			if (sizes[i] > sizes[m]) {
				cr_expect_eq(r, -EFBIG, "%zu of %zu", sizes[i], sizes[m]);
				cr_expect_null(buf);
				cr_expect_eq(len, 12345);
				continue;
			}
			cr_assert_eq(r, 0, "%zu of %zu: %s", sizes[i], sizes[m], err.text);
			cr_expect_eq(len, sizes[i]);
			cr_expect_eq(buf[len], '\0');
			for (n = 0; n < len; n++)
				cr_assert_eq(buf[n], "abcdefg"[n % 7]);
		}
	}
}

/* Files of /proc say that they are empty. */
Test(file, load_reads_files_without_a_size)
{
	cleanup_free char *buf = NULL;
	struct cloche_err err = { 0 };
	size_t len;

	cr_assert_eq(file_load(AT_FDCWD, "/proc/self/status", 1 << 20, &buf, &len, &err), 0);
	cr_expect(strstr(buf, "Pid:"));
	cr_expect_eq(strlen(buf), len);
}

Test(file, load_reads_pipes)
{
	cleanup_free char *buf = NULL;
	struct cloche_err err = { 0 };
	size_t len;
	int p[2];

	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	cr_assert_eq(write(p[1], "a\0b", 3), 3);
	close(p[1]);
	cr_assert_eq(file_load_fd(p[0], "pipe", 10, &buf, &len, &err), 0);
	cr_expect_eq(len, 3);
	cr_expect_arr_eq(buf, "a\0b", 4);
	cr_expect_geq(fcntl(p[0], F_GETFD), 0, "the caller's descriptor was closed");
}

Test(file, load_says_what_is_wrong)
{
	cleanup_tmpdir char *path = tmpdir_make();
	cleanup_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cloche_err err = { 0 };
	char *buf = NULL;
	size_t len;

	cr_expect_eq(file_load(dir, "none\n", 10, &buf, &len, &err), -ENOENT);
	cr_expect_str_eq(err.text, "open 'none\\n': no such file or directory");
	cr_expect_eq(file_load(dir, ".", 10, &buf, &len, &err), -EISDIR);
	file_make(dir, "f", 11);
	cr_expect_eq(file_load(dir, "f", 10, &buf, &len, &err), -EFBIG);
	cr_expect_str_eq(err.text, "read 'f': larger than 10 bytes");
	cr_expect_eq(file_load(dir, "f", SIZE_MAX, &buf, &len, &err), -EINVAL);
	cr_expect_null(buf);
}

Test(file, control_files_go_both_ways)
{
	cleanup_tmpdir char *path = tmpdir_make();
	cleanup_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cloche_err err = { 0 };
	uint64_t value = 5;
	char buf[8];

	cr_expect_eq(file_write_text(dir, "c", "1", &err), -ENOENT, "created a control file");
	file_make(dir, "c", 0);
	cr_assert_eq(file_write_text(dir, "c", "12 ab\n", &err), 0);
	cr_assert_eq(file_read_text(dir, "c", buf, sizeof(buf), &err), 0);
	cr_expect_str_eq(buf, "12 ab");
	cr_expect_eq(file_read_text(dir, "c", buf, 7, &err), 0);
	cr_expect_eq(file_read_text(dir, "c", buf, 6, &err), -EFBIG);
	cr_expect_eq(file_read_u64(dir, "c", &value, &err), -EINVAL);
	cr_expect(strstr(err.text, "read 'c': number '12 ab'"), "%s", err.text);
	cr_expect_eq(file_read_u64(dir, "c", &value, NULL), -EINVAL);
	cr_expect_eq(value, 5);

	file_make(dir, "c", 0);
	cr_assert_eq(file_write_u64(dir, "c", UINT64_MAX - 1, &err), 0);
	cr_assert_eq(file_read_u64(dir, "c", &value, &err), 0);
	cr_expect_eq(value, UINT64_MAX - 1);

	file_make(dir, "c", 0);
	cr_assert_eq(file_write_text(dir, "c", "max\n", &err), 0);
	cr_assert_eq(file_read_u64(dir, "c", &value, &err), 0);
	cr_expect_eq(value, UINT64_MAX);
}

Test(file, control_files_report_the_kernels_answer)
{
	struct cloche_err err = { 0 };
	char tiny[1];

	cr_expect_eq(file_write_text(AT_FDCWD, "/proc/self/oom_score_adj", "x", &err), -EINVAL);
	cr_expect_str_eq(err.text, "write 'x' to '/proc/self/oom_score_adj': invalid argument");
	cr_expect_eq(file_write_text(AT_FDCWD, "/dev/full", "x", &err), -ENOSPC);
	cr_expect_eq(file_read_text(AT_FDCWD, "/dev/null", tiny, 1, &err), 0);
	cr_expect_str_eq(tiny, "");
}

/* The kernel gives up on a ".." whenever anybody renames anything: no reason for us to. */
Test(file, beneath_is_found_while_others_rename)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_fd int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t renamer;

	cr_assert_eq(mkdirat(at, "a", 0755), 0);
	cr_assert_eq(mkdirat(at, "b", 0755), 0);
	renamer = fork();
	if (renamer == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)mkdirat(at, "x", 0755);
		while (renameat(at, "x", at, "y") == 0 && renameat(at, "y", at, "x") == 0)
			;
		_exit(1);
	}
	for (int i = 0; i < 5000; i++) {
		int fd = file_open_beneath(at, "a/../b/../a", O_PATH | O_CLOEXEC, 0);

		cr_assert_geq(fd, 0, "%s", strerror(-fd));
		close(fd);
	}
	cr_assert_eq(file_open_beneath(at, "a/../..", O_PATH | O_CLOEXEC, 0), -EXDEV);
	cr_assert_eq(kill(renamer, SIGKILL), 0);
	cr_assert_eq(waitpid(renamer, NULL, 0), renamer);
}

Test(file, below)
{
	cr_expect(file_is_below("/a", "/a"));
	cr_expect(file_is_below("/a/b", "/a"));
	cr_expect_not(file_is_below("/ab", "/a"));
	cr_expect_not(file_is_below("/", "/a"));
	cr_expect_not(file_is_below("", "/a"));
}
