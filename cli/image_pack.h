/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_IMAGE_PACK_H
#define CLOCHE_CLI_IMAGE_PACK_H

struct cloche_err;

/* Makes the directories that a context mounts on, where they are missing. A link or a file in the
 * place of one is refused. */
int image_points_make(int tree, struct cloche_err *err);

/* Packs the directory tree into a new file: the same bytes for the same content. meta is its JSON.
 */
int image_pack(const char *tree, const char *file, const char *meta, struct cloche_err *err);

#endif
