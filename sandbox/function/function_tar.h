/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_TAR_H
#define CLOCHE_FUNCTION_FUNCTION_TAR_H

#include <stdint.h>

/*
 * Writes a tar, in GNU's form, of no time and nobody. (libarchive, which reads them, cannot be
 * linked for writing one format without all that it can write.) Each is 0 or -errno.
 */

/* '0': a file, whose size bytes follow, and then tar_pad(); '5': a directory; '2': a link to
 * target, else NULL. */
int tar_entry(int fd, char type, const char *name, const char *target, unsigned mode,
	      uint64_t size);
int tar_pad(int fd, uint64_t size);
int tar_end(int fd);

#endif
