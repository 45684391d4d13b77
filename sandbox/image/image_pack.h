/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_PACK_H
#define CLOCHE_IMAGE_IMAGE_PACK_H

#include <stdint.h>

struct cloche_err;

/* Makes the directories that a context mounts on, where they are missing. A link or a file in the
 * place of one is refused. */
int image_points_make(int tree, struct cloche_err *err);

/* Packs the directory tree into a new file: the same bytes for the same content. newest is the
 * latest modification time in it (image_times.h) and becomes the file system's own; meta is its
 * JSON. */
int image_pack(const char *tree, const char *file, int64_t newest, const char *meta,
	       struct cloche_err *err);

#endif
