/* SPDX-License-Identifier: MIT */
/* Completes the /etc of an image: see image_etc.h. The same tree always becomes the same. */
#include "image/image_etc.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define USERS_MAX (4U << 20)
#define INNER_ID  "1000" /* PLAN_INNER_ID of launch/plan.h */

static const struct users {
	const char *file;
	const char *own;  /* for the function */
	const char *rest; /* when there is none at all */
} users[] = {
	{ "passwd", "function:x:" INNER_ID ":" INNER_ID ":function:/tmp:/bin/sh\n",
	  "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n" },
	{ "group", "function:x:" INNER_ID ":\n", "root:x:0:\nnogroup:x:65534:\n" },
};

static int failed(const char *file, int code, struct cloche_err *err)
{
	return cloche_err_sys(err, code, "complete '/etc/%s' in the image", file);
}

/* A new file, with the time of modification that what it takes the place of had. */
static int file_make(int etc, const char *name, mode_t mode, time_t mtime, const char *a,
		     const char *b, const char *c, struct cloche_err *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = mtime } };
	cleanup_fd int fd = openat(etc, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const char *const parts[] = { a, b, c };
	int r = 0;

	if (fd < 0)
		return failed(name, errno, err);
	for (size_t i = 0; r == 0 && i < 3; i++)
		r = file_write_all(fd, parts[i], strlen(parts[i]));
	if (r < 0)
		return failed(name, -r, err);
	if (fchmod(fd, mode) < 0 || futimens(fd, times) < 0)
		return failed(name, errno, err);
	return 0;
}

static bool is_there(int etc, const char *name, struct stat *ret)
{
	return fstatat(etc, name, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether a line of passwd(5) or group(5) has the function's number, which is the third field. */
static bool names_function(const char *text)
{
	for (const char *line = text, *end; *line; line = end + (*end == '\n')) {
		const char *at = line;
		int colons = 0;

		end = line + strcspn(line, "\n");
		for (; at < end && colons < 2; at++)
			colons += *at == ':';
		if (colons == 2 && strncmp(at, INNER_ID, strlen(INNER_ID)) == 0 &&
		    strchr(":\n", at[strlen(INNER_ID)]))
			return true;
	}
	return false;
}

static int user_add(int etc, const struct users *u, struct cloche_err *err)
{
	cleanup_free char *text = NULL;
	struct stat st;
	const char *gap;
	size_t len;

	if (!is_there(etc, u->file, &st))
		return file_make(etc, u->file, 0644, 0, u->rest, "", u->own, err);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (file_load(etc, u->file, USERS_MAX, &text, &len, err) < 0)
		return cloche_err_wrap(err, "'/etc/%s' in the image", u->file);
	if (strlen(text) != len || names_function(text))
		return 0;
	/* Not written to: it may have other names. */
	if (unlinkat(etc, u->file, 0) < 0)
		return failed(u->file, errno, err);
	gap = len > 0 && text[len - 1] != '\n' ? "\n" : "";
	return file_make(etc, u->file, st.st_mode & 07777, st.st_mtim.tv_sec, text, gap, u->own,
			 err);
}

int image_etc_complete(int tree, struct cloche_err *err)
{
	static const char *const places[] = { "hosts", "hostname", "resolv.conf" };
	cleanup_fd int etc = openat(tree, "etc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (etc < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			       ? 0
			       : cloche_err_sys(err, errno, "open '/etc' in the image");
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && r == 0; i++)
		if (!is_there(etc, places[i], &st))
			r = file_make(etc, places[i], 0644, 0, "", "", "", err);
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]) && r == 0; i++)
		r = user_add(etc, &users[i], err);
	return r;
}
