/* SPDX-License-Identifier: MIT */
/* Stores of images for tests: see images.h. */
#include "tests/lib/images.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "image/image.h"
#include "tests/lib/env.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

struct store store_make(void)
{
	struct store s = { 0 };

	if (geteuid() != 0)
		test_skip("needs root");
	if (access("/usr/bin/mkfs.erofs", X_OK) < 0)
		test_skip("needs mkfs.erofs (erofs-utils)");
	s.dir = tmpdir_make();
	cr_assert(asprintf(&s.path, "%s/store", s.dir) > 0);
	cr_assert_eq(setenv(IMAGE_STORE_ENV, s.path, 1), 0);
	/* A package builder has set it for everything; the tests set it themselves. */
	cr_assert_eq(unsetenv("SOURCE_DATE_EPOCH"), 0);
	return s;
}

void store_free(struct store *s)
{
	cleanup_fd int store = image_store_open(false, NULL);
	char **names = NULL;
	size_t n = 0;

	if (store >= 0)
		(void)image_names(store, &names, &n, NULL);
	for (size_t i = 0; i < n; i++) {
		cleanup_run struct run run = { 0 };

		RUN_IMAGE(&run, "remove", names[i]);
		cr_assert_eq(run.status, 0, "%s", run.err);
	}
	image_names_free(names, n);
	(void)umount2(s->path, MNT_DETACH);
	tmpdir_free(&s->dir);
	free(s->path);
}

const char *store_file(const struct store *s, const char *fmt, ...)
{
	static char paths[64][512];
	static unsigned turn;
	char *path = paths[turn++ % 64];
	int n = snprintf(path, sizeof(paths[0]), "%s/", s->dir);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(path + n, sizeof(paths[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	return path;
}

size_t store_count(const struct store *s)
{
	DIR *d = opendir(s->path);
	struct dirent *e;
	size_t n = 0;

	cr_assert(d || errno == ENOENT, "%s: %m", s->path);
	while (d && (e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (d)
		(void)closedir(d);
	return n;
}

size_t mounts_with(const char *text)
{
	cleanup_file FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	size_t n = 0;

	cr_assert(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	return n;
}

void put(const char *path, const void *data, size_t len)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	cr_assert(fd >= 0, "%s: %m", path);
	cr_assert_eq(write(fd, data, len), (ssize_t)len, "%s: %m", path);
}

const char *tree_make(const struct store *s, const char *dir)
{
	const char *path = store_file(s, "%s", dir);
	cleanup_free char *noop = env_helper("noop");
	cleanup_run struct run run = { 0 };

	cr_assert_eq(mkdir(path, 0755), 0, "%s: %m", path);
	RUN(&run, "cp", noop, path);
	cr_assert_eq(run.status, 0, "%s", run.err);
	PUT(store_file(s, "%s/whose", dir), s->dir);
	return path;
}

const char *sha_of(const struct run *run)
{
	static char sha[65];

	cr_assert_eq(run->status, 0, "%s", run->err);
	cr_assert_eq(sscanf(run->out, "%*s %64[0-9a-f]", sha), 1, "%s", run->out);
	return sha;
}

void expect_refused(const struct run *run, int status, const char *part)
{
	const char *end = strchr(run->err, '\n');

	cr_assert_eq(run->status, status, "status %d: %s", run->status, run->err);
	cr_assert(strstr(run->err, part), "'%s' lacks '%s'", run->err, part);
	cr_assert(end && end[1] == '\0', "not one line: '%s'", run->err);
}

void store_build(const struct store *s, const char *dir, const char *name, char sha[static 65])
{
	cleanup_run struct run run = { 0 };

	RUN_IMAGE(&run, "build", "--dir", dir, name);
	(void)snprintf(sha, 65, "%s", sha_of(&run));
	cr_assert_eq(run.err_len, 0, "%s", run.err);
}

const char *oci_saying(const struct store *s, const char *tree, const char *config)
{
	const char *dir;
	cleanup_run struct run run = { 0 };
	char hex[HASH_HEX_LEN];
	json_t *c, *layer;

	RUN(&run, "tar", "-C", tree, "-cf", "-", ".");
	cr_assert_eq(run.status, 0, "%s", run.err);
	hash_sha256_hex(run.out, run.out_len, hex);
	dir = store_file(s, "oci-%.12s-%zu", hex, strlen(config));
	oci_start(dir);
	layer = oci_blob(dir, run.out, run.out_len, "application/vnd.oci.image.layer.v1.tar");
	c = json_pack("{s:s, s:s, s:o, s:{s:s, s:[o]}}", "architecture", IMAGE_ARCH, "os", "linux",
		      "config", json_loads(config, 0, NULL), "rootfs", "type", "layers", "diff_ids",
		      json_sprintf("sha256:%s", hex));
	c = json_pack("{s:o, s:[o]}", "config", oci_json(dir, c, "c"), "layers", layer);
	oci_index(dir, json_pack("[o]", oci_json(dir, c, "m")));
	return dir;
}

void store_import(const struct store *s, const char *tree, const char *name, const char *config)
{
	cleanup_run struct run run = { 0 };

	RUN_IMAGE(&run, "import", oci_saying(s, tree, config), name);
	cr_assert_eq(run.status, 0, "%s", run.err);
}

int import_open(const char *file)
{
	cleanup_run struct run run = { 0 };
	char path[IMAGE_PATH_LEN];
	struct cloche_err err = { 0 };
	int fd;

	RUN_IMAGE(&run, "import", file, "x");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(image_mount("x", path, &err), 0, "%s", err.text);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(fd >= 0);
	return fd;
}

void import_refused(const struct store *s, const char *file, const char *part)
{
	cleanup_run struct run run = { 0 };

	RUN_IMAGE(&run, "import", file, "x");
	expect_refused(&run, 1, part);
	cr_assert_eq(store_count(s), 0);
}

void expect_file(int root, const char *path, const char *text)
{
	char buf[64] = { 0 };
	cleanup_fd int fd = openat(root, path, O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0, "%s: %m", path);
	cr_assert(read(fd, buf, sizeof(buf) - 1) >= 0);
	cr_assert_str_eq(buf, text, "%s", path);
}

struct entry entry_unique(const struct store *s)
{
	return (struct entry){ ENTRY_FILE, "whose", s->dir };
}
