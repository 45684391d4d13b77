/* SPDX-License-Identifier: MIT */
/* Whose the front's files are: see heir.h. */
#include "serve/heir.h"

#include "base/err.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than there are. */
#define DEPTH_MAX 8

struct heir {
	uid_t before, uid;
	gid_t gid;
};

static int take_all_in(const struct heir *h, int dir, unsigned depth);

/* What was opened is what is asked whose it is, and what is changed. */
static int take(const struct heir *h, int dir, const char *name, unsigned depth)
{
	cleanup_fd int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != h->before)
		return 0;
	if (S_ISDIR(st.st_mode))
		r = take_all_in(h, fd, depth + 1);
	return r == 0 && fchownat(fd, "", h->uid, h->gid, AT_EMPTY_PATH) < 0 ? -errno : r;
}

static int take_all_in(const struct heir *h, int dir, unsigned depth)
{
	int fd = depth < DEPTH_MAX ? openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1,
	    r = 0;
	const struct dirent *e;
	DIR *d;

	if (fd < 0)
		return depth < DEPTH_MAX ? -errno : -ELOOP;
	d = fdopendir(fd);
	if (!d) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	while (r == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = take(h, dirfd(d), e->d_name, depth);
	(void)closedir(d);
	return r;
}

int heir_take(int home, uid_t uid, gid_t gid, struct cloche_err *err)
{
	struct heir h = { .uid = uid, .gid = gid };
	struct stat st;
	int r = fstat(home, &st) < 0 ? -errno : 0;

	h.before = st.st_uid;
	/* Root's is one that was made right now. */
	if (r == 0 && h.before && h.before != uid)
		r = take_all_in(&h, home, 0);
	if (r == 0 && fchown(home, uid, gid) < 0)
		r = -errno;
	return r < 0 ? cloche_err_sys(err, -r, "have the state be the front's (user %u)", uid) : 0;
}
