/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_OCI_H
#define CLOCHE_TESTS_LIB_OCI_H

#include <jansson.h>
#include <stddef.h>

/*
 * OCI layouts made by hand, right ones and wrong ones. A layout is a directory; layers are made
 * from tables of entries, as they are, whatever nonsense they say.
 */
enum entry_type {
	ENTRY_END,
	ENTRY_FILE, /* of mode 4755 */
	ENTRY_DIR,
	ENTRY_LINK,
	ENTRY_HARD,
	ENTRY_FIFO,
	ENTRY_SECRET,	  /* a file of mode 600, of uid 999 */
	ENTRY_SECRET_DIR, /* of mode 700, of uid 999 */
	ENTRY_CLOSED_DIR, /* of mode 0 */
};

struct entry {
	enum entry_type type;
	const char *path;
	const char *text; /* content, or where a link leads to */
};

struct bytes {
	void *data; /* owned */
	size_t len;
};

/* A tar archive of the entries up to ENTRY_END. The one with index i was modified half a second
 * after OCI_TIME + i. */
#define OCI_TIME 1500000000L
struct bytes tar_make(const struct entry *entries);

/* The same through gzip or zstd. */
struct bytes bytes_compress(struct bytes plain, const char *filter);

/* Makes DIR with an empty blob folder and 'oci-layout'. */
void oci_start(const char *dir);

/* Writes a blob; returns its descriptor. */
json_t *oci_blob(const char *dir, const void *data, size_t len, const char *type);
json_t *oci_json(const char *dir, json_t *value, const char *type);

/* Layers into DIR with a config for an architecture; returns the manifest's descriptor. Both
 * filters are used in turn. */
json_t *oci_image(const char *dir, const char *arch, const struct entry *const layers[]);

/* Writes the index of these manifests, which it takes. */
void oci_index(const char *dir, json_t *manifests);

/* Layers, for the next one. */
#define LAYERS(...) ((const struct entry *const[]){ __VA_ARGS__, NULL })

/* The whole: a layout DIR of one image for this architecture with these layers (up to NULL). */
void oci_make(const char *dir, const struct entry *const layers[]);

/* The path of a descriptor's blob, in a buffer that is used again. */
const char *oci_path(const char *dir, const json_t *descriptor);

#endif
