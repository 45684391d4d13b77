/* SPDX-License-Identifier: MIT */
/* OCI layouts made by hand: see oci.h. */
#include "tests/lib/oci.h"

#include "base/fd.h"
#include "base/hash.h"
#include "image/image.h"
#include "tests/lib/images.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ARCHIVE_MAX (1U << 20)
#define MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define CONFIG	    "application/vnd.oci.image.config.v1+json"
#define LAYER	    "application/vnd.oci.image.layer.v1.tar"

static struct archive *writer(struct bytes *to, size_t *used)
{
	struct archive *a = archive_write_new();

	to->data = malloc(ARCHIVE_MAX);
	cr_assert(a && to->data);
	(void)archive_write_set_bytes_in_last_block(a, 1);
	return a;
}

static void entry_write(struct archive *a, const struct entry *at, time_t mtime)
{
	static const struct {
		mode_t type, perm;
		la_int64_t uid;
	} as[] = {
		[ENTRY_FILE] = { AE_IFREG, 04755, 0 },
		[ENTRY_DIR] = { AE_IFDIR, 0755, 0 },
		[ENTRY_LINK] = { AE_IFLNK, 0755, 0 },
		[ENTRY_HARD] = { AE_IFREG, 0755, 0 },
		[ENTRY_FIFO] = { AE_IFIFO, 0755, 0 },
		[ENTRY_SECRET] = { AE_IFREG, 0600, 999 },
		[ENTRY_SECRET_DIR] = { AE_IFDIR, 0700, 999 },
		[ENTRY_CLOSED_DIR] = { AE_IFDIR, 0, 0 },
	};
	bool is_file = at->type == ENTRY_FILE || at->type == ENTRY_SECRET;
	struct archive_entry *e = archive_entry_new();
	size_t len = is_file ? strlen(at->text) : 0;

	archive_entry_set_pathname(e, at->path);
	archive_entry_set_filetype(e, as[at->type].type);
	archive_entry_set_perm(e, as[at->type].perm);
	archive_entry_set_uid(e, as[at->type].uid);
	archive_entry_set_size(e, (la_int64_t)len);
	archive_entry_set_mtime(e, mtime, 500000000);
	if (at->type == ENTRY_LINK)
		archive_entry_set_symlink(e, at->text);
	if (at->type == ENTRY_HARD)
		archive_entry_set_hardlink(e, at->text);
	cr_assert_eq(archive_write_header(a, e), ARCHIVE_OK, "%s", archive_error_string(a));
	cr_assert_eq(archive_write_data(a, at->text, len), (la_ssize_t)len);
	archive_entry_free(e);
}

struct bytes tar_make(const struct entry *entries)
{
	struct bytes out = { 0 };
	struct archive *a = writer(&out, &out.len);

	/* Paths are UTF-8. */
	cr_assert(setlocale(LC_CTYPE, "C.UTF-8"));
	cr_assert_eq(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
	cr_assert_eq(archive_write_open_memory(a, out.data, ARCHIVE_MAX, &out.len), ARCHIVE_OK);
	for (size_t i = 0; entries[i].type != ENTRY_END; i++)
		entry_write(a, &entries[i], OCI_TIME + (time_t)i);
	cr_assert_eq(archive_write_free(a), ARCHIVE_OK);
	return out;
}

struct bytes bytes_compress(struct bytes plain, const char *filter)
{
	struct archive_entry *e = archive_entry_new();
	struct bytes out = { 0 };
	struct archive *a = writer(&out, &out.len);

	cr_assert_eq(archive_write_add_filter_by_name(a, filter), ARCHIVE_OK, "%s", filter);
	cr_assert_eq(archive_write_set_format_raw(a), ARCHIVE_OK);
	cr_assert_eq(archive_write_open_memory(a, out.data, ARCHIVE_MAX, &out.len), ARCHIVE_OK);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_pathname(e, "layer");
	cr_assert_eq(archive_write_header(a, e), ARCHIVE_OK);
	cr_assert_eq(archive_write_data(a, plain.data, plain.len), (la_ssize_t)plain.len);
	archive_entry_free(e);
	cr_assert_eq(archive_write_free(a), ARCHIVE_OK);
	return out;
}

void oci_start(const char *dir)
{
	char path[512];

	cr_assert_eq(mkdir(dir, 0755), 0, "%s: %m", dir);
	(void)snprintf(path, sizeof(path), "%s/blobs", dir);
	cr_assert_eq(mkdir(path, 0755), 0, "%m");
	(void)snprintf(path, sizeof(path), "%s/blobs/sha256", dir);
	cr_assert_eq(mkdir(path, 0755), 0, "%m");
	(void)snprintf(path, sizeof(path), "%s/oci-layout", dir);
	PUT(path, "{\"imageLayoutVersion\":\"1.0.0\"}");
}

const char *oci_path(const char *dir, const json_t *descriptor)
{
	static char path[512];
	const char *digest = json_string_value(json_object_get(descriptor, "digest"));

	cr_assert(digest);
	(void)snprintf(path, sizeof(path), "%s/blobs/sha256/%s", dir, strchr(digest, ':') + 1);
	return path;
}

json_t *oci_blob(const char *dir, const void *data, size_t len, const char *type)
{
	char hex[HASH_HEX_LEN], digest[HASH_HEX_LEN + 8];
	json_t *d;

	hash_sha256_hex(data, len, hex);
	(void)snprintf(digest, sizeof(digest), "sha256:%s", hex);
	d = json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size",
		      (json_int_t)len);
	cr_assert(d);
	put(oci_path(dir, d), data, len);
	return d;
}

json_t *oci_json(const char *dir, json_t *value, const char *type)
{
	cleanup_free char *text = json_dumps(value, JSON_COMPACT);
	json_t *d;

	cr_assert(text);
	d = oci_blob(dir, text, strlen(text), type);
	json_decref(value);
	return d;
}

json_t *oci_image(const char *dir, const char *arch, const struct entry *const layers[])
{
	json_t *blobs = json_array(), *ids = json_array(), *config, *manifest;

	for (size_t i = 0; layers[i]; i++) {
		struct bytes tar = tar_make(layers[i]);
		struct bytes packed = bytes_compress(tar, i % 2 ? "zstd" : "gzip");
		char hex[HASH_HEX_LEN];

		hash_sha256_hex(tar.data, tar.len, hex);
		(void)json_array_append_new(ids, json_sprintf("sha256:%s", hex));
		(void)json_array_append_new(blobs, oci_blob(dir, packed.data, packed.len, LAYER));
		free(tar.data);
		free(packed.data);
	}
	config = json_pack("{s:s, s:s, s:{s:[s], s:[s]}, s:{s:s, s:o}}", "architecture", arch, "os",
			   "linux", "config", "Env", "A=B", "Cmd", "/noop", "rootfs", "type",
			   "layers", "diff_ids", ids);
	manifest = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", MANIFEST,
			     "config", oci_json(dir, config, CONFIG), "layers", blobs);
	return oci_json(dir, manifest, MANIFEST);
}

void oci_index(const char *dir, json_t *manifests)
{
	json_t *index = json_pack("{s:i, s:o}", "schemaVersion", 2, "manifests", manifests);
	cleanup_free char *text = json_dumps(index, JSON_COMPACT);
	char path[512];

	cr_assert(text);
	(void)snprintf(path, sizeof(path), "%s/index.json", dir);
	PUT(path, text);
	json_decref(index);
}

void oci_make(const char *dir, const struct entry *const layers[])
{
	oci_start(dir);
	oci_index(dir, json_pack("[o]", oci_image(dir, IMAGE_ARCH, layers)));
}
