/* SPDX-License-Identifier: MIT */
/* The store of function images: names, and what a file of it holds (see image.h). */
#include "image/image.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "host/confined.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_NAME_LEN (IMAGE_NAME_MAX + sizeof(IMAGE_SUFFIX))

static bool name_ok(const char *name, size_t len)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char later[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

	return len > 0 && len <= IMAGE_NAME_MAX && strchr(first, name[0]) &&
	       strspn(name, later) >= len;
}

int image_name_check(const char *name, struct cloche_err *err)
{
	char shown[QUOTE_LEN];

	if (name_ok(name, strlen(name)))
		return 0;
	return cloche_err_set(
		err, EINVAL,
		"%s is no name of an image: up to %d of a-z, 0-9, '.', '_' and '-', a "
		"letter or digit first",
		quote(shown, name), IMAGE_NAME_MAX);
}

const char *image_store_path(void)
{
	const char *path = getenv(IMAGE_STORE_ENV);

	return path && *path ? path : IMAGE_STORE;
}

static int make_dirs(const char *path)
{
	char part[4096];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (char *p = part + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(part, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int image_store_open_at(const char *path, bool make, struct cloche_err *err)
{
	cleanup_fd int fd = -1;
	char shown[QUOTE_LEN];
	struct stat st;
	int r;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make) {
		r = make_dirs(path);
		if (r < 0)
			return cloche_err_sys(err, -r, "make the image store %s",
					      quote(shown, path));
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0 && errno == ENOENT)
		return cloche_err_set(err, ENOENT,
				      "there are no images yet, and no store at %s: 'cloche image "
				      "build' or 'import' makes one",
				      quote(shown, path));
	if (fd < 0)
		return cloche_err_sys(err, errno, "open the image store %s", quote(shown, path));
	if (fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "stat the image store %s", quote(shown, path));
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
		return cloche_err_set(
			err, EPERM,
			"the image store %s belongs to uid %u with mode %03o: it must "
			"be root's, with nobody else writing to it",
			quote(shown, path), st.st_uid, st.st_mode & 0777);
	return TAKE_FD(fd);
}

int image_store_open(bool make, struct cloche_err *err)
{
	return image_store_open_at(image_store_path(), make, err);
}

/* ---- the last block -------------------------------------------------------------------------- */

static uint64_t padded(uint64_t bytes)
{
	return (bytes + IMAGE_BLOCK - 1) / IMAGE_BLOCK * IMAGE_BLOCK;
}

static void tail_write(const struct image *image, char block[static IMAGE_BLOCK])
{
	memset(block, 0, IMAGE_BLOCK);
	(void)snprintf(block, IMAGE_BLOCK,
		       "cloche-image 1\nsha256 %s\nfs %" PRIu64 "\nmeta %" PRIu64 "\n",
		       image->sha256, image->fs_bytes, image->meta_bytes);
}

/* What was read is written again and compared: nothing but what tail_write() writes is accepted. */
static bool tail_read(const char block[static IMAGE_BLOCK + 1], struct image *image)
{
	char again[IMAGE_BLOCK];

	if (sscanf(block, "cloche-image 1\nsha256 %64[0-9a-f]\nfs %" SCNu64 "\nmeta %" SCNu64 "\n",
		   image->sha256, &image->fs_bytes, &image->meta_bytes) != 3 ||
	    strlen(image->sha256) != HASH_HEX_LEN - 1 || image->meta_bytes > IMAGE_META_MAX ||
	    image->fs_bytes > image->bytes)
		return false;
	tail_write(image, again);
	return memcmp(block, again, IMAGE_BLOCK) == 0 && image->fs_bytes % IMAGE_BLOCK == 0 &&
	       image->fs_bytes + padded(image->meta_bytes) + IMAGE_BLOCK == image->bytes;
}

void image_close(struct image *image)
{
	fd_close(&image->fd);
}

int image_open(int store, const char *name, struct image *ret, struct cloche_err *err)
{
	char file[FILE_NAME_LEN], block[IMAGE_BLOCK + 1] = { 0 };
	cleanup_fd int fd = -1;
	struct stat st;
	int r = image_name_check(name, err);

	if (r < 0)
		return r;
	(void)snprintf(file, sizeof(file), "%s" IMAGE_SUFFIX, name);
	/* Not to wait for the writer of a FIFO. */
	fd = openat(store, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return cloche_err_set(err, ENOENT,
				      "there is no image '%s': 'cloche image list' shows those "
				      "that are there",
				      name);
	if (fd < 0 || fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "open image '%s'", name);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
		return cloche_err_set(err, EPERM,
				      "image '%s' can be written by others than root (uid %u, mode "
				      "%03o): remove it, then build or import it again",
				      name, st.st_uid, st.st_mode & 0777);
	*ret = (struct image){ .fd = -1,
			       .bytes = (uint64_t)st.st_size,
			       .made_ns = timespec_ns(st.st_mtim) };
	if (!S_ISREG(st.st_mode) || st.st_size < 2 * IMAGE_BLOCK ||
	    pread(fd, block, IMAGE_BLOCK, st.st_size - IMAGE_BLOCK) != IMAGE_BLOCK ||
	    !tail_read(block, ret))
		return cloche_err_set(err, EBADMSG,
				      "image '%s' is damaged: its last block is not what was "
				      "written; build or import it again",
				      name);
	ret->fd = TAKE_FD(fd);
	return 0;
}

int image_meta(const struct image *image, const char *name, char **ret, struct cloche_err *err)
{
	cleanup_free char *text = malloc(image->meta_bytes + 1);

	if (!text)
		return cloche_err_sys(err, ENOMEM, "image '%s'", name);
	if (pread(image->fd, text, image->meta_bytes, (off_t)image->fs_bytes) !=
	    (ssize_t)image->meta_bytes)
		return cloche_err_set(err, EIO, "image '%s' cannot be read", name);
	text[image->meta_bytes] = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}

/* What a confined process finds in an image. */
struct found {
	char sum[HASH_HEX_LEN];
	char arch[IMAGE_ARCH_LEN]; /* "": the description does not say */
};

struct examined {
	const struct image *image;
	const char *name;
};

static void examine_prepare(void)
{
	json_object_seed(0);
}

static int examine(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	const struct examined *e = arg;
	cleanup_free char *text = NULL;
	struct found *found = buf;
	const char *arch;
	json_t *meta;
	int r = size < sizeof(*found) ? -EMSGSIZE : image_meta(e->image, e->name, &text, err);

	if (r < 0)
		return r;
	memset(found, 0, sizeof(*found));
	meta = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	arch = json_string_value(json_object_get(meta, "arch"));
	(void)snprintf(found->arch, sizeof(found->arch), "%s", arch ? arch : "");
	json_decref(meta);
	*len = sizeof(*found);
	return hash_sha256_fd(e->image->fd, 0, e->image->bytes - IMAGE_BLOCK, found->sum, err);
}

int image_verify(const struct image *image, const char *name, char *ret_arch,
		 struct cloche_err *err)
{
	struct examined e = { image, name };
	unsigned mib = (unsigned)(image->bytes >> 20);
	const struct confined confined = { .what = "the content",
					   .fd = image->fd,
					   .prepare = examine_prepare,
					   .job = examine,
					   .arg = &e,
					   .mem_bytes = 256ULL << 20,
					   /* Slow disks and CPUs are no damage. */
					   .cpu_s = 10 + mib / 16,
					   .wall_s = 60 + mib };
	struct found found = { 0 };
	size_t len = 0;
	int r = confined_run(&confined, &found, sizeof(found), &len, err);

	if (r < 0)
		return cloche_err_wrap(err, "image '%s'", name);
	if (len != sizeof(found) || memchr(found.arch, '\0', sizeof(found.arch)) == NULL)
		return cloche_err_set(err, EBADMSG, "image '%s': what was read is no answer", name);
	found.sum[sizeof(found.sum) - 1] = '\0';
	if (ret_arch)
		memcpy(ret_arch, found.arch, sizeof(found.arch));
	if (strcmp(found.sum, image->sha256) != 0)
		return cloche_err_set(err, EBADMSG,
				      "image '%s' is damaged: its SHA-256 is %.12s… and was "
				      "%.12s… when it was made; build or import it again",
				      name, found.sum, image->sha256);
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int image_seal(int fd, const char *meta, struct cloche_err *err)
{
	struct image image = { .fd = fd, .meta_bytes = strlen(meta) };
	static const char zeroes[IMAGE_BLOCK];
	char block[IMAGE_BLOCK];
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_END) < 0)
		return cloche_err_sys(err, errno, "seal the image");
	if (image.meta_bytes > IMAGE_META_MAX)
		return cloche_err_set(err, EFBIG, "the description of the image is too long");
	image.fs_bytes = padded((uint64_t)st.st_size);
	r = write_all(fd, zeroes, image.fs_bytes - (uint64_t)st.st_size);
	if (r == 0)
		r = write_all(fd, meta, image.meta_bytes);
	if (r == 0)
		r = write_all(fd, zeroes, padded(image.meta_bytes) - image.meta_bytes);
	if (r < 0)
		return cloche_err_sys(err, -r, "write the image");
	r = hash_sha256_fd(fd, 0, image.fs_bytes + padded(image.meta_bytes), image.sha256, err);
	if (r < 0)
		return r;
	tail_write(&image, block);
	r = write_all(fd, block, sizeof(block));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? cloche_err_sys(err, -r, "write the image") : 0;
}

int image_remove(int store, const char *name, struct cloche_err *err)
{
	char file[FILE_NAME_LEN];
	struct image image = { .fd = -1 };
	int r = image_open(store, name, &image, err);

	image_close(&image);
	if (r < 0 && r != -EBADMSG && r != -EPERM)
		return r;
	(void)snprintf(file, sizeof(file), "%s" IMAGE_SUFFIX, name);
	if (unlinkat(store, file, 0) < 0 || fsync(store) < 0)
		return cloche_err_sys(err, errno, "remove image '%s'", name);
	return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

void image_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int image_names(int store, char ***ret, size_t *ret_n, struct cloche_err *err)
{
	int fd = openat(store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL;
	struct dirent *e;
	size_t n = 0;
	int r;

	if (!d) {
		int saved = errno;

		fd_close(&fd);
		return cloche_err_sys(err, saved, "read the image store");
	}
	while ((r = file_next(d, &e)) > 0) {
		size_t len = strlen(e->d_name), suffix = strlen(IMAGE_SUFFIX);
		char **more;

		if (len <= suffix || strcmp(e->d_name + len - suffix, IMAGE_SUFFIX) != 0)
			continue;
		e->d_name[len - suffix] = '\0';
		if (!name_ok(e->d_name, len - suffix))
			continue;
		more = realloc(names, (n + 1) * sizeof(*names));
		if (more)
			names = more;
		if (!more || !(names[n] = strdup(e->d_name))) {
			r = -ENOMEM;
			break;
		}
		n++;
	}
	(void)closedir(d);
	if (r < 0) {
		image_names_free(names, n);
		return cloche_err_sys(err, -r, "read the image store");
	}
	if (n > 0)
		qsort(names, n, sizeof(*names), by_name);
	*ret = names;
	*ret_n = n;
	return 0;
}
