/* SPDX-License-Identifier: MIT */
/* What of deployed functions is on the disk when the daemon starts: see function_store.h. */
#include "function/function_kept.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/quote.h"
#include "function/function_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reading {
	struct function_store *store;
	uint32_t owner;
	int dir; /* the owner's */
	struct cloche_err *err;
};

static void say(const struct reading *r, const char *name, const char *file, const char *why)
{
	char line[sizeof(((struct cloche_err *)0)->text) + QUOTE_LEN + 100], shown[QUOTE_LEN];

	(void)snprintf(line, sizeof(line), "functions of user %u: %s%s%s: left out: %s", r->owner,
		       name ? quote(shown, name) : "functions.json", file ? ", " : "",
		       file ? file : "", why);
	r->store->say(line);
}

static DIR *open_names(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int saved = errno;

	if (!d)
		fd_close(&fd);
	errno = saved;
	return d;
}

/* ---- one function ---------------------------------------------------------------------------- */

static void read_version(const struct reading *r, int dir, struct function *f, uint32_t number)
{
	struct cloche_err why = { 0 };
	char file[24];

	(void)snprintf(file, sizeof(file), "%u.json", number);
	if (disk_read_version(dir, f->owner, f->name, number, &f->versions[f->n], &why) < 0)
		say(r, f->name, file, why.text);
	else
		f->versions[f->n++]->id = ++r->store->last_id;
}

/* What counted may be what is lost: the latest then. */
static int keep(const struct reading *r, struct function *f)
{
	bool has = false;
	int code;

	for (size_t i = 0; i < f->n; i++)
		has |= f->versions[i]->number == f->current;
	if (!has && f->n)
		f->current = f->versions[f->n - 1]->number;
	if (f->n && f->last < f->versions[f->n - 1]->number)
		f->last = f->versions[f->n - 1]->number;
	code = f->n ? function_store_add(r->store, f, r->err) : 0;
	if (code < 0 || !f->n)
		(void)function_free(f);
	return code;
}

static struct function *begin(const struct reading *r, const char *name)
{
	struct function *f = calloc(1, sizeof(*f));

	if (!f) {
		(void)cloche_err_sys(r->err, ENOMEM, "read functions");
		return NULL;
	}
	f->owner = r->owner;
	(void)snprintf(f->name, sizeof(f->name), "%s", name);
	return f;
}

/* Of a version that never counted, or does no more. */
static void remove_rest(int dir, const struct disk_entry *e)
{
	struct dirent *file;
	DIR *d = open_names(dir);

	if (!d)
		return;
	while (file_next(d, &file) > 0) {
		uint32_t number = disk_version_of(file->d_name);
		const char *dot = strrchr(file->d_name, '.');
		bool known = false;

		for (size_t i = 0; i < e->n; i++)
			known |= e->versions[i] == number;
		if ((number && !known) || (dot && strcmp(dot, ".new") == 0))
			(void)unlinkat(dir, file->d_name, 0);
	}
	(void)closedir(d);
}

static int read_entry(const struct reading *r, const json_t *o)
{
	struct cloche_err why = { 0 };
	struct disk_entry e;
	struct function *f;
	cleanup_fd int dir = -1;

	if (disk_read_entry(o, &e, &why) < 0) {
		say(r, NULL, NULL, why.text);
		return 0;
	}
	if (function_store_find(r->store, r->owner, e.name)) {
		say(r, e.name, NULL, "it is there twice");
		return 0;
	}
	f = begin(r, e.name);
	if (!f)
		return -ENOMEM;
	f->current = e.current;
	f->last = e.last;
	dir = openat(r->dir, e.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		say(r, e.name, NULL, "its directory cannot be opened");
	else
		remove_rest(dir, &e);
	for (size_t i = 0; dir >= 0 && i < e.n; i++)
		read_version(r, dir, f, e.versions[i]);
	return keep(r, f);
}

/* ---- without the list ------------------------------------------------------------------------ */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The latest, as many as there may be. */
static int read_found(const struct reading *r, const char *name)
{
	cleanup_fd int dir = openat(r->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	uint32_t numbers[4 * FUNCTION_VERSIONS_MAX];
	struct function *f = NULL;
	struct dirent *file;
	size_t n = 0;
	DIR *d = dir < 0 ? NULL : open_names(dir);

	if (!d)
		return 0;
	while (n < sizeof(numbers) / sizeof(numbers[0]) && file_next(d, &file) > 0)
		if (disk_version_of(file->d_name))
			numbers[n++] = disk_version_of(file->d_name);
	(void)closedir(d);
	f = n ? begin(r, name) : NULL;
	if (!f)
		return n ? -ENOMEM : 0;
	qsort(numbers, n, sizeof(numbers[0]), by_number);
	for (size_t i = n > FUNCTION_VERSIONS_MAX ? n - FUNCTION_VERSIONS_MAX : 0; i < n; i++)
		read_version(r, dir, f, numbers[i]);
	return keep(r, f);
}

static int read_all_found(const struct reading *r)
{
	struct dirent *e;
	int code = 0;
	DIR *d = open_names(r->dir);

	if (!d)
		return 0;
	while (code == 0 && file_next(d, &e) > 0)
		if (function_name_check(e->d_name, NULL) == 0)
			code = read_found(r, e->d_name);
	(void)closedir(d);
	return code;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool is_listed(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *said = json_object_get(json_array_get(list, i), "name");

		if (said && json_is_string(said) && strcmp(json_string_value(said), name) == 0)
			return true;
	}
	return false;
}

/* What is not listed never counted, or does no more: the power went. */
static void remove_forgotten(const struct reading *r, const json_t *list)
{
	struct dirent *e;
	DIR *d = open_names(r->dir);

	if (!d)
		return;
	while (file_next(d, &e) > 0)
		if (function_name_check(e->d_name, NULL) == 0 && !is_listed(list, e->d_name))
			disk_try_clear(r->dir, e->d_name);
	(void)closedir(d);
}

static int read_owner(struct reading *r)
{
	struct cloche_err why = { 0 };
	json_t *list = disk_read_index(r->dir, &why);
	int code = 0;

	if (!list && why.code != ENOENT) {
		say(r, NULL, NULL, why.text);
		return read_all_found(r);
	}
	for (size_t i = 0; code == 0 && i < json_array_size(list); i++)
		code = read_entry(r, json_array_get(list, i));
	if (code == 0)
		remove_forgotten(r, list);
	json_decref(list);
	return code;
}

static int read_owners(struct function_store *s, struct cloche_err *err)
{
	struct dirent *e;
	DIR *d = open_names(s->dir);
	int code = 0;

	if (!d)
		return cloche_err_sys(err, errno, "read the functions' directory");
	while (code == 0 && file_next(d, &e) > 0) {
		struct reading r = { .store = s, .dir = -1, .err = err };
		uint64_t uid;

		if (e->d_name[0] == '.')
			continue;
		if (parse_count(e->d_name, 0, UINT32_MAX - 1, &uid, NULL) == 0)
			r.dir = openat(s->dir, e->d_name,
				       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r.owner = r.dir < 0 ? 0 : (uint32_t)uid;
		if (r.dir < 0)
			say(&r, e->d_name, NULL, "it is no user's directory");
		else
			code = read_owner(&r);
		fd_close(&r.dir);
	}
	(void)closedir(d);
	return code;
}

int function_store_open(int at, const char *name, void (*to)(const char *line),
			struct function_store **ret, struct cloche_err *err)
{
	struct function_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return cloche_err_sys(err, ENOMEM, "read functions");
	s->say = to;
	s->dir = disk_dir(at, name, err);
	r = s->dir < 0 ? s->dir : read_owners(s, err);
	if (r < 0)
		(void)function_store_close(s);
	else
		*ret = s;
	return r;
}
