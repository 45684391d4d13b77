/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_UNPRIVILEGED_H
#define CLOCHE_IMAGE_IMAGE_UNPRIVILEGED_H

#include "image/image_make.h"

#include <limits.h>
#include <sys/types.h>

struct cloche_err;

/*
 * The tree of a recipe's packages, filled by somebody without rights, as himself: what is unpacked
 * and what the archive sends has his rights and no others. To go into a directory as its root
 * (chroot(2)) the tools need a user namespace of their own, in which he is root and nobody else is
 * there; so all files are his, and it is for who packs the tree to say whose they are.
 *
 * A keeper, a child of its own session, starts what works (pid 1 of a pid namespace) and waits for
 * it, and takes the folder away when the caller says so or is gone, however: by a signal of the
 * terminal's, by SIGKILL.
 */
struct image_unprivileged {
	char dir[PATH_MAX]; /* the folder; below it: */
	char tree[PATH_MAX + 8];
	pid_t keeper;
	int leave; /* its other end is the keeper's */
};

/* Where the caller's $TMPDIR or /var/tmp is. Waits until it is full. -EPERM: the host does not let
 * users have user namespaces, and *err says so. */
int image_unprivileged_fill(const char *recipe, image_progress *progress,
			    struct image_unprivileged *ret, struct cloche_err *err);

/* It is taken away. */
void image_unprivileged_end(struct image_unprivileged *u);

#endif
