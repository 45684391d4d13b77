/* SPDX-License-Identifier: MIT */
/*
 * Fills the tree of an image from Debian packages, by a recipe, or from a directory. What a recipe
 * says is read by a confined process (host/confined.h): what comes of it is names of packages.
 */
#include "image/image_recipe.h"
#include "image/image_layer.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "base/texts.h"
#include "host/confined.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCRIPT_FILE  "rootfs.sh"
#define LIST_FILE    "packages"
#define PACKAGES_MAX 256
#define DEPTH_MAX    8
#define NAMES_MAX    (1U << 20) /* bytes of all names: those of a recipe's text */

struct words {
	char *word[PACKAGES_MAX + 1]; /* owned, NULL-terminated */
	size_t n;
};

static void words_free(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->word[i]);
	w->n = 0;
}

const char *recipe_find(const char *name)
{
	for (const struct recipe *r = recipes; r->name; r++)
		if (strcmp(r->name, name) == 0)
			return r->text;
	return NULL;
}

/* Debian policy 5.6.1, with what apt takes behind a name: =VERSION, :ARCH. No option, no path. */
static bool package_ok(const char *text)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char later[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789+.-:~=";

	return strchr(first, text[0]) && text[strspn(text, later)] == '\0';
}

static int words_add(struct words *w, const char *text, struct cloche_err *err)
{
	char shown[QUOTE_LEN];

	if (!package_ok(text))
		return cloche_err_set(err, EINVAL, "%s is no name of a package",
				      quote(shown, text));
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->word[i], text) == 0)
			return 0;
	if (w->n == PACKAGES_MAX)
		return cloche_err_set(err, E2BIG, "more than %d packages", PACKAGES_MAX);
	w->word[w->n] = strdup(text);
	return w->word[w->n] ? (w->n++, 0) : cloche_err_sys(err, ENOMEM, "recipe");
}

static int recipe_read(const char *recipe, int depth, struct words *w, struct cloche_err *err)
{
	cleanup_free char *text = strdup(recipe);
	char *save = NULL;
	unsigned number = 0;
	int r = 0;

	if (!text)
		return cloche_err_sys(err, ENOMEM, "recipe");
	for (char *at = text, *line; r == 0 && (line = strsep(&at, "\n"));) {
		char *word, *more;

		number++;
		line[strcspn(line, "#")] = '\0';
		word = strtok_r(line, " \t\r", &save);
		if (!word)
			continue;
		more = strtok_r(NULL, " \t\r", &save);
		if (strcmp(word, "include") == 0) {
			const char *other = more ? recipe_find(more) : NULL;

			if (!other || depth == DEPTH_MAX)
				r = cloche_err_set(err, EINVAL,
						   "include needs the name of a shipped recipe");
			else
				r = recipe_read(other, depth + 1, w, err);
			more = strtok_r(NULL, " \t\r", &save);
		} else {
			r = words_add(w, word, err);
		}
		if (r == 0 && more)
			r = cloche_err_set(err, EINVAL, "one package a line");
		if (r < 0 && depth == 0)
			(void)cloche_err_wrap(err, "recipe, line %u", number);
	}
	return r;
}

int recipe_parse(const char *recipe, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	struct words w = { 0 };
	int r = recipe_read(recipe, 0, &w, err);

	if (r == 0 && w.n == 0)
		r = cloche_err_set(err, EINVAL, "the recipe names no package");
	if (r == 0)
		r = texts_pack(w.word, w.n, buf, size, len, err);
	words_free(&w);
	return r;
}

static int parse(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	return recipe_parse(arg, buf, size, len, err);
}

/* They become arguments of a program that root runs. */
static int names_check(char *const *names, size_t n, struct cloche_err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!package_ok(names[i]))
			return cloche_err_set(err, EBADMSG, "what was read of it is no recipe");
	return n > 0 ? 0 : cloche_err_set(err, EBADMSG, "what was read of it is no recipe");
}

static int names_read(const char *recipe, char *buf, char ***ret, size_t *n, struct cloche_err *err)
{
	const struct confined confined = { .what = "the recipe",
					   .fd = -1,
					   .job = parse,
					   .arg = (void *)recipe,
					   .mem_bytes = 64ULL << 20,
					   .cpu_s = 10,
					   .wall_s = 60 };
	size_t len = 0;
	int r = confined_run(&confined, buf, NAMES_MAX, &len, err);

	if (r == 0)
		r = texts_take(buf, len, PACKAGES_MAX, ret, n, err);
	return r == 0 ? names_check(*ret, *n, err) : r;
}

static int file_make(const char *path, const char *text, struct cloche_err *err)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	size_t len = strlen(text);

	if (fd < 0)
		return cloche_err_sys(err, errno, "make '%s'", path);
	if (write(fd, text, len) != (ssize_t)len)
		return cloche_err_sys(err, errno ? errno : ENOSPC, "write '%s'", path);
	return 0;
}

/* What was unpacked, with versions, becomes part of the image's description. */
static int packages_tell(struct image_job *job, struct cloche_err *err)
{
	cleanup_free char *text = NULL;
	json_t *packages = json_array();
	char *save = NULL;
	size_t len;
	int r = file_load(AT_FDCWD, LIST_FILE, 1U << 20, &text, &len, err);

	if (r < 0) {
		json_decref(packages);
		return r;
	}
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		(void)json_array_append_new(packages, json_string(l));
	return json_object_set_new(job->meta, "packages", packages) < 0
		       ? cloche_err_sys(err, ENOMEM, "image")
		       : 0;
}

static int packages_unpack(struct image_job *job, char *const *names, size_t n,
			   struct cloche_err *err)
{
	const char *argv[PACKAGES_MAX + 5] = { "sh", SCRIPT_FILE };
	char tree[4096], list[4096];
	int r;

	if (snprintf(tree, sizeof(tree), "%s/%s", job->dir, job->tree) >= (int)sizeof(tree) ||
	    snprintf(list, sizeof(list), "%s/%s", job->dir, LIST_FILE) >= (int)sizeof(list))
		return cloche_err_sys(err, ENAMETOOLONG, "image");
	r = file_make(SCRIPT_FILE, recipe_script, err);
	if (r < 0)
		return r;
	argv[2] = tree;
	argv[3] = list;
	for (size_t i = 0; i < n; i++)
		argv[4 + i] = names[i];
	image_say(job, "unpacking %zu packages and what they depend on", n);
	r = image_tool((const char *const[]){ "mmdebstrap", "--version", NULL }, "mmdebstrap", err);
	return r == 0 ? image_tool(argv, "dash", err) : r;
}

int recipe_names(const char *recipe, struct recipe_names *ret, struct cloche_err *err)
{
	int r;

	*ret = (struct recipe_names){ .text = malloc(NAMES_MAX) };
	r = ret->text ? names_read(recipe, ret->text, &ret->of, &ret->n, err)
		      : cloche_err_sys(err, ENOMEM, "recipe");
	if (r < 0)
		recipe_names_free(ret);
	return r;
}

void recipe_names_free(struct recipe_names *names)
{
	free(names->of);
	free(names->text);
	*names = (struct recipe_names){ 0 };
}

int recipe_unpack(struct image_job *job, const struct recipe_names *names, struct cloche_err *err)
{
	return packages_unpack(job, names->of, names->n, err);
}

int recipe_fill(struct image_job *job, struct cloche_err *err)
{
	struct recipe_names names;
	int r = recipe_names(job->arg, &names, err);

	if (r < 0)
		return r;
	r = recipe_unpack(job, &names, err);
	recipe_names_free(&names);
	return r < 0 ? r : packages_tell(job, err);
}

/* Copying would never end. A store that is mounted below the directory is not copied. */
static bool holds_store(const char *dir, const struct image_job *job)
{
	size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
	struct stat outer, inner;

	return strncmp(job->dir, dir, len) == 0 && job->dir[len] == '/' && stat(dir, &outer) == 0 &&
	       stat(job->dir, &inner) == 0 && outer.st_dev == inner.st_dev;
}

int directory_fill(struct image_job *job, struct cloche_err *err)
{
	cleanup_free char *from = NULL;
	char dir[QUOTE_LEN], store[QUOTE_LEN];

	if (holds_store(job->arg, job))
		return cloche_err_set(
			err, ELOOP,
			CLOCHE_FIELD
			"dir %s: the image store %s lies in it: set CLOCHE_IMAGES to a place "
			"outside",
			quote(dir, job->arg),
			quote_n(store, job->dir, (size_t)(strrchr(job->dir, '/') - job->dir)));
	if (asprintf(&from, "%s/.", (const char *)job->arg) < 0)
		return cloche_err_sys(err, ENOMEM, "image");
	job->times_kept = true;
	image_say(job, "copying");
	return image_tool((const char *const[]){ "cp", "-a", "--one-file-system", "--reflink=auto",
						 "--", from, job->tree, NULL },
			  "coreutils", err);
}

int stream_fill(struct image_job *job, struct cloche_err *err)
{
	job->times_kept = true;
	image_say(job, "copying");
	return archive_unpack_whole(job->tree_fd, *(const int *)job->arg, err);
}
