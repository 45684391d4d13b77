/* SPDX-License-Identifier: MIT */
/* Puts the host's configuration of etc_list.h into a root. See etc.h. */
#include "launch/etc.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/hash.h"
#include "launch/etc_list.h"
#include "launch/rights.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_MAX (4U << 20)

static bool is_absent(int code)
{
	return code == ENOENT || code == ENOTDIR || code == ELOOP;
}

/* ---- what everybody may read ---- */

static bool is_of_packages(const char *path)
{
	static const char *const tops[] = { "/etc/", "/usr/", "/var/lib/", "/var/cache/" };

	for (size_t i = 0; i < ETC_N(tops); i++)
		if (strncmp(path, tops[i], strlen(tops[i])) == 0)
			return true;
	return false;
}

int etc_open(const char *path, bool *ret_is_dir, char ret_real[static PATH_MAX])
{
	cleanup_fd int fd = rights_open(&rights_of_others, path, RESOLVE_NO_MAGICLINKS);
	struct stat st;
	int r = fd < 0 ? fd : file_fd_path(fd, ret_real, PATH_MAX);

	if (r < 0)
		return r;
	if (!is_of_packages(ret_real))
		return -EXDEV;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return -EACCES;
	*ret_is_dir = S_ISDIR(st.st_mode);
	r = rights_check(&rights_of_others, fd, R_OK | (*ret_is_dir ? X_OK : 0));
	return r < 0 ? r : TAKE_FD(fd);
}

/* ---- what it depends on ---- */

/* Out of step with the others for a moment, a run would build a template of its own and remove
 * theirs: only an absence is one. */
static int look(const char *path, struct stat *ret, struct cloche_err *err)
{
	if (stat(path, ret) == 0)
		return 1;
	return is_absent(errno) ? 0 : cloche_err_sys(err, errno, "look at '%s'", path);
}

static uint64_t mix_file(uint64_t h, const struct stat *st)
{
	h = hash_fnv_u64(hash_fnv_u64(h, st->st_dev), st->st_ino);
	return hash_fnv_u64(hash_fnv_u64(h, (uint64_t)st->st_ctim.tv_sec),
			    (uint64_t)st->st_ctim.tv_nsec);
}

int etc_key(uint64_t *h, struct cloche_err *err)
{
	struct stat st;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ETC_N(etc_files); i++) {
		r = look(etc_files[i], &st, err);
		if (r > 0)
			*h = mix_file(*h, &st);
	}
	/* A directory's times are those of what is in it, which is there without us; one that was
	 * opened to everybody, or closed, is another one. */
	for (size_t i = 0; r >= 0 && i < ETC_N(etc_dirs); i++) {
		r = look(etc_dirs[i], &st, err);
		if (r > 0)
			*h = hash_fnv_u64(hash_fnv_u64(hash_fnv_u64(*h, st.st_dev), st.st_ino),
					  st.st_mode);
	}
	for (size_t i = 0; r >= 0 && i < ETC_N(etc_folders); i++) {
		r = look(etc_folders[i], &st, err);
		if (r > 0)
			*h = mix_file(*h, &st);
	}
	return r < 0 ? r : 0;
}

/* ---- what is put in ---- */

/* A closed one, one that leads elsewhere: as if it were not there. */
static bool is_left_out(int code)
{
	return is_absent(code) || code == EACCES || code == EXDEV;
}

static int make_parent(const char *path, struct cloche_err *err)
{
	char parent[PATH_MAX];

	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	return mkdir(parent, 0755) < 0 && errno != EEXIST
		       ? cloche_err_sys(err, errno, "make '%s'", parent)
		       : 0;
}

static int copy_file(const char *path, const char *to, struct cloche_err *err)
{
	char real[PATH_MAX];
	bool is_dir = false;
	cleanup_fd int fd = etc_open(path, &is_dir, real), in = -1, out = -1;
	cleanup_free char *data = NULL;
	size_t len;
	int r;

	if (fd < 0)
		return is_left_out(-fd) ? 0 : cloche_err_sys(err, -fd, "open '%s'", path);
	if (is_dir)
		return 0;
	in = rights_reopen(&rights_of_others, fd);
	if (in < 0)
		return is_left_out(-in) ? 0 : cloche_err_sys(err, -in, "open '%s'", path);
	r = file_load_fd(in, path, COPY_MAX, &data, &len, err);
	if (r < 0)
		return r == -EFBIG ? 0 : r;
	r = make_parent(to, err);
	if (r < 0)
		return r;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	r = out < 0 ? -errno : file_write_all(out, data, len);
	return r < 0 ? cloche_err_sys(err, -r, "copy '%s'", path) : 0;
}

static int bind_dir(const char *path, const char *to, struct cloche_err *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
	};
	char real[PATH_MAX];
	bool is_dir = false;
	cleanup_fd int fd = etc_open(path, &is_dir, real), tree = -1;
	int r;

	if (fd < 0)
		return is_left_out(-fd) ? 0 : cloche_err_sys(err, -fd, "open '%s'", path);
	if (!is_dir)
		return 0;
	r = make_parent(to, err);
	if (r < 0)
		return r;
	if (mkdir(to, 0755) < 0)
		return errno == EEXIST ? 0 : cloche_err_sys(err, errno, "make '%s'", to);
	tree = open_tree(fd, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	if (tree < 0)
		return cloche_err_sys(err, errno, "bind '%s' (open_tree)", path);
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return cloche_err_sys(err, errno, "bind '%s' (mount_setattr)", path);
	if (move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return cloche_err_sys(err, errno, "bind '%s' (move_mount)", path);
	return 0;
}

typedef int put_fn(const char *path, const char *to, struct cloche_err *err);

static int put(const char *stage, const char *path, put_fn *fn, struct cloche_err *err)
{
	char to[PATH_MAX];

	if ((size_t)snprintf(to, sizeof(to), "%s%s", stage, path) >= sizeof(to))
		return cloche_err_sys(err, ENAMETOOLONG, "'%s'", path);
	return fn(path, to, err);
}

static int put_matching(const char *stage, const char *pattern, put_fn *fn, struct cloche_err *err)
{
	char dir[PATH_MAX], path[PATH_MAX + 256];
	const char *slash = strrchr(pattern, '/');
	struct dirent *e;
	DIR *d;
	int r;

	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - pattern), pattern);
	d = opendir(dir);
	if (!d)
		return is_absent(errno) ? 0 : cloche_err_sys(err, errno, "open '%s'", dir);
	while ((r = file_next(d, &e)) > 0) {
		if (fnmatch(slash + 1, e->d_name, FNM_PERIOD) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		r = put(stage, path, fn, err);
		if (r < 0)
			break;
	}
	if (r < 0 && !e)
		(void)cloche_err_sys(err, -r, "read '%s'", dir);
	(void)closedir(d);
	return r;
}

static int put_all(const char *stage, const char *const names[], size_t n, put_fn *fn,
		   struct cloche_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = strchr(names[i], '*') ? put_matching(stage, names[i], fn, err)
					  : put(stage, names[i], fn, err);
	return r;
}

int etc_build(const char *stage, struct cloche_err *err)
{
	int r = put_all(stage, etc_files, ETC_N(etc_files), copy_file, err);

	return r < 0 ? r : put_all(stage, etc_dirs, ETC_N(etc_dirs), bind_dir, err);
}
