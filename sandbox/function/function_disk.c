/* SPDX-License-Identifier: MIT */
/* How functions lie on the disk: see function_disk.h. */
#include "function/function_disk.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/parse.h"
#include "function/function_json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX  (4U << 20)
#define INDEX	  "functions.json"
#define FORM_ALL  "cloche.functions/1"
#define FORM_ONE  "cloche.function/1"
#define NEW	  ".new"
#define FILE_NAME 32 /* "4294967295.json.new" */

/* That it is there. */
static int sync_above(int dir)
{
	cleanup_fd int above = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return above < 0 ? -1 : fsync(above);
}

int disk_dir(int at, const char *name, struct cloche_err *err)
{
	bool made = mkdirat(at, name, 0700) == 0;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || (made && sync_above(fd) < 0)) {
		int saved = errno;

		fd_close(&fd);
		return cloche_err_sys(err, saved, "open the functions' directory '%.80s'", name);
	}
	return fd;
}

/* To be freed; takes o over. NULL: no memory. */
static char *text_of(json_t *o)
{
	char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;

	json_decref(o);
	return text;
}

static int write_text(int fd, const char *text)
{
	int r = file_write_all(fd, text, strlen(text));

	return r == 0 ? file_write_all(fd, "\n", 1) : r;
}

/* What is no file must not be waited for. */
json_t *disk_read(int dir, const char *name, struct cloche_err *err)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	cleanup_free char *text = NULL;
	struct stat st;
	size_t len;

	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)cloche_err_sys(err, errno, "open");
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)cloche_err_set(err, EBADMSG, "it is no file");
		return NULL;
	}
	if (file_load_fd(fd, name, FILE_MAX, &text, &len, err) < 0)
		return NULL;
	return function_parse(text, len, err);
}

void disk_try_clear(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		fd_close(&fd);
		return;
	}
	while (file_next(d, &e) > 0)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	(void)closedir(d);
	(void)unlinkat(at, name, AT_REMOVEDIR);
}

/* ---- a version ------------------------------------------------------------------------------- */

static void version_file(char ret[static FILE_NAME], uint32_t number)
{
	(void)snprintf(ret, FILE_NAME, "%u.json", number);
}

uint32_t disk_version_of(const char *file)
{
	char again[FILE_NAME];
	uint32_t n = (uint32_t)strtoul(file, NULL, 10);

	version_file(again, n);
	return strcmp(file, again) == 0 ? n : 0;
}

int disk_sync_version(int dir, uint32_t number, struct cloche_err *err)
{
	char file[FILE_NAME];
	cleanup_fd int fd = -1;

	version_file(file, number);
	fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0 || fsync(dir) < 0)
		return cloche_err_sys(err, errno, "write '%s'", file);
	return 0;
}

char *disk_version_text(const struct function_version *v)
{
	return text_of(json_pack("{s:s, s:I, s:I, s:I, s:o}", "form", FORM_ONE, "owner",
				 (json_int_t)v->owner, "version", (json_int_t)v->number,
				 "deployed_ns", (json_int_t)v->deployed_ns, "config",
				 function_to_json(&v->config)));
}

int disk_write_version(int dir, uint32_t number, const char *text, struct cloche_err *err)
{
	cleanup_fd int fd = -1;
	char file[FILE_NAME];
	int r;

	version_file(file, number);
	fd = openat(dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : write_text(fd, text);
	return r < 0 ? cloche_err_sys(err, -r, "write '%s'", file) : 0;
}

void disk_try_remove_version(int dir, uint32_t number)
{
	char file[FILE_NAME];

	version_file(file, number);
	(void)unlinkat(dir, file, 0);
}

static int version_from(const json_t *o, uint32_t owner, const char *name, uint32_t number,
			struct function_version *ret, struct cloche_err *err)
{
	json_int_t said_owner, said_number, deployed_ns;
	const char *form;
	json_t *config;
	int r;

	if (json_unpack((json_t *)(uintptr_t)o, "{s:s, s:I, s:I, s:I, s:o !}", "form", &form,
			"owner", &said_owner, "version", &said_number, "deployed_ns", &deployed_ns,
			"config", &config) < 0 ||
	    strcmp(form, FORM_ONE) != 0)
		return cloche_err_set(err, EBADMSG, "it is no function");
	r = function_from_json(config, &ret->config, err);
	if (r < 0)
		return r;
	if (said_owner != owner || said_number != number || strcmp(ret->config.name, name) != 0)
		return cloche_err_set(err, EBADMSG, "it is another function's");
	ret->owner = owner;
	ret->number = number;
	ret->deployed_ns = deployed_ns;
	return 0;
}

int disk_read_version(int dir, uint32_t owner, const char *name, uint32_t number,
		      struct function_version **ret, struct cloche_err *err)
{
	struct function_version *v = calloc(1, sizeof(*v));
	char file[FILE_NAME];
	json_t *o = NULL;
	int r;

	if (!v)
		return cloche_err_sys(err, ENOMEM, "read a function");
	v->refs = 1;
	version_file(file, number);
	o = disk_read(dir, file, err);
	r = o ? version_from(o, owner, name, number, v, err) : -err->code;
	json_decref(o);
	if (r < 0)
		(void)function_version_unref(v);
	else
		*ret = v;
	return r;
}

/* ---- the index ------------------------------------------------------------------------------- */

char *disk_index_text(const struct function *const *functions, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < n; i++) {
		const struct function *f = functions[i];
		json_t *versions = json_array();

		for (size_t j = 0; j < f->n; j++)
			(void)json_array_append_new(versions, json_integer(f->versions[j]->number));
		if (json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:o}", "name", f->name,
							  "current", (json_int_t)f->current, "last",
							  (json_int_t)f->last, "versions",
							  versions)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return text_of(json_pack("{s:s, s:o}", "form", FORM_ALL, "functions", list));
}

int disk_write_index(int dir, const char *text, struct cloche_err *err)
{
	cleanup_fd int fd =
		openat(dir, INDEX NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : write_text(fd, text);

	if (r == 0 && (fsync(fd) < 0 || renameat(dir, INDEX NEW, dir, INDEX) < 0 || fsync(dir) < 0))
		r = -errno;
	if (r < 0 && fd >= 0)
		(void)unlinkat(dir, INDEX NEW, 0);
	return r < 0 ? cloche_err_sys(err, -r, "write '%s'", INDEX) : 0;
}

json_t *disk_read_index(int dir, struct cloche_err *err)
{
	json_t *o = disk_read(dir, INDEX, err), *list = NULL;
	const char *form;

	if (!o)
		return NULL;
	if (json_unpack(o, "{s:s, s:O !}", "form", &form, "functions", &list) < 0 ||
	    strcmp(form, FORM_ALL) != 0 || !json_is_array(list)) {
		(void)cloche_err_set(err, EBADMSG, "it is no list of functions");
		json_decref(list);
		list = NULL;
	}
	json_decref(o);
	return list;
}

static bool is_number(json_int_t n)
{
	return n > 0 && n <= UINT32_MAX;
}

int disk_read_entry(const json_t *o, struct disk_entry *ret, struct cloche_err *err)
{
	json_int_t current, last, before = 0;
	json_t *versions;
	bool has = false;

	*ret = (struct disk_entry){ 0 };
	if (json_unpack((json_t *)(uintptr_t)o, "{s:s, s:I, s:I, s:o !}", "name", &ret->name,
			"current", &current, "last", &last, "versions", &versions) < 0 ||
	    function_name_check(ret->name, NULL) < 0 || !is_number(current) || !is_number(last) ||
	    json_array_size(versions) > FUNCTION_VERSIONS_MAX)
		return cloche_err_set(err, EBADMSG, "an entry that is none");
	for (size_t i = 0; i < json_array_size(versions); i++) {
		json_int_t n = json_integer_value(json_array_get(versions, i));

		if (!is_number(n) || n <= before || n > last)
			return cloche_err_set(err, EBADMSG, "an entry that is none");
		has |= n == current;
		ret->versions[ret->n++] = (uint32_t)n;
		before = n;
	}
	ret->current = (uint32_t)current;
	ret->last = (uint32_t)last;
	return has ? 0 : cloche_err_set(err, EBADMSG, "an entry that is none");
}
