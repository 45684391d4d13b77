/* SPDX-License-Identifier: MIT */
/* Walks paths in a root that somebody else made. See inside.h. */
#include "launch/inside.h"

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
static int make(int dir, const char *name, bool is_dir)
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

int inside_make(int root, const char *path, bool is_dir)
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
		if (fd == -ENOENT)
			fd = make(dir, name, !last || is_dir);
		if (fd < 0)
			return fd;
		name[end] = after;
		end += strspn(name + end, "/");
		fd_close(&dir);
		dir = fd;
	}
	return TAKE_FD(dir);
}
