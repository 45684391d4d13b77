/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_TMPDIR_H
#define CLOCHE_TESTS_LIB_TMPDIR_H

#include <sys/types.h>

/*
 * A new directory (mode 0700) under $TMPDIR or /tmp whose name nobody else has; the path is to be
 * handed to tmpdir_free, best by the attribute. A failed assertion leaves a test without running
 * attributes: what is left then goes with the TMPDIR that tests/run.sh gives each program.
 */
char *tmpdir_make(void);

/* The same for one that other users than root can reach: mode 0755, and who has none enters the
 * folders above it. */
char *tmpdir_make_open(void);

/* Removes the directory with all in it (staying on its file system) and frees *path. */
void tmpdir_free(char **path);

/* "dir/name" in buf, which is returned. */
char *tmpdir_path(char buf[static 512], const char *dir, const char *name);

/*
 * Damages a file: one bit of the byte at `at`, from the end when that is negative, is another
 * afterwards, whatever the byte was (a fixed byte would damage nothing where that stands already).
 */
void file_flip(const char *path, off_t at);

#define cleanup_tmpdir __attribute__((cleanup(tmpdir_free)))

#endif
