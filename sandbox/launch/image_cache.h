/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_IMAGE_CACHE_H
#define CLOCHE_LAUNCH_IMAGE_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct image;

/*
 * What was read of images, by the file that it was read from: device, inode, size, time of the last
 * change, and the hash that its end names. One file each below HOST_RUN_DIR, which is root's alone
 * and gone with the next boot. get: false where there is none, or one that is damaged. try_put:
 * best effort; a cache that cannot be written costs time, nothing else.
 */
bool image_cache_get(const struct image *image, void *buf, size_t size, size_t *ret_len);
void image_cache_try_put(const struct image *image, const void *data, size_t len);

#endif
