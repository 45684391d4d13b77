/* SPDX-License-Identifier: MIT */
/* The launcher's side of a root: the sources of its mounts, opened beforehand (see rootfs.h). */
#include "launch/rootfs.h"

#include "base/err.h"
#include "base/fd.h"
#include "launch/cgroup.h"
#include "launch/image.h"
#include "launch/rootfs_places.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

void rootfs_init(struct rootfs *fs)
{
	*fs = (struct rootfs){
		.template = -1, .tree = -1, .map = IDMAP_NONE, .cgroups = { -1, -1, -1, -1 }
	};
}

void rootfs_free(struct rootfs *fs)
{
	fd_close(&fs->template);
	fd_close(&fs->tree);
	for (size_t i = 0; i < fs->n_binds; i++) {
		fd_close(&fs->binds[i].tree);
		free(fs->binds[i].dst);
	}
	free(fs->binds);
	idmap_close(&fs->map);
	for (int i = 0; i < ROOTFS_CGROUPS; i++)
		fd_close(&fs->cgroups[i]);
	rootfs_init(fs);
}

static int set_attributes(int tree, uint64_t attributes)
{
	struct mount_attr attr = { .attr_set = attributes, .propagation = MS_PRIVATE };

	return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
}

/* A detached copy of what path names, with the rights of this process. */
static int clone_tree(const char *option, const char *path, uint64_t attributes, bool *ret_is_dir,
		      struct cloche_err *err)
{
	cleanup_fd int tree = -1;
	struct stat st, root;

	tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0)
		return cloche_err_sys(err, errno, "%s '%s' (open_tree)", option, path);
	if (fstat(tree, &st) < 0 || stat("/", &root) < 0)
		return cloche_err_sys(err, errno, "%s '%s'", option, path);
	if (st.st_dev == root.st_dev && st.st_ino == root.st_ino)
		return cloche_err_set(err, EPERM,
				      "%s '%s': that is '/', the whole host; name a "
				      "directory below it",
				      option, path);
	if (set_attributes(tree, attributes) < 0)
		return cloche_err_sys(err, errno, "%s '%s': set mount attributes (mount_setattr)",
				      option, path);
	*ret_is_dir = S_ISDIR(st.st_mode);
	return TAKE_FD(tree);
}

/* Whether a mount point at dst is there in the template or can be made in one of its parts. */
static bool has_place(const char *dst)
{
	static const char *const standing[] = { "/tmp", "/usr", "/etc",	 "/dev", "/sys",
						"/var", "/bin", "/sbin", "/lib" };

	for (size_t i = 0; i < sizeof(standing) / sizeof(standing[0]); i++)
		if (rootfs_is_below(dst, standing[i]))
			return true;
	for (size_t i = 0; i < ROOTFS_EMPTY_N; i++)
		if (rootfs_is_below(dst, rootfs_empty[i]))
			return true;
	return false;
}

/* An absolute path as it is compared: "//a/./b/" is "/a/b". */
static char *plain_path(const char *path)
{
	char *plain = malloc(strlen(path) + 2), *end = plain;
	size_t len;

	if (!plain)
		return NULL;
	for (; *(path += strspn(path, "/")); path += len) {
		len = strcspn(path, "/");
		if (len == 1 && *path == '.')
			continue;
		*end++ = '/';
		memcpy(end, path, len);
		end += len;
	}
	*end = '\0';
	return plain;
}

static int prepare_binds(int run_fd, const struct spec *spec, uid_t uid, struct rootfs *fs,
			 struct cloche_err *err)
{
	fs->idmapped = true;
	if (spec->n_binds == 0)
		return 0;
	fs->binds = calloc(spec->n_binds, sizeof(*fs->binds));
	if (!fs->binds)
		return cloche_err_sys(err, ENOMEM, "--bind");
	(void)idmap_open(run_fd, geteuid(), getegid(), uid, &fs->map, NULL);
	for (size_t i = 0; i < spec->n_binds; i++) {
		const struct bind_spec *b = &spec->binds[i];
		uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
		struct rootfs_bind *out = &fs->binds[i];

		if (!b->rw)
			attributes |= MOUNT_ATTR_RDONLY;
		fs->n_binds = i + 1;
		out->tree = -1;
		out->dst = plain_path(b->dst);
		if (!out->dst)
			return cloche_err_sys(err, ENOMEM, "--bind");
		out->tree = clone_tree("--bind", b->src, attributes, &out->is_dir, err);
		if (out->tree < 0)
			return out->tree;
		if (idmap_apply(out->tree, &fs->map) < 0)
			fs->idmapped = false;
		if (!has_place(out->dst))
			fs->own_root = true;
	}
	return 0;
}

int rootfs_prepare_cgroups(const struct cgroup *cg, struct rootfs *fs, struct cloche_err *err)
{
	static const char *const v1_paths[CONTROLLER_N] = { "fs/cgroup/cpu", "fs/cgroup/memory",
							    "fs/cgroup/pids" };
	int n = 0;

	for (int i = 0; i <= CONTROLLER_N; i++) {
		bool v1 = i < CONTROLLER_N;
		int dir = v1 ? cg->ctl[i] : cg->v2;
		int tree;

		/* The bare cgroup2 tree of a hybrid host tells a runtime nothing. */
		if (dir < 0 || (!v1 && n > 0))
			continue;
		tree = open_tree(dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (tree < 0)
			return cloche_err_sys(err, errno,
					      "clone the mount of the own cgroup (open_tree)");
		fd_close(&fs->cgroups[n]);
		fs->cgroups[n] = tree;
		fs->cgroup_paths[n++] = v1 ? v1_paths[i] : "fs/cgroup";
		if (set_attributes(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
						 MOUNT_ATTR_NOEXEC) < 0)
			return cloche_err_sys(err, errno,
					      "make the own cgroup read-only (mount_setattr)");
	}
	return 0;
}

/* What is mounted on in a root of one's own. A link in its place would lead elsewhere. */
static int check_root(int tree, const char *path, struct cloche_err *err)
{
	static const char *const needed[] = { "dev", "proc", "sys", "tmp" };
	struct stat st;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		st.st_mode = 0;
		if (fstatat(tree, needed[i], &st, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return cloche_err_sys(err, errno, "--rootfs '%s': look at '%s'", path,
					      needed[i]);
		if (!S_ISDIR(st.st_mode))
			return cloche_err_set(
				err, ENOENT,
				"--rootfs '%s': has no directory '%s'; dev, proc, sys "
				"and tmp must be there, empty",
				path, needed[i]);
	}
	return 0;
}

int rootfs_prepare(int run_fd, const struct spec *spec, const struct cgroup *cg, uid_t uid,
		   struct rootfs *ret, struct cloche_err *err)
{
	bool is_dir = false;
	int r;

	rootfs_init(ret);
	ret->template = rootfs_template(run_fd, err);
	if (ret->template <0)
		return ret->template;
	if (spec->rootfs) {
		const char *dir = spec->rootfs;

		if (!strchr(dir, '/')) {
			r = image_mount(dir, ret->image, err);
			if (r < 0)
				return cloche_err_wrap(err, "--rootfs");
			dir = ret->image;
		}
		ret->tree = clone_tree("--rootfs", dir,
				       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				       &is_dir, err);
		if (ret->tree < 0)
			return ret->tree;
		if (!is_dir)
			return cloche_err_set(err, ENOTDIR, "--rootfs '%s': not a directory",
					      spec->rootfs);
		r = check_root(ret->tree, spec->rootfs, err);
		if (r < 0)
			return r;
	}
	r = prepare_binds(run_fd, spec, uid, ret, err);
	if (r < 0)
		return r;
	r = rootfs_prepare_cgroups(cg, ret, err);
	if (r < 0)
		return r;
	/* An inode and its dentry cost about 1 KiB of the function's memory: bounded like pages. */
	(void)snprintf(ret->tmp_options, sizeof(ret->tmp_options),
		       "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=1777", spec->tmp_bytes,
		       spec->tmp_bytes / 4096 + 16);
	(void)snprintf(ret->shm_options, sizeof(ret->shm_options),
		       "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=1777", spec->shm_bytes,
		       spec->shm_bytes / 4096 + 16);
	return 0;
}
