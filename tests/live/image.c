/* SPDX-License-Identifier: MIT */
/*
 * Images as a user of `cloche image` and `cloche run --rootfs` has them: made, used, replaced,
 * removed; damaged, interrupted, out of space. The images are tiny, made from a directory by the
 * code that packs the real ones; what fills those is vm-images/'s to test (make check-images).
 */
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
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* An image of this name, its hash in sha. */
static void build(const struct store *s, const char *dir, const char *name, char sha[65])
{
	cleanup_run struct run run = { 0 };

	RUN_IMAGE(&run, "build", "--dir", dir, name);
	(void)snprintf(sha, 65, "%s", sha_of(&run));
	cr_assert_eq(run.err_len, 0, "%s", run.err);
}

/* Sets the time of a file below the test's directory, each time with another part of a second. */
static void touch(const struct store *s, const char *file, time_t sec)
{
	static long part;
	struct timespec t[2] = { { .tv_sec = sec }, { .tv_sec = sec, .tv_nsec = ++part } };

	cr_assert_eq(utimensat(AT_FDCWD, store_file(s, "%s", file), t, 0), 0, "%s: %m", file);
}

Test(image, a_function_runs_in_it)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	char sha[65];

	build(&s, tree_make(&s, "tree"), "tiny", sha);
	RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_str_eq(report_text(&run, "verdict"), "ok");
	run_free(&run);
	RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/usr/bin/id");
	cr_assert_eq(run.status, 127, "the host's files are in the image: %s", run.err);
}

/* A bind's mount point need not be there; what the image has is never hidden. */
Test(image, binds_find_a_place)
{
	cleanup_store struct store s = store_make();
	cleanup_free char *noop = env_helper("noop"), *task = NULL, *opt = NULL, *top = NULL;
	const char *tree = tree_make(&s, "tree");
	cleanup_run struct run run = { 0 };
	char sha[65];

	cr_assert(asprintf(&task, "%s:/var/task/deep/fn", noop) > 0);
	cr_assert(asprintf(&opt, "%s:/opt/fn", noop) > 0);
	cr_assert(asprintf(&top, "%s:/fn", noop) > 0);
	cr_assert_eq(mkdir(store_file(&s, "tree/opt"), 0755), 0);
	cr_assert_eq(rename(store_file(&s, "tree/noop"), store_file(&s, "tree/opt/own")), 0);
	build(&s, tree, "tiny", sha);
	RUN_CLOCHE(&run, "--rootfs", "tiny", "-b", task, "--", "/var/task/deep/fn");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	for (int i = 0; i < 2; i++) {
		RUN_CLOCHE(&run, "--rootfs", "tiny", "-b", opt, "--", i ? "/opt/fn" : "/opt/own");
		cr_assert_eq(run.status, 0, "%s", run.err);
		run_free(&run);
	}
	RUN_CLOCHE(&run, "--rootfs", "tiny", "-b", top, "--", "/opt/own");
	expect_refused(&run, 125, "--bind: make '/fn' inside");
}

/* Also the first ones, that find it not mounted, at the same time. */
Test(image, all_contexts_share_one_mount)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	char sha[65], command[1024];

	build(&s, tree_make(&s, "tree"), "tiny", sha);
	cr_assert_eq(mounts_with(sha), 0);
	(void)snprintf(
		command, sizeof(command),
		"for i in 1 2 3 4; do '%s' run -q --rootfs tiny -- /noop & pids=\"$pids $!\"; "
		"done; for pid in $pids; do wait $pid || exit; done",
		env_need("CLOCHE"));
	RUN(&run, "sh", "-c", command);
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(mounts_with(sha), 1);
	run_free(&run);
	RUN_IMAGE(&run, "remove", "tiny");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(mounts_with(sha), 0);
	cr_assert_eq(store_count(&s), 0);
}

Test(image, the_same_content_gives_the_same_bytes)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 }, other = { 0 };
	const char *a = tree_make(&s, "a"), *b = tree_make(&s, "b");
	char sha_a[65], sha_b[65];

	/* Made in another order, at another time, by another owner; but the files are as old. */
	PUT(store_file(&s, "a/one"), "1");
	PUT(store_file(&s, "a/two"), "2");
	PUT(store_file(&s, "b/two"), "2");
	PUT(store_file(&s, "b/one"), "1");
	cr_assert_eq(chown(store_file(&s, "b/two"), 12, 34), 0);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = { "one", "two", "noop", "whose" };
		char path[16];

		(void)snprintf(path, sizeof(path), "a/%s", names[i]);
		touch(&s, path, 1600000000 + (time_t)i);
		path[0] = 'b';
		touch(&s, path, 1600000000 + (time_t)i);
	}
	build(&s, a, "a", sha_a);
	build(&s, b, "b", sha_b);
	cr_assert_str_eq(sha_a, sha_b);
	RUN(&run, "cat", store_file(&s, "store/a.erofs"));
	RUN(&other, "cat", store_file(&s, "store/b.erofs"));
	cr_assert(run.out_len > IMAGE_BLOCK && run.out_len == other.out_len);
	cr_assert_eq(memcmp(run.out, other.out, run.out_len), 0);
	run_free(&run);
	/* What the hash is of is written down, for those who check it by other means. */
	RUN(&run, "sh", "-c", "head -c -4096 \"$0\" | sha256sum", store_file(&s, "store/a.erofs"));
	cr_assert_eq(strncmp(run.out, sha_a, 64), 0, "%s", run.out);
	PUT(store_file(&s, "b/one"), "3");
	build(&s, b, "b", sha_b);
	cr_assert_str_neq(sha_a, sha_b);
}

/* The times of an image's file and of its root. */
static void expect_times(const char *path, const char *file, time_t own, time_t root)
{
	cleanup_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	cr_assert_eq(fstatat(dir, file, &st, 0), 0, "%s: %m", file);
	cr_assert(st.st_mtim.tv_sec == own && st.st_mtim.tv_nsec == 0, "%s: %ld.%09ld, not %ld",
		  file, st.st_mtim.tv_sec, st.st_mtim.tv_nsec, own);
	cr_assert_eq(fstat(dir, &st), 0);
	cr_assert(st.st_mtim.tv_sec == root && st.st_mtim.tv_nsec == 0, "the root: %ld.%09ld",
		  st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* What was compiled before packing is told by the time of its source. */
Test(image, files_keep_their_times)
{
	cleanup_store struct store s = store_make();
	const char *tree = tree_make(&s, "tree");
	char sha[65], path[IMAGE_PATH_LEN], other[IMAGE_PATH_LEN];
	struct cloche_err err = { 0 };

	PUT(store_file(&s, "tree/old"), "");
	PUT(store_file(&s, "tree/ancient"), "");
	touch(&s, "tree/noop", 1700000000);
	touch(&s, "tree/whose", 1700000000);
	touch(&s, "tree/old", 1600000000);
	touch(&s, "tree/ancient", -5);
	build(&s, tree, "kept", sha);
	cr_assert_eq(image_mount("kept", path, &err), 0, "%s", err.text);
	expect_times(path, "old", 1600000000, 1700000000);
	expect_times(path, "noop", 1700000000, 1700000000);
	expect_times(path, "ancient", 0, 1700000000);
	/* A bound, as other tools that make things reproducible take it. */
	cr_assert_eq(setenv("SOURCE_DATE_EPOCH", "1650000000", 1), 0);
	build(&s, tree, "bounded", sha);
	cr_assert_eq(image_mount("bounded", other, &err), 0, "%s", err.text);
	cr_assert_str_neq(path, other);
	expect_times(other, "old", 1600000000, 1650000000);
	expect_times(other, "noop", 1650000000, 1650000000);
}

/* The bytes do not depend on how far the store's file system can count. */
Test(image, no_time_is_later_than_2106)
{
	cleanup_store struct store s = store_make();
	const char *tree = tree_make(&s, "tree");
	char sha[65], path[IMAGE_PATH_LEN];
	struct cloche_err err = { 0 };

	touch(&s, "tree/whose", (time_t)UINT32_MAX + 5);
	build(&s, tree, "tiny", sha);
	cr_assert_eq(image_mount("tiny", path, &err), 0, "%s", err.text);
	expect_times(path, "whose", UINT32_MAX, UINT32_MAX);
}

/* What mkfs.erofs cannot pack is named. */
Test(image, a_name_too_long_is_named)
{
	cleanup_store struct store s = store_make();
	const char *tree = tree_make(&s, "tree");
	cleanup_run struct run run = { 0 };
	char name[NAME_MAX + 1], sha[65];

	memset(name, 'n', NAME_MAX);
	name[NAME_MAX - 1] = 0;
	PUT(store_file(&s, "tree/%s", name), "");
	build(&s, tree, "tiny", sha);
	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = 0;
	PUT(store_file(&s, "tree/%s", name), "");
	RUN_IMAGE(&run, "build", "--dir", tree, "long");
	expect_refused(&run, 1, "has 255 bytes, and may have 254 in an image: 'nnn");
	cr_assert_eq(store_count(&s), 1);
}

/* Root mounts what is in it. */
Test(image, one_that_others_may_write_to_is_refused)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	const char *file;
	char sha[65];

	build(&s, tree_make(&s, "tree"), "tiny", sha);
	file = store_file(&s, "store/tiny.erofs");
	cr_assert_eq(chmod(file, 0666), 0);
	RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
	expect_refused(&run, 125, "image 'tiny' can be written by others than root");
	run_free(&run);
	cr_assert(chmod(file, 0644) == 0 && chown(file, 12, 0) == 0);
	RUN_IMAGE(&run, "verify", "tiny");
	expect_refused(&run, 1,
		       "image 'tiny' can be written by others than root (uid 12, mode 644)");
	run_free(&run);
	cr_assert_eq(mounts_with(sha), 0);
	RUN_IMAGE(&run, "remove", "tiny");
	cr_assert_eq(run.status, 0, "%s", run.err);
}

/* The word that is too much is named, not what follows it. */
Test(image, words_too_many_are_refused)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	const char *recipe = store_file(&s, "recipe");

	RUN_IMAGE(&run, "import", "--dir", "tree", "x", "y");
	expect_refused(&run, 2, "import: unknown option '--dir'");
	run_free(&run);
	PUT(recipe, "include base more\n");
	RUN_IMAGE(&run, "build", "--recipe", recipe, "x");
	expect_refused(&run, 1, "recipe, line 1: one package a line");
}

/* Deeper than a path can say. */
Test(image, a_directory_that_holds_the_store_is_refused)
{
	cleanup_store struct store s = store_make();
	const char *const dirs[] = { s.dir, s.path };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		cleanup_run struct run run = { 0 };

		RUN_IMAGE(&run, "build", "--dir", dirs[i], "tiny");
		expect_refused(&run, 1, s.path);
		cr_assert_eq(store_count(&s), 0);
	}
}

Test(image, a_tree_too_deep_leaves_nothing)
{
	cleanup_store struct store s = store_make();
	const char *tree = tree_make(&s, "tree");
	cleanup_run struct run run = { 0 }, gone = { 0 };
	cleanup_fd int at = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[200];

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (int i = 0; i < 40; i++) {
		int below;

		cr_assert_eq(mkdirat(at, name, 0755), 0, "%m");
		below = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		cr_assert(below >= 0, "%m");
		(void)close(at);
		at = below;
	}
	RUN_IMAGE(&run, "build", "--dir", tree, "deep");
	expect_refused(&run, 1, "File name too long");
	cr_assert_eq(store_count(&s), 0);
	RUN(&gone, "rm", "-r", tree);
	cr_assert_eq(gone.status, 0, "%s", gone.err);
}

Test(image, a_bound_of_times_must_be_a_number)
{
	static const char *const wrong[] = { "", "yesterday", "-1", "1.5", "99999999999999999999" };
	cleanup_store struct store s = store_make();
	const char *tree = tree_make(&s, "tree");

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cleanup_run struct run run = { 0 };

		cr_assert_eq(setenv("SOURCE_DATE_EPOCH", wrong[i], 1), 0);
		RUN_IMAGE(&run, "build", "--dir", tree, "tiny");
		expect_refused(&run, 1, "SOURCE_DATE_EPOCH is '");
		cr_assert_eq(store_count(&s), 0);
	}
}

Test(image, list_and_show_say_what_there_is)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	char sha[65], row[256];
	json_t *o;

	RUN_IMAGE(&run, "list");
	cr_assert_eq(run.status, 0, "no store yet: %s", run.err);
	run_free(&run);
	build(&s, tree_make(&s, "tree"), "tiny", sha);
	RUN_IMAGE(&run, "list");
	(void)snprintf(row, sizeof(row), "  %.12s  directory\n", sha);
	cr_assert(strstr(run.out, "\ntiny ") && strstr(run.out, row), "%s", run.out);
	run_free(&run);
	RUN_IMAGE(&run, "show", "--json", "tiny");
	o = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(o, "%s", run.out);
	cr_assert_str_eq(json_string_value(json_object_get(o, "sha256")), sha);
	cr_assert_str_eq(json_string_value(json_object_get(o, "kind")), "directory");
	cr_assert_str_eq(json_string_value(json_object_get(o, "arch")), IMAGE_ARCH);
	cr_assert(json_is_false(json_object_get(o, "mounted")));
	json_decref(o);
}

/* A replaced image: who runs in the old one goes on, who comes later gets the new one. */
Test(image, a_new_one_takes_the_place_of_the_old)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	const char *tree = tree_make(&s, "tree");
	char first[65], second[65], path[IMAGE_PATH_LEN];
	struct cloche_err err = { 0 };
	cleanup_fd int inside = -1;

	build(&s, tree, "tiny", first);
	cr_assert_eq(image_mount("tiny", path, &err), 0, "%s", err.text);
	inside = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(inside >= 0);
	PUT(store_file(&s, "tree/new"), "new");
	build(&s, tree, "tiny", second);
	cr_assert_eq(mounts_with(first), 0);
	cr_assert_eq(faccessat(inside, "noop", X_OK, 0), 0, "%m");
	cr_assert_eq(image_mount("tiny", path, &err), 0, "%s", err.text);
	cr_assert(strstr(path, second));
	cr_assert_eq(store_count(&s), 1);
}

/* Two names of one content share the mount; it goes with the last of them. */
Test(image, the_mount_stays_while_a_name_needs_it)
{
	cleanup_store struct store s = store_make();
	const char *tree = tree_make(&s, "tree");
	char path[IMAGE_PATH_LEN], sha[65];
	cleanup_run struct run run = { 0 };
	struct cloche_err err = { 0 };

	build(&s, tree, "one", sha);
	build(&s, tree, "two", sha);
	cr_assert_eq(image_mount("one", path, &err), 0, "%s", err.text);
	RUN_IMAGE(&run, "remove", "one");
	cr_assert_eq(mounts_with(sha), 1);
	run_free(&run);
	RUN_IMAGE(&run, "remove", "two");
	cr_assert_eq(mounts_with(sha), 0);
}

/* A store is a directory: its path may be written in many ways. */
Test(image, the_mount_goes_however_the_store_is_named)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	char sha[65], other[1024];

	build(&s, tree_make(&s, "tree"), "tiny", sha);
	RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(mounts_with(sha), 1);
	run_free(&run);
	(void)snprintf(other, sizeof(other), "%s/./", s.path);
	cr_assert_eq(setenv(IMAGE_STORE_ENV, other, 1), 0);
	RUN_IMAGE(&run, "remove", "tiny");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(mounts_with(sha), 0);
}

/* Whoever removed the file, and even when it no longer says what was in it. */
Test(image, the_mount_goes_when_its_file_is_no_more)
{
	cleanup_store struct store s = store_make();
	const char *file = store_file(&s, "store/tiny.erofs"), *tree = tree_make(&s, "tree");

	for (int damaged = 0; damaged < 2; damaged++) {
		cleanup_run struct run run = { 0 };
		char sha[65];

		build(&s, tree, "tiny", sha);
		build(&s, tree, "other", sha);
		RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
		cr_assert_eq(run.status, 0, "%s", run.err);
		run_free(&run);
		RUN_IMAGE(&run, "remove", "other");
		cr_assert_eq(mounts_with(sha), 1);
		run_free(&run);
		cr_assert_eq(damaged ? truncate(file, 8192) : unlink(file), 0);
		RUN_IMAGE(&run, "remove", "tiny");
		cr_expect_eq(run.status, damaged ? 0 : 1, "%s", run.err);
		cr_expect_eq(mounts_with(sha), 0);
	}
}

/* ---- bad images ------------------------------------------------------------------------------ */

Test(image, a_damaged_one_is_not_used)
{
	cleanup_store struct store s = store_make();
	const char *file = store_file(&s, "store/tiny.erofs"), *tree = tree_make(&s, "tree");
	/* The file system's head, its data, the description, the last block's words and padding. */
	static const off_t where[] = { 1024, 9000, -8192, -4096, -4080, -100 };
	char sha[65];

	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		cleanup_run struct run run = { 0 };

		build(&s, tree, "tiny", sha);
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

		build(&s, tree, "tiny", sha);
		cr_assert_eq(truncate(file, size), 0);
		RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
		expect_refused(&run, 125, "image 'tiny' is damaged");
		run_free(&run);
		RUN_IMAGE(&run, "remove", "tiny");
		cr_assert_eq(run.status, 0, "%s", run.err);
		cr_assert_eq(store_count(&s), 0);
	}
}

Test(image, one_for_another_architecture_is_refused_by_name)
{
	cleanup_store struct store s = store_make();
	const char *file = store_file(&s, "store/tiny.erofs");
	cleanup_run struct run run = { 0 };
	struct cloche_err err = { 0 };
	cleanup_fd int fd = -1, store = -1;
	struct image image;
	char sha[65];

	build(&s, tree_make(&s, "tree"), "tiny", sha);
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

Test(image, what_is_no_mount_point_is_refused)
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

Test(image, a_full_disk_leaves_nothing)
{
	cleanup_store struct store s = store_make();
	const char *tree = tree_make(&s, "tree"), *big = store_file(&s, "tree/big");
	cleanup_run struct run run = { 0 };
	char sha[65];

	cr_assert_eq(mkdir(s.path, 0755), 0);
	cr_assert_eq(mount("cloche-image-test", s.path, "tmpfs", 0, "size=4M,mode=755"), 0, "%m");
	build(&s, tree, "tiny", sha);
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

Test(image, an_interrupted_one_leaves_nothing)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	cleanup_store struct store s = store_make();
	char sha[65], text[512];

	build(&s, tree_make(&s, "tree"), "tiny", sha);
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

Test(image, what_a_killed_one_leaves_the_next_one_removes)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	const char *tree = tree_make(&s, "tree");
	size_t mounts = mounts_with(" /proc ");
	char first[65], text[512];
	struct import killed, living;

	build(&s, tree, "tiny", first);
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

/* It may read any file, CAP_DAC_READ_SEARCH, and there its rights end: nobody's, without a network,
 * in a folder that is root's again when the image is made. */
Test(image, who_reads_an_archive_is_nobody)
{
	static const char *const want[] = { "CapPrm:\t0000000000000004\n",
					    "CapEff:\t0000000000000004\n",
					    "CapInh:\t0000000000000000\n",
					    "CapBnd:\t0000000000000000\n",
					    "CapAmb:\t0000000000000000\n",
					    "NoNewPrivs:\t1\n",
					    "Groups:\t \n" };
	cleanup_store struct store s = store_make();
	struct import i = import_start(&s, "tiny");
	cleanup_free char *path = NULL, *net = NULL, *status = NULL;
	char text[512], ids[64], ours[64] = "", its[64] = "";
	pid_t worker = child_of(i.pid);
	size_t len;

	cr_assert_gt(worker, 0);
	cr_assert(asprintf(&path, "/proc/%d/status", worker) > 0 &&
		  asprintf(&net, "/proc/%d/ns/net", worker) > 0);
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

/* ---- wrong use ------------------------------------------------------------------------------- */

static const struct {
	const char *args[5];
	int status;
	const char *says;
} wrong[] = {
	{ { NULL }, 2, "say build" },
	{ { "moan" }, 2, "'moan'" },
	{ { "build" }, 2, "NAME" },
	{ { "build", "a", "b" }, 2, "NAME" },
	{ { "build", "--dir" }, 2, "needs a value" },
	{ { "build", "--dir", "/", "--recipe", "x" }, 2, "exclude" },
	{ { "build", "--json", "base" }, 2, "'--json'" },
	{ { "build", "../x" }, 2, "'../x' is no name" },
	{ { "build", "" }, 2, "'' is no name" },
	{ { "build", "Base" }, 2, "'Base' is no name" },
	{ { "build", "nosuch" }, 1, "no recipe 'nosuch'; shipped are: base nodejs python3" },
	{ { "build", "--recipe", "/nonexistent", "x" }, 1, "/nonexistent" },
	{ { "build", "--dir", "/nonexistent", "x" }, 1, "/nonexistent" },
	{ { "build", "--dir", "/etc/passwd", "x" }, 1, "/etc/passwd" },
	{ { "import", "x" }, 2, "FILE and NAME" },
	{ { "import", "/nonexistent", "x" }, 1, "/nonexistent" },
	{ { "import", "/etc/passwd", "a/b" }, 2, "'a/b' is no name" },
	{ { "import", "/etc", "x" }, 1, "neither an OCI layout nor" },
	{ { "import", "/etc/passwd", "x" }, 1, "'/etc/passwd': the archive cannot be read" },
	{ { "import", "/dev/null", "x" }, 1, "the archive is empty" },
	{ { "show" }, 2, "NAME" },
	{ { "show", "x" }, 1, "no image 'x'" },
	{ { "list", "x" }, 2, "no name" },
	{ { "remove" }, 2, "NAME" },
	{ { "remove", "x" }, 1, "no image 'x'" },
	{ { "remove", "*" }, 2, "'*' is no name" },
	{ { "verify", "x" }, 1, "no image 'x'" },
};

Test(image, wrong_use_is_one_clear_line)
{
	cleanup_store struct store s = store_make();

	cr_assert_eq(mkdir(s.path, 0755), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *argv[8] = { env_need("CLOCHE"), "image" };
		cleanup_run struct run run = { 0 };

		memcpy(argv + 2, wrong[i].args, sizeof(wrong[i].args));
		run_argv(&run, argv);
		expect_refused(&run, wrong[i].status, wrong[i].says);
		cr_assert_eq(run.out_len, 0, "%s", run.out);
		cr_assert_eq(store_count(&s), 0, "%s %s", argv[2], argv[3]);
	}
}

Test(image, run_names_what_is_missing)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
	expect_refused(&run, 125, "there is no image 'tiny', and no store at");
	run_free(&run);
	cr_assert_eq(mkdir(s.path, 0755), 0);
	RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
	expect_refused(&run, 125, "there is no image 'tiny'");
	run_free(&run);
	/* Root mounts what lies in the store: nobody else may put something there. */
	cr_assert_eq(chmod(s.path, 0777), 0);
	RUN_CLOCHE(&run, "--rootfs", "tiny", "--", "/noop");
	expect_refused(&run, 125, "with nobody else writing to it");
}

Test(image, help_goes_to_standard_output_and_fits)
{
	cleanup_run struct run run = { 0 };
	char *save = NULL;

	RUN_IMAGE(&run, "build", "--help");
	cr_assert_eq(run.status, 0);
	cr_assert_eq(run.err_len, 0);
	cr_assert(strstr(run.out, "Examples:"));
	for (char *l = strtok_r(run.out, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		cr_assert_leq(strlen(l), 82, "%s", l); /* one '…' is three bytes */
}
