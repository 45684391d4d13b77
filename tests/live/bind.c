/* SPDX-License-Identifier: MIT */
/*
 * `cloche run --bind`: where a path can be made visible. A place that is not there is made, also
 * below what cannot be written to, and what stood beside it stands there still. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/roots.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory with the file "name", which says its name. */
static char *source(const char *dir, const char *name)
{
	char *src = path_in(dir, name);
	cleanup_free char *file = path_in(src, "name");

	cr_assert(mkdir(src, 0755) == 0 && chmod(src, 0755) == 0);
	PUT(file, name);
	cr_assert_eq(chmod(file, 0644), 0);
	return src;
}

static char *bind_to(const char *src, const char *dst)
{
	char *bind = NULL;

	cr_assert(asprintf(&bind, "%s:%s", src, dst) > 0);
	return bind;
}

static void expect_out(const struct run *run, const char *out, const char *what)
{
	cr_expect(run->status == 0 && strcmp(run->out, out) == 0, "%s: status %d: %s%s", what,
		  run->status, run->out, run->err);
}

static const char *const places[] = {
	"/etc/x",
	"/etc/ssl/new/deep",
	"/usr/local/x",
	"/usr/local/lib/new/deep",
	"/usr/share/new/deep",
	"/usr/x",
	"/var/x",
	"/var/lib/x",
	"/var/cache/new/deep",
	"/bin/x",
	"/opt/x",
	"/new/top",
};

/* A directory and, beside it, a file; what is there already is seen as before. */
Test(bind, any_place)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *src = source(dir, "src"), *file = path_in(src, "name");

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		cleanup_free char *at = bind_to(src, places[i]), *beside = NULL, *cmd = NULL;
		cleanup_run struct run run = { 0 };

		cr_assert(asprintf(&beside, "%s:%s-file", file, places[i]) > 0);
		cr_assert(asprintf(&cmd,
				   "cat %s/name %s-file; test -x /usr/bin/env && "
				   "test -r /etc/passwd && test -d /var/task && echo",
				   places[i], places[i]) > 0);
		RUN_CLOCHE(&run, "-q", "-b", at, "-b", beside, "--", "sh", "-c", cmd);
		expect_out(&run, "srcsrc\n", places[i]);
	}
}

/* All of them in one context, those that hold others last, and again in its next invocation. */
Test(bind, many_places_at_once)
{
	enum { N = sizeof(places) / sizeof(places[0]) };
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *src = source(dir, "src");
	const char *argv[2 * N + 16] = { "-q", "--repeat", "2" };
	char *binds[N], cmd[1024] = "", want[2 * 3 * N + 1] = "";
	cleanup_run struct run run = { 0 };
	size_t n = 3;

	for (size_t i = 0; i < N; i++) {
		binds[i] = bind_to(src, places[i]);
		argv[n++] = "-b";
		argv[n++] = binds[i];
		(void)snprintf(cmd + strlen(cmd), sizeof(cmd) - strlen(cmd), "cat %s/name;",
			       places[i]);
	}
	for (size_t i = 0; i < 2 * N; i++)
		memcpy(want + 3 * i, "src", 4);
	argv[n++] = "--";
	argv[n++] = "sh";
	argv[n++] = "-c";
	argv[n++] = cmd;
	run_cloche(&run, argv);
	expect_out(&run, want, "all");
	for (size_t i = 0; i < N; i++)
		free(binds[i]);
}

/* What was made for a place is no place to write to, nor what was covered. */
Test(bind, made_places_are_read_only)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *src = source(dir, "src"), *a = bind_to(src, "/usr/share/new/deep"),
			  *b = bind_to(src, "/usr/x"), *c = bind_to(src, "/new/top");
	const char *cmd = "for d in / /new /new/top /usr /usr/x /usr/share /usr/share/new "
			  "/usr/share/new/deep /usr/bin /usr/share/doc; do "
			  "echo >$d/planted && echo $d; chmod 777 $d && echo $d; done 2>/dev/null; "
			  "grep -c ' /usr[^ ]* rw,.* - tmpfs .* rw,' /proc/self/mountinfo";
	cleanup_run struct run run = { 0 };

	cr_assert_eq(chmod(src, 0777), 0);
	RUN_CLOCHE(&run, "-q", "-b", a, "-b", b, "-b", c, "--", "sh", "-c", cmd);
	cr_expect_str_eq(run.out, "0\n", "%s", run.out);
}

/* Links stay links, and rights rights. */
Test(bind, what_is_beside_a_place)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *root = root_make(dir, "root", "inside"), *src = source(dir, "src"),
			  *own = path_in(root, "own"), *link = path_in(root, "own/link"),
			  *file = path_in(root, "own/file"), *closed = path_in(root, "own/closed"),
			  *mount_on = path_in(root, "own/mount"), *at = bind_to(src, "/own/new"),
			  *usr = path_in(root, "usr"), *lib = path_in(root, "lib"),
			  *lib64 = path_in(root, "lib64");
	const char *cmd = "cat new/name link mount/name; readlink link; stat -c %a . closed; "
			  "ls closed >/dev/null 2>&1 || echo closed";
	cleanup_run struct run run = { 0 };

	cr_assert(mkdir(own, 0751) == 0 && chmod(own, 0751) == 0 && mkdir(closed, 0700) == 0 &&
		  mkdir(mount_on, 0755) == 0 && symlink("file", link) == 0 &&
		  mkdir(usr, 0755) == 0 && symlink("usr/lib", lib) == 0 &&
		  symlink("usr/lib64", lib64) == 0);
	PUT(file, "file");
	cr_assert(chmod(file, 0644) == 0 && mount(src, mount_on, NULL, MS_BIND, NULL) == 0);
	RUN_CLOCHE(&run, "-q", "--rootfs", root, "-b", at, "-b", "/usr", "-w", "/own", "--",
		   "/usr/bin/sh", "-c", cmd);
	(void)umount(mount_on);
	expect_out(&run, "srcfilesrcfile\n751\n700\nclosed\n", "a root of its own");
}

/* A place in what another bind shows, of which the owner's directory has nothing afterwards. */
Test(bind, in_a_bind)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *outer = source(dir, "outer"), *inner = source(dir, "inner"),
			  *a = bind_to(outer, "/opt/outer"), *b = bind_to(inner, "/opt/outer/x/y"),
			  *planted = path_in(outer, "x");
	cleanup_run struct run run = { 0 };
	struct stat st;

	RUN_CLOCHE(&run, "-q", "-b", a, "-b", b, "--", "cat", "/opt/outer/name",
		   "/opt/outer/x/y/name");
	expect_out(&run, "outerinner", "in a bind");
	cr_expect_lt(stat(planted, &st), 0, "something was made in the owner's directory");
}

Test(bind, no_place)
{
	static const struct {
		const char *dst, *said;
	} table[] = {
		{ "/dev/x", "--bind: make '/dev/x' inside" },
		{ "/sys/x", "--bind: make '/sys/x' inside" },
		{ "/etc/passwd", "'/etc/passwd' is a file inside" },
		{ "/etc/mtab", "'/etc/mtab' leads through a link" },
		{ "/etc/passwd/x", "--bind: make '/etc/passwd/x' inside: not a directory" },
	};
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *src = source(dir, "src");

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cleanup_free char *bind = bind_to(src, table[i].dst);
		cleanup_run struct run run = { 0 };

		RUN_CLOCHE(&run, "-q", "-b", bind, "--", "true");
		cr_expect(run.status == 125 && strstr(run.err, table[i].said) &&
				  count_lines(run.err) == 1,
			  "%s: status %d: %s", table[i].dst, run.status, run.err);
	}
}
