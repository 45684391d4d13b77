/* SPDX-License-Identifier: MIT */
/*
 * Importing container images: what layers mean. The layouts are made by hand, see tests/lib/oci.h;
 * what is wrong on purpose is image_hostile.c's.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "image/image.h"
#include "tests/lib/images.h"
#include "tests/lib/oci.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct entry plain[] = { { ENTRY_FILE, "file", "text" }, { 0 } };

static void expect_gone(int root, const char *path)
{
	cr_assert_lt(faccessat(root, path, F_OK, AT_SYMLINK_NOFOLLOW), 0, "%s is there", path);
}

/* ---- what layers mean ------------------------------------------------------------------------ */

Test(image_import, later_layers_change_earlier_ones)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = {
		entry_unique(&s),
		{ ENTRY_DIR, "./dir/", NULL },
		{ ENTRY_FILE, "./dir/gone", "1" },
		{ ENTRY_FILE, "dir/kept", "1" },
		{ ENTRY_FILE, "dir/tree/deep/gone", "1" },
		{ ENTRY_FILE, "opaque/below", "1" },
		{ ENTRY_FILE, "changed", "1" },
		{ ENTRY_DIR, "usr/bin", NULL },
		{ ENTRY_LINK, "bin", "/usr/bin" },
		{ ENTRY_LINK, "dir/up", "../usr/bin" },
		{ ENTRY_HARD, "hard", "changed" },
		{ ENTRY_LINK, "wild", "../../../../etc/passwd" },
		{ ENTRY_FIFO, "fifo", NULL },
		{ ENTRY_FILE, "gr\xc3\xbc\xc3\x9f", "utf-8" },
		{ 0 },
	};
	static const struct entry above[] = {
		{ ENTRY_FILE, "opaque/above", "2" }, /* before the whiteout, and not its matter */
		{ ENTRY_FILE, "opaque/.wh..wh..opq", "" },
		{ ENTRY_FILE, "dir/.wh.gone", "" },
		{ ENTRY_FILE, "dir/.wh.tree", "" },
		{ ENTRY_FILE, ".wh..wh.plnk", "" },
		{ ENTRY_FILE, "dir/.wh.never", "" },
		{ ENTRY_FILE, "changed", "2" },
		{ ENTRY_FILE, "/bin/tool", "2" },
		{ ENTRY_FILE, "dir/up/other", "2" },
		{ 0 },
	};
	const char *dir = store_file(&s, "oci");
	cleanup_fd int root = -1;
	struct stat st;

	oci_make(dir, LAYERS(below, above));
	root = import_open(dir);
	expect_gone(root, "dir/gone");
	expect_gone(root, "dir/tree");
	expect_gone(root, "dir/.wh.gone");
	expect_gone(root, "opaque/below");
	expect_gone(root, "opaque/.wh..wh..opq");
	expect_gone(root, ".wh..wh.plnk");
	expect_gone(root, "fifo");
	expect_file(root, "dir/kept", "1");
	expect_file(root, "opaque/above", "2");
	expect_file(root, "changed", "2");
	expect_file(root, "hard", "1");
	expect_file(root, "usr/bin/tool", "2");
	expect_file(root, "usr/bin/other", "2");
	expect_file(root, "gr\xc3\xbc\xc3\x9f", "utf-8");
	/* A link that nothing is written through may lead anywhere: inside, that is inside. */
	cr_assert_eq(fstatat(root, "wild", &st, AT_SYMLINK_NOFOLLOW), 0);
	cr_assert_eq(fstatat(root, "changed", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0755, "the setuid bit stays");
	cr_assert_eq(st.st_uid, 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(faccessat(root, (const char *[]){ "dev", "proc", "sys", "tmp" }[i],
				       F_OK, 0),
			     0);
}

/* With an entry for the directory and without, and back. */
Test(image_import, files_become_directories_and_directories_files)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = {
		entry_unique(&s),
		{ ENTRY_FILE, "told", "1" },
		{ ENTRY_FILE, "untold", "1" },
		{ ENTRY_FILE, "deep/untold", "1" },
		{ ENTRY_FILE, "dir/deep/file", "1" },
		{ ENTRY_FILE, "again", "1" },
		{ ENTRY_FILE, "full/old", "1" },
		{ ENTRY_FILE, "kept", "1" },
		{ ENTRY_LINK, "link", "kept" },
		{ 0 },
	};
	static const struct entry above[] = {
		{ ENTRY_DIR, "told", NULL },	      { ENTRY_FILE, "told/new", "2" },
		{ ENTRY_FILE, "untold/new", "2" },    { ENTRY_FILE, "deep/untold/new/er", "2" },
		{ ENTRY_FILE, "dir/deep", "2" },      { ENTRY_FILE, "again", "2" },
		{ ENTRY_FILE, ".wh.again", "" },      { ENTRY_FILE, ".wh.full", "" },
		{ ENTRY_FILE, "full/new", "2" },      { ENTRY_DIR, "link", NULL },
		{ ENTRY_HARD, "more/hard", "again" }, { 0 },
	};
	static const struct entry top[] = { { ENTRY_FILE, "told", "3" },
					    { ENTRY_LINK, "untold", "kept" },
					    { 0 } };
	const char *dir = store_file(&s, "oci");
	cleanup_fd int root = -1;

	oci_make(dir, LAYERS(below, above, top));
	root = import_open(dir);
	expect_file(root, "told", "3");
	expect_file(root, "untold", "1");
	expect_file(root, "deep/untold/new/er", "2");
	expect_file(root, "dir/deep", "2");
	expect_file(root, "again", "2");
	expect_file(root, "more/hard", "2");
	expect_file(root, "full/new", "2");
	expect_file(root, "kept", "1");
	expect_gone(root, "full/old");
}

/* It takes away; it makes nothing. */
Test(image_import, whiteouts_make_nothing)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = { entry_unique(&s),
				       { ENTRY_FILE, "dir/sub/file", "1" },
				       { ENTRY_FILE, "file", "1" },
				       { 0 } };
	static const struct entry above[] = {
		{ ENTRY_FILE, ".wh.dir", "" },		{ ENTRY_FILE, "dir/.wh.sub", "" },
		{ ENTRY_FILE, "dir/sub/.wh.file", "" }, { ENTRY_FILE, "no/.wh..wh..opq", "" },
		{ ENTRY_FILE, "file/.wh.x", "" },	{ 0 },
	};
	const char *dir = store_file(&s, "oci");
	cleanup_fd int root = -1;

	oci_make(dir, LAYERS(below, above));
	root = import_open(dir);
	expect_gone(root, "dir");
	expect_gone(root, "no");
	expect_file(root, "file", "1");
}

/* aufs writes them all over its layers; files that hard links are of it keeps in one place. */
Test(image_import, notes_of_file_systems_are_left_out)
{
	cleanup_store struct store s = store_make();
	const struct entry entries[] = {
		entry_unique(&s),
		{ ENTRY_FILE, ".wh..wh.aufs", "" },
		{ ENTRY_DIR, ".wh..wh.orph/", NULL },
		{ ENTRY_FILE, ".wh..wh.orph/1", "" },
		{ ENTRY_DIR, "./.wh..wh.plnk/", NULL },
		{ ENTRY_FILE, "./.wh..wh.plnk/403.27", "linked" },
		{ ENTRY_HARD, "dir/one", ".wh..wh.plnk/403.27" },
		{ ENTRY_HARD, "two", "./.wh..wh.plnk/403.27" },
		{ ENTRY_FILE, "dir/.wh..wh.other/sub/x", "" },
		{ 0 },
	};
	const char *dir = store_file(&s, "oci");
	cleanup_run struct run run = { 0 };
	char path[IMAGE_PATH_LEN];
	struct cloche_err err = { 0 };
	cleanup_fd int root = -1;

	oci_make(dir, LAYERS(entries, plain));
	root = import_open(dir);
	expect_file(root, "dir/one", "linked");
	expect_file(root, "two", "linked");
	cr_assert_eq(image_mount("x", path, &err), 0, "%s", err.text);
	RUN(&run, "find", path, "-name", ".wh.*");
	cr_assert_str_eq(run.out, "");
}

/* What an image's users may read is no secret in it: owners are not kept. */
Test(image_import, what_was_private_can_be_read)
{
	cleanup_store struct store s = store_make();
	const struct entry entries[] = {
		entry_unique(&s),
		{ ENTRY_SECRET_DIR, "home", NULL },
		{ ENTRY_SECRET, "home/key", "1" },
		{ 0 },
	};
	const char *dir = store_file(&s, "oci");
	cleanup_fd int root = -1;
	struct stat st;

	oci_make(dir, LAYERS(entries));
	root = import_open(dir);
	cr_assert_eq(fstatat(root, "home", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0755, "%o", st.st_mode);
	cr_assert_eq(fstatat(root, "home/key", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0644, "%o", st.st_mode);
	cr_assert_eq(st.st_uid, 0);
}

/* Who unpacks is no root, whom no mode stops. */
Test(image_import, directories_that_nobody_may_write_to_are_filled)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = {
		entry_unique(&s),
		{ ENTRY_CLOSED_DIR, "usr", NULL },
		{ ENTRY_CLOSED_DIR, "usr/lib", NULL },
		{ ENTRY_FILE, "usr/lib/a", "1" },
		{ ENTRY_FILE, "usr/lib/b", "1" },
		{ 0 },
	};
	static const struct entry above[] = {
		{ ENTRY_FILE, "usr/lib/.wh.a", "" },
		{ ENTRY_FILE, "usr/lib/b", "2" },
		{ ENTRY_FILE, "usr/lib/c", "2" },
		{ 0 },
	};
	const char *dir = store_file(&s, "oci");
	cleanup_fd int root = -1;
	struct stat st;

	oci_make(dir, LAYERS(below, above));
	root = import_open(dir);
	expect_gone(root, "usr/lib/a");
	expect_file(root, "usr/lib/b", "2");
	expect_file(root, "usr/lib/c", "2");
	cr_assert_eq(fstatat(root, "usr/lib", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0755, "%o", st.st_mode);
}

/* Python, for one, compiles again what seems to have changed since it was compiled. */
Test(image_import, files_keep_the_times_of_their_layers)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = {
		entry_unique(&s),
		{ ENTRY_FILE, "dir/source", "1" },
		{ ENTRY_FILE, "dir/changed", "1" },
		{ ENTRY_HARD, "hard", "dir/source" },
		{ 0 },
	};
	static const struct entry above[] = { { ENTRY_FILE, "dir/changed", "2" }, { 0 } };
	static const struct {
		const char *path;
		time_t mtime;
	} want[] = {
		{ "whose", OCI_TIME },	     { "dir/source", OCI_TIME + 1 },
		{ "dir/changed", OCI_TIME }, { "hard", OCI_TIME + 1 },
		{ "dir", OCI_TIME + 1 },
	};
	const char *dir = store_file(&s, "oci");
	cleanup_fd int root = -1;

	oci_make(dir, LAYERS(below, above));
	root = import_open(dir);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct stat st;

		cr_assert_eq(fstatat(root, want[i].path, &st, 0), 0, "%s: %m", want[i].path);
		cr_expect(st.st_mtim.tv_sec == want[i].mtime && st.st_mtim.tv_nsec == 0,
			  "%s: %ld.%09ld, not %ld", want[i].path, st.st_mtim.tv_sec,
			  st.st_mtim.tv_nsec, want[i].mtime);
	}
}

/* None that could be made and not removed again. */
Test(image_import, what_is_too_deep_is_refused)
{
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci");
	char path[2001];

	for (size_t i = 0; i + 1 < sizeof(path); i += 2)
		memcpy(path + i, "d/", 3);
	path[sizeof(path) - 2] = 0;
	oci_make(dir, LAYERS(((const struct entry[]){ { ENTRY_FILE, path, "" }, { 0 } })));
	import_refused(&s, dir, "it is more than 256 directories deep");
}

/* What the layer replaces has nothing of the layers below in it, wherever a link of theirs led. */
Test(image_import, whiteouts_follow_no_link_that_their_layer_replaces)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = {
		entry_unique(&s),
		{ ENTRY_DIR, "usr/lib", NULL },
		{ ENTRY_FILE, "usr/lib/kept", "1" },
		{ ENTRY_LINK, "lib", "usr/lib" },
		{ ENTRY_LINK, "lib64", "usr/lib" },
		{ ENTRY_LINK, "stays", "usr/lib" },
		{ ENTRY_FILE, "usr/lib/gone", "1" },
		{ ENTRY_FILE, "sub", "1" },
		{ 0 },
	};
	static const struct entry above[] = {
		{ ENTRY_DIR, "lib", NULL },	      { ENTRY_FILE, "lib/.wh..wh..opq", "" },
		{ ENTRY_FILE, "lib/new", "2" },	      { ENTRY_DIR, "lib64", NULL },
		{ ENTRY_FILE, "lib64/.wh.kept", "" }, { ENTRY_FILE, "stays/.wh.gone", "" },
		{ ENTRY_DIR, "sub", NULL },	      { ENTRY_FILE, "sub/.wh..wh..opq", "" },
		{ ENTRY_FILE, "sub/new", "2" },	      { 0 },
	};
	const char *dir = store_file(&s, "oci");
	cleanup_fd int root = -1;

	oci_make(dir, LAYERS(below, above));
	root = import_open(dir);
	expect_file(root, "usr/lib/kept", "1");
	expect_file(root, "lib/new", "2");
	expect_file(root, "sub/new", "2");
	expect_gone(root, "lib/kept");
	expect_gone(root, "usr/lib/gone");
}

Test(image_import, a_function_runs_in_it)
{
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci"), *tree = tree_make(&s, "tree");
	const char *tar = store_file(&s, "layer.tar");
	cleanup_run struct run run = { 0 };
	char hex[HASH_HEX_LEN];
	json_t *config, *d;

	/* A layer as tar(1) writes it, with a program in it. */
	RUN(&run, "tar", "-C", tree, "-cf", tar, ".");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	RUN(&run, "cat", tar);
	hash_sha256_hex(run.out, run.out_len, hex);
	oci_start(dir);
	d = oci_blob(dir, run.out, run.out_len, "application/vnd.oci.image.layer.v1.tar");
	config = json_pack("{s:s, s:s, s:{s:s, s:[o]}}", "architecture", IMAGE_ARCH, "os", "linux",
			   "rootfs", "type", "layers", "diff_ids", json_sprintf("sha256:%s", hex));
	d = json_pack("{s:o, s:[o]}", "config", oci_json(dir, config, "c"), "layers", d);
	oci_index(dir, json_pack("[o]", oci_json(dir, d, "m")));
	run_free(&run);
	RUN_IMAGE(&run, "import", dir, "x");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	RUN_CLOCHE(&run, "--rootfs", "x", "--", "/noop");
	cr_assert_eq(run.status, 0, "%s", run.err);
}

/* docker save, as docker wrote it until version 25: a layer that is another's link as well. */
Test(image_import, an_archive_of_docker_save)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = { entry_unique(&s), { ENTRY_FILE, "file", "1" }, { 0 } };
	static const struct entry above[] = { { ENTRY_FILE, "more", "2" }, { 0 } };
	const char *dir = store_file(&s, "d"), *tar = store_file(&s, "d.tar");
	struct bytes one = tar_make(below), two = tar_make(above);
	char a[HASH_HEX_LEN], b[HASH_HEX_LEN], c[HASH_HEX_LEN], config[512], manifest[512];
	cleanup_run struct run run = { 0 };
	cleanup_fd int root = -1;

	hash_sha256_hex(one.data, one.len, a);
	hash_sha256_hex(two.data, two.len, b);
	(void)snprintf(config, sizeof(config),
		       "{\"architecture\":\"" IMAGE_ARCH "\",\"os\":\"linux\",\"rootfs\":{\"type\":"
		       "\"layers\",\"diff_ids\":[\"sha256:%s\",\"sha256:%s\"]}}",
		       a, b);
	hash_sha256_hex(config, strlen(config), c);
	(void)snprintf(
		manifest, sizeof(manifest),
		"[{\"Config\":\"%s.json\",\"RepoTags\":[\"it:1\"],\"Layers\":[\"1/layer.tar\","
		"\"2/layer.tar\"]}]",
		c);
	cr_assert_eq(mkdir(dir, 0755), 0);
	cr_assert_eq(mkdir(store_file(&s, "d/1"), 0755), 0);
	cr_assert_eq(mkdir(store_file(&s, "d/2"), 0755), 0);
	put(store_file(&s, "d/1/layer.tar"), one.data, one.len);
	put(store_file(&s, "d/two.tar"), two.data, two.len);
	cr_assert_eq(symlink("../two.tar", store_file(&s, "d/2/layer.tar")), 0);
	PUT(store_file(&s, "d/%s.json", c), config);
	PUT(store_file(&s, "d/manifest.json"), manifest);
	RUN(&run, "tar", "-C", dir, "-czf", tar, ".");
	cr_assert_eq(run.status, 0, "%s", run.err);
	root = import_open(tar);
	expect_file(root, "file", "1");
	expect_file(root, "more", "2");
	run_free(&run);
	/* Every byte of the archive is covered by some check or is of no use: cut short it fails.
	 */
	RUN_IMAGE(&run, "remove", "x");
	cr_assert_eq(truncate(tar, 200), 0);
	import_refused(&s, tar, "the archive cannot be read");
	/* The config's name is its digest; the layers' are in it. */
	PUT(store_file(&s, "d/1/layer.tar"), "other");
	import_refused(&s, dir, "layer 1:");
	PUT(store_file(&s, "d/%s.json", c), "{}");
	import_refused(&s, dir, "is damaged: its SHA-256 is");
	free(one.data);
	free(two.data);
}
