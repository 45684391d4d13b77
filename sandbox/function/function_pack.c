/* SPDX-License-Identifier: MIT */
/* Packs the code of functions: see function_pack.h. */
#include "function/function_pack.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "function/function_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256U << 10)

struct packing {
	int to;
	uint64_t unpacked;
	char *buf; /* CHUNK bytes */
};

/* ---- a directory ----------------------------------------------------------------------------- */

/* No more than there was when it was looked at, and no less. */
static int copy(struct packing *p, const char *path, uint64_t size, struct cloche_err *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return cloche_err_sys(err, errno, "open");
	while (size > 0) {
		ssize_t n = read(fd, p->buf, size < CHUNK ? (size_t)size : CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cloche_err_sys(err, errno, "read");
		if (n == 0)
			return cloche_err_set(err, EBUSY, "it became shorter while it was read");
		r = file_write_all(p->to, p->buf, (size_t)n);
		if (r < 0)
			return cloche_err_sys(err, -r, "pack it");
		size -= (uint64_t)n;
	}
	return 0;
}

static int add_link(struct packing *p, const char *path, const char *name, struct cloche_err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	int r;

	if (n < 0)
		return cloche_err_sys(err, errno, "read the link");
	target[n] = '\0';
	r = tar_entry(p->to, '2', name, target, 0777, 0);
	return r < 0 ? cloche_err_sys(err, -r, "pack it") : 0;
}

static int add_file(struct packing *p, const FTSENT *f, const char *name, struct cloche_err *err)
{
	uint64_t size = (uint64_t)f->fts_statp->st_size;
	int r;

	p->unpacked += size;
	if (p->unpacked > FUNCTION_PACK_MAX)
		return cloche_err_set(err, EFBIG, "all files up to it are more than 8G");
	r = tar_entry(p->to, '0', name, NULL, f->fts_statp->st_mode & 0111 ? 0755 : 0644, size);
	if (r < 0)
		return cloche_err_sys(err, -r, "pack it");
	r = copy(p, f->fts_path, size, err);
	if (r < 0)
		return r;
	r = tar_pad(p->to, size);
	return r < 0 ? cloche_err_sys(err, -r, "pack it") : 0;
}

static int add_directory(struct packing *p, const char *name, struct cloche_err *err)
{
	int r = tar_entry(p->to, '5', name, NULL, 0755, 0);

	return r < 0 ? cloche_err_sys(err, -r, "pack it") : 0;
}

static int take(struct packing *p, const FTSENT *f, size_t root, struct cloche_err *err)
{
	const char *name = f->fts_path + root;

	name += strspn(name, "/");
	switch (f->fts_info) {
	case FTS_DP:
		return 0;
	case FTS_D:
		return f->fts_level == 0 ? 0 : add_directory(p, name, err);
	case FTS_F:
		return add_file(p, f, name, err);
	case FTS_SL:
	case FTS_SLNONE:
		return add_link(p, f->fts_path, name, err);
	case FTS_DEFAULT:
		return cloche_err_set(err, EINVAL,
				      "it is neither a file nor a directory nor a link");
	default:
		return cloche_err_sys(err, f->fts_errno ? f->fts_errno : EIO, "read");
	}
}

/* As bytes: the same wherever it is done. */
static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int walk(struct packing *p, const char *dir, struct cloche_err *err)
{
	char *const paths[] = { (char *)(uintptr_t)dir, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR | FTS_XDEV, by_name);
	char shown[QUOTE_LEN];
	FTSENT *f = NULL;
	int r = 0;

	if (!fts)
		return cloche_err_sys(err, errno, "read it");
	while (r == 0 && (errno = 0, f = fts_read(fts))) {
		r = take(p, f, strlen(dir), err);
		if (r < 0)
			(void)cloche_err_wrap(err, "%s", quote(shown, f->fts_path));
	}
	if (r == 0 && errno)
		r = cloche_err_sys(err, errno, "read it");
	(void)fts_close(fts);
	return r;
}

static int pack_directory(const char *dir, int to, uint64_t *ret_unpacked, struct cloche_err *err)
{
	cleanup_free char *buf = malloc(CHUNK);
	struct packing p = { .to = to, .buf = buf };
	int r = buf ? walk(&p, dir, err) : cloche_err_sys(err, ENOMEM, "pack it");
	int end = r == 0 ? tar_end(to) : 0;

	*ret_unpacked = p.unpacked;
	return end < 0 ? cloche_err_sys(err, -end, "pack it") : r;
}

/* ---- a zip ----------------------------------------------------------------------------------- */

static int measure_zip(int fd, uint64_t *ret_unpacked, struct cloche_err *err)
{
	struct archive *zip = archive_read_new();
	struct archive_entry *e;
	int a = ARCHIVE_FATAL;

	*ret_unpacked = 0;
	if (zip && archive_read_support_format_zip_seekable(zip) == ARCHIVE_OK &&
	    archive_read_open_fd(zip, fd, CHUNK) == ARCHIVE_OK)
		while ((a = archive_read_next_header(zip, &e)) == ARCHIVE_OK || a == ARCHIVE_WARN)
			*ret_unpacked +=
				archive_entry_size(e) > 0 ? (uint64_t)archive_entry_size(e) : 0;
	(void)archive_read_free(zip);
	return a == ARCHIVE_EOF ? 0
				: cloche_err_set(err, EINVAL,
						 "it is neither a directory nor a zip that can be "
						 "read");
}

/* ---- either ---------------------------------------------------------------------------------- */

/* Where there is no room on a disk, or no such file system, in memory. */
static int open_scratch(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? memfd_create("code", MFD_CLOEXEC) : fd;
}

static int fill(const char *path, const char *scratch, struct function_packed *ret,
		struct cloche_err *err)
{
	struct stat st;
	int r;

	ret->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (ret->fd < 0 || fstat(ret->fd, &st) < 0)
		return cloche_err_sys(err, errno, "open");
	if (S_ISREG(st.st_mode))
		return measure_zip(ret->fd, &ret->unpacked, err);
	if (!S_ISDIR(st.st_mode))
		return cloche_err_set(err, EINVAL, "it is neither a directory nor a zip");
	fd_close(&ret->fd);
	ret->fd = open_scratch(scratch);
	if (ret->fd < 0)
		return cloche_err_sys(err, errno, "make a file to pack it into");
	r = pack_directory(path, ret->fd, &ret->unpacked, err);
	return r;
}

int function_pack(const char *path, const char *scratch, struct function_packed *ret,
		  struct cloche_err *err)
{
	struct function_packed p = { .fd = -1 };
	char shown[QUOTE_LEN];
	struct stat st;
	int r = fill(path, scratch, &p, err);

	if (r == 0 && (fstat(p.fd, &st) < 0 || lseek(p.fd, 0, SEEK_SET) < 0))
		r = cloche_err_sys(err, errno, "read it again");
	if (r == 0) {
		p.bytes = (uint64_t)st.st_size;
		r = hash_sha256_fd(p.fd, 0, p.bytes, p.sha256, err);
	}
	if (r < 0) {
		fd_close(&p.fd);
		return cloche_err_wrap(err, "code %s", quote(shown, path));
	}
	*ret = p;
	return 0;
}
