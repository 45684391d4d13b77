/* SPDX-License-Identifier: MIT */
/* The context's side of its root: sources opened beforehand, mounts made by pid 1 (see rootfs.h).
 */
#include "launch/rootfs.h"

#include "base/err.h"
#include "base/fd.h"
#include "launch/cgroup.h"
#include "launch/image.h"
#include "launch/spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Directories of the template that have nothing in them: a mount point below one is made in a tmpfs
 * that covers it. /var has two in it, which its cover has too. */
static const char *const empty[] = { "/mnt",  "/opt", "/run",	"/home",
				     "/root", "/srv", "/media", "/var" };
#define N_EMPTY (sizeof(empty) / sizeof(empty[0]))
/* The same of a root that is an image or a directory, as far as there is nothing in them there. */
static const char *const tree_empty[N_EMPTY] = { "/mnt",  "/opt", "/run",   "/home",
						 "/root", "/srv", "/media", "/var/task" };
static const char *const var_dirs[] = { "/var/task", "/var/tmp" };

/* Where a root of its own is put together before it becomes "/"; a directory of the template. */
#define STAGE "/mnt"

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
	for (size_t i = 0; i < fs->n_binds; i++)
		fd_close(&fs->binds[i].tree);
	free(fs->binds);
	idmap_close(&fs->map);
	for (int i = 0; i < 4; i++)
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

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Whether a mount point at dst is there in the template or can be made in one of its parts. */
static bool has_place(const char *dst)
{
	static const char *const standing[] = { "/tmp",	 "/usr", "/etc",  "/dev", "/sys",
						"/proc", "/bin", "/sbin", "/lib" };

	for (size_t i = 0; i < sizeof(standing) / sizeof(standing[0]); i++)
		if (is_below(dst, standing[i]))
			return true;
	for (size_t i = 0; i < N_EMPTY; i++)
		if (is_below(dst, empty[i]))
			return true;
	return false;
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
		out->dst = b->dst;
		out->tree = clone_tree("--bind", b->src, attributes, &out->is_dir, err);
		if (out->tree < 0)
			return out->tree;
		fs->n_binds = i + 1;
		if (idmap_apply(out->tree, &fs->map) < 0)
			fs->idmapped = false;
		if (!has_place(b->dst))
			fs->own_root = true;
	}
	return 0;
}

static int prepare_cgroups(const struct cgroup *cg, struct rootfs *fs, struct cloche_err *err)
{
	static const char *const v1_paths[CONTROLLER_N] = { "/sys/fs/cgroup/cpu",
							    "/sys/fs/cgroup/memory",
							    "/sys/fs/cgroup/pids" };
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
		fs->cgroups[n] = tree;
		fs->cgroup_paths[n++] = v1 ? v1_paths[i] : "/sys/fs/cgroup";
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
	r = prepare_cgroups(cg, ret, err);
	if (r < 0)
		return r;
	/* An inode and its dentry cost about 1 KiB of the function's memory: bounded like pages. */
	(void)snprintf(ret->tmp_options, sizeof(ret->tmp_options),
		       "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=1777", spec->tmp_bytes,
		       spec->tmp_bytes / 4096 + 16);
	(void)snprintf(ret->shm_options, sizeof(ret->shm_options),
		       "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=1777", spec_shm_bytes(spec),
		       spec_shm_bytes(spec) / 4096 + 16);
	return 0;
}

/* ---- in pid 1 of the context ----------------------------------------------------------------- */

static int place(int tree, const char *path)
{
	return move_mount(tree, "", AT_FDCWD, path,
			  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS);
}

static int pivot(const char *to, struct cloche_err *err)
{
	if (chdir(to) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return cloche_err_sys(err, errno, "pivot into the root file system");
	return 0;
}

static int carry(const char *name, const char *stage, struct cloche_err *err)
{
	if (mount(name, stage, NULL, MS_BIND | MS_REC, NULL) < 0)
		return cloche_err_sys(err, errno, "carry '%s' into the root file system", name);
	return 0;
}

static int make_var_dirs(const char *root, struct cloche_err *err)
{
	char path[48];

	for (size_t i = 0; i < sizeof(var_dirs) / sizeof(var_dirs[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", root, var_dirs[i]);
		if (mkdir(path, 0755) < 0)
			return cloche_err_sys(err, errno, "make '%s'", var_dirs[i]);
	}
	return 0;
}

/*
 * A root of its own: a tmpfs with the template's top level in it, on which mount points for binds
 * can be made. Links are read from the template, where they are as on the host.
 */
static int stage_own(struct cloche_err *err)
{
	static const char *const carried[] = { "usr",  "etc", "dev",   "sys",	"bin",
					       "sbin", "lib", "lib32", "lib64", "libx32" };
	char to[48];
	int r;

	if (mount("root", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "size=1M,mode=755") < 0)
		return cloche_err_sys(err, errno, "mount the root");
	r = rootfs_repeat_top(STAGE, carried, sizeof(carried) / sizeof(carried[0]), carry, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < N_EMPTY; i++) {
		(void)snprintf(to, sizeof(to), STAGE "%s", empty[i]);
		if (mkdir(to, 0755) < 0)
			return cloche_err_sys(err, errno, "make '%s'", empty[i]);
	}
	if (mkdir(STAGE "/proc", 0755) < 0 || mkdir(STAGE "/tmp", 0755) < 0)
		return cloche_err_sys(err, errno, "make '/proc' and '/tmp'");
	return make_var_dirs(STAGE, err);
}

static int stage_tree(int tree, struct cloche_err *err)
{
	static const char *const carried[] = { "/dev", "/sys" };

	if (place(tree, STAGE) < 0)
		return cloche_err_sys(err, errno, "mount the root file system (move_mount)");
	for (size_t i = 0; i < sizeof(carried) / sizeof(carried[0]); i++) {
		char to[32];
		int r;

		(void)snprintf(to, sizeof(to), STAGE "%s", carried[i]);
		r = carry(carried[i], to, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What of /proc tells of the host or of other contexts. Absent ones are passed over. */
static const char *const masked_files[] = { "/proc/interrupts",	 "/proc/kallsyms",
					    "/proc/kcore",	 "/proc/key-users",
					    "/proc/keys",	 "/proc/latency_stats",
					    "/proc/sched_debug", "/proc/sysrq-trigger",
					    "/proc/timer_list",	 "/proc/vmallocinfo" };
static const char *const masked_dirs[] = { "/proc/acpi", "/proc/asound", "/proc/bus",
					   "/proc/fs",	 "/proc/irq",	 "/proc/scsi" };

#define PROC_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int mask_proc(struct cloche_err *err)
{
	for (size_t i = 0; i < sizeof(masked_files) / sizeof(masked_files[0]); i++)
		if (mount("/dev/null", masked_files[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			return cloche_err_sys(err, errno, "mask '%s'", masked_files[i]);
	for (size_t i = 0; i < sizeof(masked_dirs) / sizeof(masked_dirs[0]); i++)
		if (mount("/dev/pts", masked_dirs[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			return cloche_err_sys(err, errno, "mask '%s'", masked_dirs[i]);
	if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | PROC_FLAGS, NULL) < 0)
		return cloche_err_sys(err, errno, "make '/proc/sys' read-only");
	return 0;
}

static int mount_own(const struct rootfs *fs, struct cloche_err *err)
{
	if (mount("proc", "/proc", "proc", PROC_FLAGS, "hidepid=invisible") < 0)
		return cloche_err_sys(err, errno, "mount /proc");
	if (mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, fs->tmp_options) < 0)
		return cloche_err_sys(err, errno, "mount /tmp");
	if (mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, fs->shm_options) <
	    0)
		return cloche_err_sys(err, errno, "mount /dev/shm");
	for (int i = 0; i < 4 && fs->cgroups[i] >= 0; i++)
		if (place(fs->cgroups[i], fs->cgroup_paths[i]) < 0)
			return cloche_err_sys(err, errno, "mount '%s' (move_mount)",
					      fs->cgroup_paths[i]);
	return mask_proc(err);
}

static int make_dir(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : close(fd);
}

static int make_mount_point(const struct rootfs_bind *b)
{
	char path[4096];
	int r;

	(void)snprintf(path, sizeof(path), "%s", b->dst);
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		r = make_dir(path);
		if (r < 0)
			return r;
		*p = '/';
	}
	if (access(path, F_OK) == 0)
		return 0;
	return b->is_dir ? make_dir(path) : make_file(path);
}

/* A directory with no more than "." and ".." in it, which are what getdents64(2) gives first. */
static bool is_empty(const char *dir)
{
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_Alignas(struct dirent64) char entries[512];
	long n, count = 0;

	if (fd < 0)
		return false;
	n = syscall(SYS_getdents64, fd, entries, sizeof(entries));
	for (long at = 0; at < n; count++)
		at += ((const struct dirent64 *)(entries + at))->d_reclen;
	return n >= 0 && count <= 2;
}

/* Before the first bind is mounted: a cover would hide it. The fd of a cover outlives what is
 * mounted on it. */
static int cover_empty(const struct rootfs *fs, int covers[N_EMPTY], struct cloche_err *err)
{
	const char *const *dirs = fs->tree < 0 ? empty : tree_empty;

	for (size_t n = 0; n < fs->n_binds; n++) {
		const char *dst = fs->binds[n].dst;
		size_t i = 0;

		while (i < N_EMPTY && !is_below(dst, dirs[i]))
			i++;
		if (i == N_EMPTY || covers[i] >= 0 || access(dst, F_OK) == 0 ||
		    (fs->tree >= 0 && !is_empty(dirs[i])))
			continue;
		if (errno != ENOENT)
			return cloche_err_sys(err, errno, "--bind: look for '%s' inside", dst);
		if (mount("cover", dirs[i], "tmpfs", MS_NOSUID | MS_NODEV, "size=1M,mode=755") < 0)
			return cloche_err_sys(err, errno, "cover '%s'", dirs[i]);
		covers[i] = open(dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (covers[i] < 0)
			return cloche_err_sys(err, errno, "open '%s'", dirs[i]);
		if (strcmp(dirs[i], "/var") == 0 && make_var_dirs("", err) < 0)
			return -err->code;
	}
	return 0;
}

static int seal_covers(int covers[N_EMPTY], struct cloche_err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	for (size_t i = 0; i < N_EMPTY; i++) {
		if (covers[i] < 0)
			continue;
		if (mount_setattr(covers[i], "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
			return cloche_err_sys(err, errno, "make '%s' read-only", empty[i]);
		fd_close(&covers[i]);
	}
	return 0;
}

static int mount_binds(const struct rootfs *fs, struct cloche_err *err)
{
	int covers[N_EMPTY], r = 0;

	memset(covers, -1, sizeof(covers));
	if (!fs->own_root || fs->tree >= 0)
		r = cover_empty(fs, covers, err);
	for (size_t i = 0; r == 0 && i < fs->n_binds; i++) {
		const struct rootfs_bind *b = &fs->binds[i];

		r = make_mount_point(b);
		if (r == -EROFS)
			return cloche_err_sys(err, EROFS,
					      "--bind: make '%s' inside (choose a place below "
					      "/opt, /mnt, /srv, /home or /tmp)",
					      b->dst);
		if (r < 0)
			return cloche_err_sys(err, -r, "--bind: make '%s' inside", b->dst);
		if (place(b->tree, b->dst) < 0)
			return cloche_err_sys(err, errno, "--bind: mount '%s' inside (move_mount)",
					      b->dst);
	}
	return r == 0 ? seal_covers(covers, err) : r;
}

int rootfs_enter(const struct rootfs *fs, struct cloche_err *err)
{
	bool own = fs->own_root && fs->tree < 0;
	int r = 0;

	if (setns(fs->template, CLONE_NEWNS) < 0)
		return cloche_err_sys(err, errno, "enter the root template (setns)");
	if (unshare(CLONE_NEWNS) < 0)
		return cloche_err_sys(err, errno, "make a mount namespace");
	if (fs->tree >= 0)
		r = stage_tree(fs->tree, err);
	else if (own)
		r = stage_own(err);
	if (r == 0 && (own || fs->tree >= 0))
		r = pivot(STAGE, err);
	if (r == 0)
		r = mount_own(fs, err);
	if (r == 0)
		r = mount_binds(fs, err);
	if (r == 0 && own &&
	    mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) <
		    0)
		r = cloche_err_sys(err, errno, "make the root read-only");
	return r;
}
