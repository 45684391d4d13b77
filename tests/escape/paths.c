/* SPDX-License-Identifier: MIT */
/*
 * Attacks by who makes a root or a bound directory: links that lead through /proc/self/fd/N to what
 * the launcher has open (CVE-2024-21626), in every path that the launcher walks there: the working
 * directory, the command, the interpreter of a script, the places of mounts. Which number leads out
 * is the launcher's secret: all of a range are tried. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/roots.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST 3
#define LAST  24
#define OUT   "../../../../../../../../../../../../"

/* dir/NAME-N for each N, leading out through descriptor N, and on by path. */
static void links_make(const char *dir, const char *name, const char *path)
{
	for (int n = FIRST; n <= LAST; n++) {
		cleanup_free char *at = NULL, *to = NULL;

		cr_assert(asprintf(&at, "%s/%s-%d", dir, name, n) > 0 &&
			  asprintf(&to, "/proc/self/fd/%d/" OUT "%s", n, path + (*path == '/')) >
				  0 &&
			  symlink(to, at) == 0);
	}
}

/* The file of the host that all go for: it is in no root that is made here. */
static char *prey(void)
{
	char *path = env_helper("escape");

	cr_assert_eq(access(path, R_OK), 0);
	return path;
}

/* No run came to anything: whatever it said, the helper's "got" is not among it. */
static void expect_kept_in(const struct run *run, const char *what, int n)
{
	cr_expect(run->status == 125 || run->status == 126 || run->status == 127,
		  "%s %d: status %d: %s%s", what, n, run->status, run->out, run->err);
	cr_expect_str_eq(run->out, "", "%s %d: %s", what, n, run->out);
}

Test(escape_paths, working_directory_of_a_root)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "escape"), *file = prey();
	cleanup_run struct run in = { 0 };

	links_make(root, "out", "");
	RUN_CLOCHE(&in, "-q", "--rootfs", root, "-w", "/bin", "/bin/escape", "read", "escape");
	cr_expect_str_eq(in.out, "got: escape\n", "%s", in.err);
	for (int n = FIRST; n <= LAST; n++) {
		cleanup_run struct run run = { 0 };
		char at[16];

		(void)snprintf(at, sizeof(at), "/out-%d", n);
		RUN_CLOCHE(&run, "-q", "--rootfs", root, "-w", at, "/bin/escape", "read", file + 1);
		expect_kept_in(&run, "working directory", n);
	}
}

/* The roots of images are one file; a read-only bind is anybody's directory. */
Test(escape_paths, working_directory_of_an_image_and_a_bind)
{
	cleanup_store struct store s = store_make();
	cleanup_free char *root = root_make(s.dir, "root", "escape"), *file = prey();
	cleanup_free char *bind = NULL;
	cleanup_run struct run built = { 0 };

	links_make(root, "out", "");
	cr_assert(asprintf(&bind, "%s:/opt", root) > 0);
	RUN_IMAGE(&built, "build", "paths", "--dir", root);
	cr_assert_eq(built.status, 0, "%s", built.err);
	for (int n = FIRST; n <= LAST; n++) {
		cleanup_run struct run image = { 0 }, bound = { 0 };
		char at[16], opt[32];

		(void)snprintf(at, sizeof(at), "/out-%d", n);
		(void)snprintf(opt, sizeof(opt), "/opt%s", at);
		RUN_CLOCHE(&image, "-q", "--rootfs", "paths", "-w", at, "/bin/escape", "read",
			   file + 1);
		expect_kept_in(&image, "working directory in an image", n);
		RUN_CLOCHE(&bound, "-q", "-b", bind, "-w", opt, "/opt/bin/escape", "read",
			   file + 1);
		expect_kept_in(&bound, "working directory in a bind", n);
	}
}

Test(escape_paths, command_and_interpreter)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "escape"), *file = prey();
	cleanup_free char *bin = path_in(root, "bin");

	links_make(bin, "cmd", file);
	for (int n = FIRST; n <= LAST; n++) {
		cleanup_run struct run command = { 0 }, script = { 0 };
		cleanup_free char *text = NULL, *path = NULL;
		char cmd[32], at[32];

		(void)snprintf(cmd, sizeof(cmd), "/bin/cmd-%d", n);
		(void)snprintf(at, sizeof(at), "/bin/script-%d", n);
		cr_assert(asprintf(&path, "%s%s", root, at) > 0 &&
			  asprintf(&text, "#!/proc/self/fd/%d/" OUT "%s read\n", n, file + 1) > 0);
		PUT(path, text);
		cr_assert_eq(chmod(path, 0755), 0);
		RUN_CLOCHE(&command, "-q", "--rootfs", root, cmd, "read", "/bin/escape");
		expect_kept_in(&command, "command", n);
		RUN_CLOCHE(&script, "-q", "--rootfs", root, at);
		expect_kept_in(&script, "interpreter", n);
	}
}

/* Links of /proc that lead to no descriptor: the launcher's own program, by name and by "#!". */
Test(escape_paths, the_launcher_as_command)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "escape"), *script = NULL;
	static const char *const commands[] = { "/proc/self/exe", "/proc/thread-self/exe",
						"/bin/script", "/proc/1/exe" };

	script = path_in(root, "bin/script");
	PUT(script, "#! /proc/self/exe --version\n");
	cr_assert_eq(chmod(script, 0755), 0);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		cleanup_run struct run run = { 0 };

		RUN_CLOCHE(&run, "-q", "--rootfs", root, commands[i], "--version");
		expect_kept_in(&run, commands[i], 0);
	}
}

static size_t entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t n = 0;

	cr_assert(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

/* What root makes and mounts on in somebody's root does not come to be outside of it. */
Test(escape_paths, mount_points)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "escape"), *host = path_in(dir, "host");
	cleanup_free char *mnt = path_in(root, "mnt"), *helper = prey();
	size_t empty;

	cr_assert(mkdir(mnt, 0755) == 0 && mkdir(host, 0755) == 0);
	empty = entries(host);
	links_make(mnt, "data", host);
	for (int n = FIRST; n <= LAST; n++) {
		cleanup_run struct run file = { 0 }, deep = { 0 };
		cleanup_free char *bind = NULL, *bind_deep = NULL;

		cr_assert(asprintf(&bind, "%s:/mnt/data-%d/planted", helper, n) > 0 &&
			  asprintf(&bind_deep, "%s:/mnt/data-%d/a/b", dir, n) > 0);
		RUN_CLOCHE(&file, "-q", "--rootfs", root, "-b", bind, "/bin/escape", "ids");
		expect_kept_in(&file, "mount point", n);
		RUN_CLOCHE(&deep, "-q", "--rootfs", root, "-b", bind_deep, "/bin/escape", "ids");
		expect_kept_in(&deep, "mount point", n);
		cr_expect_eq(entries(host), empty, "by descriptor %d something was planted", n);
	}
}

/* Links that stay inside are links: absolute, relative, with more ".." than there are folders. */
Test(escape_paths, links_that_stay_inside)
{
	static const struct {
		const char *name, *to;
	} links[] = { { "abs", "/bin" }, { "rel", "bin" }, { "up", "../../../bin" } };
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "escape");

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		cleanup_free char *at = path_in(root, links[i].name);
		cleanup_run struct run run = { 0 };
		char in[16], cmd[32];

		cr_assert_eq(symlink(links[i].to, at), 0);
		(void)snprintf(in, sizeof(in), "/%s", links[i].name);
		(void)snprintf(cmd, sizeof(cmd), "/%s/escape", links[i].name);
		RUN_CLOCHE(&run, "-q", "--rootfs", root, "-w", in, cmd, "read", "escape");
		cr_expect_str_eq(run.out, "got: escape\n", "%s: %s", links[i].name, run.err);
	}
}

/* Names that are the same place in other words come to be there. */
Test(escape_paths, places_in_other_words)
{
	static const char *const words[] = { "//tmp//a/./b", "/./tmp/a/b", "/tmp/./a//b" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		cleanup_free char *bind = NULL;
		cleanup_run struct run run = { 0 };

		cr_assert(asprintf(&bind, "%s:%s", env_need("HELPERS"), words[i]) > 0);
		RUN_CLOCHE(&run, "-q", "--repeat", "2", "-b", bind, "/tmp/a/b/escape", "read",
			   "/tmp/a/b/escape");
		cr_expect_str_eq(run.out, "got: /tmp/a/b/escape\ngot: /tmp/a/b/escape\n", "%s: %s",
				 words[i], run.err);
	}
}
