/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_IMAGES_H
#define CLOCHE_TESTS_LIB_IMAGES_H

#include "tests/lib/oci.h"
#include "tests/lib/run.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A store of images for one test: a new directory, named to the program by its environment
 * variable. Its images are removed at the end, and with them their mounts. Ends the test as skipped
 * without root or mkfs.erofs.
 */
struct store {
	char *dir, *path; /* path is below dir; it does not exist yet */
};

struct store store_make(void);
void store_free(struct store *s);
#define cleanup_store __attribute__((cleanup(store_free)))

/* A path below the test's directory, in one of a few buffers that are used in turn. */
const char *store_file(const struct store *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* How many files and folders the store holds, whatever their names; 0 when it is not there. */
size_t store_count(const struct store *s);

/* How many mounts have this text in their mountinfo line. */
size_t mounts_with(const char *text);

/* Makes the directory dir, below the test's directory, with one static program /noop in it, and a
 * file that no other test has: equal images share a mount, and tests run side by side. */
const char *tree_make(const struct store *s, const char *dir);

/* Writes a file; its directory must be there. */
void put(const char *path, const void *data, size_t len);
#define PUT(path, text) put((path), (text), strlen(text))

/* Runs `cloche image ARGS…`. */
#define RUN_IMAGE(run, ...) RUN((run), env_need("CLOCHE"), "image", __VA_ARGS__)

/* The 64 digits that `build` and `import` print behind the name. */
const char *sha_of(const struct run *run);

/* An image of this name from a directory, its hash in sha. */
void store_build(const struct store *s, const char *dir, const char *name, char sha[static 65]);

/* An OCI layout in the test's directory, of one layer that is the tree, with this configuration (a
 * JSON object) of how it is run: its path. import: as an image of this name. */
const char *oci_saying(const struct store *s, const char *tree, const char *config);
void store_import(const struct store *s, const char *tree, const char *name, const char *config);

/* Imports FILE as "x" and opens the root of what was made. */
int import_open(const char *file);

/* Imports FILE; it must fail with this, and leave no image and nothing beside. */
void import_refused(const struct store *s, const char *file, const char *part);

/* The file below root has this text, of 63 characters at most. */
void expect_file(int root, const char *path, const char *text);

/* The unique file that tree_make() puts into a directory has no layer to be in: here it is. */
struct entry entry_unique(const struct store *s);

/* Fails the test unless the program ended with this status and one line on standard error that
 * has this part. */
void expect_refused(const struct run *run, int status, const char *part);

#endif
