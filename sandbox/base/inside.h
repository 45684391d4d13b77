/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_INSIDE_H
#define CLOCHE_BASE_INSIDE_H

#include <stdbool.h>

/*
 * Paths inside a root that somebody else made: an image's author, the owner of a directory, a
 * caller. Any name on the way may be a link, also one to /proc/self/fd/N, which leads to what the
 * walker has open (CVE-2024-21626), and may become one at any moment. So privileged code walks no
 * such path but by these: openat2(2) with RESOLVE_IN_ROOT (links and ".." end at the root) and
 * RESOLVE_NO_MAGICLINKS (-ELOOP). What comes of a walk is a descriptor, and what is done is done to
 * that, not to the path once more.
 *
 * root: a directory of that root; AT_FDCWD: the working directory is it. All allocate nothing and
 * return -errno.
 */

/* O_CLOEXEC | flags, most often O_PATH. */
int inside_open(int root, const char *path, int flags);

/* What is at path, O_PATH; when nothing is there, a directory or an empty file of root's is made,
 * with the directories on the way. A link that leads to nothing is -EEXIST. */
int inside_make(int root, const char *path, bool is_dir);

/* The last directory on the way to path that is there, O_PATH. */
int inside_nearest(int root, const char *path);

/* A new name in a directory that was walked to, O_PATH; no link is followed. */
int inside_make_one(int dir, const char *name, bool is_dir);

#endif
