/* SPDX-License-Identifier: MIT */
/* Keeps images by their hash: see image_pin.h. */
#include "image/image_pin.h"

#include "base/err.h"
#include "base/fd.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (64U << 20)

/* The very file that was looked at, whatever its name means by now. */
static int link_as(int fd, int to, const char *file)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, to, file, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
		return -errno;
	return fsync(to) < 0 ? -errno : 0;
}

/* Without a name until it is whole. */
static int copy_as(const struct image *image, int to, const char *file)
{
	cleanup_fd int fd = openat(to, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	off_t from = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while ((uint64_t)from < image->bytes && n > 0)
		n = sendfile(fd, image->fd, &from, CHUNK);
	if (n <= 0)
		return n < 0 ? -errno : -EBADMSG;
	if (fchmod(fd, 0644) < 0 || fsync(fd) < 0)
		return -errno;
	return link_as(fd, to, file);
}

int image_pin(int from, const char *name, const char *sha256, uint64_t most, int to,
	      struct cloche_err *err)
{
	char file[HASH_HEX_LEN + sizeof(IMAGE_SUFFIX)];
	struct image image = { .fd = -1 };
	int r = image_open(from, name, &image, err);

	if (r < 0)
		return r;
	(void)snprintf(file, sizeof(file), "%s" IMAGE_SUFFIX, sha256);
	if (strcmp(image.sha256, sha256) != 0) {
		r = cloche_err_set(err, ESTALE,
				   "image '%s' has just been replaced by another one; try again",
				   name);
	} else if (image.bytes > most) {
		r = cloche_err_set(err, EFBIG, "image '%s' has more bytes than it may have", name);
	} else {
		r = link_as(image.fd, to, file);
		if (r == -EXDEV || r == -EMLINK)
			r = copy_as(&image, to, file);
		if (r < 0)
			(void)cloche_err_sys(err, -r, "keep image '%s' for functions", name);
	}
	image_close(&image);
	return r;
}
