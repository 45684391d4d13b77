/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_LAYER_H
#define CLOCHE_IMAGE_IMAGE_LAYER_H

#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/*
 * Tar archives, plain or compressed by gzip or zstd, unpacked below a directory: read by
 * libarchive, written here, because a layer means things that an archive does not (OCI image-spec,
 * layer.md: whiteouts), and because nothing may be written outside whatever the archive says. A
 * path with
 * "..", and one that a link in the tree leads out by "..", is refused; an absolute one is taken
 * from the tree's root, as it would be inside the image. Devices, FIFOs and sockets are left out.
 */

/* One layer, from a file that can be read twice. -EBADMSG, and nothing was unpacked, when the
 * SHA-256 of the uncompressed archive is not diff_id (64 hexadecimal digits). */
int layer_apply(int tree, int fd, const char *diff_id, struct cloche_err *err);

/* A plain archive, without whiteouts, from anything that can be read once. */
int archive_unpack(int tree, int fd, struct cloche_err *err);

/* The same, behind which there is ARCHIVE_END: what was cut off where an entry ends looks whole
 * without. */
#define ARCHIVE_END "cloche: that was the whole tree\n"
int archive_unpack_whole(int tree, int fd, struct cloche_err *err);

/* The code of a function, which can be read in any order: a zip or a plain archive, of which the
 * files come to no more than most bytes (-EFBIG). */
int archive_unpack_code(int tree, int fd, bool zip, uint64_t most, struct cloche_err *err);

#endif
