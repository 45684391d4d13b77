/* SPDX-License-Identifier: MIT */
/* Covers directories so that mount points can be made in them. See place.h. */
#include "launch/place.h"

#include "base/fd.h"
#include "base/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int attach(int tree, int at)
{
	return move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

/* Its root; *ret_fs goes on to stand for the file system. Room for links and names, no more. */
static int make_tmpfs(int *ret_fs)
{
	cleanup_fd int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int mount;

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", "place", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", "16M", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "755", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (mount < 0)
		return -errno;
	*ret_fs = TAKE_FD(fs);
	return mount;
}

static int repeat_link(int link, int cover, const char *name)
{
	char to[PATH_MAX];
	ssize_t n = readlinkat(link, "", to, sizeof(to) - 1);

	if (n < 0)
		return -errno;
	to[n] = '\0';
	return symlinkat(to, cover, name) < 0 ? -errno : 0;
}

/* What was opened is what is looked at and mounted, whatever its name stands for by then. */
static int repeat(int dir, const char *name, int cover)
{
	cleanup_fd int from = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), to = -1,
		       tree = -1;
	struct stat st;

	if (from < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(from, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return repeat_link(from, cover, name);
	to = inside_make_one(cover, name, S_ISDIR(st.st_mode));
	if (to < 0)
		return to;
	tree = open_tree(from, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	return tree < 0 ? -errno : attach(tree, to);
}

static int repeat_all(int dir, int cover)
{
	cleanup_fd int list = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent64) char entries[4096];
	size_t count = 0;
	long n = list < 0 ? -1 : 0;

	while (list >= 0 && (n = syscall(SYS_getdents64, list, entries, sizeof(entries))) > 0) {
		const struct dirent64 *e;

		for (long at = 0; at < n; at += e->d_reclen) {
			int r;

			e = (const struct dirent64 *)(entries + at);
			if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
				continue;
			if (++count > PLACE_ENTRIES_MAX)
				return -E2BIG;
			r = repeat(dir, e->d_name, cover);
			if (r < 0)
				return r;
		}
	}
	return n < 0 ? -errno : 0;
}

/* Who may enter the directory may enter its cover. */
static int repeat_rights(const struct stat *st, int cover)
{
	return fchown(cover, st->st_uid, st->st_gid) < 0 || fchmod(cover, st->st_mode & 01777) < 0
		       ? -errno
		       : 0;
}

static bool may_cover(const struct places *places, int root, const struct stat *st)
{
	struct stat other;

	if (fstat(root, &other) < 0 || (other.st_dev == st->st_dev && other.st_ino == st->st_ino))
		return false;
	for (size_t i = 0; i < sizeof(places->keep) / sizeof(places->keep[0]); i++)
		if (places->keep[i] >= 0 &&
		    (fstat(places->keep[i], &other) < 0 || other.st_dev == st->st_dev))
			return false;
	return true;
}

static int cover(struct places *places, int root, const char *path)
{
	cleanup_fd int dir = inside_nearest(root, path), mount = -1, usable = -1;
	struct stat st;
	int r;

	if (dir < 0)
		return dir;
	if (fstat(dir, &st) < 0)
		return -errno;
	if (!may_cover(places, root, &st))
		return -EROFS;
	if (places->n == PLACES_MAX)
		return -EMFILE;
	mount = make_tmpfs(&places->covers[places->n]);
	if (mount < 0)
		return mount;
	places->n++;
	/* Not O_PATH, as that of fsmount(2) is. */
	usable = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = usable < 0 ? -errno : repeat_rights(&st, usable);
	/* Before it is filled: nothing can be mounted in what is mounted nowhere. */
	if (r == 0)
		r = attach(mount, dir);
	return r == 0 ? repeat_all(dir, mount) : r;
}

int place_make(struct places *places, int root, const char *path, bool is_dir)
{
	int fd = inside_make(root, path, is_dir), r;

	if (fd != -EROFS)
		return fd;
	r = cover(places, root, path);
	return r < 0 ? r : inside_make(root, path, is_dir);
}

/* The file system, not the mount: with a cover further up, this one was mounted once more. */
int places_seal(struct places *places)
{
	int r = 0;

	while (places->n > 0) {
		cleanup_fd int fs = places->covers[--places->n];

		if (r == 0 && (fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
			       fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0))
			r = -errno;
	}
	return r;
}
