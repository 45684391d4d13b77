/* SPDX-License-Identifier: MIT */
/* Temporary directories of tests: see tmpdir.h. */
#include "tests/lib/tmpdir.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *tmpdir_make(void)
{
	const char *parent = getenv("TMPDIR");
	char *path = NULL;

	cr_assert(asprintf(&path, "%s/cloche-test-XXXXXX", parent && *parent ? parent : "/tmp") >
		  0);
	cr_assert(mkdtemp(path) != NULL, "mkdtemp %s: %m", path);
	return path;
}

char *tmpdir_make_open(void)
{
	char *path = tmpdir_make(), above[512];
	struct stat st;

	cr_assert_eq(chmod(path, 0755), 0);
	(void)snprintf(above, sizeof(above), "%s", path);
	for (char *end; (end = strrchr(above, '/')) && end > above;) {
		*end = '\0';
		if (stat(above, &st) == 0 && !(st.st_mode & S_IXOTH))
			cr_assert_eq(chmod(above, st.st_mode | S_IXOTH), 0, "%s: %m", above);
	}
	return path;
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

void tmpdir_free(char **path)
{
	if (!*path)
		return;
	(void)nftw(*path, entry_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(*path);
	*path = NULL;
}

char *tmpdir_path(char buf[static 512], const char *dir, const char *name)
{
	cr_assert_lt(snprintf(buf, 512, "%s/%s", dir, name), 512);
	return buf;
}

void file_flip(const char *path, off_t at)
{
	cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);
	unsigned char byte;

	cr_assert(fd >= 0, "%s: %m", path);
	if (at < 0)
		at += lseek(fd, 0, SEEK_END);
	cr_assert_eq(pread(fd, &byte, 1, at), 1, "%s has no byte %ld", path, (long)at);
	byte ^= 0x10;
	cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}
