/* SPDX-License-Identifier: MIT */
/* The launcher's side of a root: the sources of its mounts, opened beforehand (see rootfs.h). */
#include "launch/rootfs.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "image/image.h"
#include "launch/cgroup.h"
#include "launch/rights.h"
#include "launch/rootfs_places.h"
#include "launch/source.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

void rootfs_init(struct rootfs *fs)
{
	*fs = (struct rootfs){ .template = -1, .tree = -1, .code = CODE_NONE };
	for (int i = 0; i < ROOTFS_CGROUPS; i++)
		fs->cgroups[i] = -1;
}

void rootfs_free(struct rootfs *fs)
{
	fd_close(&fs->template);
	fd_close(&fs->tree);
	code_close(&fs->code);
	for (size_t i = 0; i < fs->n_binds; i++) {
		fd_close(&fs->binds[i].tree);
		free(fs->binds[i].dst);
	}
	free(fs->binds);
	for (size_t i = 0; i < fs->n_maps; i++)
		idmap_close(&fs->maps[i].map);
	free(fs->maps);
	for (int i = 0; i < ROOTFS_CGROUPS; i++)
		fd_close(&fs->cgroups[i]);
	rootfs_init(fs);
}

static int set_attributes(int tree, uint64_t attributes)
{
	struct mount_attr attr = { .attr_set = attributes, .propagation = MS_PRIVATE };

	return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
}

/* A detached copy of what was opened, named by field and path. */
static int clone_tree(const struct source *source, const char *field, const char *path,
		      uint64_t attributes, struct cloche_err *err)
{
	cleanup_fd int tree = open_tree(
		source->fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);

	if (tree < 0)
		return cloche_err_sys(err, errno, CLOCHE_FIELD "%s '%s' (open_tree)", field, path);
	if (set_attributes(tree, attributes) < 0)
		return cloche_err_sys(err, errno,
				      CLOCHE_FIELD "%s '%s': set mount attributes (mount_setattr)",
				      field, path);
	return TAKE_FD(tree);
}

/* Whether a mount point at dst is there in the template or can be made in one of its parts. */
static bool has_place(const char *dst)
{
	static const char *const standing[] = { "/tmp", "/usr", "/etc",	 "/dev", "/sys",
						"/var", "/bin", "/sbin", "/lib" };

	for (size_t i = 0; i < sizeof(standing) / sizeof(standing[0]); i++)
		if (file_is_below(dst, standing[i]))
			return true;
	for (size_t i = 0; i < ROOTFS_EMPTY_N; i++)
		if (file_is_below(dst, rootfs_empty[i]))
			return true;
	return false;
}

/* An absolute path as it is compared: "//a/./b/" is "/a/b". No longer than it was. */
static void make_plain(char *plain, const char *path)
{
	char *end = plain;
	size_t len;

	for (; *(path += strspn(path, "/")); path += len) {
		len = strcspn(path, "/");
		if (len == 1 && *path == '.')
			continue;
		*end++ = '/';
		memcpy(end, path, len);
		end += len;
	}
	*end = '\0';
}

static const struct rootfs_map *find_map(const struct rootfs *fs, const struct source *source)
{
	for (size_t i = 0; i < fs->n_maps; i++)
		if (fs->maps[i].uid == source->uid && fs->maps[i].gid == source->gid)
			return &fs->maps[i];
	return NULL;
}

/* One for each owner; those of the caller, whom most binds belong to, are kept for the next run. */
static void have_map(int run_fd, const struct spec *spec, const struct source *source, uid_t uid,
		     struct rootfs *fs)
{
	struct rootfs_map *m = &fs->maps[fs->n_maps];
	bool keep = source->uid == (spec->caller ? spec->caller->uid : geteuid());

	if (find_map(fs, source))
		return;
	*m = (struct rootfs_map){ .uid = source->uid, .gid = source->gid, .map = IDMAP_NONE };
	fs->n_maps++;
	(void)idmap_open(run_fd, source->uid, source->gid, uid, keep, &m->map, NULL);
}

int rootfs_show(struct rootfs *fs, struct rootfs_bind *to, const struct source *source,
		const struct bind_spec *bind, struct cloche_err *err)
{
	uint64_t attributes =
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (bind->rw ? 0 : MOUNT_ATTR_RDONLY);
	const struct rootfs_map *map = find_map(fs, source);

	make_plain(to->dst, bind->dst);
	to->is_dir = source->is_dir;
	to->tree = clone_tree(source, bind->etc ? "etc" : "bind", bind->src, attributes, err);
	if (to->tree < 0)
		return to->tree;
	if (source->mapped && (!map || idmap_apply(to->tree, &map->map) < 0))
		fs->idmapped = false;
	if (!has_place(to->dst))
		fs->own_root = true;
	return 0;
}

static int prepare_bind(int run_fd, const struct spec *spec, const struct bind_spec *b, uid_t uid,
			struct rootfs *fs, struct cloche_err *err)
{
	struct rootfs_bind *out = &fs->binds[fs->n_binds++];
	struct source source;
	int r;

	out->tree = -1;
	out->dst = malloc(strlen(b->dst) + 1);
	if (!out->dst)
		return cloche_err_sys(err, ENOMEM, CLOCHE_FIELD "bind");
	r = source_open_bind(spec, b, &source, err);
	if (r < 0)
		return r;
	if (source.mapped)
		have_map(run_fd, spec, &source, uid, fs);
	r = rootfs_show(fs, out, &source, b, err);
	fd_close(&source.fd);
	return r;
}

static int prepare_binds(int run_fd, const struct spec *spec, uid_t uid, struct rootfs *fs,
			 struct cloche_err *err)
{
	int r = 0;

	fs->idmapped = true;
	if (spec->n_binds == 0)
		return 0;
	fs->binds = calloc(spec->n_binds, sizeof(*fs->binds));
	fs->maps = calloc(spec->n_binds, sizeof(*fs->maps));
	if (!fs->binds || !fs->maps)
		return cloche_err_sys(err, ENOMEM, CLOCHE_FIELD "bind");
	for (size_t i = 0; r == 0 && i < spec->n_binds; i++)
		r = prepare_bind(run_fd, spec, &spec->binds[i], uid, fs, err);
	return r;
}

/* The bare cgroup2 tree of a hybrid host tells a runtime nothing. */
uint32_t rootfs_cgroups(const struct hierarchy *hierarchy)
{
	uint32_t shown = 0;

	for (int i = 0; i < CONTROLLER_N; i++)
		shown |= hierarchy->ctl[i] >= 0 ? 1U << i : 0;
	return shown ? shown : CGROUP_V2;
}

static int clone_cgroup(int dir, const char *path, struct cloche_err *err)
{
	cleanup_fd int tree =
		open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0)
		return cloche_err_sys(err, errno, "clone the mount of the own cgroup (open_tree)");
	if (set_attributes(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					 MOUNT_ATTR_NOEXEC) < 0)
		return cloche_err_sys(err, errno, "make the own cgroup read-only (mount_setattr)");
	return TAKE_FD(tree);
}

int rootfs_prepare_cgroups(const struct hierarchy *hierarchy, const struct cgroup *cg,
			   uint32_t which, int ret[ROOTFS_CGROUPS], struct cloche_err *err)
{
	uint32_t shown = rootfs_cgroups(hierarchy) & which;
	unsigned n = 0;

	for (int i = 0; i < ROOTFS_CGROUPS; i++)
		ret[i] = -1;
	for (int i = 0; i < ROOTFS_CGROUPS; i++) {
		if (!(shown & 1U << i))
			continue;
		if (i == CONTROLLER_CPUSET)
			ret[n] = clone_cgroup(hierarchy->ctl[i], CGROUP_CPUSET, err);
		else
			ret[n] = clone_cgroup(i < CONTROLLER_N ? cg->ctl[i] : cg->v2, "", err);
		if (ret[n++] < 0)
			return ret[n - 1];
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
			return cloche_err_sys(err, errno, CLOCHE_FIELD "rootfs '%s': look at '%s'",
					      path, needed[i]);
		if (!S_ISDIR(st.st_mode))
			return cloche_err_set(err, ENOENT,
					      CLOCHE_FIELD
					      "rootfs '%s': has no directory '%s'; dev, proc, sys "
					      "and tmp must be there, empty",
					      path, needed[i]);
	}
	return 0;
}

int rootfs_show_root(struct rootfs *fs, const struct source *source, const char *path,
		     struct cloche_err *err)
{
	fs->tree = clone_tree(source, "rootfs", path,
			      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
	return fs->tree < 0 ? fs->tree : check_root(fs->tree, path, err);
}

static int prepare_tree(const struct spec *spec, struct rootfs *fs, struct cloche_err *err)
{
	struct source source;
	int r;

	if (strchr(spec->rootfs, '/')) {
		r = source_open_root(spec, spec->rootfs, &source, err);
		if (r < 0)
			return r;
	} else {
		r = spec->image_at ? snprintf(fs->image, sizeof(fs->image), "%s", spec->image_at)
				   : image_mount(spec->rootfs, fs->image, err);
		if (r < 0)
			return cloche_err_wrap(err, CLOCHE_FIELD "rootfs");
		source = (struct source){ .fd = open(fs->image, O_PATH | O_CLOEXEC) };
		if (source.fd < 0)
			return cloche_err_sys(err, errno, CLOCHE_FIELD "rootfs '%s'", fs->image);
	}
	r = rootfs_show_root(fs, &source, spec->rootfs, err);
	fd_close(&source.fd);
	return r;
}

/* What follows from the sizes alone. */
static void fit(struct rootfs *fs, const struct spec *spec)
{
	/* An inode and its dentry cost about 1 KiB of the function's memory: bounded like pages. */
	(void)snprintf(fs->tmp_options, sizeof(fs->tmp_options),
		       "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=1777", spec->tmp_bytes,
		       spec->tmp_bytes / 4096 + 16);
	(void)snprintf(fs->shm_options, sizeof(fs->shm_options),
		       "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=1777", spec->shm_bytes,
		       spec->shm_bytes / 4096 + 16);
}

int rootfs_prepare_own(int run_fd, const struct spec *spec, uid_t uid, struct rootfs *fs,
		       struct cloche_err *err)
{
	int r = spec->rootfs ? prepare_tree(spec, fs, err) : 0;

	if (r == 0)
		r = code_prepare(run_fd, spec, uid, &fs->code, err);
	if (r == 0)
		r = prepare_binds(run_fd, spec, uid, fs, err);
	if (r < 0)
		return r;
	fit(fs, spec);
	return 0;
}

int rootfs_prepare(int run_fd, const struct spec *spec, uid_t uid, struct rootfs *ret,
		   struct cloche_err *err)
{
	rootfs_init(ret);
	ret->template = rootfs_template(run_fd, err);
	return ret->template <0 ? ret->template : rootfs_prepare_own(run_fd, spec, uid, ret, err);
}
