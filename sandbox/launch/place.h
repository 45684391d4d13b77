/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_PLACE_H
#define CLOCHE_LAUNCH_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Places for mounts in a root that cannot be written to: the host's /usr, an image, a read-only
 * bind.
 *
 * Theory of operation. Where a name is missing, the nearest directory on the way that is there gets
 * a cover: a small tmpfs on it, in which each of its entries is again: directories and files as
 * binds of what they were, links as links. In that the missing names can be made. What was there
 * stays there, with its mount's attributes, and nothing is written below. Overlayfs would do the
 * same by one mount, but it is a module on many hosts, does not show what is mounted further down
 * and cannot be stacked as high as containers need; here a common directory has a few entries.
 *
 * The root may be somebody else's: all of it goes by inside.h and descriptors. No allocation.
 */

#define PLACES_MAX	  64   /* covers */
#define PLACE_ENTRIES_MAX 8192 /* of a directory that is covered */

struct places {
	int covers[PLACES_MAX]; /* contexts of their file systems (fsopen) */
	size_t n;
	int keep[3]; /* directories on whose file systems there are no covers; -1: none */
};

/* What is at path, O_PATH; when nothing is there an empty directory or file is made, with the
 * directories on the way. -errno as of inside_make(), -EROFS where there can be no cover; -E2BIG:
 * a directory has too many entries; -EMFILE: too many covers. */
int place_make(struct places *places, int root, const char *path, bool is_dir);

/* From now on nothing can be written into the covers, also not where they were mounted again. */
int places_seal(struct places *places);

#endif
