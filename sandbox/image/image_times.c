/* SPDX-License-Identifier: MIT */
/* Modification times in an image: see image_times.h. */
#include "image/image_times.h"

#include "base/err.h"
#include "base/quote.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VARIABLE "SOURCE_DATE_EPOCH"

int image_times_bound(int64_t *ret, struct cloche_err *err)
{
	const char *text = getenv(VARIABLE);
	char shown[QUOTE_LEN];

	*ret = IMAGE_TIME_MAX;
	if (!text)
		return 0;
	errno = 0;
	*ret = strtoimax(text, NULL, 10);
	if (!text[0] || text[strspn(text, "0123456789")] || errno)
		return cloche_err_set(err, EINVAL,
				      VARIABLE " is %s: set it to seconds since 1970, or unset it",
				      quote(shown, text));
	if (*ret > IMAGE_TIME_MAX)
		*ret = IMAGE_TIME_MAX;
	return 0;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void tree_close(FTS **fts)
{
	if (*fts)
		(void)fts_close(*fts);
}

#define cleanup_tree __attribute__((cleanup(tree_close)))

static FTS *tree_open(const char *tree)
{
	char *const paths[] = { (char *)tree, NULL };

	return fts_open(paths, FTS_PHYSICAL, NULL);
}

/* 1: there is an entry, directories on the way up only; 0: there are no more. */
static int tree_next(FTS *fts, FTSENT **ret)
{
	errno = 0;
	while ((*ret = fts_read(fts)))
		switch ((*ret)->fts_info) {
		case FTS_D:
			break;
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS:
			return -(*ret)->fts_errno;
		default:
			return 1;
		}
	return -errno;
}

static int64_t within(int64_t t, int64_t latest)
{
	return t < 0 ? 0 : t > latest ? latest : t;
}

static int failed(int r, struct cloche_err *err)
{
	return cloche_err_sys(err, -r, "set the times in the image");
}

static int newest_find(const char *tree, int64_t latest, int64_t *ret, struct cloche_err *err)
{
	cleanup_tree FTS *fts = tree_open(tree);
	FTSENT *e;
	int r;

	*ret = 0;
	if (!fts)
		return failed(-errno, err);
	while ((r = tree_next(fts, &e)) > 0) {
		int64_t t = within(e->fts_statp->st_mtime, latest);

		if (e->fts_info == FTS_F && t > *ret)
			*ret = t;
	}
	return r < 0 ? failed(r, err) : 0;
}

/* mkfs.erofs takes one byte less than file systems do, and says something else about it. */
static int name_check(const FTSENT *e, struct cloche_err *err)
{
	char shown[QUOTE_LEN];

	if (e->fts_namelen < NAME_MAX)
		return 0;
	return cloche_err_set(err, ENAMETOOLONG,
			      "the name of a file has %u bytes, and may have %d in an image: %s",
			      (unsigned)e->fts_namelen, NAME_MAX - 1, quote(shown, e->fts_name));
}

static int times_set(const char *tree, bool keep, int64_t latest, int64_t newest,
		     struct cloche_err *err)
{
	cleanup_tree FTS *fts = tree_open(tree);
	FTSENT *e;
	int r;

	if (!fts)
		return failed(-errno, err);
	while ((r = tree_next(fts, &e)) > 0) {
		bool own = keep && e->fts_info == FTS_F;
		struct timespec t[2] = { { .tv_nsec = UTIME_OMIT } };

		r = name_check(e, err);
		if (r < 0)
			return r;
		t[1].tv_sec = own ? within(e->fts_statp->st_mtime, latest) : newest;
		if (utimensat(AT_FDCWD, e->fts_accpath, t, AT_SYMLINK_NOFOLLOW) < 0)
			return failed(-errno, err);
	}
	return r < 0 ? failed(r, err) : 0;
}

int image_times_set(const char *tree, bool keep, int64_t latest, int64_t *ret_newest,
		    struct cloche_err *err)
{
	int r = 0;

	*ret_newest = 0;
	if (keep)
		r = newest_find(tree, latest, ret_newest, err);
	if (r == 0)
		r = times_set(tree, keep, latest, *ret_newest, err);
	return r;
}
