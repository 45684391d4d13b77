/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an archive, compressed or not, that an image comes in (first byte 0), or as a layer
 * of one whose digest is right: it is refused with one line, or makes a tree that lies where it
 * should (tests/lib/scratch.h).
 */
#include "image/image_layer.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "tests/lib/scratch.h"

#include <fcntl.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("layer", MFD_CLOEXEC);

	if (fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *bytes = size ? data + 1 : data;
	size_t n = size ? size - 1 : 0;
	struct cloche_err err = { 0 };
	cleanup_fd int fd = -1, tree = -1;
	char digest[HASH_HEX_LEN];
	struct scratch s;
	int r;

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		abort();
	s = scratch_enter();
	fd = file_of(bytes, n);
	tree = open("tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hash_sha256_hex(bytes, n, digest);
	r = size && data[0] ? layer_apply(tree, fd, digest, &err) : archive_unpack(tree, fd, &err);
	if ((r < 0) != (err.code != 0) || strchr(err.text, '\n'))
		abort();
	scratch_leave(&s);
	return 0;
}
