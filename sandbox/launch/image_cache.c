/* SPDX-License-Identifier: MIT */
/*
 * The cache of what images say: see image_cache.h. An entry is its own name and a sum, for it might
 * be damaged or renamed, and the bytes. It is written to a file without a name and linked in when
 * complete. It must never turn a cache problem into an error.
 */
#include "launch/image_cache.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/hash.h"
#include "host/host.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define DIRECTORY   "image-configs"
#define REVISION    1 /* raise it when launch/image_config.c writes another record */
#define KEY_LEN	    192
#define ENTRIES_MAX 256

struct head {
	char key[KEY_LEN]; /* also the file's name */
	uint64_t sum;	   /* of the key and the bytes */
};

static bool key_of(const struct image *image, char key[static KEY_LEN])
{
	struct stat st;

	memset(key, 0, KEY_LEN);
	if (fstat(image->fd, &st) < 0)
		return false;
	(void)snprintf(key, KEY_LEN, "%s-%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".%09ld-%d",
		       image->sha256, (uint64_t)st.st_dev, (uint64_t)st.st_ino,
		       (uint64_t)st.st_size, (uint64_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
		       REVISION);
	return true;
}

static uint64_t sum_of(const char *key, const void *data, size_t len)
{
	return hash_fnv(hash_fnv(HASH_FNV_START, key, KEY_LEN), data, len);
}

/* Who is not root has none. */
static int open_dir(bool make)
{
	cleanup_fd int run = host_run_dir(NULL);
	int dir;

	if (run < 0)
		return -1;
	if (make)
		(void)mkdirat(run, DIRECTORY, 0700);
	dir = openat(run, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return dir;
}

bool image_cache_get(const struct image *image, void *buf, size_t size, size_t *ret_len)
{
	cleanup_fd int dir = open_dir(false), fd = -1;
	char key[KEY_LEN];
	struct head head;
	struct iovec iov[] = { { &head, sizeof(head) }, { buf, size } };
	ssize_t n;

	if (dir < 0 || !key_of(image, key))
		return false;
	fd = openat(dir, key, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	n = fd < 0 ? -1 : readv(fd, iov, 2);
	if (n < (ssize_t)sizeof(head) || memcmp(head.key, key, KEY_LEN) != 0 ||
	    head.sum != sum_of(key, buf, (size_t)n - sizeof(head)))
		return false;
	*ret_len = (size_t)n - sizeof(head);
	return true;
}

void image_cache_try_put(const struct image *image, const void *data, size_t len)
{
	cleanup_fd int dir = open_dir(true), fd = -1;
	struct head head;
	struct iovec iov[] = { { &head, sizeof(head) }, { (void *)data, len } };
	char self[32];

	if (dir < 0 || !key_of(image, head.key))
		return;
	head.sum = sum_of(head.key, data, len);
	file_try_trim(dir, ENTRIES_MAX);
	fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || writev(fd, iov, 2) != (ssize_t)(sizeof(head) + len))
		return;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	/* What is there was not believed, or another run has just been as quick. */
	(void)unlinkat(dir, head.key, 0);
	if (linkat(AT_FDCWD, self, dir, head.key, AT_SYMLINK_FOLLOW) < 0)
		return; /* without an entry the next run reads it again */
}
