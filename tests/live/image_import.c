/* SPDX-License-Identifier: MIT */
/*
 * Importing container images: what layers mean, and that nothing in them or about them is believed
 * or followed out of the image. The layouts are made by hand, see tests/lib/oci.h.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "image/image.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/oci.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYERS(...) ((const struct entry *const[]){ __VA_ARGS__, NULL })

static const struct entry plain[] = { { ENTRY_FILE, "file", "text" }, { 0 } };

/* Imports FILE as "x" and opens the root of what was made. */
static int import_open(const char *file)
{
	cleanup_run struct run run = { 0 };
	char path[IMAGE_PATH_LEN];
	struct cloche_err err = { 0 };
	int fd;

	RUN_IMAGE(&run, "import", file, "x");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(image_mount("x", path, &err), 0, "%s", err.text);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(fd >= 0);
	return fd;
}

/* Imports FILE; it must fail with this, and leave no image and nothing beside. */
static void import_refused(const struct store *s, const char *file, const char *part)
{
	cleanup_run struct run run = { 0 };

	RUN_IMAGE(&run, "import", file, "x");
	expect_refused(&run, 1, part);
	cr_assert_eq(store_count(s), 0);
}

static void expect_text(int root, const char *path, const char *text)
{
	char buf[64] = { 0 };
	cleanup_fd int fd = openat(root, path, O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0, "%s: %m", path);
	cr_assert(read(fd, buf, sizeof(buf) - 1) >= 0);
	cr_assert_str_eq(buf, text, "%s", path);
}

static void expect_gone(int root, const char *path)
{
	cr_assert_lt(faccessat(root, path, F_OK, AT_SYMLINK_NOFOLLOW), 0, "%s is there", path);
}

/* The unique file that tree_make() puts into a directory has no layer to be in: see images.h. */
static struct entry unique(const struct store *s)
{
	return (struct entry){ ENTRY_FILE, "whose", s->dir };
}

/* ---- what layers mean ------------------------------------------------------------------------ */

Test(image_import, later_layers_change_earlier_ones)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = {
		unique(&s),
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
	expect_text(root, "dir/kept", "1");
	expect_text(root, "opaque/above", "2");
	expect_text(root, "changed", "2");
	expect_text(root, "hard", "1");
	expect_text(root, "usr/bin/tool", "2");
	expect_text(root, "usr/bin/other", "2");
	expect_text(root, "gr\xc3\xbc\xc3\x9f", "utf-8");
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
		unique(&s),
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
	expect_text(root, "told", "3");
	expect_text(root, "untold", "1");
	expect_text(root, "deep/untold/new/er", "2");
	expect_text(root, "dir/deep", "2");
	expect_text(root, "again", "2");
	expect_text(root, "more/hard", "2");
	expect_text(root, "full/new", "2");
	expect_text(root, "kept", "1");
	expect_gone(root, "full/old");
}

/* It takes away; it makes nothing. */
Test(image_import, whiteouts_make_nothing)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = {
		unique(&s), { ENTRY_FILE, "dir/sub/file", "1" }, { ENTRY_FILE, "file", "1" }, { 0 }
	};
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
	expect_text(root, "file", "1");
}

/* aufs writes them all over its layers; files that hard links are of it keeps in one place. */
Test(image_import, notes_of_file_systems_are_left_out)
{
	cleanup_store struct store s = store_make();
	const struct entry entries[] = {
		unique(&s),
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
	expect_text(root, "dir/one", "linked");
	expect_text(root, "two", "linked");
	cr_assert_eq(image_mount("x", path, &err), 0, "%s", err.text);
	RUN(&run, "find", path, "-name", ".wh.*");
	cr_assert_str_eq(run.out, "");
}

/* What an image's users may read is no secret in it: owners are not kept. */
Test(image_import, what_was_private_can_be_read)
{
	cleanup_store struct store s = store_make();
	const struct entry entries[] = {
		unique(&s),
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
		unique(&s),
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
	expect_text(root, "usr/lib/b", "2");
	expect_text(root, "usr/lib/c", "2");
	cr_assert_eq(fstatat(root, "usr/lib", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0755, "%o", st.st_mode);
}

/* Python, for one, compiles again what seems to have changed since it was compiled. */
Test(image_import, files_keep_the_times_of_their_layers)
{
	cleanup_store struct store s = store_make();
	const struct entry below[] = {
		unique(&s),
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
		unique(&s),
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
	expect_text(root, "usr/lib/kept", "1");
	expect_text(root, "lib/new", "2");
	expect_text(root, "sub/new", "2");
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
	const struct entry below[] = { unique(&s), { ENTRY_FILE, "file", "1" }, { 0 } };
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
	expect_text(root, "file", "1");
	expect_text(root, "more", "2");
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

/* ---- what is not believed -------------------------------------------------------------------- */

/* Each of these wants to write or read outside; each is refused by name. */
static const struct {
	struct entry entries[4];
	const char *says;
} climbers[] = {
	{ { { ENTRY_FILE, "../out", "x" } }, "'../out': refused: it leads out of the image" },
	{ { { ENTRY_FILE, "a/../../out", "x" } }, "leads out" },
	{ { { ENTRY_FILE, "/../out", "x" } }, "leads out" },
	{ { { ENTRY_FILE, "..", "x" } }, "leads out" },
	{ { { ENTRY_DIR, "../", NULL } }, "leads out" },
	{ { { ENTRY_LINK, "up", ".." }, { ENTRY_FILE, "up/out", "x" } }, "'up/out': refused" },
	{ { { ENTRY_LINK, "a/up", "../../.." }, { ENTRY_FILE, "a/up/out", "x" } }, "'a/up/out'" },
	{ { { ENTRY_LINK, "up", "/../.." }, { ENTRY_DIR, "up/out", NULL } }, "leads out" },
	{ { { ENTRY_LINK, "a", "b/.." }, { ENTRY_LINK, "b", "a" }, { ENTRY_FILE, "a/x", "" } },
	  "symbolic links" },
	{ { { ENTRY_HARD, "mine", "../../../../etc/shadow" } }, "leads out" },
	{ { { ENTRY_LINK, "up", ".." }, { ENTRY_HARD, "mine", "up/out" } }, "leads out" },
	{ { { ENTRY_HARD, "mine", "/etc/shadow" } },
	  "'mine': '/etc/shadow': a link to it cannot be made: " },
	{ { { ENTRY_FILE, "file", "" }, { ENTRY_FILE, "file/out", "x" } }, "not a directory" },
	{ { { ENTRY_FILE, ".wh...", "" } }, "names nothing" },
	{ { { ENTRY_FILE, ".wh.", "" } }, "names nothing" },
	{ { { ENTRY_FILE, "../.wh.image", "" } }, "leads out" },
	{ { { ENTRY_LINK, "tmp", "/etc" } }, "'/tmp' in the image is a link" },
};

Test(image_import, what_climbs_out_is_refused)
{
	for (size_t i = 0; i < sizeof(climbers) / sizeof(climbers[0]); i++) {
		cleanup_store struct store s = store_make();
		const char *dir = store_file(&s, "oci");

		oci_make(dir, LAYERS(climbers[i].entries));
		import_refused(&s, dir, climbers[i].says);
		cr_assert_lt(access(store_file(&s, "out"), F_OK), 0, "%zu", i);
	}
}

/* A link that is absolute leads to the image's own directory, never to the host's. */
Test(image_import, absolute_links_stay_inside)
{
	cleanup_store struct store s = store_make();
	const struct entry entries[] = { { ENTRY_LINK, "a", s.dir },
					 { ENTRY_FILE, "a/out", "x" },
					 { 0 } };
	const char *dir = store_file(&s, "oci");
	cleanup_fd int root = -1;
	char inside[512];

	oci_make(dir, LAYERS(entries));
	root = import_open(dir);
	cr_assert_lt(access(store_file(&s, "out"), F_OK), 0);
	(void)snprintf(inside, sizeof(inside), "%s/out", s.dir + 1);
	expect_text(root, inside, "x");
}

/* One wrong thing each, made by a change to a layout that is right. */
static void break_layout(const char *dir, const char *name, const char *data)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	PUT(path, data);
}

Test(image_import, damaged_files_are_found)
{
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci");
	cleanup_run struct run run = { 0 };
	char *save = NULL;
	size_t n = 0;

	oci_make(dir, LAYERS(plain, plain));
	RUN(&run, "find", dir, "-type", "f", "-path", "*/blobs/*");
	for (char *blob = strtok_r(run.out, "\n", &save); blob;
	     blob = strtok_r(NULL, "\n", &save)) {
		cleanup_fd int fd = open(blob, O_RDWR | O_CLOEXEC);
		char byte, other;

		/* One bit, then the length. */
		cr_assert_eq(pread(fd, &byte, 1, 20), 1);
		other = (char)(byte ^ 4);
		cr_assert_eq(pwrite(fd, &other, 1, 20), 1);
		import_refused(&s, dir, "is damaged: its SHA-256 is");
		cr_assert_eq(pwrite(fd, &byte, 1, 20), 1);
		cr_assert_eq(pwrite(fd, "x", 1, lseek(fd, 0, SEEK_END)), 1);
		import_refused(&s, dir, "is damaged: it has");
		cr_assert_eq(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0);
		n++;
	}
	cr_assert_eq(n, 4, "manifest, config, and two layers by different filters");
}

Test(image_import, an_index_that_is_wrong_is_refused)
{
	static const struct {
		const char *index, *says;
	} bad[] = {
		{ "", "index.json" },
		{ "{", "index.json, line 1" },
		{ "{\"manifests\":[],\"manifests\":[]}", "duplicate" },
		{ "{\"manifests\":{}}", "no list of manifests" },
		{ "{\"manifests\":[]}", "holds no image" },
		{ "{\"manifests\":[{}]}", "without a digest" },
		{ "{\"manifests\":[{\"digest\":\"sha256:00\",\"size\":1}]}", "'sha256:00'" },
		{ "{\"manifests\":[{\"digest\":\"sha512:00\",\"size\":1}]}", "sha256 only" },
		{ "{\"manifests\":[{\"digest\":\"sha256:../../../../../../../../etc/passwd\","
		  "\"size\":1}]}",
		  "sha256 only" },
		{ "{\"manifests\":[{\"digest\":\"sha256:"
		  "0000000000000000000000000000000000000000000000000000000000000000\",\"size\":1}]"
		  "}",
		  "no such file" },
		{ "{\"manifests\":[{\"digest\":\"sha256:00\",\"platform\":{\"architecture\":"
		  "\"arm64\","
		  "\"os\":\"linux\"}},{\"digest\":\"sha256:01\",\"platform\":{\"architecture\":"
		  "\"s390x\",\"os\":\"linux\"}}]}",
		  "it is for 'arm64', 's390x': this program and machine are amd64" },
		{ "{\"manifests\":[{\"digest\":\"sha256:00\"},{\"digest\":\"sha256:01\"}]}",
		  "several images; say --ref, one of: 'sha256:00', 'sha256:01'" },
	};
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci");

	oci_make(dir, LAYERS(plain));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		break_layout(dir, "index.json", bad[i].index);
		import_refused(&s, dir, bad[i].says);
	}
	break_layout(dir, "oci-layout", "{\"imageLayoutVersion\":\"9.0.0\"}");
	import_refused(&s, dir, "'oci-layout': the version");
}

/* The platform in the index may be left out; the config always says it. */
Test(image_import, another_architecture_is_refused_by_name)
{
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci");

	oci_start(dir);
	oci_index(dir, json_pack("[o]", oci_image(dir, "arm64", LAYERS(plain))));
	import_refused(&s, dir, "it is for 'arm64': this program and machine are amd64");
}

/* Of an index with several architectures the own one is taken, through an index in the index, and
 * what is no image is passed over. */
Test(image_import, the_right_one_of_several_is_taken)
{
	cleanup_store struct store s = store_make();
	const struct entry mine[] = { unique(&s), { ENTRY_FILE, "file", "mine" }, { 0 } };
	const char *dir = store_file(&s, "oci");
	cleanup_run struct run run = { 0 };
	cleanup_fd int root = -1;
	json_t *own, *arm, *note, *inner;

	oci_start(dir);
	own = oci_image(dir, IMAGE_ARCH, LAYERS(mine));
	arm = oci_image(dir, "arm64", LAYERS(plain));
	note = json_deep_copy(arm);
	(void)json_object_set_new(
		own, "platform", json_pack("{s:s,s:s}", "architecture", IMAGE_ARCH, "os", "linux"));
	(void)json_object_set_new(arm, "platform",
				  json_pack("{s:s,s:s}", "architecture", "arm64", "os", "linux"));
	(void)json_object_set_new(
		note, "platform",
		json_pack("{s:s,s:s}", "architecture", "unknown", "os", "unknown"));
	inner = oci_json(
		dir, json_pack("{s:i,s:[o,o,o]}", "schemaVersion", 2, "manifests", arm, note, own),
		"application/vnd.oci.image.index.v1+json");
	oci_index(dir, json_pack("[o]", inner));
	root = import_open(dir);
	expect_text(root, "file", "mine");
}

/* A layout of one layer, which it frees; the config says this of its content, NULL: the truth. */
static void layout_make(const char *dir, struct bytes tar, const char *hash)
{
	char hex[HASH_HEX_LEN], id[HASH_HEX_LEN + 8];
	json_t *config, *m;

	oci_start(dir);
	hash_sha256_hex(tar.data, tar.len, hex);
	(void)snprintf(id, sizeof(id), "sha256:%s", hash ? hash : hex);
	config = json_pack("{s:s, s:s, s:{s:[s]}}", "architecture", IMAGE_ARCH, "os", "linux",
			   "rootfs", "diff_ids", id);
	m = json_pack("{s:o, s:[o]}", "config", oci_json(dir, config, "c"), "layers",
		      oci_blob(dir, tar.data, tar.len, "l"));
	oci_index(dir, json_pack("[o]", oci_json(dir, m, "m")));
	free(tar.data);
}

/* A layer whose blob is what the manifest says, but whose content is not what the config says. */
Test(image_import, the_content_of_a_layer_is_checked_too)
{
	static const struct entry other[] = { { ENTRY_FILE, "other", "x" }, { 0 } };
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci");

	layout_make(dir, tar_make(other),
		    "0000000000000000000000000000000000000000000000000000000000000000");
	import_refused(&s, dir, "layer 1: damaged: the SHA-256 of its content is");
}

/* A file in GNU tar's old sparse form, of one byte here and 2^60 when unpacked. */
static struct bytes tar_sparse(void)
{
	struct bytes tar = { calloc(1, 2048), 2048 };
	unsigned char *h = tar.data;
	unsigned sum = 0;

	cr_assert_not_null(h);
	memcpy(h, "big", 4);
	memcpy(h + 100, "0000644", 8);
	memcpy(h + 124, "00000000001", 12);
	memcpy(h + 136, "00000000000", 12);
	memset(h + 148, ' ', 8);
	h[156] = 'S';
	memcpy(h + 257, "ustar  ", 8);
	memcpy(h + 386, "00000000000", 12);
	memcpy(h + 398, "00000000001", 12);
	h[483] = 0x80; /* binary, of 12 bytes */
	h[483 + 4] = 0x10;
	for (size_t i = 0; i < 512; i++)
		sum += h[i];
	(void)snprintf((char *)h + 148, 8, "%06o", sum);
	h[512] = 'x';
	return tar;
}

/* Told before the disk is full of it. */
Test(image_import, a_hole_larger_than_the_disk_is_refused)
{
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci");

	layout_make(dir, tar_sparse(), NULL);
	import_refused(&s, dir,
		       "'big': it is 1152921504606846976 bytes, and the disk of the image store");
}

/* Its layer has the right hashes: it was made so. Nothing of it is guessed. */
Test(image_import, an_archive_that_is_wrong_is_refused)
{
	/* A name that is not ASCII has a header of its own in front, "11 path=…". */
	static const struct entry entries[] = { { ENTRY_FILE, "\u00e4", "text" }, { 0 } };
	static const struct {
		size_t at;
		const char *instead;
	} bad[] = { { 512 + 3, "size" }, { 1024, "F" }, { 1024 + 148, "7" } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cleanup_store struct store s = store_make();
		const char *dir = store_file(&s, "oci");
		struct bytes tar = tar_make(entries);

		memcpy((char *)tar.data + bad[i].at, bad[i].instead, strlen(bad[i].instead));
		layout_make(dir, tar, NULL);
		import_refused(&s, dir, "layer 1: the archive cannot be read: ");
	}
}

/* A layout is no way to read the host's files: what is named must be a file in it. */
Test(image_import, links_out_of_a_layout_are_refused)
{
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci");
	json_t *d;

	oci_start(dir);
	d = oci_image(dir, IMAGE_ARCH, LAYERS(plain));
	cr_assert_eq(unlink(oci_path(dir, d)), 0);
	cr_assert_eq(symlink("/etc/passwd", oci_path(dir, d)), 0);
	oci_index(dir, json_pack("[O]", d));
	import_refused(&s, dir, "leads out of the image: refused");
	cr_assert_eq(unlink(oci_path(dir, d)), 0);
	cr_assert_eq(mkfifo(oci_path(dir, d), 0600), 0);
	import_refused(&s, dir, "is no regular file");
	json_decref(d);
}
