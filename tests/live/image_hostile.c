/* SPDX-License-Identifier: MIT */
/*
 * Container images that nobody should believe: nothing in them or about them is followed out of the
 * image. The layouts are made by hand, see tests/lib/oci.h.
 */
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

Test(image_hostile, what_climbs_out_is_refused)
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
Test(image_hostile, absolute_links_stay_inside)
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
	expect_file(root, inside, "x");
}

/* One wrong thing each, made by a change to a layout that is right. */
static void break_layout(const char *dir, const char *name, const char *data)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	PUT(path, data);
}

Test(image_hostile, damaged_files_are_found)
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

Test(image_hostile, an_index_that_is_wrong_is_refused)
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
Test(image_hostile, another_architecture_is_refused_by_name)
{
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci");

	oci_start(dir);
	oci_index(dir, json_pack("[o]", oci_image(dir, "arm64", LAYERS(plain))));
	import_refused(&s, dir, "it is for 'arm64': this program and machine are amd64");
}

/* Of an index with several architectures the own one is taken, through an index in the index, and
 * what is no image is passed over. */
Test(image_hostile, the_right_one_of_several_is_taken)
{
	cleanup_store struct store s = store_make();
	const struct entry mine[] = { entry_unique(&s), { ENTRY_FILE, "file", "mine" }, { 0 } };
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
	expect_file(root, "file", "mine");
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
Test(image_hostile, the_content_of_a_layer_is_checked_too)
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
Test(image_hostile, a_hole_larger_than_the_disk_is_refused)
{
	cleanup_store struct store s = store_make();
	const char *dir = store_file(&s, "oci");

	layout_make(dir, tar_sparse(), NULL);
	import_refused(&s, dir,
		       "'big': it is 1152921504606846976 bytes, and the disk of the image store");
}

/* Its layer has the right hashes: it was made so. Nothing of it is guessed. */
Test(image_hostile, an_archive_that_is_wrong_is_refused)
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
Test(image_hostile, links_out_of_a_layout_are_refused)
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
