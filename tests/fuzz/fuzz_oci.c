/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the JSON of a container image: the first says of which part. 0: the manifest of
 * docker save; 1: the index of an OCI layout; else: a config, of an image with one empty layer
 * (those with something in them: fuzz_layer.c). It is refused with one line, or makes a tree that
 * lies where it should.
 */
#include "image/image_oci.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "tests/lib/scratch.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_DIGEST "0000000000000000000000000000000000000000000000000000000000000000"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_text(const char *name, const char *text)
{
	scratch_put(name, text, strlen(text));
}

/* Two blocks of zeros: what an archive of nothing ends with. */
static const char no_layer[1024];

/* The current directory is the image. */
static void image_put(const uint8_t *data, size_t size)
{
	uint8_t kind = size ? data[0] : 0;
	const uint8_t *rest = size ? data + 1 : data;
	size_t n = size ? size - 1 : 0;
	char hex[HASH_HEX_LEN], name[HASH_HEX_LEN + 8], text[256], *diff_id;
	cleanup_free char *copy = NULL;

	if (kind == 0) {
		scratch_put("manifest.json", rest, n);
		return;
	}
	if (kind == 1) {
		put_text("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
		scratch_put("index.json", rest, n);
		return;
	}
	copy = calloc(1, n + 1);
	if (!copy)
		abort();
	memcpy(copy, rest, n);
	/* What the config says of the layer: made true, else it goes no further. */
	hash_sha256_hex(no_layer, sizeof(no_layer), hex);
	diff_id = strstr(copy, NO_DIGEST);
	if (diff_id)
		memcpy(diff_id, hex, HASH_HEX_LEN - 1);
	hash_sha256_hex(copy, n, hex);
	(void)snprintf(name, sizeof(name), "%s.json", hex);
	scratch_put(name, copy, n);
	scratch_put("layer.tar", no_layer, sizeof(no_layer));
	(void)snprintf(text, sizeof(text), "[{\"Config\":\"%s\",\"Layers\":[\"layer.tar\"]}]",
		       name);
	put_text("manifest.json", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scratch s = scratch_enter();
	struct oci_source source = { .fd = -1, .path = "image" };
	struct image_job job = { .dir = s.dir, .tree = "tree", .arg = &source };
	struct cloche_err err = { 0 };
	int r;

	if (mkdir("image", 0700) < 0 || chdir("image") < 0)
		abort();
	image_put(data, size);
	if (chdir("..") < 0)
		abort();
	job.tree_fd = open("tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	job.meta = json_object();
	source.fd = open("image", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = oci_fill(&job, &err);
	if ((r < 0) != (err.code != 0) || strchr(err.text, '\n'))
		abort();
	fd_close(&source.fd);
	fd_close(&job.tree_fd);
	json_decref(job.meta);
	scratch_leave(&s);
	return 0;
}
