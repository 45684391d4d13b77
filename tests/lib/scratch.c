/* SPDX-License-Identifier: MIT */
/* A folder to unpack into and to look at: see scratch.h. */
#include "tests/lib/scratch.h"

#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch scratch_enter(void)
{
	struct scratch s = { .dir = "/tmp/cloche-fuzz-XXXXXX" };

	s.before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s.before < 0 || !mkdtemp(s.dir) || chdir(s.dir) < 0 || mkdir("outside", 0700) < 0 ||
	    mkdir("tree", 0755) < 0)
		abort();
	return s;
}

static void expect_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		abort();
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			abort();
	(void)closedir(d);
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)remove(path);
	return 0;
}

void scratch_leave(struct scratch *s)
{
	expect_empty("outside");
	if (fchdir(s->before) < 0)
		abort();
	fd_close(&s->before);
	(void)nftw(s->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void scratch_put(const char *name, const void *data, size_t size)
{
	cleanup_fd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
}
