/* SPDX-License-Identifier: MIT */
/* Opens what binds show, and says whose it is. See source.h. */
#include "launch/source.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/local.h"
#include "launch/etc.h"
#include "launch/rights.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "nogroup": of no file that is worth a secret. */
#define NO_GROUP 65534

/* Where root's files are not the function's: with all that is below, or the directory as a whole.
 */
static const struct {
	const char *path;
	bool deep;
} kept[] = {
	{ "/etc", true },      { "/boot", true },	{ "/var/backups", true },
	{ "/var", false },     { "/var/lib", false },	{ "/var/cache", false },
	{ "/var/log", false }, { "/var/spool", false },
};
#define KEPT_N (sizeof(kept) / sizeof(kept[0]))

struct id {
	dev_t dev;
	ino_t ino; /* 0: it is not there */
};

static int identify(const char *path, struct id *ret)
{
	struct stat st;

	*ret = (struct id){ 0 };
	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	*ret = (struct id){ .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}

static bool is_same(const struct id *a, const struct id *b)
{
	return a->ino != 0 && a->ino == b->ino && a->dev == b->dev;
}

/* The one that holds what has this path, or NULL. By what the directories are, not by their names:
 * /etc may be mounted in other places. What cannot be looked at is no reason to show it. */
static int find_keeper(const char *real, const char **ret)
{
	struct id kept_id[KEPT_N], at;
	char path[PATH_MAX];
	bool whole = true;
	int r = 0;

	*ret = NULL;
	for (size_t i = 0; r == 0 && i < KEPT_N; i++)
		r = identify(kept[i].path, &kept_id[i]);
	(void)snprintf(path, sizeof(path), "%s", real);
	for (char *end; r == 0 && (end = strrchr(path, '/')); *end = '\0', whole = false) {
		r = identify(path, &at);
		for (size_t i = 0; r == 0 && i < KEPT_N; i++)
			if ((whole || kept[i].deep) && is_same(&at, &kept_id[i])) {
				*ret = kept[i].path;
				return 0;
			}
	}
	return r;
}

static int check_not_all(const char *field, const char *path, const struct stat *st,
			 struct cloche_err *err)
{
	struct id root;
	int r = identify("/", &root);

	if (r < 0)
		return cloche_err_sys(err, -r, "look at '/'");
	if (root.dev == st->st_dev && root.ino == st->st_ino)
		return cloche_err_set(err, EPERM,
				      CLOCHE_FIELD "%s '%s': that is '/', the whole host; name a "
						   "directory below it",
				      field, path);
	return 0;
}

static int open_as(const struct rights *who, const char *field, const char *path, struct source *s,
		   struct stat *ret_st, struct cloche_err *err)
{
	s->fd = rights_open(who, path, 0);
	if (s->fd == -EACCES && who)
		return cloche_err_set(err, EACCES,
				      CLOCHE_FIELD
				      "%s '%s': the user for whom sudo runs this (SUDO_UID %u) may "
				      "not reach it; unset SUDO_UID to have root's rights",
				      field, path, (unsigned)who->uid);
	if (s->fd < 0)
		return cloche_err_sys(err, -s->fd, CLOCHE_FIELD "%s '%s' (openat2)", field, path);
	if (fstat(s->fd, ret_st) < 0)
		return cloche_err_sys(err, errno, CLOCHE_FIELD "%s '%s'", field, path);
	s->is_dir = S_ISDIR(ret_st->st_mode);
	return check_not_all(field, path, ret_st, err);
}

/* What of it the function could not use at all is said now: no run finds out why. */
static int check_use(const struct rights *who, const struct source *s, bool rw)
{
	int r;

	if (s->is_dir)
		return rights_check(who, s->fd, X_OK | (rw ? W_OK : 0));
	r = rights_check(who, s->fd, R_OK);
	if (r == -EACCES)
		r = rights_check(who, s->fd, X_OK);
	return r == 0 && rw ? rights_check(who, s->fd, W_OK) : r;
}

#define READ_ONLY CLOCHE_FIELD "%s '%s': it is on a read-only file system; bind it 'ro'"

static int refuse_use(int r, const struct spec *spec, const struct bind_spec *b, const char *keeper,
		      struct cloche_err *err)
{
	if (r != -EACCES && r != -EROFS)
		return cloche_err_sys(err, -r, CLOCHE_FIELD "bind '%s' (faccessat2)", b->src);
	if (r == -EROFS)
		return cloche_err_set(err, EROFS, READ_ONLY, "bind", b->src);
	if (spec->caller)
		return cloche_err_set(
			err, EACCES,
			CLOCHE_FIELD "bind '%s': the user for whom sudo runs this (SUDO_UID %u) "
				     "may not %s it; unset SUDO_UID to have root's rights",
			b->src, (unsigned)spec->caller->uid, b->rw ? "write to" : "read");
	return cloche_err_set(err, EACCES,
			      CLOCHE_FIELD
			      "bind '%s': not everybody may %s it, and '%s' is shown as everybody "
			      "sees it; " CLOCHE_FIELD "bind-private shows it",
			      b->src, b->rw ? "write to" : "read", keeper);
}

static int map_caller(const struct spec *spec, const struct bind_spec *b, struct source *s,
		      struct cloche_err *err)
{
	/* Inside there is one group, that of the map. */
	const struct rights alone = { .uid = spec->caller->uid, .gid = spec->caller->gid };
	int r = check_use(&alone, s, b->rw);

	if (r < 0)
		return refuse_use(r, spec, b, NULL, err);
	s->mapped = true;
	s->uid = alone.uid;
	s->gid = alone.gid;
	return 0;
}

/* As everybody sees it: also the way to it must be open. */
static int check_public(const struct source *s, const char *real, bool rw)
{
	cleanup_fd int fd = rights_open(&rights_of_others, real, RESOLVE_NO_SYMLINKS);
	struct stat a, b;

	if (fd < 0)
		return fd == -ENOMEM ? fd : -EACCES;
	if (fstat(fd, &a) < 0 || fstat(s->fd, &b) < 0 || a.st_dev != b.st_dev ||
	    a.st_ino != b.st_ino)
		return -EACCES;
	return check_use(&rights_of_others, s, rw);
}

static int map_owner(const struct spec *spec, const struct bind_spec *b, struct source *s,
		     const struct stat *st, struct cloche_err *err)
{
	char real[PATH_MAX];
	const char *by = NULL;
	int r;

	if (st->st_uid == 0 && !spec->bind_private) {
		r = file_fd_path(s->fd, real, sizeof(real));
		if (r == 0)
			r = find_keeper(real, &by);
		if (r < 0)
			return cloche_err_sys(err, -r, CLOCHE_FIELD "bind '%s': find what holds it",
					      b->src);
	}
	if (by) {
		r = check_public(s, real, b->rw);
		return r < 0 ? refuse_use(r, spec, b, by, err) : 0;
	}
	s->mapped = true;
	s->uid = st->st_uid;
	/* Who owns a directory may have got it from root, group and all: root's group is root's. */
	s->gid = st->st_uid == 0 ? 0 : st->st_gid == 0 ? NO_GROUP : st->st_gid;
	return 0;
}

static int open_etc(const char *path, struct source *s, struct cloche_err *err)
{
	const char *name = path + strlen("/etc/");
	char real[PATH_MAX];

	s->fd = etc_open(path, &s->is_dir, real);
	if (s->fd == -EACCES)
		return cloche_err_set(err, EACCES,
				      CLOCHE_FIELD
				      "etc '%s': not everybody may read '%s'; " CLOCHE_FIELD
				      "bind '%s' with " CLOCHE_FIELD "bind-private shows it",
				      name, path, path);
	if (s->fd == -EXDEV)
		return cloche_err_set(err, EXDEV,
				      CLOCHE_FIELD "etc '%s': leads out, to '%s'; " CLOCHE_FIELD
						   "bind '%s' shows that",
				      name, real, path);
	return s->fd < 0
		       ? cloche_err_sys(err, -s->fd, CLOCHE_FIELD "etc '%s': open '%s'", name, path)
		       : 0;
}

int source_open_bind(const struct spec *spec, const struct bind_spec *bind, struct source *ret,
		     struct cloche_err *err)
{
	struct source s = { .fd = -1 };
	struct stat st = { 0 };
	int r;

	if (bind->etc) {
		r = open_etc(bind->src, &s, err);
	} else {
		r = open_as(spec->caller, "bind", bind->src, &s, &st, err);
		if (r == 0)
			r = spec->caller ? map_caller(spec, bind, &s, err)
					 : map_owner(spec, bind, &s, &st, err);
	}
	if (r < 0)
		fd_close(&s.fd);
	else
		*ret = s;
	return r;
}

/* ---- what is given --------------------------------------------------------------------------- */

static int refuse_own(int r, const struct bind_spec *b, const char *field, struct cloche_err *err)
{
	if (r == -EROFS)
		return cloche_err_set(err, EROFS, READ_ONLY, field, b->src);
	if (r == -EACCES)
		return cloche_err_set(err, EACCES, CLOCHE_FIELD "%s '%s': you may not %s it", field,
				      b->src, b->rw ? "write to" : "read");
	return cloche_err_sys(err, -r, CLOCHE_FIELD "%s '%s' (faccessat2)", field, b->src);
}

int source_open_own(const struct bind_spec *bind, struct source *ret, struct cloche_err *err)
{
	const char *field = bind->etc ? "etc" : "bind";
	struct source s = { .fd = -1 };
	struct stat st;
	int r = open_as(NULL, field, bind->src, &s, &st, err);

	if (r == 0) {
		r = check_use(NULL, &s, bind->rw);
		if (r < 0)
			r = refuse_own(r, bind, field, err);
	}
	if (r < 0)
		fd_close(&s.fd);
	else
		*ret = s;
	return r;
}

static int refuse_given(int r, const struct rights *owner, const char *field, const char *place,
			bool rw, struct cloche_err *err)
{
	if (r == -EROFS)
		return cloche_err_set(err, EROFS, READ_ONLY, field, place);
	if (r == -EACCES)
		return cloche_err_set(err, EACCES,
				      CLOCHE_FIELD
				      "%s '%s': what is to be there user %u, with group %u alone, "
				      "may not %s; inside there is one group",
				      field, place, (unsigned)owner->uid, (unsigned)owner->gid,
				      rw ? "write to" : "read");
	return cloche_err_sys(err, -r, CLOCHE_FIELD "%s '%s' (faccessat2)", field, place);
}

int source_judge_given(const struct rights *owner, const char *field, const char *place, bool rw,
		       struct source *source, struct cloche_err *err)
{
	const struct rights alone = { .uid = owner->uid, .gid = owner->gid };
	int flags = fcntl(source->fd, F_GETFL), r;
	struct stat st;

	if (flags < 0 || !(flags & O_PATH))
		return cloche_err_set(err, EBADMSG,
				      CLOCHE_FIELD "%s '%s': what is to be there is open", field,
				      place);
	if (!local_keeps(source->fd))
		return cloche_err_set(err, EINVAL,
				      CLOCHE_FIELD
				      "%s '%s': what is to be there is on a file system that the "
				      "daemon does not know (FUSE, a network, /proc, another mount "
				      "namespace)",
				      field, place);
	if (fstat(source->fd, &st) < 0)
		return cloche_err_sys(err, errno, CLOCHE_FIELD "%s '%s'", field, place);
	if (S_ISLNK(st.st_mode))
		return cloche_err_set(err, ELOOP,
				      CLOCHE_FIELD "%s '%s': what is to be there is a link", field,
				      place);
	r = check_not_all(field, place, &st, err);
	if (r < 0)
		return r;
	source->is_dir = S_ISDIR(st.st_mode);
	r = check_use(&alone, source, rw);
	if (r < 0)
		return refuse_given(r, owner, field, place, rw, err);
	source->mapped = true;
	source->uid = alone.uid;
	source->gid = alone.gid;
	return 0;
}

int source_open_root(const struct spec *spec, const char *dir, struct source *ret,
		     struct cloche_err *err)
{
	struct source s = { .fd = -1 };
	struct stat st;
	int r = open_as(spec->caller, "rootfs", dir, &s, &st, err);

	if (r == 0 && !s.is_dir)
		r = cloche_err_set(err, ENOTDIR, CLOCHE_FIELD "rootfs '%s': not a directory", dir);
	if (r < 0)
		fd_close(&s.fd);
	else
		*ret = s;
	return r;
}
