/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_H
#define CLOCHE_IMAGE_IMAGE_H

#include "base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * Function images: read-only root file systems, kept as one file each and known by name.
 *
 * A file NAME.erofs of the store is
 *
 *	an erofs file system | a JSON object, padded with zeroes to 4096 | one block of 4096 bytes
 *
 * where the last block is the text "cloche-image 1", "sha256 HEX", "fs BYTES", "meta BYTES", a line
 * each, padded with zeroes. HEX is the hash of all bytes before the last block: it names the
 * content, is the same wherever the same packages were packed, and is what sha256sum(1) says of
 * `head -c -4096 FILE`. One file, so that one rename(2) puts an image in place or replaces it.
 *
 * Theory of operation. The first run from an image after a boot reads it all, compares the hash
 * and mounts it below /run/cloche/images; every context clones that one mount, so that the page
 * cache is shared. Nobody writes to a file of the store: images are replaced, and a replaced one
 * lives on for those that run in it. What the disk damages behind a mount is not seen until the
 * next one.
 */
#define IMAGE_STORE	"/var/lib/cloche/images"
#define IMAGE_STORE_ENV "CLOCHE_IMAGES" /* another place for the store */
#define IMAGE_SUFFIX	".erofs"
#define IMAGE_NAME_MAX	64
#define IMAGE_BLOCK	4096
#define IMAGE_META_MAX	(1U << 20)
#define IMAGE_ARCH	"amd64"
#define IMAGE_PATH_LEN	(sizeof("/run/cloche/images/-01234567") + HASH_HEX_LEN)

struct image {
	int fd;
	uint64_t bytes; /* of the file */
	uint64_t fs_bytes, meta_bytes;
	int64_t made_ns; /* CLOCK_REALTIME */
	char sha256[HASH_HEX_LEN];
};

/* Lower-case letters, digits, '.', '_' and '-', a letter or digit first: as in container
 * registries, and never a path. */
int image_name_check(const char *name, struct cloche_err *err);

const char *image_store_path(void);

/* Opens the store; with make, it is made when absent. -ENOENT when it is absent. Refuses one that
 * somebody else may write to: root mounts what lies in it. */
int image_store_open(bool make, struct cloche_err *err);
int image_store_open_at(const char *path, bool make, struct cloche_err *err);

/* A descriptor of it for somebody who may read what is in it and nothing else: a mount of its own,
 * read-only, that is mounted nowhere, from which no ".." leads out. For root. */
int image_store_show(int store, struct cloche_err *err);

/* Opens an image and reads its last block; the content is not looked at. -ENOENT names the mend;
 * -EBADMSG: it is damaged; -EPERM: somebody else may write to it. */
int image_open(int store, const char *name, struct image *ret, struct cloche_err *err);
void image_close(struct image *image);

/* The JSON object of an image: text that the caller frees. */
int image_meta(const struct image *image, const char *name, char **ret, struct cloche_err *err);

/* Reads all of it, in a confined process (host/confined.h). -EBADMSG when it is not what was built.
 * ret_arch (NULL: not asked): what its description says that it is for, or "". */
#define IMAGE_ARCH_LEN 32
int image_verify(const struct image *image, const char *name, char *ret_arch,
		 struct cloche_err *err);

/* Writes the JSON and the last block behind a file system of fs_bytes, and all of it to disk. */
int image_seal(int fd, const char *meta, struct cloche_err *err);

/* The directory that an image is mounted at; verified and mounted first when it is not yet. The
 * other: of that store. */
int image_mount(const char *name, char ret[static IMAGE_PATH_LEN], struct cloche_err *err);
int image_mount_of(int store, const char *name, char ret[static IMAGE_PATH_LEN],
		   struct cloche_err *err);

/* Whether an image of this hash is mounted; of that store; and where it is or would be. */
bool image_mounted(const char *sha256);
bool image_mounted_of(int store, const char *sha256);
void image_mount_path(int store, const char *sha256, char ret[static IMAGE_PATH_LEN]);

/* Takes an image away, also a damaged one; its mount stays until nothing needs it, see below. */
int image_remove(int store, const char *name, struct cloche_err *err);

/* Takes away the mounts of what no image of the store has any more, whoever removed the files.
 * Contexts that run in them keep them. */
int image_unmount_forsaken(int store, struct cloche_err *err);

/* The mounts of all that is in the store: somebody else mounts what is needed again. */
int image_unmount_all(int store, struct cloche_err *err);

/* All names of the store, sorted; *ret and its strings are freed by image_names_free(). */
int image_names(int store, char ***ret, size_t *ret_n, struct cloche_err *err);
void image_names_free(char **names, size_t n);

#endif
