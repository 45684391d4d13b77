/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing files by descriptor: see file.h. Interrupted calls are taken up again here,
 * so that no caller has to think of EINTR.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/quote.h"

#define FIRST_CHUNK 4096

static int file_open(int dirfd, const char *path, int flags, struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	int fd;

	do {
		fd = openat(dirfd, path, flags | O_CLOEXEC | O_NOCTTY);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return cloche_err_sys(err, errno, "open %s", quote(shown, path));
	return fd;
}

/* Reads until size bytes are there or the end is reached; returns the count or -errno. */
static ssize_t read_upto(int fd, char *buf, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t n = read(fd, buf + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

/* How much to ask for first: the size that the file says it has, and one byte to see its end. */
static size_t first_room(int fd, size_t max)
{
	struct stat st;
	size_t want = FIRST_CHUNK;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		want = (uint64_t)st.st_size < max ? (size_t)st.st_size + 1 : max + 1;
	return want <= max ? want : max + 1;
}

int file_load_fd(int fd, const char *name, size_t max, char **ret, size_t *ret_len,
		 struct cloche_err *err)
{
	cleanup_free char *buf = NULL;
	char shown[QUOTE_LEN];
	size_t used = 0, room;

	if (max >= SIZE_MAX / 2)
		return cloche_err_set(err, EINVAL, "read %s: limit too large", quote(shown, name));
	/* One byte more than max is asked for: only so is a file of exactly max bytes told from a
	 * longer one. */
	for (room = first_room(fd, max);;) {
		char *grown = realloc(buf, room + 1);
		ssize_t n;

		if (!grown)
			return cloche_err_sys(err, ENOMEM, "read %s", quote(shown, name));
		buf = grown;
		n = read_upto(fd, buf + used, room - used);
		if (n < 0)
			return cloche_err_sys(err, (int)-n, "read %s", quote(shown, name));
		used += (size_t)n;
		if (used > max)
			return cloche_err_set(err, EFBIG, "read %s: larger than %zu bytes",
					      quote(shown, name), max);
		if (used < room)
			break;
		room = room <= max / 2 ? room * 2 : max + 1;
	}
	buf[used] = '\0';
	*ret = TAKE_PTR(buf);
	*ret_len = used;
	return 0;
}

int file_load(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
	      struct cloche_err *err)
{
	cleanup_fd int fd = file_open(dirfd, path, O_RDONLY, err);

	if (fd < 0)
		return fd;
	return file_load_fd(fd, path, max, ret, ret_len, err);
}

int file_openat2(int dir, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (uint64_t)flags, .resolve = resolve };
	long fd = -1;

	/* Bounded: somebody may do nothing but rename. */
	for (unsigned i = 0; i < 10000 && fd < 0 && (i == 0 || errno == EAGAIN); i++)
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

int file_open_beneath(int dir, const char *path, int flags, uint64_t resolve)
{
	return file_openat2(dir, path, flags, resolve | RESOLVE_BENEATH);
}

int file_fd_path(int fd, char *buf, size_t size)
{
	char link[32];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, buf, size);
	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	return 0;
}

/* As fs.protected_symlinks has it, and for every directory: who planted a link where root writes
 * would say what root overwrites. */
static bool is_our_link(const char *path)
{
	struct stat st;

	/* By whose rights this thread opens files; no user has this number, so it sets none. */
	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) &&
	       (st.st_uid == 0 || st.st_uid == (uid_t)setfsuid((uid_t)-1));
}

int file_make_dir(const char *dir)
{
	cleanup_free char *parent = NULL;
	char *slash;

	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	parent = strdup(dir);
	if (!parent)
		return -ENOMEM;
	for (size_t n = strlen(parent); n > 1 && parent[n - 1] == '/'; n--)
		parent[n - 1] = 0;
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return -ENOENT;
	*slash = 0;
	if (mkdir(parent, 0755) < 0 && errno != EEXIST)
		return -errno;
	return mkdir(dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

void file_try_allow_many(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

int file_open_input(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int file_make_output(const char *path)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
	int fd = open(path, flags | O_NOFOLLOW, 0644);

	if (fd < 0 && errno == ELOOP) {
		if (!is_our_link(path))
			return -ELOOP;
		fd = open(path, flags, 0644);
	}
	if (fd < 0)
		return -errno;
	(void)fcntl(fd, F_SETFL, 0);
	return fd;
}

const char *file_output_why(int code)
{
	if (code == ENXIO)
		return "nobody reads from it";
	return code == ELOOP ? "it is a symbolic link of another user" : strerror(code);
}

int file_write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (n < 0 && errno == EAGAIN)
			(void)poll(&p, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int file_write_text(int dirfd, const char *path, const char *text, struct cloche_err *err)
{
	cleanup_fd int fd = file_open(dirfd, path, O_WRONLY, err);
	size_t len = strlen(text);
	char shown[QUOTE_LEN], shown_text[QUOTE_LEN];
	ssize_t n;

	if (fd < 0)
		return fd;
	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return cloche_err_sys(err, errno, "write %s to %s", quote(shown_text, text),
				      quote(shown, path));
	/* A control file takes a value whole; half of one would be a different value. */
	if ((size_t)n != len)
		return cloche_err_set(err, EIO, "write %s to %s: only %zd of %zu bytes were taken",
				      quote(shown_text, text), quote(shown, path), n, len);
	return 0;
}

int file_write_u64(int dirfd, const char *path, uint64_t value, struct cloche_err *err)
{
	char text[sizeof("18446744073709551615")];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return file_write_text(dirfd, path, text, err);
}

int file_read_text(int dirfd, const char *path, char *buf, size_t size, struct cloche_err *err)
{
	cleanup_fd int fd = file_open(dirfd, path, O_RDONLY, err);
	char shown[QUOTE_LEN];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read_upto(fd, buf, size);
	if (n < 0)
		return cloche_err_sys(err, (int)-n, "read %s", quote(shown, path));
	if ((size_t)n >= size)
		return cloche_err_set(err, EFBIG, "read %s: %zu bytes or more", quote(shown, path),
				      size);
	buf[n] = '\0';
	if (n > 0 && buf[n - 1] == '\n')
		buf[n - 1] = '\0';
	return 0;
}

int file_read_u64(int dirfd, const char *path, uint64_t *ret, struct cloche_err *err)
{
	char text[64], shown[QUOTE_LEN];
	int r = file_read_text(dirfd, path, text, sizeof(text), err);

	if (r < 0)
		return r;
	if (strcmp(text, "max") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	r = parse_count(text, 0, UINT64_MAX, ret, err);
	if (r < 0 && err)
		return cloche_err_wrap(err, "read %s", quote(shown, path));
	return r;
}

bool file_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

int file_next(DIR *d, struct dirent **ret)
{
	errno = 0;
	/* Each stream is one thread's. */
	/* cppcheck-suppress readdirCalled */
	*ret = readdir(d);
	return *ret ? 1 : -errno;
}

void file_try_trim(int dir, size_t max)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	size_t n = 0;

	if (!d) {
		fd_close(&fd);
		return;
	}
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	rewinddir(d);
	while (n >= max && (e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)unlinkat(dir, e->d_name, 0);
	(void)closedir(d);
}
