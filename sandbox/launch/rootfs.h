/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_ROOTFS_H
#define CLOCHE_LAUNCH_ROOTFS_H

#include "image/image.h"
#include "launch/code.h"
#include "launch/idmap.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct bind_spec;
struct cloche_err;
struct source;
struct spec;
struct cgroup;
struct hierarchy;

/*
 * What a function sees as its root.
 *
 * Theory of operation. unshare(CLONE_NEWNS) copies the caller's whole mount table, which costs more
 * the more mounts the host has. So the parts of a root that are the same for all (the host's /usr,
 * the configuration that goes with it, a minimal /etc, /dev, the CPU topology of /sys) are built
 * once into a mount namespace that holds nothing else, pinned at /run/cloche/ns/root-KEY. A context
 * enters it, copies that short table and adds what is its own: /proc, /tmp, /dev/shm, its cgroups,
 * its binds. KEY changes when the files that were copied change on the host, or what of its
 * configuration is there (etc.h).
 */
struct rootfs_bind {
	int tree;  /* detached mount; owned */
	char *dst; /* absolute, without "." and doubled slashes; owned */
	bool is_dir;
};

/* Whose files are the function's, in one or more binds. */
struct rootfs_map {
	uid_t uid;
	gid_t gid;
	struct idmap map;
};

#define ROOTFS_CGROUPS 6

/* Below /sys of the template, a file for each number of CPUs that a context may have. */
#define ROOTFS_ONLINE	  "devices/system/online"
#define ROOTFS_ONLINE_MAX 64

struct rootfs {
	int template; /* the pinned mount namespace */
	int tree;     /* --rootfs: detached mount of it; -1: the template's own root */
	char image[IMAGE_PATH_LEN]; /* where the image is mounted on the host; "": it is none */
	struct code code;
	struct rootfs_bind *binds;
	size_t n_binds;
	struct rootfs_map *maps;
	size_t n_maps;
	unsigned cpus; /* what it sees of the host's; 0, or more than there are files for: all */
	int cgroups[ROOTFS_CGROUPS]; /* mounts of the leaves, as bits of cgroup.h; -1: not shown */
	char tmp_options[64], shm_options[64];
	bool blank;    /* the CPUs and what has a size of the spec's come later */
	bool own_root; /* a bind needs a mount point that no part of the template can hold */
	bool idmapped; /* every bind that is to map its owner's files does */
};

void rootfs_init(struct rootfs *fs);
void rootfs_free(struct rootfs *fs);

/* Opens the pinned template, built when absent or out of date. */
int rootfs_template(int run_fd, struct cloche_err *err);

/* Repeats entries of the top level below stage: links stay links (merged /usr), directories are
 * made and given to dir, what is not there is left out. No allocation. */
int rootfs_repeat_top(const char *stage, const char *const names[], size_t n,
		      int (*dir)(const char *from, const char *to, struct cloche_err *err),
		      struct cloche_err *err);

/* Opens all sources but the cgroups, with the caller's rights, in the host's mount namespace. */
int rootfs_prepare(int run_fd, const struct spec *spec, uid_t uid, struct rootfs *ret,
		   struct cloche_err *err);

/* All of it but what is the same for all, which is there already, as in a blank. */
int rootfs_prepare_own(int run_fd, const struct spec *spec, uid_t uid, struct rootfs *fs,
		       struct cloche_err *err);

/* Makes *to, of fs, of a source: a detached mount, in which the owner's files are the function's by
 * what fs has as its map. to->dst has room for bind->dst. Allocates nothing. */
int rootfs_show(struct rootfs *fs, struct rootfs_bind *to, const struct source *source,
		const struct bind_spec *bind, struct cloche_err *err);

/* The same of its root, of which path is the name in messages. */
int rootfs_show_root(struct rootfs *fs, const struct source *source, const char *path,
		     struct cloche_err *err);

/* What pid 1 keeps of its root: names in a root that somebody else made may be moved, descriptors
 * may not. All but proc are as mounted there, O_PATH or not. */
struct rooted {
	int root, dev, sys, tmp, shm;
	int pts;  /* -1: this kernel has none */
	int proc; /* may be written to, as the one that the function sees may not; nowhere mounted
		   */
	int seen; /* of a proof's, to go with /tmp; -1: nothing */
};
#define ROOTED_NONE ((struct rooted){ -1, -1, -1, -1, -1, -1, -1, -1 })

/* The child's part, in pid 1 of the new context, as root: enters and completes the root, which is
 * its working directory then; the cgroups are shown later. No allocation. On failure *err names the
 * step, and pid 1 is to end. */
int rootfs_enter(const struct rootfs *fs, struct rooted *ret, struct cloche_err *err);

/* Which cgroups a function is shown, as bits of cgroup.h: each of v1, or the one of cgroup2. */
uint32_t rootfs_cgroups(const struct hierarchy *hierarchy);

/* Detached mounts of these of a context's cgroups, as far as they are shown, in the order of their
 * bits; then -1. */
int rootfs_prepare_cgroups(const struct hierarchy *hierarchy, const struct cgroup *cg,
			   uint32_t which, int ret[ROOTFS_CGROUPS], struct cloche_err *err);

/* In pid 1: takes over these mounts and shows them. */
int rootfs_show_cgroups(struct rootfs *fs, const struct hierarchy *hierarchy, uint32_t which,
			const int *mounts, struct rooted *at, struct cloche_err *err);

/* In pid 1: what a blank does not have yet; a root of its own instead of the one that it is in. */
int rootfs_dress(struct rootfs *fs, struct rooted *at, struct cloche_err *err);

/*
 * In pid 1, between two invocations, when no process of the function is left: takes /tmp, /dev/shm
 * and the mounts of all cgroups but the kept ones away, as long as the cgroups are there; mounts
 * new ones of the former. -errno; then the context is of no more use.
 */
int rootfs_retire(struct rootfs *fs, uint32_t kept, struct rooted *at);
int rootfs_renew(struct rootfs *fs, struct rooted *at, struct cloche_err *err);

#endif
