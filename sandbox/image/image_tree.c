/* SPDX-License-Identifier: MIT */
/* Paths inside a tree that is being filled: see image_tree.h. */
#include "image/image_tree.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS_MAX 40

/* Trees are cleared with two open directories a level; 1024 files may be open by default. */
#define DEPTH_MAX 256

/* What becomes of a directory on the way that is not there. */
enum missing {
	MISSING_MAKE,
	MISSING_REPLACE, /* made, also where something else is */
	MISSING_FIND,	 /* the walk ends with -ENOENT */
};

/* A path on its way: done holds no link and no "..", left is what is still to be walked. */
struct walk {
	int tree;
	enum missing missing;
	char done[PATH_MAX], left[PATH_MAX];
	unsigned links;
};

static int climbs(struct cloche_err *err)
{
	return cloche_err_set(err, EPERM, "refused: it leads out of the image");
}

static int too_long(struct cloche_err *err)
{
	return cloche_err_sys(err, ENAMETOOLONG, "refused");
}

/* Takes the first name off left: "" when there is none. */
static int walk_next(struct walk *w, char name[static NAME_MAX + 1], struct cloche_err *err)
{
	char *at = w->left + strspn(w->left, "/");
	size_t len = strcspn(at, "/");

	if (len > NAME_MAX)
		return too_long(err);
	memcpy(name, at, len);
	name[len] = '\0';
	at += len;
	memmove(w->left, at, strlen(at) + 1);
	return 0;
}

static int walk_up(struct walk *w, struct cloche_err *err)
{
	char *slash = strrchr(w->done, '/');

	if (!w->done[0])
		return climbs(err);
	*(slash ? slash : w->done) = '\0';
	return 0;
}

/* What a link says takes its place in front of the rest. */
static int walk_link(struct walk *w, const char *path, struct cloche_err *err)
{
	char target[PATH_MAX], joined[2 * PATH_MAX];
	ssize_t n = readlinkat(w->tree, path, target, sizeof(target) - 1);

	if (n < 0)
		return cloche_err_sys(err, errno, "read a link");
	target[n] = '\0';
	if (++w->links > LINKS_MAX)
		return cloche_err_sys(err, ELOOP, "refused");
	if (target[0] == '/')
		w->done[0] = '\0';
	if (snprintf(joined, sizeof(joined), "%s/%s", target, w->left) >= PATH_MAX)
		return too_long(err);
	memcpy(w->left, joined, strlen(joined) + 1);
	return 0;
}

static unsigned depth_of(const char *path)
{
	unsigned n = 1;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

static int walk_make(const struct walk *w, const char *path, bool is_there, struct cloche_err *err)
{
	if (w->missing == MISSING_FIND)
		return -ENOENT;
	if (is_there && w->missing == MISSING_MAKE)
		return cloche_err_sys(err, ENOTDIR, "make its directory");
	if ((is_there && unlinkat(w->tree, path, 0) < 0) || mkdirat(w->tree, path, 0755) < 0)
		return cloche_err_sys(err, errno, "make its directory");
	return 0;
}

static int walk_into(struct walk *w, const char *name, struct cloche_err *err)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct stat st;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s%s%s", w->done, w->done[0] ? "/" : "", name);
	if (strlen(path) >= PATH_MAX)
		return too_long(err);
	if (depth_of(path) > DEPTH_MAX)
		return cloche_err_set(err, ELOOP, "refused: it is more than %d directories deep",
				      DEPTH_MAX);
	if (fstatat(w->tree, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return cloche_err_sys(err, errno, "look at its directory");
		r = walk_make(w, path, false, err);
	} else if (S_ISLNK(st.st_mode)) {
		return walk_link(w, path, err);
	} else if (!S_ISDIR(st.st_mode)) {
		r = walk_make(w, path, true, err);
	}
	if (r < 0)
		return r;
	memcpy(w->done, path, strlen(path) + 1);
	return 0;
}

/* Cuts the last name off a path of an archive, which may begin with "/" or "./" and end with "/".
 * A ".." anywhere is refused, even one that would stay inside: no archive needs it. */
static int path_split(const char *path, struct walk *w, char name[static NAME_MAX + 1],
		      struct cloche_err *err)
{
	size_t used = 0;

	name[0] = '\0';
	for (const char *at = path; *(at += strspn(at, "/"));) {
		size_t len = strcspn(at, "/");

		if (len == 2 && at[0] == '.' && at[1] == '.')
			return climbs(err);
		if (len > NAME_MAX || used + strlen(name) + 2 > sizeof(w->left))
			return too_long(err);
		if (len != 1 || at[0] != '.') {
			if (name[0])
				used += (size_t)sprintf(w->left + used, "%s/", name);
			memcpy(name, at, len);
			name[len] = '\0';
		}
		at += len;
	}
	return 0;
}

static int parent(int tree, enum missing missing, const char *path, int *ret_dir,
		  char ret_name[static NAME_MAX + 1], struct cloche_err *err)
{
	struct walk w = { .tree = tree, .missing = missing };
	char name[NAME_MAX + 1] = "";
	int r = path_split(path, &w, ret_name, err);

	while (r == 0) {
		r = walk_next(&w, name, err);
		if (r < 0 || !name[0])
			break;
		if (strcmp(name, ".") == 0)
			continue;
		r = strcmp(name, "..") == 0 ? walk_up(&w, err) : walk_into(&w, name, err);
	}
	if (r < 0)
		return r;
	/* The kernel holds the walk to what it found. */
	r = file_open_beneath(tree, w.done[0] ? w.done : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			      RESOLVE_NO_SYMLINKS);
	if (r < 0)
		return cloche_err_sys(err, -r, "open its directory");
	*ret_dir = r;
	return 0;
}

int tree_parent(int tree, const char *path, int *ret_dir, char ret_name[static NAME_MAX + 1],
		struct cloche_err *err)
{
	return parent(tree, MISSING_MAKE, path, ret_dir, ret_name, err);
}

int tree_parent_anew(int tree, const char *path, int *ret_dir, char ret_name[static NAME_MAX + 1],
		     struct cloche_err *err)
{
	return parent(tree, MISSING_REPLACE, path, ret_dir, ret_name, err);
}

int tree_parent_find(int tree, const char *path, int *ret_dir, char ret_name[static NAME_MAX + 1],
		     struct cloche_err *err)
{
	struct cloche_err why = { 0 };
	int r = parent(tree, MISSING_FIND, path, ret_dir, ret_name, &why);

	if (r == -ENOENT)
		return 0;
	if (r < 0 && err)
		*err = why;
	return r < 0 ? r : 1;
}

/* ---- removing -------------------------------------------------------------------------------- */

static int clear(int dir, int depth);

static int remove_name(int dir, const char *name, int depth)
{
	cleanup_fd int fd = -1;
	int r;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = depth > DEPTH_MAX ? -ELOOP : clear(fd, depth + 1);
	return r < 0 ? r : unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* fd stays open. */
static int clear(int dir, int depth)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r;

	if (!d) {
		r = -errno;
		fd_close(&fd);
		return r;
	}
	while ((r = file_next(d, &e)) > 0)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			r = remove_name(fd, e->d_name, depth);
			if (r < 0)
				break;
		}
	(void)closedir(d);
	return r;
}

int tree_remove_at(int dir, const char *name, struct cloche_err *err)
{
	int r = remove_name(dir, name, 0);

	return r < 0 ? cloche_err_sys(err, -r, "remove what is there") : 0;
}

int tree_clear(int dir, struct cloche_err *err)
{
	int r = clear(dir, 0);

	return r < 0 ? cloche_err_sys(err, -r, "clear the directory") : 0;
}
