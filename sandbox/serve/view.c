/* SPDX-License-Identifier: MIT */
/* Makes the front's root, from nothing: see view.h. */
#include "serve/view.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PASSWD "/etc/passwd"
#define HOME   "home"

enum { DIRECTORY = 1, OPTIONAL = 2, WRITABLE = 4 };

static const struct {
	const char *source; /* NULL: the front's own directory */
	const char *place;
	unsigned how;
} seen[] = {
	{ NULL, HOME, DIRECTORY | WRITABLE },
	{ PASSWD, "etc/passwd", OPTIONAL }, /* owners' names: run/owner.c */
	{ "/dev/null", "dev/null", 0 }, /* streams that are bridged: run/bridge.c, run/stdio.c */
	{ "/proc/self", "proc/self", DIRECTORY }, /* descriptors by name: run/stdio.c and others */
	{ "/proc/sys/kernel/random/boot_id", "proc/sys/kernel/random/boot_id",
	  OPTIONAL }, /* ledger/ledger_witness.c */
};

/* With all that leads there. */
static int make_place(int root, const char *place, bool directory)
{
	char path[64];

	for (const char *slash = strchr(place, '/'); slash; slash = strchr(slash + 1, '/')) {
		(void)snprintf(path, sizeof(path), "%.*s", (int)(slash - place), place);
		if (mkdirat(root, path, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	if (directory)
		return mkdirat(root, place, 0755) < 0 ? -errno : 0;
	return mknodat(root, place, S_IFREG | 0444, 0) < 0 ? -errno : 0;
}

static int take_tree(int dir, const char *path)
{
	return open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

static int show(int root, int home, size_t i, struct cloche_err *err)
{
	cleanup_fd int tree = seen[i].source ? take_tree(AT_FDCWD, seen[i].source)
					     : fcntl(home, F_DUPFD_CLOEXEC, 0);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };
	int r;

	if (tree < 0 && errno == ENOENT && seen[i].how & OPTIONAL)
		return 0;
	if (tree < 0)
		return cloche_err_sys(err, errno, "have the front see '/%s' (open_tree)",
				      seen[i].place);
	/* A device that may not be one opens for nobody. */
	if (strcmp(seen[i].place, "dev/null") != 0)
		attr.attr_set |= MOUNT_ATTR_NODEV;
	if (!(seen[i].how & WRITABLE))
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	r = make_place(root, seen[i].place, seen[i].how & DIRECTORY);
	if (r == 0 && (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
		       move_mount(tree, "", root, seen[i].place, MOVE_MOUNT_F_EMPTY_PATH) < 0))
		r = -errno;
	return r < 0 ? cloche_err_sys(err, -r, "have the front see '/%s'", seen[i].place) : 0;
}

/* At a place that is there wherever the daemon is: the host's run directory, which it covers. */
static int make_root(int home, struct cloche_err *err)
{
	struct mount_attr done = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_fd int root = -1;
	int r = 0;

	if (mount("front", HOST_RUN_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=64K,mode=755") < 0)
		return cloche_err_sys(err, errno, "make a root for the front (mount)");
	root = open(HOST_RUN_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return cloche_err_sys(err, errno, "open the front's root");
	for (size_t i = 0; r == 0 && i < sizeof(seen) / sizeof(seen[0]); i++)
		r = show(root, home, i, err);
	if (r < 0)
		return r;
	/* The old root lies upon the new one then, and is taken away. */
	if (mount_setattr(root, "", AT_EMPTY_PATH, &done, sizeof(done)) < 0 || fchdir(root) < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
	    chdir("/" HOME) < 0)
		return cloche_err_sys(err, errno, "have the front see its root alone");
	return 0;
}

int view_enter(int *state, struct view *ret, struct cloche_err *err)
{
	struct view view = { .mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC) };
	/* Now: who has left these mounts cannot take what is open in them. */
	cleanup_fd int home = take_tree(*state, "");
	struct stat st = { 0 };
	int r;

	if (view.mounts < 0 || home < 0) {
		r = cloche_err_sys(err, errno, "see the host's mounts, and the front's directory");
		fd_close(&view.mounts);
		return r;
	}
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		r = cloche_err_sys(err, errno, "leave the host's mounts");
	else
		r = make_root(home, err);
	if (r < 0) {
		fd_close(&view.mounts);
		return r;
	}
	/* By the other one there would be a way up to all that is on its file system. */
	fd_close(state);
	if (stat(PASSWD, &st) == 0)
		view.passwd = st.st_ctim;
	*ret = view;
	return 0;
}

/* Whatever was done to the file, its name taken away among that, is a change of its inode. */
bool view_is_old(const struct view *view)
{
	struct stat st = { 0 };

	(void)stat(PASSWD, &st);
	return st.st_ctim.tv_sec != view->passwd.tv_sec ||
	       st.st_ctim.tv_nsec != view->passwd.tv_nsec;
}
