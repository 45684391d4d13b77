/* SPDX-License-Identifier: MIT */
/*
 * Images as a user of `cloche image` and `cloche run --rootfs` has them: made, used, replaced,
 * removed. The images are tiny, made from a directory by the
 * code that packs the real ones; what fills those is vm-images/'s to test (make check-images).
 */
#include "base/err.h"
#include "base/fd.h"
#include "image/image.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
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
	store_build(&s, tree, "tiny", sha);
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

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
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
	store_build(&s, a, "a", sha_a);
	store_build(&s, b, "b", sha_b);
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
	store_build(&s, b, "b", sha_b);
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
	store_build(&s, tree, "kept", sha);
	cr_assert_eq(image_mount("kept", path, &err), 0, "%s", err.text);
	expect_times(path, "old", 1600000000, 1700000000);
	expect_times(path, "noop", 1700000000, 1700000000);
	expect_times(path, "ancient", 0, 1700000000);
	/* A bound, as other tools that make things reproducible take it. */
	cr_assert_eq(setenv("SOURCE_DATE_EPOCH", "1650000000", 1), 0);
	store_build(&s, tree, "bounded", sha);
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
	store_build(&s, tree, "tiny", sha);
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
	store_build(&s, tree, "tiny", sha);
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

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
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
	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
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

	store_build(&s, tree, "tiny", first);
	cr_assert_eq(image_mount("tiny", path, &err), 0, "%s", err.text);
	inside = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(inside >= 0);
	PUT(store_file(&s, "tree/new"), "new");
	store_build(&s, tree, "tiny", second);
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

	store_build(&s, tree, "one", sha);
	store_build(&s, tree, "two", sha);
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

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
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

		store_build(&s, tree, "tiny", sha);
		store_build(&s, tree, "other", sha);
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
