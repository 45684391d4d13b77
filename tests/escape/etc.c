/* SPDX-License-Identifier: MIT */
/*
 * Attacks on what only root may read below /etc: by binds of it under any name, by links and hard
 * links in it, by names on the list that lead elsewhere, by files that close later; and, where sudo
 * acts for a user, by what that user's folders lead to. The secret is a word in a file: it is in no
 * run's output. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/own_etc.h"
#include "tests/lib/roots.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "hunter2"
#define READ   "grep -rs " SECRET " /mnt /etc /var"
#define USER   4242

static const char read_open[] = READ "; cat /mnt/php/open /mnt/open";
static const char read_all[] = READ "; echo read";

/* An /etc with secrets in several places, and what everybody may read beside them. */
static void secret_etc(void)
{
	own_etc();
	etc_file("/etc/shadow", SECRET "\n", 0640);
	cr_assert_eq(chown("/etc/shadow", 0, 42), 0);
	etc_file("/etc/sudoers", SECRET "\n", 0440);
	etc_file("/etc/ssl/private/secret", SECRET "\n", 0644);
	etc_dir("/etc/ssl/private", 0700);
	etc_file("/etc/php/conf/secret", SECRET "\n", 0600);
	etc_file("/etc/php/open", "open\n", 0644);
	cr_assert_eq(link("/etc/shadow", "/etc/php/secret-link"), 0);
}

static void expect_no_secret(const struct run *run, const char *what)
{
	cr_expect(!strstr(run->out, SECRET) && !strstr(run->err, SECRET), "%s: %s%s", what,
		  run->out, run->err);
}

/* All of it, a part, by a link, by another mount of it; read as a whole and by every name. */
Test(escape_etc, binds)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *link = path_in(dir, "link"), *mounted = path_in(dir, "mounted");
	const char *sources[] = { "/etc", "/etc/.", "/etc/ssl/..", "/etc/php", link, mounted };

	secret_etc();
	etc_link("/etc", link);
	etc_dir(mounted, 0755);
	cr_assert_eq(mount("/etc", mounted, NULL, MS_BIND, NULL), 0);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		cleanup_free char *bind = NULL;
		cleanup_run struct run run = { 0 };

		cr_assert(asprintf(&bind, "%s:/mnt", sources[i]) > 0);
		RUN_CLOCHE(&run, "-q", "-b", bind, "--", "sh", "-c", read_open);
		expect_no_secret(&run, bind);
		cr_expect(strstr(run.out, "open\n"), "%s: nothing is seen: %s%s", bind, run.out,
			  run.err);
	}
	(void)umount(mounted);
}

Test(escape_etc, binds_of_a_secret_itself)
{
	static const char *const sources[] = { "/etc/shadow", "/etc/sudoers", "/etc/ssl/private",
					       "/etc/ssl/private/secret", "/etc/php/secret-link" };

	secret_etc();
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		cleanup_free char *bind = NULL;
		cleanup_run struct run run = { 0 };

		cr_assert(asprintf(&bind, "%s:/mnt/x", sources[i]) > 0);
		RUN_CLOCHE(&run, "-q", "-b", bind, "--", "sh", "-c", "cat /mnt/x /mnt/x/*");
		expect_refused(&run, 125, "--bind-private shows it");
	}
}

/* The option says what it does; without it nobody can write there either. */
Test(escape_etc, the_option_of_its_own)
{
	cleanup_run struct run shown = { 0 }, written = { 0 };
	bool idmap = true;
	json_t *entry;
	size_t i;

	secret_etc();
	RUN_CLOCHE(&shown, "-q", "--bind-private", "-b", "/etc:/mnt", "--", "cat", "/mnt/shadow");
	/* A tmpfs, as this /etc is, cannot be idmapped before Linux 6.3. */
	json_array_foreach (report_get(&shown, "degraded"), i, entry)
		idmap = idmap && strcmp(json_string_value(json_object_get(entry, "what")),
					"bind.idmap") != 0;
	cr_expect_str_eq(shown.out, idmap ? SECRET "\n" : "", "%s", shown.err);
	RUN_CLOCHE(&written, "-q", "-b", "/etc:/mnt:rw", "--", "sh", "-c", "echo x >/mnt/planted");
	expect_refused(&written, 125, "not everybody may write to");
	cr_expect_lt(access("/etc/planted", F_OK), 0);
}

/* A root that has somebody's /etc in it, or the host's. */
Test(escape_etc, a_root_with_it)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *root = root_make(dir, "root", "escape"), *etc = path_in(root, "etc");
	cleanup_run struct run run = { 0 }, open = { 0 };

	secret_etc();
	etc_dir(etc, 0755);
	cr_assert_eq(mount("/etc", etc, NULL, MS_BIND, NULL), 0);
	RUN_CLOCHE(&open, "-q", "--rootfs", root, "/bin/escape", "read", "/etc/php/open");
	cr_expect_str_eq(open.out, "got: /etc/php/open\n", "%s", open.err);
	RUN_CLOCHE(&run, "-q", "--rootfs", root, "/bin/escape", "read", "/etc/shadow");
	cr_expect_str_eq(run.out, "refused: EACCES\n", "%s", run.err);
	(void)umount(etc);
}

/* Names on the list that lead to a secret, out of what packages have, or nowhere. */
Test(escape_etc, links_on_the_list)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *outside = path_in(dir, "secret"), *cmd = NULL;
	cleanup_run struct run run = { 0 };

	secret_etc();
	etc_file(outside, SECRET "\n", 0644);
	etc_link("/etc/shadow", "/etc/papersize");
	etc_link("ssl/private/secret", "/etc/magic");
	etc_link(outside, "/etc/inputrc");
	etc_link("/proc/self/environ", "/etc/timezone");
	cr_assert_eq(link("/etc/shadow", "/etc/rpc"), 0);
	etc_link("ssl/private", "/etc/R");
	etc_link(dir, "/etc/mono");
	etc_link("..", "/etc/maven");
	etc_link("/etc", "/etc/julia");
	etc_link(".", "/etc/guile-1");
	etc_link("/etc/lua2", "/etc/lua1");
	etc_link("/etc/lua1", "/etc/lua2");
	cr_assert_eq(mkfifo("/etc/host.conf", 0666), 0);
	cr_assert(asprintf(&cmd,
			   "grep -rs " SECRET " /etc; for n in papersize magic inputrc rpc "
			   "timezone host.conf R mono maven julia guile-1 lua1 lua2; do "
			   "test ! -e /etc/$n || echo $n is there; done; cat /etc/php/open") > 0);
	RUN_CLOCHE(&run, "-q", "--", "sh", "-c", cmd);
	cr_expect_str_eq(run.out, "open\n", "%s%s", run.out, run.err);
}

/* What closes when a template has it already: what is bound and what was copied. */
Test(escape_etc, files_that_close_later)
{
	static const char *const paths[] = { "/etc/papersize", "/etc/php/open" };

	secret_etc();
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cleanup_run struct run open = { 0 }, closed = { 0 };

		etc_file(paths[i], SECRET "\n", 0644);
		RUN_CLOCHE(&open, "-q", "--", "cat", paths[i]);
		cr_expect_str_eq(open.out, SECRET "\n", "%s", open.err);
		cr_assert_eq(chmod(paths[i], 0600), 0);
		RUN_CLOCHE(&closed, "-q", "--", "cat", paths[i]);
		expect_no_secret(&closed, paths[i]);
	}
}

/* ---- for a user ---- */

/* From here on what is run is as if by sudo of this user. */
static void for_user(void)
{
	cr_assert(setenv("SUDO_UID", "4242", 1) == 0 && setenv("SUDO_GID", "4242", 1) == 0);
}

/* Whoever wrote the user's folder has them bind what is root's, or another user's. */
Test(escape_etc, a_users_folder_that_leads_out)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *home = path_in(dir, "home"), *roots = path_in(dir, "roots"),
			  *others = path_in(dir, "others"), *secret = path_in(roots, "secret"),
			  *secret2 = path_in(others, "secret"), *open = path_in(dir, "open"),
			  *file = path_in(open, "secret"), *way = path_in(home, "way"),
			  *hard = path_in(home, "secret-hard"), *bind = NULL, *whole = NULL;
	const char *targets[] = { roots, secret, others, secret2, file, "/proc/1/root/root" };
	cleanup_run struct run in = { 0 };

	etc_file(secret, SECRET "\n", 0644);
	etc_file(secret2, SECRET "\n", 0644);
	etc_file(file, SECRET "\n", 0600);
	etc_dir(roots, 0700);
	etc_dir(others, 0700);
	etc_dir(home, 0700);
	cr_assert(chown(others, 5151, 5151) == 0 && chown(home, USER, USER) == 0 &&
		  asprintf(&bind, "%s:/mnt/x", way) > 0 && asprintf(&whole, "%s:/mnt", home) > 0);
	for_user();
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		cleanup_run struct run run = { 0 }, root = { 0 };

		etc_link(targets[i], way);
		RUN_CLOCHE(&run, "-q", "-b", bind, "--", "sh", "-c", "cat /mnt/x /mnt/x/*");
		expect_refused(&run, 125, "SUDO_UID 4242");
		RUN_CLOCHE(&root, "-q", "--rootfs", way, "--", "/secret");
		expect_no_secret(&root, "as root file system");
		cr_expect_eq(root.status, 125);
		cr_assert_eq(unlink(way), 0);
	}
	/* Root's file by a second name in the folder itself. */
	cr_assert_eq(link(file, hard), 0);
	RUN_CLOCHE(&in, "-q", "-b", whole, "--", "sh", "-c", read_all);
	cr_expect_str_eq(in.out, "read\n", "%s%s", in.out, in.err);
}

/* What is writable stays the user's, with nothing on it that makes it another's. */
Test(escape_etc, what_is_left_in_a_users_folder)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *home = path_in(dir, "home"), *roots = path_in(home, "roots"),
			  *left = path_in(home, "left"), *bind = NULL;
	const char *cmd =
		"cd /mnt; echo x >left; for t in 'chmod 4755 left' 'chmod 2755 left' 'chmod "
		"6755 .' "
		"'chown 0 left' 'chmod 666 roots' 'mknod n c 1 3' 'eval echo y >>roots'; do "
		"(eval \"$t\") 2>/dev/null && echo \"$t\"; done; echo end";
	cleanup_run struct run run = { 0 };
	struct stat st;

	etc_dir(home, 0755);
	etc_file(roots, "root's\n", 0644);
	cr_assert(chown(home, USER, USER) == 0 && asprintf(&bind, "%s:/mnt:rw", home) > 0);
	for_user();
	RUN_CLOCHE(&run, "-q", "-b", bind, "--", "sh", "-c", cmd);
	cr_expect_str_eq(run.out, "end\n", "%s", run.out);
	cr_assert_eq(stat(left, &st), 0);
	cr_expect(st.st_uid == USER && st.st_gid == USER && !(st.st_mode & 07000), "%u:%u %o",
		  st.st_uid, st.st_gid, st.st_mode);
	cr_assert_eq(stat(roots, &st), 0);
	cr_expect(st.st_uid == 0 && (st.st_mode & 07777) == 0644);
}
