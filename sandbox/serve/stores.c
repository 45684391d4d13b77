/* SPDX-License-Identifier: MIT */
/* Where the daemon's images are: see stores.h. */
#include "serve/stores.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "image/image.h"
#include "image/image_make.h"
#include "serve/config.h"
#include "trace/trace_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* One trace may have such a part of all that an owner may have kept. */
#define TRACES_PARTS 4

static void dir_cleanup(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}
#define cleanup_dir __attribute__((cleanup(dir_cleanup)))

/* ---- the stores ------------------------------------------------------------------------------ */

_Static_assert(STORES_PATH_LEN > sizeof(((struct config *)0)->state) + 32, "it has room");

void stores_path(const struct config *config, uint32_t owner, bool code,
		 char ret[static STORES_PATH_LEN])
{
	(void)snprintf(ret, STORES_PATH_LEN, "%s/" STORES_OWNERS "/%u/%s", config->state, owner,
		       code ? "code" : "images");
}

/* Nobody but root passes the two above one of an owner's. */
static int make_in(const struct config *config, uint32_t owner, const char *leaf, mode_t mode,
		   char ret[static STORES_PATH_LEN], struct cloche_err *err)
{
	int r = 0, n = 0;

	for (int depth = 0; r == 0 && depth < 3; depth++) {
		n = snprintf(ret, STORES_PATH_LEN, "%s/" STORES_OWNERS, config->state);
		if (depth > 0)
			n += snprintf(ret + n, STORES_PATH_LEN - (size_t)n, "/%u", owner);
		if (depth > 1)
			(void)snprintf(ret + n, STORES_PATH_LEN - (size_t)n, "/%s", leaf);
		r = mkdir(ret, depth > 1 ? mode : 0700) < 0 && errno != EEXIST ? -errno : 0;
	}
	return r < 0 ? cloche_err_sys(err, -r, "make the store of user %u", owner) : 0;
}

int stores_make(const struct config *config, uint32_t owner, bool code,
		char ret[static STORES_PATH_LEN], struct cloche_err *err)
{
	return make_in(config, owner, code ? "code" : "images", 0755, ret, err);
}

void stores_traces_path(const struct config *config, uint32_t owner,
			char ret[static STORES_PATH_LEN])
{
	(void)snprintf(ret, STORES_PATH_LEN, "%s/" STORES_OWNERS "/%u/traces", config->state,
		       owner);
}

int stores_make_traces(const struct config *config, uint32_t owner,
		       char ret[static STORES_PATH_LEN], struct trace_store_limits *ret_limits,
		       struct cloche_err *err)
{
	uint64_t most = config_owner(config, owner)->kept_bytes;

	if (most == 0)
		return cloche_err_set(err, EDQUOT,
				      "traces: user %u may have none kept (limit "
				      "'per_owner.kept_traces')",
				      owner);
	*ret_limits = (struct trace_store_limits){ .files = TRACE_STORE_FILES,
						   .bytes = most,
						   .one_bytes = most / TRACES_PARTS };
	return make_in(config, owner, "traces", 0700, ret, err);
}

/* Whatever lies in it counts. */
int stores_used(const struct config *config, uint32_t owner, bool code, uint64_t *ret_bytes,
		unsigned *ret_n, struct cloche_err *err)
{
	char path[STORES_PATH_LEN];
	cleanup_dir DIR *dir = NULL;
	struct dirent *e;
	int r;

	*ret_bytes = 0;
	*ret_n = 0;
	stores_path(config, owner, code, path);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT
			       ? 0
			       : cloche_err_sys(err, errno, "read the store of user %u", owner);
	while ((r = file_next(dir, &e)) > 0) {
		struct stat st;

		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		*ret_bytes += (uint64_t)st.st_size;
		*ret_n += 1;
	}
	return r < 0 ? cloche_err_sys(err, -r, "read the store of user %u", owner) : 0;
}

static void each_owner(const struct config *config,
		       void (*fn)(const struct config *config, uint32_t owner))
{
	char path[STORES_PATH_LEN];
	cleanup_dir DIR *dir = NULL;
	struct dirent *e;

	(void)snprintf(path, sizeof(path), "%s/" STORES_OWNERS, config->state);
	dir = opendir(path);
	while (dir && file_next(dir, &e) > 0)
		if (e->d_name[0] != '.')
			fn(config, (uint32_t)strtoul(e->d_name, NULL, 10));
}

static void sweep(const struct config *config, uint32_t owner)
{
	char path[STORES_PATH_LEN];
	cleanup_fd int traces = -1;

	for (int code = 0; code < 2; code++) {
		stores_path(config, owner, code, path);
		image_make_sweep(path);
	}
	stores_traces_path(config, owner, path);
	traces = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (traces >= 0)
		trace_store_sweep(traces);
}

void stores_sweep(const struct config *config)
{
	each_owner(config, sweep);
}

static void unmount(const struct config *config, uint32_t owner)
{
	char path[STORES_PATH_LEN];

	for (int code = 0; code < 2; code++) {
		cleanup_fd int store = -1;

		stores_path(config, owner, code, path);
		store = image_store_open_at(path, false, NULL);
		if (store >= 0)
			(void)image_unmount_all(store, NULL);
	}
}

void stores_unmount(const struct config *config)
{
	each_owner(config, unmount);
}

int stores_open(const struct config *config, uint32_t owner, bool own, struct cloche_err *err)
{
	char path[STORES_PATH_LEN];

	if (!own)
		return image_store_open(false, err);
	stores_path(config, owner, false, path);
	return image_store_open_at(path, false, err);
}

int stores_open_code(const struct config *config, uint32_t owner, struct cloche_err *err)
{
	char path[STORES_PATH_LEN];

	stores_path(config, owner, true, path);
	return image_store_open_at(path, false, err);
}

/* ---- who may read them ----------------------------------------------------------------------- */

void stores_open_shown(struct stores *s)
{
	for (unsigned i = 0; i < STORES_SHOWN; i++)
		s->shown[i].fd = -1;
}

void stores_close_shown(struct stores *s)
{
	for (unsigned i = 0; i < STORES_SHOWN; i++)
		fd_close(&s->shown[i].fd);
}

/* As long as a mount of it is there no other directory has its number. */
static int show(struct stores *s, int store, struct cloche_err *err)
{
	struct stat st;
	int fd = -1;

	if (fstat(store, &st) < 0)
		return cloche_err_sys(err, errno, "stat an image store");
	for (unsigned i = 0; fd < 0 && i < STORES_SHOWN; i++)
		if (s->shown[i].dev == st.st_dev && s->shown[i].ino == st.st_ino)
			fd = s->shown[i].fd;
	if (fd < 0) {
		fd = image_store_show(store, err);
		if (fd < 0)
			return fd;
		fd_close(&s->shown[s->next].fd);
		s->shown[s->next].dev = st.st_dev;
		s->shown[s->next].ino = st.st_ino;
		s->shown[s->next].fd = fd;
		s->next = (s->next + 1) % STORES_SHOWN;
	}
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? cloche_err_sys(err, errno, "show an image store") : fd;
}

static int open_for(const struct config *config, uint32_t owner, bool code, int which,
		    struct cloche_err *err)
{
	if (!code)
		return stores_open(config, owner, which == STORES_OWN, err);
	return which == STORES_OWN ? stores_open_code(config, owner, err) : -ENOENT;
}

int stores_show(struct stores *s, const struct config *config, uint32_t owner, bool code,
		int ret[static STORES], struct cloche_err *err)
{
	int r = 0;

	ret[STORES_SHARED] = ret[STORES_OWN] = -1;
	for (int i = 0; r == 0 && i < STORES; i++) {
		struct cloche_err why = { 0 };
		cleanup_fd int store = open_for(config, owner, code, i, &why);

		if (store == -ENOENT)
			continue;
		ret[i] = store < 0 ? store : show(s, store, &why);
		r = ret[i] < 0 ? ret[i] : 0;
		if (r < 0)
			*err = why;
	}
	for (int i = 0; r < 0 && i < STORES; i++)
		fd_close(&ret[i]);
	return r;
}
