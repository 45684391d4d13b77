/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_IDMAP_H
#define CLOCHE_LAUNCH_IDMAP_H

#include <sys/types.h>

struct cloche_err;

/* A user namespace that maps one host user's files to another's: for idmapped mounts
 * (mount_setattr(2), since 5.12). Returns its fd. */
int idmap_open(uid_t from_uid, gid_t from_gid, uid_t to_uid, gid_t to_gid, struct cloche_err *err);

/* Maps a detached mount; -errno where the file system cannot (FUSE, 9p, nested). */
int idmap_apply(int tree, int userns);

#endif
