/* SPDX-License-Identifier: MIT */
/* Images that are damaged, of another machine, or out of space; imports that are looked at, or
 * interrupted, while they work. */
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/slot.h"
#include "image/image.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- bad images ------------------------------------------------------------------------------ */

Test(image_broken, a_damaged_one_is_not_used)
{
	cleanup_store struct store s = store_make();
	const char *file = store_file(&s, "store/tiny.erofs"), *tree = tree_make(&s, "tree");
	/* The file system's head, its data, the description, the last block's words and padding. */
	static const off_t where[] = { 1024, 9000, -8192, -4096, -4080, -100 };
	char sha[65];

	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		cleanup_run struct run run = { 0 };

		store_build(&s, tree, "tiny", sha);
		file_flip(file, where[i]);
		RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
		expect_refused(&run, 125, "image 'tiny' is damaged");
		cr_assert_str_eq(report_text(&run, "verdict"), "launch_error");
		run_free(&run);
		RUN_IMAGE(&run, "verify", "tiny");
		expect_refused(&run, 1, "image 'tiny' is damaged");
		cr_assert_eq(mounts_with(sha), 0);
	}
	for (off_t size = 0; size <= 8192; size += 4096) {
		cleanup_run struct run run = { 0 };

		store_build(&s, tree, "tiny", sha);
		cr_assert_eq(truncate(file, size), 0);
		RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
		expect_refused(&run, 125, "image 'tiny' is damaged");
		run_free(&run);
		RUN_IMAGE(&run, "remove", "tiny");
		cr_assert_eq(run.status, 0, "%s", run.err);
		cr_assert_eq(store_count(&s), 0);
	}
}

Test(image_broken, one_for_another_architecture_is_refused_by_name)
{
	cleanup_store struct store s = store_make();
	const char *file = store_file(&s, "store/tiny.erofs");
	cleanup_run struct run run = { 0 };
	struct cloche_err err = { 0 };
	cleanup_fd int fd = -1, store = -1;
	struct image image;
	char sha[65];

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	fd = open(file, O_RDWR | O_CLOEXEC);
	cr_assert(fd >= 0);
	/* As such a machine would have made it: the description and the last block replaced. */
	cr_assert_eq(ftruncate(fd, lseek(fd, 0, SEEK_END) - 2 * IMAGE_BLOCK), 0);
	cr_assert_eq(image_seal(fd, "{\"arch\":\"riscv64\",\"kind\":\"base\"}", &err), 0, "%s",
		     err.text);
	store = image_store_open(false, &err);
	cr_assert_eq(image_open(store, "tiny", &image, &err), 0, "%s", err.text);
	image_close(&image);
	RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
	expect_refused(&run, 125, "is for riscv64: this program and machine are " IMAGE_ARCH);
	cr_assert_eq(mounts_with(image.sha256), 0);
}

Test(image_broken, what_is_no_mount_point_is_refused)
{
	static const char *const points[] = { "dev", "proc", "sys", "tmp" };
	cleanup_store struct store s = store_make();

	for (size_t i = 0; i < 4; i++) {
		const char *tree = tree_make(&s, points[i]);
		cleanup_run struct run run = { 0 };
		char part[64];

		cr_assert_eq(symlink("/etc", store_file(&s, "%s/%s", points[i], points[i])), 0);
		RUN_IMAGE(&run, "build", "--dir", tree, "tiny");
		(void)snprintf(part, sizeof(part), "'/%s' in the image is a link", points[i]);
		expect_refused(&run, 1, part);
		cr_assert_eq(store_count(&s), 0);
	}
}

Test(image_broken, a_full_disk_leaves_nothing)
{
	cleanup_store struct store s = store_make();
	const char *tree = tree_make(&s, "tree"), *big = store_file(&s, "tree/big");
	cleanup_run struct run run = { 0 };
	char sha[65];

	cr_assert_eq(mkdir(s.path, 0755), 0);
	cr_assert_eq(mount("cloche-image-test", s.path, "tmpfs", 0, "size=4M,mode=755"), 0, "%m");
	store_build(&s, tree, "tiny", sha);
	PUT(big, "");
	/* Too much to be copied, then too much to be packed beside the copy. */
	for (off_t size = 8 << 20; size >= 2 << 20; size -= 6 << 20) {
		run_free(&run);
		cr_assert_eq(truncate(big, 0), 0);
		RUN(&run, "dd", "if=/dev/zero", "bs=1M", size > 4 << 20 ? "count=8" : "count=2",
		    "status=none", "conv=notrunc", "of=/dev/stdout");
		put(big, run.out, run.out_len);
		run_free(&run);
		RUN_IMAGE(&run, "build", "--dir", tree, "tiny");
		expect_refused(&run, 1, "the disk of the image store: no space left on device");
		cr_assert_eq(store_count(&s), 1);
	}
	run_free(&run);
	RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
	cr_assert_eq(run.status, 0, "the image of before: %s", run.err);
}

/* ---- interrupted ----------------------------------------------------------------------------- */

/* An import that reads from a FIFO: its worker has come to reading when it has taken more of an
 * archive than the FIFO holds. */
struct import {
	pid_t pid;
	int fifo, err;
};

#define FIFO_HOLDS 65536

/* The beginning of a file of 1 MiB (pax(1), ustar). */
static void archive_begin(int fd)
{
	static char text[512 + 4 * FIFO_HOLDS];
	unsigned sum = 0;

	memset(text, 0, sizeof(text));
	(void)snprintf(text, 100, "file");
	(void)snprintf(text + 100, 8, "%07o", 0644);
	(void)snprintf(text + 124, 12, "%011o", 1U << 20);
	(void)snprintf(text + 136, 12, "%011o", 0);
	memset(text + 148, ' ', 8);
	text[156] = '0';
	(void)snprintf(text + 257, 6, "ustar");
	text[263] = text[264] = '0';
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)text[i];
	(void)snprintf(text + 148, 8, "%06o", sum);
	cr_assert_eq(write(fd, text, sizeof(text)), sizeof(text));
}

static struct import import_start(const struct store *s, const char *name)
{
	const char *fifo = store_file(s, "fifo");
	struct import i;
	int pipes[2];

	cr_assert(mkfifo(fifo, 0600) == 0 || errno == EEXIST);
	cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
	i.pid = fork();
	cr_assert(i.pid >= 0);
	if (i.pid == 0) {
		(void)dup2(pipes[1], 2);
		(void)execl(env_need("CLOCHE"), "cloche", "image", "import", fifo, name, NULL);
		_exit(127);
	}
	(void)close(pipes[1]);
	i.err = pipes[0];
	i.fifo = open(fifo, O_WRONLY | O_CLOEXEC);
	cr_assert(i.fifo >= 0);
	archive_begin(i.fifo);
	return i;
}

/* Returns the wait status; the worker is gone when nobody can read the FIFO any more. */
static int import_end(struct import *i, int sig, char *text, size_t size)
{
	struct pollfd reader = { .fd = i->fifo };
	int status = 0;
	ssize_t n;

	cr_assert_eq(kill(i->pid, sig), 0);
	cr_assert_eq(waitpid(i->pid, &status, 0), i->pid);
	cr_assert_eq(poll(&reader, 1, 10000), 1, "the worker outlives its maker");
	cr_assert(reader.revents & POLLERR);
	n = read(i->err, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	(void)close(i->fifo);
	(void)close(i->err);
	return status;
}

Test(image_broken, an_interrupted_one_leaves_nothing)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	cleanup_store struct store s = store_make();
	char sha[65], text[512];

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	for (size_t k = 0; k < 3; k++) {
		size_t mounts = mounts_with(" /proc ");
		struct import i = import_start(&s, "tiny");
		int status;

		cr_assert_eq(store_count(&s), 2, "it works in the store");
		status = import_end(&i, signals[k], text, sizeof(text));
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + signals[k], "%x",
			  status);
		cr_assert(strstr(text, "interrupted; no image was made"), "%s", text);
		cr_assert_eq(store_count(&s), 1);
		cr_assert_eq(mounts_with(" /proc "), mounts);
	}
}

Test(image_broken, what_a_killed_one_leaves_the_next_one_removes)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	const char *tree = tree_make(&s, "tree");
	size_t mounts = mounts_with(" /proc ");
	char first[65], text[512];
	struct import killed, living;

	store_build(&s, tree, "tiny", first);
	killed = import_start(&s, "tiny");
	(void)import_end(&killed, SIGKILL, text, sizeof(text));
	cr_assert_eq(mounts_with(" /proc "), mounts, "the build's mounts are the host's");
	cr_assert_eq(store_count(&s), 2, "it cannot tidy up, being dead");
	RUN_IMAGE(&run, "verify", "tiny");
	cr_assert_eq(run.status, 0, "the image of before: %s", run.err);
	run_free(&run);
	/* One that is still at work is not taken for dead. */
	living = import_start(&s, "other");
	cr_assert_eq(store_count(&s), 2);
	RUN_IMAGE(&run, "build", "--dir", tree, "third");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(store_count(&s), 3);
	(void)import_end(&living, SIGINT, text, sizeof(text));
	cr_assert_eq(store_count(&s), 2);
}

/* The first child of a process; 0: it has none. */
static pid_t child_of(pid_t pid)
{
	cleanup_free char *path = NULL, *text = NULL;
	size_t len;

	cr_assert_gt(asprintf(&path, "/proc/%d/task/%d/children", pid, pid), 0);
	return file_load(AT_FDCWD, path, 4096, &text, &len, NULL) == 0
		       ? (pid_t)strtol(text, NULL, 10)
		       : 0;
}

/* It may read any file that it sees, CAP_DAC_READ_SEARCH, and there its rights end: nobody's,
 * behind a filter, without a network, in a folder that is root's again when the image is made. */
Test(image_broken, who_reads_an_archive_is_nobody)
{
	static const char *const want[] = { "CapPrm:\t0000000000000004\n",
					    "CapEff:\t0000000000000004\n",
					    "CapInh:\t0000000000000000\n",
					    "CapBnd:\t0000000000000000\n",
					    "CapAmb:\t0000000000000000\n",
					    "NoNewPrivs:\t1\n",
					    "Seccomp:\t2\n",
					    "Groups:\t \n" };
	cleanup_store struct store s = store_make();
	struct import i = import_start(&s, "tiny");
	cleanup_free char *path = NULL, *net = NULL, *status = NULL;
	char text[512], ids[64], ours[64] = "", its[64] = "";
	pid_t worker = child_of(i.pid), reader = worker > 0 ? child_of(worker) : 0;
	size_t len;

	cr_assert_gt(reader, 0);
	cr_assert(asprintf(&path, "/proc/%d/status", reader) > 0 &&
		  asprintf(&net, "/proc/%d/ns/net", reader) > 0);
	cr_assert_eq(file_load(AT_FDCWD, path, 1 << 16, &status, &len, NULL), 0);
	(void)snprintf(ids, sizeof(ids), "\nUid:\t%u\t%u\t%u\t%u\n", SLOT_UID_NONE, SLOT_UID_NONE,
		       SLOT_UID_NONE, SLOT_UID_NONE);
	cr_expect_not_null(strstr(status, ids), "%s", status);
	for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++)
		cr_expect_not_null(strstr(status, want[k]), "not %s: %s", want[k], status);
	cr_assert(readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) > 0 &&
		  readlink(net, its, sizeof(its) - 1) > 0);
	cr_expect_str_neq(ours, its);
	(void)import_end(&i, SIGTERM, text, sizeof(text));
	cr_assert_eq(store_count(&s), 0);
}
