/* SPDX-License-Identifier: MIT */
/* Walks paths in a root that somebody else made. See inside.h. */
#include "base/inside.h"

#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>

int inside_open(int root, const char *path, int flags)
{
	return file_openat2(root, path, flags | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* One name in a directory that was walked to. Who made it meanwhile is no matter: what is opened
 * is no link. */
int inside_make_one(int dir, const char *name, bool is_dir)
{
	int fd;

	if (is_dir && mkdirat(dir, name, 0755) < 0)
		return -errno;
	if (!is_dir) {
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd < 0)
			return -errno;
		fd_close(&fd);
	}
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (is_dir ? O_DIRECTORY : 0));
	return fd < 0 ? -errno : fd;
}

enum missing { MAKE_FILE, MAKE_DIR, STOP };

/* What is at path; or what was made there; or the directory in which its next name is missing. */
static int walk(int root, const char *path, enum missing missing)
{
	cleanup_fd int dir = inside_open(root, "/", O_PATH | O_DIRECTORY);
	size_t len = strlen(path), end;
	char way[PATH_MAX];

	if (len >= sizeof(way))
		return -ENAMETOOLONG;
	if (dir < 0)
		return dir;
	memcpy(way, path, len + 1);
	for (char *name = way + strspn(way, "/"); *name; name += end) {
		bool last;
		char after;
		int fd;

		end = strcspn(name, "/");
		last = name[end + strspn(name + end, "/")] == '\0';
		after = name[end];
		name[end] = '\0';
		/* From the root anew: a link on the way may be absolute. */
		fd = inside_open(root, way, O_PATH | (last ? 0 : O_DIRECTORY));
		if (fd == -ENOENT && missing == STOP)
			break;
		if (fd == -ENOENT)
			fd = inside_make_one(dir, name, !last || missing == MAKE_DIR);
		if (fd < 0)
			return fd;
		name[end] = after;
		end += strspn(name + end, "/");
		fd_close(&dir);
		dir = fd;
	}
	return TAKE_FD(dir);
}

int inside_make(int root, const char *path, bool is_dir)
{
	return walk(root, path, is_dir ? MAKE_DIR : MAKE_FILE);
}

int inside_nearest(int root, const char *path)
{
	return walk(root, path, STOP);
}
