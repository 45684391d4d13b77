/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_ROOTS_H
#define CLOCHE_TESTS_LIB_ROOTS_H

/* A directory for --rootfs below dir: dev, proc, sys, tmp, bin, and in bin the static helper
 * program. Its path, to be freed. */
char *root_make(const char *dir, const char *name, const char *helper);

/* "dir/name", to be freed. */
char *path_in(const char *dir, const char *name);

#endif
