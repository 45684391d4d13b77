/* SPDX-License-Identifier: MIT */
/* Names of code: see code.h. */
#include "serve/code.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "image/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STRAY_S	   600
#define STRAYS_MAX 256

bool code_is_there(int dir, const char *sha256)
{
	char file[HASH_HEX_LEN + sizeof(IMAGE_SUFFIX)];
	struct stat st;

	(void)snprintf(file, sizeof(file), "%s" IMAGE_SUFFIX, sha256);
	return dir >= 0 && fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void codes_add(struct codes *c, const char *sha256)
{
	char(*more)[HASH_HEX_LEN];

	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->sha256[i], sha256) == 0)
			return;
	more = sha256[0] ? reallocarray(c->sha256, c->n + 1, sizeof(*more)) : NULL;
	if (!more)
		return;
	c->sha256 = more;
	(void)snprintf(more[c->n++], HASH_HEX_LEN, "%s", sha256);
}

void codes_add_strays(struct codes *c, int dir)
{
	int fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int64_t before_s = clock_real_ns() / NSEC_PER_SEC - STRAY_S;
	struct dirent *e;
	size_t n = c->n;

	if (!d) {
		fd_close(&fd);
		return;
	}
	while (c->n < n + STRAYS_MAX && file_next(d, &e) > 0) {
		char sha256[HASH_HEX_LEN];
		struct stat st;

		(void)snprintf(sha256, sizeof(sha256), "%.64s", e->d_name);
		if (hash_is_hex(sha256) &&
		    strcmp(e->d_name + HASH_HEX_LEN - 1, IMAGE_SUFFIX) == 0 &&
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_ctim.tv_sec < before_s)
			codes_add(c, sha256);
	}
	(void)closedir(d);
}

const char *codes_last(const struct codes *c)
{
	return c->n ? c->sha256[c->n - 1] : NULL;
}

void codes_drop(struct codes *c)
{
	c->n -= c->n ? 1 : 0;
}

void codes_free(struct codes *c)
{
	free(c->sha256);
	*c = (struct codes){ 0 };
}
