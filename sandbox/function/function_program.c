/* SPDX-License-Identifier: MIT */
/* Looks for a function's program in its code: see function_program.h. Nothing is unpacked. */
#include "function/function_program.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "function/function.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (64U << 10)

/* What is at its name: from the best to the worst to be told of. */
enum found {
	FOUND_MAYBE, /* it is a program, or nobody knows */
	FOUND_NOT_EXECUTABLE,
	FOUND_NO_FILE,
	FOUND_NOTHING,
};

static enum found by_mode(mode_t mode)
{
	if (S_ISLNK(mode))
		return FOUND_MAYBE;
	if (!S_ISREG(mode))
		return FOUND_NO_FILE;
	return mode & 0111 ? FOUND_MAYBE : FOUND_NOT_EXECUTABLE;
}

/* Links lead elsewhere inside. */
static enum found look_in_directory(int dir, const char *name)
{
	cleanup_fd int fd = file_openat2(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC,
					 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	struct stat st;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return FOUND_NOTHING;
	return fd < 0 || fstat(fd, &st) < 0 ? FOUND_MAYBE : by_mode(st.st_mode);
}

/* Whether path is name, or a link on the way there. */
static bool is_on_the_way(const char *path, mode_t mode, const char *name, bool *ret_end)
{
	size_t len = strlen(path);

	len -= len && path[len - 1] == '/';
	if (strncmp(path, name, len) != 0)
		return false;
	*ret_end = !name[len];
	return *ret_end || (S_ISLNK(mode) && name[len] == '/');
}

/* Of several of one name the last counts. */
static enum found look_in_zip(int fd, const char *name)
{
	struct archive *zip = archive_read_new();
	enum found found = FOUND_NOTHING;
	struct archive_entry *e;
	int a = ARCHIVE_FATAL;
	bool end = false;

	if (zip && archive_read_support_format_zip_seekable(zip) == ARCHIVE_OK &&
	    archive_read_open_fd(zip, fd, CHUNK) == ARCHIVE_OK)
		while ((a = archive_read_next_header(zip, &e)) == ARCHIVE_OK || a == ARCHIVE_WARN) {
			const char *path = archive_entry_pathname(e);
			mode_t mode = archive_entry_mode(e);

			while (path && strncmp(path, "./", 2) == 0)
				path += 2;
			if (!path)
				found = FOUND_MAYBE;
			else if (is_on_the_way(path, mode, name, &end))
				found = end ? by_mode(mode) : FOUND_MAYBE;
		}
	(void)archive_read_free(zip);
	return a == ARCHIVE_EOF ? found : FOUND_MAYBE;
}

/* A name that can be said in several ways is found by opening alone. */
static bool is_plain(const char *name)
{
	return *name != '.' && *name != '/' && !strstr(name, "/.") && !strstr(name, "//");
}

static enum found look(const struct function_code *code, const char *name)
{
	cleanup_fd int fd = code->path ? open(code->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return FOUND_MAYBE;
	if (S_ISDIR(st.st_mode))
		return look_in_directory(fd, name);
	return S_ISREG(st.st_mode) && is_plain(name) ? look_in_zip(fd, name) : FOUND_MAYBE;
}

static int refuse(const struct function_config *c, const struct function_code *where,
		  const char *name, enum found found, struct cloche_err *err)
{
	const char *key = where != &c->code	       ? "layers"
			  : c->family == FAMILY_NATIVE ? "handler"
						       : "code";
	char shown[QUOTE_LEN], in[QUOTE_LEN];

	(void)quote(shown, name);
	(void)quote(in, where->path);
	if (found == FOUND_NOT_EXECUTABLE)
		return cloche_err_set(err, EINVAL, "%s: %s in %s is not executable: chmod +x it",
				      key, shown, in);
	if (found == FOUND_NO_FILE)
		return cloche_err_set(err, EINVAL, "%s: %s in %s is no file: put the program there",
				      key, shown, in);
	return cloche_err_set(err, EINVAL,
			      "%s: there is no %s in %s%s: put the program there that runtime "
			      "'%s' starts, executable",
			      key, shown, in,
			      c->n_layers && c->family == FAMILY_PROVIDED ? ", nor in a layer" : "",
			      c->runtime);
}

int function_program_check(const struct function_config *c, struct cloche_err *err)
{
	bool own = c->family == FAMILY_PROVIDED;
	const char *name = own ? "bootstrap" : c->handler ? c->handler[0] : NULL;
	const struct function_code *where = &c->code;
	enum found found;

	if (!own && (c->family != FAMILY_NATIVE || !name))
		return 0;
	found = look(where, name);
	/* The worst that is told is that of the place which comes nearest. */
	for (size_t i = 0; own && found != FOUND_MAYBE && i < c->n_layers; i++) {
		enum found layer = look(&c->layers[i], name);

		if (layer < found) {
			found = layer;
			where = &c->layers[i];
		}
	}
	return found == FOUND_MAYBE ? 0 : refuse(c, where, name, found, err);
}
