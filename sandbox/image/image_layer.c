/* SPDX-License-Identifier: MIT */
/* Unpacks layers of container images: see image_layer.h. */
#include "image/image_layer.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "image/image_tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define CHUNK		(256U << 10)
#define WHITEOUT	".wh."
#define WHITEOUT_META	".wh..wh."
#define WHITEOUT_OTHERS ".wh..wh..opq"
#define AUFS_LINKS	".wh..wh.plnk"

/*
 * Two readers, one behind the other: the first takes the compression off, the second reads the tar;
 * in between is what a layer's digest is of.
 */
struct layer {
	struct archive *raw, *tar; /* of a zip there is the second alone */
	uint64_t left, most;	   /* bytes that files may still have, and all */
	crypto_hash_sha256_state state;
	char buf[CHUNK];
	char end[sizeof(ARCHIVE_END) - 1]; /* the last bytes that came */
};

static void layer_free(struct layer **r)
{
	if (!*r)
		return;
	(void)archive_read_free((*r)->tar);
	(void)archive_read_free((*r)->raw);
	free(*r);
}

#define cleanup_layer __attribute__((cleanup(layer_free)))

static int broken(struct archive *a, struct cloche_err *err)
{
	const char *text = archive_error_string(a);
	char shown[QUOTE_LEN];

	return cloche_err_set(err, EBADMSG, "the archive cannot be read: %s",
			      quote(shown, text ? text : "damaged"));
}

/* n bytes are in buf. */
static void take_note(struct layer *r, size_t n)
{
	size_t room = sizeof(r->end);

	(void)crypto_hash_sha256_update(&r->state, (unsigned char *)r->buf, (unsigned long long)n);
	if (n < room)
		memmove(r->end, r->end + n, room - n);
	memcpy(r->end + room - (n < room ? n : room), r->buf + n - (n < room ? n : room),
	       n < room ? n : room);
}

static la_ssize_t pass_on(struct archive *a, void *arg, const void **ret)
{
	struct layer *r = arg;
	la_ssize_t n = archive_read_data(r->raw, r->buf, sizeof(r->buf));

	if (n < 0) {
		archive_set_error(a, EIO, "%s",
				  archive_error_string(r->raw) ?: "damaged compression");
		return -1;
	}
	take_note(r, (size_t)n);
	*ret = r->buf;
	return n;
}

static int layer_open(int fd, struct layer **ret, struct cloche_err *err)
{
	cleanup_layer struct layer *r = calloc(1, sizeof(*r));
	struct archive_entry *entry;
	int a;

	if (!r)
		return cloche_err_sys(err, ENOMEM, "archive");
	r->raw = archive_read_new();
	r->tar = archive_read_new();
	r->left = r->most = UINT64_MAX;
	if (!r->raw || !r->tar)
		return cloche_err_sys(err, ENOMEM, "archive");
	(void)crypto_hash_sha256_init(&r->state);
	if (archive_read_support_filter_gzip(r->raw) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(r->raw) != ARCHIVE_OK ||
	    archive_read_support_format_raw(r->raw) != ARCHIVE_OK ||
	    archive_read_support_format_empty(r->raw) != ARCHIVE_OK ||
	    archive_read_open_fd(r->raw, fd, CHUNK) != ARCHIVE_OK)
		return broken(r->raw, err);
	a = archive_read_next_header(r->raw, &entry);
	if (a == ARCHIVE_EOF)
		return cloche_err_set(err, EBADMSG, "the archive is empty");
	if (a != ARCHIVE_OK && a != ARCHIVE_WARN)
		return broken(r->raw, err);
	if (archive_read_support_format_tar(r->tar) != ARCHIVE_OK ||
	    archive_read_open(r->tar, r, NULL, pass_on, NULL) != ARCHIVE_OK)
		return broken(r->tar, err);
	*ret = TAKE_PTR(r);
	return 0;
}

/* 1: there is an entry; 0: there are no more. */
static int layer_next(struct layer *r, struct archive_entry **ret, struct cloche_err *err)
{
	int a = archive_read_next_header(r->tar, ret);

	if (a == ARCHIVE_EOF)
		return 0;
	/* A reader that could go on with the next (RETRY) has left something out. */
	if (a != ARCHIVE_OK && a != ARCHIVE_WARN)
		return broken(r->tar, err);
	if (!archive_entry_pathname(*ret))
		return cloche_err_set(err, EBADMSG, "the archive has a path that is no UTF-8");
	return 1;
}

/* The digest of all that the first reader gives, behind the end of the tar as well. */
static int layer_digest(struct layer *r, char ret[static HASH_HEX_LEN], struct cloche_err *err)
{
	unsigned char sum[HASH_LEN];
	la_ssize_t n;

	while ((n = archive_read_data(r->raw, r->buf, sizeof(r->buf))) > 0)
		take_note(r, (size_t)n);
	if (n < 0)
		return broken(r->raw, err);
	(void)crypto_hash_sha256_final(&r->state, sum);
	(void)sodium_bin2hex(ret, HASH_HEX_LEN, sum, sizeof(sum));
	return 0;
}

/* ---- entries --------------------------------------------------------------------------------- */

static int file_write(struct layer *r, struct archive_entry *e, int dir, const char *name,
		      mode_t mode, struct cloche_err *err)
{
	/* One without a time has that of 1970, as from any other archive of the same content. */
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
					   { .tv_sec = archive_entry_mtime(e) } };
	cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cleanup_free char *buf = malloc(CHUNK);
	int64_t size = archive_entry_size(e);
	struct statvfs fs;
	la_ssize_t n;

	if (fd < 0 || !buf)
		return cloche_err_sys(err, fd < 0 ? errno : ENOMEM, "make");
	/* A sparse file of a few bytes in the archive may be of any size. */
	if (fstatvfs(fd, &fs) == 0 && size > 0 &&
	    (uint64_t)size / fs.f_frsize >= (uint64_t)fs.f_bavail)
		return cloche_err_set(err, ENOSPC,
				      "it is %" PRId64 " bytes, and the disk of the image store "
				      "has %" PRIu64 " free",
				      size, (uint64_t)fs.f_bavail * fs.f_frsize);
	while ((n = archive_read_data(r->tar, buf, CHUNK)) > 0) {
		if ((uint64_t)n > r->left)
			return cloche_err_set(err, EFBIG, "unpacked it is more than %" PRIu64 "M",
					      r->most >> 20);
		r->left -= (uint64_t)n;
		for (la_ssize_t done = 0; done < n;) {
			ssize_t w = write(fd, buf + done, (size_t)(n - done));

			if (w < 0 && errno != EINTR)
				return cloche_err_sys(err, errno, "write");
			done += w < 0 ? 0 : w;
		}
	}
	if (n < 0)
		return broken(r->tar, err);
	if (futimens(fd, times) < 0)
		return cloche_err_sys(err, errno, "set the time");
	return fchmod(fd, mode) < 0 ? cloche_err_sys(err, errno, "chmod") : 0;
}

static int link_make(int tree, const char *to, int dir, const char *name, struct cloche_err *err)
{
	cleanup_fd int from = -1;
	char base[NAME_MAX + 1], shown[QUOTE_LEN];
	int r = tree_parent(tree, to, &from, base, err);

	if (r == 0 && linkat(from, base, dir, name, 0) < 0)
		r = cloche_err_sys(err, errno, "a link to it cannot be made");
	return r < 0 ? cloche_err_wrap(err, "%s", quote(shown, to)) : 0;
}

static int dir_make(int dir, const char *name, mode_t mode, struct cloche_err *err)
{
	struct stat st;
	int r = 0;

	/* A directory is merged with what is there; anything else gives way. */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		r = tree_remove_at(dir, name, err);
	if (r == 0 && mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		r = cloche_err_sys(err, errno, "make");
	if (r == 0 && fchmodat(dir, name, mode, 0) < 0)
		r = cloche_err_sys(err, errno, "chmod");
	return r;
}

/*
 * Inside contexts neither setuid nor setgid bits count: they are not kept. Neither are owners, so
 * all may read what one of the image's users may, as root may, whom most images run as: nothing in
 * an image is a secret from what runs in it. The function is not made the owner instead: that
 * would let it learn and change what of the shared files is in memory (mincore(2), MADV_PAGEOUT).
 * And a directory's owner may write to it, since who unpacks what comes into it is no root.
 */
static mode_t mode_of(struct archive_entry *e)
{
	mode_t mode = (archive_entry_perm(e) & 01777) | 0444;

	if (archive_entry_filetype(e) == AE_IFDIR)
		return mode | 0311;
	return mode & 0111 ? mode | 0111 : mode;
}

/* Devices, FIFOs and sockets are none. */
static bool is_kept(struct archive_entry *e)
{
	mode_t type = archive_entry_filetype(e);

	return archive_entry_hardlink(e) || type == AE_IFREG || type == AE_IFDIR ||
	       type == AE_IFLNK;
}

static int entry_unpack(struct layer *r, int tree, struct archive_entry *e, struct cloche_err *err)
{
	const char *hard = archive_entry_hardlink(e), *soft = archive_entry_symlink(e);
	mode_t mode = mode_of(e), type = archive_entry_filetype(e);
	cleanup_fd int dir = -1;
	char name[NAME_MAX + 1];
	int s;

	if (!is_kept(e))
		return 0;
	s = tree_parent(tree, archive_entry_pathname(e), &dir, name, err);
	if (s < 0)
		return s;
	if (!name[0]) /* the root itself */
		return 0;
	if (!hard && type == AE_IFDIR)
		return dir_make(dir, name, mode, err);
	s = tree_remove_at(dir, name, err);
	if (s < 0)
		return s;
	if (hard)
		return link_make(tree, hard, dir, name, err);
	if (type == AE_IFREG)
		return file_write(r, e, dir, name, mode, err);
	if (!soft || symlinkat(soft, dir, name) < 0)
		return cloche_err_sys(err, soft ? errno : EBADMSG, "make a link");
	return 0;
}

/* What an entry of a layer is there for, by its path. */
enum meaning {
	MEANS_ENTRY,
	MEANS_WHITEOUT,
	MEANS_NOTE, /* of a file system that layers were made by: nobody else's matter */
	MEANS_AUFS, /* a file that entries of this layer are hard links to, and nothing else */
};

static bool starts(const char *path, const char *with)
{
	return strncmp(path, with, strlen(with)) == 0;
}

/* Whether the first name of a path is this one. */
static bool is_name(const char *path, const char *name)
{
	return starts(path, name) && (!path[strlen(name)] || path[strlen(name)] == '/');
}

static enum meaning meaning_of(const char *path)
{
	const char *first = NULL, *last = "";
	bool hidden = false;

	for (const char *at = path; *(at += strspn(at, "/")); at += strcspn(at, "/")) {
		if (is_name(at, "."))
			continue;
		hidden |= starts(last, WHITEOUT);
		last = at;
		first = first ? first : at;
	}
	if (hidden)
		return is_name(first, AUFS_LINKS) ? MEANS_AUFS : MEANS_NOTE;
	if (starts(last, WHITEOUT_META) && !is_name(last, WHITEOUT_OTHERS))
		return MEANS_NOTE;
	return starts(last, WHITEOUT) ? MEANS_WHITEOUT : MEANS_ENTRY;
}

/* ".wh.NAME" takes NAME of the layers below away, ".wh..wh..opq" all of their directory. Where
 * there is none, nothing is to be taken away. */
static int whiteout_apply(int tree, const char *path, struct cloche_err *err)
{
	cleanup_fd int dir = -1;
	char name[NAME_MAX + 1];
	const char *gone;
	int r = tree_parent_find(tree, path, &dir, name, err);

	if (r < 0)
		return r;
	gone = name + strlen(WHITEOUT);
	if (!gone[0] || strcmp(gone, ".") == 0 || strcmp(gone, "..") == 0)
		return cloche_err_set(err, EBADMSG, "that whiteout names nothing");
	if (r == 0)
		return 0;
	if (strcmp(name, WHITEOUT_OTHERS) == 0)
		return tree_clear(dir, err);
	return tree_remove_at(dir, gone, err);
}

static int wrap_path(struct archive_entry *e, struct cloche_err *err)
{
	char shown[QUOTE_LEN];

	return cloche_err_wrap(err, "%s", quote(shown, archive_entry_pathname(e)));
}

static int unpack_all(struct layer *r, int tree, bool whiteouts, struct cloche_err *err)
{
	struct archive_entry *e;
	int s;

	while ((s = layer_next(r, &e, err)) > 0) {
		enum meaning m = whiteouts ? meaning_of(archive_entry_pathname(e)) : MEANS_ENTRY;

		if (m == MEANS_WHITEOUT || m == MEANS_NOTE)
			continue;
		if (entry_unpack(r, tree, e, err) < 0)
			return wrap_path(e, err);
	}
	return s;
}

/* The first time through: is it what it should be? The whiteouts are applied only after that, and
 * before anything is unpacked: they are about the layers below, wherever in the archive they stand.
 */
static int look_through(int fd, const char *diff_id, struct cloche_err *err)
{
	cleanup_layer struct layer *r = NULL;
	char sum[HASH_HEX_LEN];
	struct archive_entry *e;
	int s = layer_open(fd, &r, err);

	if (!r)
		return s;
	while ((s = layer_next(r, &e, err)) > 0)
		;
	if (s == 0)
		s = layer_digest(r, sum, err);
	if (s == 0 && strcmp(sum, diff_id) != 0)
		s = cloche_err_set(err, EBADMSG,
				   "damaged: the SHA-256 of its content is %.12s…, the image says "
				   "%.12s…",
				   sum, diff_id);
	return s;
}

/*
 * Directories of the layer's own are made on the way: one that takes the place of a link or a file
 * has nothing below it, and a whiteout in it must not follow that link. So are those that only the
 * paths of other entries tell of: what is in their way is of the layers below, as long as nothing
 * of this one is unpacked.
 */
static int dirs_make(struct layer *r, int tree, struct archive_entry *e, struct cloche_err *err)
{
	cleanup_fd int dir = -1;
	char name[NAME_MAX + 1];
	int s;

	if (!is_kept(e))
		return 0;
	s = tree_parent_anew(tree, archive_entry_pathname(e), &dir, name, err);
	if (s < 0 || archive_entry_hardlink(e) || archive_entry_filetype(e) != AE_IFDIR)
		return s;
	return entry_unpack(r, tree, e, err);
}

static int whiteouts_apply(int tree, int fd, struct cloche_err *err)
{
	cleanup_layer struct layer *r = NULL;
	struct archive_entry *e;
	int s = layer_open(fd, &r, err);

	if (!r)
		return s;
	while ((s = layer_next(r, &e, err)) > 0) {
		const char *path = archive_entry_pathname(e);
		enum meaning m = meaning_of(path);
		int done = 0;

		if (m == MEANS_WHITEOUT)
			done = whiteout_apply(tree, path, err);
		else if (m == MEANS_ENTRY)
			done = dirs_make(r, tree, e, err);
		if (done < 0)
			return wrap_path(e, err);
	}
	return s;
}

int archive_unpack(int tree, int fd, struct cloche_err *err)
{
	cleanup_layer struct layer *r = NULL;
	int s = layer_open(fd, &r, err);

	return r ? unpack_all(r, tree, false, err) : s;
}

/* Its names and rights are at its end. */
static int zip_open(int fd, struct layer **ret, struct cloche_err *err)
{
	cleanup_layer struct layer *r = calloc(1, sizeof(*r));

	if (r)
		r->tar = archive_read_new();
	if (!r || !r->tar)
		return cloche_err_sys(err, ENOMEM, "archive");
	if (archive_read_support_format_zip_seekable(r->tar) != ARCHIVE_OK ||
	    archive_read_open_fd(r->tar, fd, CHUNK) != ARCHIVE_OK)
		return broken(r->tar, err);
	*ret = TAKE_PTR(r);
	return 0;
}

int archive_unpack_code(int tree, int fd, bool zip, uint64_t most, struct cloche_err *err)
{
	cleanup_layer struct layer *r = NULL;
	int s = zip ? zip_open(fd, &r, err) : layer_open(fd, &r, err);

	if (!r)
		return s;
	r->left = r->most = most;
	return unpack_all(r, tree, false, err);
}

int archive_unpack_whole(int tree, int fd, struct cloche_err *err)
{
	cleanup_layer struct layer *r = NULL;
	char sum[HASH_HEX_LEN];
	int s = layer_open(fd, &r, err);

	if (!r)
		return s;
	s = unpack_all(r, tree, false, err);
	if (s == 0)
		s = layer_digest(r, sum, err);
	if (s == 0 && memcmp(r->end, ARCHIVE_END, sizeof(r->end)) != 0)
		s = cloche_err_set(err, EPIPE, "what came ends too early");
	return s;
}

int layer_apply(int tree, int fd, const char *diff_id, struct cloche_err *err)
{
	cleanup_layer struct layer *r = NULL;
	int s = look_through(fd, diff_id, err);

	if (s == 0 && lseek(fd, 0, SEEK_SET) < 0)
		s = cloche_err_sys(err, errno, "read again");
	if (s == 0)
		s = whiteouts_apply(tree, fd, err);
	if (s == 0 && lseek(fd, 0, SEEK_SET) < 0)
		s = cloche_err_sys(err, errno, "read again");
	if (s == 0)
		s = layer_open(fd, &r, err);
	if (r)
		s = unpack_all(r, tree, true, err);
	return s < 0 ? s : tree_remove_at(tree, AUFS_LINKS, err);
}
