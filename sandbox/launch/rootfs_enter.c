/* SPDX-License-Identifier: MIT */
/*
 * The context's side of its root, in the warden: enters the template, completes it with what is the
 * context's own, pivots. The root may be somebody else's (an image, a directory whose owner goes on
 * changing it), and the warden is root and holds descriptors of the host: every path in it is
 * walked by inside.h, what is mounted goes to the descriptor that came of the walk, and all of that
 * is done before /proc is there. The template and what is mounted here are nobody else's; still,
 * once they stand in such a root, they are reached by descriptors, as their names there may be
 * moved.
 */
#include "launch/rootfs.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/inside.h"
#include "host/hierarchy.h"
#include "launch/place.h"
#include "launch/rootfs_places.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where a root of its own is put together before it becomes "/"; a directory of the template. */
#define STAGE "/mnt"

#define DIR_FLAGS (O_PATH | O_DIRECTORY)

/* ---- mounts by descriptor ---- */

static int clone_tree(int dir, const char *path)
{
	int fd = open_tree(dir, path,
			   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
				   (*path ? 0 : AT_EMPTY_PATH));

	return fd < 0 ? -errno : fd;
}

static int place(int tree, int at)
{
	return move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

/* On a path below a directory of ours, or of the kernel's, where names stay what they are; a link
 * at its end is not followed. */
static int place_below(int tree, int dir, const char *path)
{
	return move_mount(tree, "", dir, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* options: "key=value,key=value"; source: what /proc/mounts shows. */
static int set_options(int fs, const char *source, const char *options)
{
	char text[128], *at = text, *option;

	if ((size_t)snprintf(text, sizeof(text), "%s", options) >= sizeof(text))
		return -ENAMETOOLONG;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return -errno;
	while ((option = strsep(&at, ","))) {
		char *value = strchr(option, '=');

		*value++ = '\0';
		if (fsconfig(fs, FSCONFIG_SET_STRING, option, value, 0) < 0)
			return -errno;
	}
	return fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -errno : 0;
}

/* A new file system on a directory of root; its root. */
static int mount_at(int root, const char *path, const char *type, const char *options,
		    unsigned attributes, struct cloche_err *err)
{
	cleanup_fd int at = inside_open(root, path, DIR_FLAGS | O_NOFOLLOW), fs = -1, new = -1;
	const char *call = "openat2";
	int r = at < 0 ? at : 0;

	if (r == 0) {
		call = "fsopen";
		fs = fsopen(type, FSOPEN_CLOEXEC);
		r = fs < 0 ? -errno : 0;
	}
	if (r == 0) {
		call = "fsconfig";
		r = set_options(fs, type, options);
	}
	if (r == 0) {
		call = "fsmount";
		new = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
		r = new < 0 ? -errno : 0;
	}
	if (r == 0) {
		call = "move_mount";
		r = place(new, at);
	}
	return r < 0 ? cloche_err_sys(err, -r, "mount '/%s' (%s)", path, call) : TAKE_FD(new);
}

static int make_read_only(int mount)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	return mount_setattr(mount, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static int pivot(const char *to, struct cloche_err *err)
{
	if (chdir(to) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return cloche_err_sys(err, errno, "pivot into the root file system");
	return 0;
}

/* ---- the stage ---- */

static int carry(const char *name, const char *stage, struct cloche_err *err)
{
	if (mount(name, stage, NULL, MS_BIND | MS_REC, NULL) < 0)
		return cloche_err_sys(err, errno, "carry '%s' into the root file system", name);
	return 0;
}

/*
 * A root of its own: a tmpfs with the template's top level in it, on which mount points for binds
 * can be made. Links are read from the template, where they are as on the host. Nobody else can
 * change it.
 */
static int stage_own(struct cloche_err *err)
{
	static const char *const carried[] = { "usr",  "etc", "dev",   "sys",	"var",	 "bin",
					       "sbin", "lib", "lib32", "lib64", "libx32" };
	char to[48];
	int r;

	if (mount("root", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "size=1M,mode=755") < 0)
		return cloche_err_sys(err, errno, "mount the root");
	r = rootfs_repeat_top(STAGE, carried, sizeof(carried) / sizeof(carried[0]), carry, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ROOTFS_EMPTY_N; i++) {
		(void)snprintf(to, sizeof(to), STAGE "%s", rootfs_empty[i]);
		if (mkdir(to, 0755) < 0)
			return cloche_err_sys(err, errno, "make '%s'", rootfs_empty[i]);
	}
	if (mkdir(STAGE "/proc", 0755) < 0 || mkdir(STAGE "/tmp", 0755) < 0)
		return cloche_err_sys(err, errno, "make '/proc' and '/tmp'");
	return 0;
}

/* A tree of the template into the root at tree; its root there. */
static int carry_into(int tree, const char *name, struct cloche_err *err)
{
	cleanup_fd int from = -1, to = inside_open(tree, name, DIR_FLAGS | O_NOFOLLOW);
	char path[32];
	int r;

	(void)snprintf(path, sizeof(path), "/%s", name);
	from = to < 0 ? to : clone_tree(AT_FDCWD, path);
	r = from < 0 ? from : place(from, to);
	return r < 0 ? cloche_err_sys(err, -r, "carry '%s' into the root file system (open_tree)",
				      path)
		     : TAKE_FD(from);
}

/*
 * The context's own names: its host's and localhost, no name server. An image's are of where it was
 * made, if anything; in a directory only an empty file is a place for them, as what its owner wrote
 * there counts. What cannot be walked to is no place.
 */
static int carry_names(const struct rootfs *fs, struct cloche_err *err)
{
	static const char *const names[] = { "/etc/hosts", "/etc/hostname", "/etc/resolv.conf" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cleanup_fd int to = inside_open(fs->tree, names[i], O_PATH | O_NOFOLLOW), from = -1;
		struct stat st;
		int r;

		if (to < 0 || fstat(to, &st) < 0 || !S_ISREG(st.st_mode) ||
		    (!fs->image[0] && st.st_size > 0))
			continue;
		from = clone_tree(AT_FDCWD, names[i]);
		r = from < 0 ? from : place(from, to);
		if (r < 0)
			return cloche_err_sys(err, -r, "mount the own '%s' (move_mount)", names[i]);
	}
	return 0;
}

static int stage_tree(const struct rootfs *fs, struct rooted *ret, struct cloche_err *err)
{
	int tree = fs->tree;
	cleanup_fd int stage = open(STAGE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = stage < 0 ? -errno : place(tree, stage);

	if (r < 0)
		return cloche_err_sys(err, -r, "mount the root file system (move_mount)");
	ret->dev = carry_into(tree, "dev", err);
	if (ret->dev < 0)
		return ret->dev;
	ret->sys = carry_into(tree, "sys", err);
	return ret->sys < 0 ? ret->sys : carry_names(fs, err);
}

static int open_top(const char *path, int *ret, struct cloche_err *err)
{
	if (*ret < 0)
		*ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? cloche_err_sys(err, errno, "open '%s' inside", path) : 0;
}

/* ---- what is the context's own ---- */

/*
 * Pseudo-terminals of its own, which are numbered from 0 anew and are nobody else's. Few, as all
 * contexts, and all containers beside them, share 3,072 (kernel.pty.max and .reserve), and what one
 * keeps is nobody's memory.
 */
static int mount_pts(struct rooted *at, struct cloche_err *err)
{
	struct cloche_err own = { 0 };

	at->pts = mount_at(at->dev, "pts", "devpts", "mode=600,ptmxmode=666,max=8",
			   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &own);
	/* ENODEV: a kernel without CONFIG_UNIX98_PTYS. */
	if (at->pts >= 0 || own.code == ENODEV)
		return 0;
	*err = own;
	return -err->code;
}

/* /tmp, /dev/shm and /dev/pts, empty: what each invocation finds new, beside its cgroups. */
static int mount_scratch(const struct rootfs *fs, struct rooted *at, struct cloche_err *err)
{
	unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

	at->tmp = mount_at(at->root, "tmp", "tmpfs", fs->tmp_options, attributes, err);
	if (at->tmp < 0)
		return at->tmp;
	at->shm = mount_at(at->dev, "shm", "tmpfs", fs->shm_options, attributes | MOUNT_ATTR_NOEXEC,
			   err);
	if (at->shm < 0)
		return at->shm;
	return mount_pts(at, err);
}

/* Where, below /sys; the last one is that of cgroup2. */
static const char *const cgroup_paths[CONTROLLER_N + 1] = { "fs/cgroup/cpu",	"fs/cgroup/memory",
							    "fs/cgroup/pids",	"fs/cgroup/cpuacct",
							    "fs/cgroup/cpuset", "fs/cgroup" };

int rootfs_show_cgroups(struct rootfs *fs, const struct hierarchy *hierarchy, uint32_t which,
			const int *mounts, struct rooted *at, struct cloche_err *err)
{
	uint32_t shown = rootfs_cgroups(hierarchy) & which;
	int r = 0;

	/* All are taken over, whatever comes of it. */
	for (int i = 0; i < ROOTFS_CGROUPS; i++)
		if (shown & 1U << i)
			fs->cgroups[i] = *mounts++;
	for (int i = 0; r == 0 && i < ROOTFS_CGROUPS; i++) {
		if (!(shown & 1U << i))
			continue;
		r = place_below(fs->cgroups[i], at->sys, cgroup_paths[i]);
		if (r < 0)
			(void)cloche_err_sys(err, -r, "mount '/sys/%s' (move_mount)",
					     cgroup_paths[i]);
	}
	return r;
}

/* Runtimes count CPUs by the affinity or by this file; both say as many as the context has. */
static int show_cpus(const struct rootfs *fs, const struct rooted *at, struct cloche_err *err)
{
	cleanup_fd int from = -1, to = inside_open(at->sys, "devices/system/cpu/online", O_PATH);
	char path[48];
	int r;

	/* A kernel, or a host, that does not show it. */
	if (to == -ENOENT || fs->cpus == 0 || fs->cpus > ROOTFS_ONLINE_MAX)
		return 0;
	(void)snprintf(path, sizeof(path), ROOTFS_ONLINE "/%u", fs->cpus);
	r = to < 0 ? to : (from = clone_tree(at->sys, path));
	if (r >= 0)
		r = place(from, to);
	return r < 0 ? cloche_err_sys(err, -r, "show %u CPUs in '/sys'", fs->cpus) : 0;
}

/* What of /proc tells of the host or of other contexts. Absent ones are passed over; the last of a
 * list is there in every kernel, so that no mount is left over: to drop one waits for a grace
 * period of RCU. */
static const char *const masked_files[] = {
	"kallsyms",    "kcore",		"key-users",  "keys",	     "latency_stats", "locks",
	"sched_debug", "sysrq-trigger", "timer_list", "vmallocinfo", "interrupts",
};
static const char *const masked_dirs[] = { "acpi", "asound", "bus", "irq", "scsi", "fs" };

static int mask(int dev, const char *by, int proc, const char *const *names, size_t n,
		struct cloche_err *err)
{
	cleanup_fd int tree = -1;

	for (size_t i = 0; i < n; i++) {
		int r = tree < 0 ? (tree = clone_tree(dev, by)) : 0;

		if (r >= 0)
			r = place_below(tree, proc, names[i]);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return cloche_err_sys(err, -r, "mask '/proc/%s'", names[i]);
		fd_close(&tree);
	}
	return 0;
}

static int mask_proc(int dev, int proc, struct cloche_err *err)
{
	int r = mask(dev, "null", proc, masked_files,
		     sizeof(masked_files) / sizeof(masked_files[0]), err);

	return r < 0 ? r
		     : mask(dev, "pts", proc, masked_dirs,
			    sizeof(masked_dirs) / sizeof(masked_dirs[0]), err);
}

/*
 * Read-only as a whole: what a process may write there is about itself (oom_score_adj, which puts
 * it first or last among the host's victims; coredump_filter; mem), and nothing needs it. What the
 * launch itself writes goes through a copy of the mount that stays with the warden.
 */
static int mount_proc(struct rooted *at, struct cloche_err *err)
{
	unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	cleanup_fd int proc =
		mount_at(at->root, "proc", "proc", "hidepid=invisible", attributes, err);
	int r;

	if (proc < 0)
		return proc;
	at->proc = clone_tree(proc, "");
	r = at->proc < 0 ? at->proc : make_read_only(proc);
	return r < 0 ? cloche_err_sys(err, -r, "make '/proc' read-only")
		     : mask_proc(at->dev, proc, err);
}

/* ---- code ---- */

static int mount_tree(int tree, int root, const char *path, struct cloche_err *err)
{
	cleanup_fd int at = tree < 0 ? -1 : inside_open(root, path, DIR_FLAGS | O_NOFOLLOW);
	int r;

	if (tree < 0)
		return 0;
	r = at < 0 ? at : place(tree, at);
	return r < 0 ? cloche_err_sys(err, -r, "mount the function's '/%s' (move_mount)", path) : 0;
}

static int mount_code(const struct code *code, int root, struct cloche_err *err)
{
	int r = mount_tree(code->task, root, CODE_TASK, err);

	return r == 0 ? mount_tree(code->layers, root, CODE_LAYERS, err) : r;
}

/* ---- binds ---- */

static int no_place(int code, const char *dst, struct cloche_err *err)
{
	switch (code) {
	case EROFS:
		return cloche_err_sys(err, code,
				      CLOCHE_FIELD
				      "bind: make '%s' inside (choose a place below /opt, /mnt, "
				      "/srv, /home or /tmp)",
				      dst);
	case ELOOP:
	case EEXIST:
		return cloche_err_sys(
			err, code,
			CLOCHE_FIELD "bind: '%s' leads through a link that is not followed", dst);
	case E2BIG:
		return cloche_err_set(err, code,
				      CLOCHE_FIELD
				      "bind: no room for '%s': the directory that it would be "
				      "new in has more than %d entries; choose another place",
				      dst, PLACE_ENTRIES_MAX);
	case EMFILE:
		return cloche_err_set(err, code,
				      CLOCHE_FIELD
				      "bind: no room for '%s': binds need new places in more "
				      "than %d directories; bind a directory that holds them",
				      dst, PLACES_MAX);
	default:
		return cloche_err_sys(err, code, CLOCHE_FIELD "bind: make '%s' inside", dst);
	}
}

/* In a blank it is there already (rooted.proc): a link of the root's, or in a bind, may lead there.
 */
static bool is_in_proc(int proc, const struct stat *st)
{
	struct stat there;

	return proc >= 0 && (fstat(proc, &there) < 0 || there.st_dev == st->st_dev);
}

static int mount_bind(struct places *places, const struct rootfs_bind *b, const struct rooted *in,
		      struct cloche_err *err)
{
	cleanup_fd int at = place_make(places, in->root, b->dst, b->is_dir);
	struct stat st;
	int r;

	if (at < 0)
		return no_place(-at, b->dst, err);
	if (fstat(at, &st) < 0)
		return no_place(errno, b->dst, err);
	if (is_in_proc(in->proc, &st))
		return no_place(ELOOP, b->dst, err);
	if (S_ISDIR(st.st_mode) != b->is_dir)
		return cloche_err_set(err, ENOTDIR,
				      CLOCHE_FIELD
				      "bind: '%s' is a %s inside, and what is bound is none; "
				      "choose another place",
				      b->dst, b->is_dir ? "file" : "directory");
	r = place(b->tree, at);
	return r < 0 ? cloche_err_sys(err, -r, CLOCHE_FIELD "bind: mount '%s' inside (move_mount)",
				      b->dst)
		     : 0;
}

/* Those below what mount_scratch() mounts, or all others. */
static bool in_scratch(const struct rootfs_bind *b)
{
	return file_is_below(b->dst, "/tmp") || file_is_below(b->dst, "/dev/shm");
}

static int mount_binds(const struct rootfs *fs, const struct rooted *at, bool scratch,
		       struct cloche_err *err)
{
	struct places places = { .keep = { at->dev, at->sys, at->proc } };
	int r = 0, sealed;

	for (size_t i = 0; r == 0 && i < fs->n_binds; i++)
		if (in_scratch(&fs->binds[i]) == scratch)
			r = mount_bind(&places, &fs->binds[i], at, err);
	sealed = places_seal(&places);
	if (r == 0 && sealed < 0)
		r = cloche_err_sys(err, -sealed, "make the places of binds read-only (fsconfig)");
	return r;
}

/* ---- */

static int enter_stage(const struct rootfs *fs, bool own, struct rooted *ret,
		       struct cloche_err *err)
{
	int r = 0;

	if (setns(fs->template, CLONE_NEWNS) < 0)
		return cloche_err_sys(err, errno, "enter the root template (setns)");
	if (unshare(CLONE_NEWNS) < 0)
		return cloche_err_sys(err, errno, "make a mount namespace");
	if (fs->tree >= 0)
		r = stage_tree(fs, ret, err);
	else if (own)
		r = stage_own(err);
	if (r == 0 && (own || fs->tree >= 0))
		r = pivot(STAGE, err);
	if (r == 0)
		r = open_top("/", &ret->root, err);
	if (r == 0)
		r = open_top("/dev", &ret->dev, err);
	return r == 0 ? open_top("/sys", &ret->sys, err) : r;
}

int rootfs_enter(const struct rootfs *fs, struct rooted *ret, struct cloche_err *err)
{
	bool own = fs->own_root && fs->tree < 0;
	int r;

	*ret = ROOTED_NONE;
	r = enter_stage(fs, own, ret, err);
	if (r == 0)
		r = mount_code(&fs->code, ret->root, err);
	if (r == 0)
		r = mount_binds(fs, ret, false, err);
	if (r == 0)
		r = mount_proc(ret, err);
	if (r == 0 && !fs->blank)
		r = show_cpus(fs, ret, err);
	if (r == 0 && !fs->blank)
		r = mount_scratch(fs, ret, err);
	if (r == 0 && !fs->blank)
		r = mount_binds(fs, ret, true, err);
	if (r == 0 && own) {
		r = make_read_only(ret->root);
		if (r < 0)
			(void)cloche_err_sys(err, -r, "make the root read-only");
	}
	return r;
}

/* With the one that it was in all that was mounted there goes. */
static int enter_anew(struct rootfs *fs, struct rooted *at, struct cloche_err *err)
{
	struct rooted before = *at;
	int *all[] = { &before.root, &before.dev, &before.sys, &before.tmp,
		       &before.shm,  &before.pts, &before.proc };
	int r = rootfs_enter(fs, at, err);

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		fd_close(all[i]);
	return r;
}

int rootfs_dress(struct rootfs *fs, struct rooted *at, struct cloche_err *err)
{
	int r;

	if (fs->tree >= 0 || fs->own_root)
		return enter_anew(fs, at, err);
	r = mount_code(&fs->code, at->root, err);
	if (r == 0)
		r = mount_binds(fs, at, false, err);
	if (r == 0)
		r = show_cpus(fs, at, err);
	if (r == 0)
		r = mount_scratch(fs, at, err);
	return r == 0 ? mount_binds(fs, at, true, err) : r;
}

/* ---- for the next invocation ---- */

/* On a directory of /tmp, one upon the other, to go with that: each umount(2) waits for a grace
 * period of RCU, 0.1 ms (measured). */
static int open_heap(int tmp)
{
	int fd = mkdirat(tmp, "0", 0700) < 0 && errno != EEXIST ? -1 : 0;

	fd = fd < 0 ? fd : openat(tmp, "0", DIR_FLAGS | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* With all that is mounted below it. */
static int unmount(int *mount)
{
	cleanup_fd int fd = TAKE_FD(*mount);

	return fchdir(fd) < 0 || umount2(".", MNT_DETACH) < 0 ? -errno : 0;
}

/* Where there is no heap, since /tmp is full, each for itself. */
static int gather(int *mount, int heap)
{
	cleanup_fd int fd = -1;

	if (heap < 0)
		return unmount(mount);
	fd = TAKE_FD(*mount);
	return place(fd, heap);
}

/* What is bound below is unmounted with it; a copy can be mounted again. */
static int keep_bind(struct rootfs_bind *b)
{
	int copy = clone_tree(b->tree, "");

	if (copy < 0)
		return copy;
	fd_close(&b->tree);
	b->tree = copy;
	return 0;
}

int rootfs_retire(struct rootfs *fs, uint32_t kept, struct rooted *at)
{
	cleanup_fd int heap = open_heap(at->tmp);
	int r = 0;

	for (size_t i = 0; r == 0 && i < fs->n_binds; i++)
		if (in_scratch(&fs->binds[i]))
			r = keep_bind(&fs->binds[i]);
	for (int i = 0; r == 0 && i < ROOTFS_CGROUPS; i++)
		if (fs->cgroups[i] >= 0 && !(kept & 1U << i))
			r = gather(&fs->cgroups[i], heap);
	if (r == 0)
		r = gather(&at->shm, heap);
	if (r == 0 && at->pts >= 0)
		r = gather(&at->pts, heap);
	if (at->seen >= 0 && heap < 0)
		fd_close(&at->seen); /* it is mounted nowhere */
	if (r == 0 && at->seen >= 0)
		r = gather(&at->seen, heap);
	if (r == 0)
		r = unmount(&at->tmp);
	return fchdir(at->root) < 0 && r == 0 ? -errno : r;
}

int rootfs_renew(struct rootfs *fs, struct rooted *at, struct cloche_err *err)
{
	int r = mount_scratch(fs, at, err);

	return r == 0 ? mount_binds(fs, at, true, err) : r;
}
