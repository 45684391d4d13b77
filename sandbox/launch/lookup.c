/* SPDX-License-Identifier: MIT */
/* Path resolution step by step, as path_resolution(7) has it. See lookup.h. */
#include "launch/lookup.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file_times.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX  40 /* MAXSYMLINKS of linux/namei.h */
#define OPEN_FLAGS (O_PATH | O_NOFOLLOW | O_CLOEXEC)

/* Where the way stands. */
struct walk {
	struct lookup *found;
	int at; /* the directory so far; owned */
	uint64_t trusted_dev;
	char rest[PATH_MAX]; /* what is still to go */
};

static int note(struct walk *w, int fd)
{
	struct lookup *l = w->found;
	const struct stat *st = &l->file;

	if (l->n == sizeof(l->steps) / sizeof(l->steps[0]))
		return -E2BIG;
	if (fstat(fd, &l->file) < 0)
		return -errno;
	if (l->n == 0 || st->st_dev != w->trusted_dev) {
		if (!(file_times_of(fd) != FILE_TIMES_UNKNOWN))
			return -EOPNOTSUPP;
		w->trusted_dev = st->st_dev;
	}
	l->steps[l->n++] = (struct lookup_step){ .dev = st->st_dev,
						 .ino = st->st_ino,
						 .ctime_ns = timespec_ns(st->st_ctim),
						 .roots = S_ISDIR(st->st_mode) && st->st_uid == 0 &&
							  !(st->st_mode & (S_IWGRP | S_IWOTH)) };
	return 0;
}

/* Goes on from the directory fd, which is taken. */
static int enter(struct walk *w, int fd)
{
	if (fd < 0)
		return -errno;
	fd_close(&w->at);
	w->at = fd;
	return note(w, fd);
}

/* The next name of the way into ret, and the way goes on after it; false: there is none, or it is
 * longer than a name can be. */
static bool next_name(struct walk *w, char ret[static NAME_MAX + 1])
{
	char *rest = w->rest;
	size_t skip = strspn(rest, "/"), len = strcspn(rest + skip, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(ret, rest + skip, len);
	ret[len] = '\0';
	memmove(rest, rest + skip + len, strlen(rest + skip + len) + 1);
	return true;
}

static int follow(struct walk *w, int link)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target));
	size_t rest = strlen(w->rest);

	if (n < 0)
		return -errno;
	if (n == 0 || (size_t)n + rest + 1 > sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + n, w->rest, rest + 1);
	memcpy(w->rest, target, (size_t)n);
	if (target[0] != '/')
		return 0;
	return enter(w, openat(w->at, "/", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static int walk(struct walk *w)
{
	char name[NAME_MAX + 1];
	int links = 0, err = 0;

	while (err == 0 && next_name(w, name)) {
		cleanup_fd int fd = openat(w->at, name, OPEN_FLAGS);
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0)
			return -errno;
		if (S_ISLNK(st.st_mode)) {
			err = ++links > LINKS_MAX ? -ELOOP : follow(w, fd);
		} else if (S_ISDIR(st.st_mode)) {
			err = enter(w, TAKE_FD(fd));
		} else {
			err = *w->rest ? -ENOTDIR : note(w, fd);
			return err < 0 ? err : TAKE_FD(fd);
		}
	}
	if (err < 0)
		return err;
	return w->rest[strspn(w->rest, "/")] ? -ENAMETOOLONG : -EISDIR;
}

int lookup(int dir, const char *path, struct lookup *ret)
{
	struct walk w = { .found = ret, .at = -1 };
	int result;

	ret->n = 0;
	if ((size_t)snprintf(w.rest, sizeof(w.rest), "%s", path) >= sizeof(w.rest))
		return -ENAMETOOLONG;
	result = enter(&w, openat(dir, *path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (result == 0)
		result = walk(&w);
	fd_close(&w.at);
	return result;
}

bool lookup_quiet(const struct lookup *l)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	for (unsigned i = 0; i < l->n; i++) {
		int64_t at = l->steps[i].ctime_ns;

		/* A whole second may be all that the file system stores of it. */
		if (!l->steps[i].roots &&
		    (at >= timespec_ns(now) ||
		     (at % NSEC_PER_SEC == 0 && at / NSEC_PER_SEC >= now.tv_sec)))
			return false;
	}
	return true;
}

bool lookup_same(const struct lookup *a, const struct lookup *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = a->steps[i].dev == b->steps[i].dev && a->steps[i].ino == b->steps[i].ino &&
		       a->steps[i].ctime_ns == b->steps[i].ctime_ns;
	return same;
}
