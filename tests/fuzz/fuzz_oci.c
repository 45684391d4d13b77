/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a container image: the first says of which part. 0: the manifest of docker save;
 * 1: the index of an OCI layout; else: a config up to a byte 0xff, and behind it a layer. It is
 * refused with one line, or makes a tree that lies where it should: beside it stands a directory in
 * which nothing may appear, since most tricks of layers lead there ("../", links).
 */
#include "image/image_oci.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_DIGEST "0000000000000000000000000000000000000000000000000000000000000000"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)remove(path);
	return 0;
}

static void put(const char *name, const void *data, size_t size)
{
	cleanup_fd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

/* The current directory is the image. */
static void image_put(const uint8_t *data, size_t size)
{
	uint8_t kind = size ? data[0] : 0;
	const uint8_t *rest = size ? data + 1 : data, *layer;
	size_t n = size ? size - 1 : 0, config;
	char hex[HASH_HEX_LEN], name[HASH_HEX_LEN + 8], text[256], *diff_id;
	cleanup_free uint8_t *copy = NULL;

	if (kind == 0) {
		put("manifest.json", rest, n);
		return;
	}
	if (kind == 1) {
		put_text("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
		put("index.json", rest, n);
		return;
	}
	layer = n ? memchr(rest, 0xff, n) : NULL;
	config = layer ? (size_t)(layer - rest) : n;
	copy = calloc(1, config + 1);
	if (!copy)
		abort();
	memcpy(copy, rest, config);
	/* What the config says of the layer: made true, else no layer is ever unpacked. */
	hash_sha256_hex(layer ? layer + 1 : rest, layer ? n - config - 1 : 0, hex);
	diff_id = strstr((char *)copy, NO_DIGEST);
	if (diff_id)
		memcpy(diff_id, hex, HASH_HEX_LEN - 1);
	hash_sha256_hex(copy, config, hex);
	(void)snprintf(name, sizeof(name), "%s.json", hex);
	put(name, copy, config);
	put("layer.tar", layer ? layer + 1 : data, layer ? n - config - 1 : 0);
	(void)snprintf(text, sizeof(text), "[{\"Config\":\"%s\",\"Layers\":[\"layer.tar\"]}]",
		       name);
	put_text("manifest.json", text);
}

static void expect_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		abort();
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			abort();
	(void)closedir(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/cloche-fuzz-XXXXXX", path[64];
	cleanup_fd int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct oci_source source = { .fd = -1, .path = path };
	struct image_job job = { .dir = dir, .tree = "tree", .arg = &source };
	struct cloche_err err = { 0 };
	int r;

	if (!mkdtemp(dir) || chdir(dir) < 0 || mkdir("outside", 0700) < 0 ||
	    mkdir("tree", 0755) < 0 || mkdir("image", 0700) < 0 || chdir("image") < 0)
		abort();
	image_put(data, size);
	if (chdir("..") < 0)
		abort();
	(void)snprintf(path, sizeof(path), "%s/image", dir);
	job.tree_fd = open("tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	job.meta = json_object();
	source.fd = open(path, O_RDONLY | O_CLOEXEC);
	r = oci_fill(&job, &err);
	fd_close(&source.fd);
	if ((r < 0) != (err.code != 0) || strchr(err.text, '\n'))
		abort();
	expect_empty("outside");
	json_decref(job.meta);
	fd_close(&job.tree_fd);
	if (fchdir(before) < 0)
		abort();
	(void)nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	return 0;
}
