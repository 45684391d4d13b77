/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_IDMAP_H
#define CLOCHE_LAUNCH_IDMAP_H

#include <stdbool.h>
#include <sys/types.h>

struct cloche_err;

/*
 * A user namespace that maps one host user's files to another's: for idmapped mounts
 * (mount_setattr(2), since 5.12). A namespace needs a process to be made by: it is told to die when
 * the namespace is open, and reaped by idmap_close, so that nobody waits for its end.
 */
struct idmap {
	int userns;   /* -1: none */
	pid_t holder; /* unreaped child; 0: none */
	void *stack;  /* the holder's; owned */
};

#define IDMAP_NONE ((struct idmap){ .userns = -1 })

/* keep: that of one of the first slots, which most runs have, is pinned below run_fd for the next;
 * for as many owners as there are callers. */
int idmap_open(int run_fd, uid_t from_uid, gid_t from_gid, uid_t to, bool keep, struct idmap *ret,
	       struct cloche_err *err);
void idmap_close(struct idmap *map);

/* Maps a detached mount; -errno where the file system cannot (FUSE, 9p, nested). */
int idmap_apply(int tree, const struct idmap *map);

#endif
