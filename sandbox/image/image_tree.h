/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_TREE_H
#define CLOCHE_IMAGE_IMAGE_TREE_H

#include <limits.h>

struct cloche_err;

/*
 * Paths below a directory that is to become a root: links mean what they will mean then, and
 * nothing leads out. Nobody else may write to the tree meanwhile.
 */

/* Opens the directory that path's last name is in, and copies that name, which is "" for the root
 * itself. Missing directories are made (0755). -EPERM when the path climbs out. */
int tree_parent(int tree, const char *path, int *ret_dir, char ret_name[static NAME_MAX + 1],
		struct cloche_err *err);

/* The same for what takes the place of what lies there: what is in the way of a directory goes. */
int tree_parent_anew(int tree, const char *path, int *ret_dir, char ret_name[static NAME_MAX + 1],
		     struct cloche_err *err);

/* The same, and nothing is made: 1, and 0 when there is no such directory. */
int tree_parent_find(int tree, const char *path, int *ret_dir, char ret_name[static NAME_MAX + 1],
		     struct cloche_err *err);

/* Removes a name with all below it; a missing one is as good. */
int tree_remove_at(int dir, const char *name, struct cloche_err *err);

/* Removes all in a directory. */
int tree_clear(int dir, struct cloche_err *err);

#endif
