/* SPDX-License-Identifier: MIT */
/*
 * `cloche run --bind`: whose files are the function's. Those of the source's owner, and where sudo
 * acts for a user, that user's alone; and what else of a command line is opened for that user.
 * Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/own_etc.h"
#include "tests/lib/roots.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER  4242
#define OTHER 5151

static void for_user(void)
{
	cr_assert(setenv("SUDO_UID", "4242", 1) == 0 && setenv("SUDO_GID", "4242", 1) == 0);
}

static char *folder(const char *dir, const char *name, uid_t owner, mode_t mode)
{
	char *path = path_in(dir, name);

	etc_dir(path, mode);
	cr_assert_eq(chown(path, owner, owner), 0);
	return path;
}

static char *file(const char *dir, const char *name, uid_t owner, mode_t mode)
{
	char *path = path_in(dir, name);

	etc_file(path, name, mode);
	cr_assert_eq(chown(path, owner, owner), 0);
	return path;
}

static void expect_owner(const char *path, uid_t owner)
{
	struct stat st;

	cr_assert_eq(lstat(path, &st), 0, "%s is not there", path);
	cr_expect(st.st_uid == owner && st.st_gid == owner, "%s is of %u:%u", path, st.st_uid,
		  st.st_gid);
}

/* Root itself in a user's folder, and sudo for that user: the same. */
static void writes_and_reads(void)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *home = folder(dir, "home", USER, 0700),
			  *own = file(home, "own", USER, 0600), *left = path_in(home, "left"),
			  *deep = path_in(home, "deep/er"), *bind = NULL;
	const char *cmd =
		"cat own; echo more >>own; echo left >left; mkdir -p deep/er; stat -c ' %u:%g' . "
		"own left";
	cleanup_run struct run run = { 0 };
	json_t *entry;
	size_t i;

	cr_assert(asprintf(&bind, "%s:/mnt:rw", home) > 0);
	RUN_CLOCHE(&run, "-b", bind, "-w", "/mnt", "--", "sh", "-c", cmd);
	cr_expect_str_eq(run.out, "own 1000:1000\n 1000:1000\n 1000:1000\n", "%s%s", run.out,
			 run.err);
	expect_owner(own, USER);
	expect_owner(left, USER);
	expect_owner(deep, USER);
	json_array_foreach (report_get(&run, "degraded"), i, entry)
		cr_expect_str_neq(json_string_value(json_object_get(entry, "what")), "bind.idmap");
}

Test(bind_owner, of_a_user_for_root)
{
	test_needs("idmapped-mounts");
	writes_and_reads();
}

Test(bind_owner, of_a_user_under_sudo)
{
	test_needs("idmapped-mounts");
	for_user();
	writes_and_reads();
}

/* Root's own, as it was: private files are read, what is left is root's. */
Test(bind_owner, of_root)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *own = file(dir, "own", 0, 0600), *left = path_in(dir, "left"),
			  *bind = NULL;
	cleanup_run struct run run = { 0 };

	test_needs("idmapped-mounts");
	cr_assert(asprintf(&bind, "%s:/mnt:rw", dir) > 0);
	RUN_CLOCHE(&run, "-b", bind, "--", "sh", "-c", "cat /mnt/own; echo >/mnt/left");
	cr_expect_str_eq(run.out, "own", "%s", run.err);
	expect_owner(own, 0);
	expect_owner(left, 0);
}

/* One tree, several owners: the source's owner's are the function's, the others' what everybody
 * sees. Under sudo it is the user, wherever the source is. */
Test(bind_owner, of_several)
{
	static const struct {
		const char *name;
		uid_t owner;
		mode_t mode;
	} files[] = {
		{ "a", USER, 0600 }, { "b", OTHER, 0600 }, { "c", OTHER, 0644 }, { "d", 0, 0600 }
	};
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *top = folder(dir, "top", USER, 0755), *bind = NULL;
	const char *cmd = "cd /mnt; for f in a b c d; do cat $f 2>/dev/null || echo -; done; "
			  "stat -c ' %u' a b c d";

	test_needs("idmapped-mounts");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		free(file(top, files[i].name, files[i].owner, files[i].mode));
	cr_assert(asprintf(&bind, "%s:/mnt", top) > 0);
	for (int sudo = 0; sudo < 2; sudo++) {
		cleanup_run struct run run = { 0 };

		RUN_CLOCHE(&run, "-q", "-b", bind, "--", "sh", "-c", cmd);
		cr_expect_str_eq(run.out, "a-\nc-\n 1000\n 65534\n 65534\n 65534\n", "%s%s",
				 run.out, run.err);
		for_user();
	}
	cr_assert_eq(chown(top, OTHER, OTHER), 0);
	for (int sudo = 1; sudo >= 0; sudo--) {
		cleanup_run struct run run = { 0 };

		RUN_CLOCHE(&run, "-q", "-b", bind, "--", "sh", "-c", cmd);
		cr_expect_str_eq(run.out,
				 sudo ? "a-\nc-\n 1000\n 65534\n 65534\n 65534\n"
				      : "-\nbc-\n 65534\n 1000\n 1000\n 65534\n",
				 "%s%s", run.out, run.err);
		(void)unsetenv("SUDO_UID");
	}
}

/* Each bind has the map of its own owner, in one context, and in its next invocation. */
Test(bind_owner, of_each_bind)
{
	enum { N = 3 };
	static const uid_t owners[N] = { USER, OTHER, 0 };
	cleanup_tmpdir char *dir = tmpdir_make();
	char *binds[N], *paths[N], *left[N];
	cleanup_run struct run run = { 0 };

	test_needs("idmapped-mounts");
	for (int i = 0; i < N; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "%d", i);
		paths[i] = folder(dir, name, owners[i], 0700);
		left[i] = path_in(paths[i], "left");
		cr_assert(asprintf(&binds[i], "%s:%s/%d:rw", paths[i], i ? "/mnt" : "/tmp", i) > 0);
	}
	RUN_CLOCHE(&run, "-q", "--repeat", "2", "-b", binds[0], "-b", binds[1], "-b", binds[2],
		   "--", "sh", "-c", "for d in /tmp/0 /mnt/1 /mnt/2; do echo x >>$d/left; done");
	cr_expect_eq(run.status, 0, "%s", run.err);
	for (int i = 0; i < N; i++) {
		struct stat st;

		expect_owner(left[i], owners[i]);
		cr_expect(stat(left[i], &st) == 0 && st.st_size == 4);
		free(binds[i]);
		free(paths[i]);
		free(left[i]);
	}
}

static int give(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return lchown(path, USER, USER);
}

/* git reads no repository of a stranger's: the owner of its folder must be who runs it. */
Test(bind_owner, git_finds_its_own)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *repo = folder(dir, "repo", USER, 0700), *bind = NULL;
	const char *cmd = "test $(stat -c %u .) = $(id -u) && echo own; test ! -d .git || "
			  "{ echo $1 >f && git add f && git -c user.name=f -c user.email=f@x "
			  "commit -qm x && git status -s; }";
	cleanup_run struct run init = { 0 };
	bool git = access("/usr/bin/git", X_OK) == 0;

	test_needs("idmapped-mounts");
	cr_assert(asprintf(&bind, "%s:/repo:rw", repo) > 0);
	if (git) {
		RUN(&init, "git", "-c", "safe.directory=*", "init", "-q", repo);
		cr_assert_eq(init.status, 0, "%s", init.err);
	}
	cr_assert_eq(nftw(repo, give, 8, FTW_PHYS), 0);
	for (int sudo = 0; sudo < 2; sudo++) {
		cleanup_run struct run run = { 0 };

		RUN_CLOCHE(&run, "-q", "-t", "30s", "-b", bind, "-w", "/repo", "--", "sh", "-c",
			   cmd, "sh", sudo ? "second" : "first");
		cr_expect(run.status == 0 && strcmp(run.out, "own\n") == 0, "status %d: %s%s",
			  run.status, run.out, run.err);
		for_user();
	}
}

/* What takes rights away must be understood; what gives none may be anything. */
Test(bind_owner, sudos_variables)
{
	static const struct {
		const char *uid, *gid;
		int status;
	} table[] = {
		{ "0", "0", 0 },
		{ "", "0", 2 },
		{ "root", "0", 2 },
		{ "-1", "0", 2 },
		{ "4294967295", "0", 2 },
		{ "4242", "x", 2 },
		{ "4242", "4294967295", 2 },
		{ "4242 ", "0", 2 },
		{ "4242", "4242", 0 },
		{ "4242", NULL, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cleanup_run struct run run = { 0 };

		cr_assert_eq(setenv("SUDO_UID", table[i].uid, 1), 0);
		(void)unsetenv("SUDO_GID");
		if (table[i].gid)
			cr_assert_eq(setenv("SUDO_GID", table[i].gid, 1), 0);
		RUN_CLOCHE(&run, "-q", "--", "true");
		cr_expect(run.status == table[i].status &&
				  count_lines(run.err) == (run.status != 0) &&
				  (run.status == 0 || strstr(run.err, "SUDO_")),
			  "%s: status %d: %s", table[i].uid, run.status, run.err);
	}
}

/* ---- other files that a command line names ---- */

static void expect_denied(const char *option, const char *path)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", option, path, "--", "true");
	cr_expect_neq(run.status, 0, "%s %s", option, path);
	cr_expect_not_null(strstr(run.err, "permission denied"), "%s: %s", option, run.err);
}

static void expect_taken(const char *option, const char *path)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", option, path, "--", "true");
	cr_expect_eq(run.status, 0, "%s %s: %s", option, path, run.err);
}

static void write_text(const char *path, const char *text)
{
	cleanup_file FILE *f = fopen(path, "we");

	cr_assert(f && fputs(text, f) >= 0);
}

/* What root may read and the user may not, by its own name and by a link of the user's. */
Test(bind_owner, policies_environments_and_prices_are_the_users_to_read)
{
	static const struct {
		const char *option, *name, *link, *text;
	} files[] = {
		{ "--policy", "p.json", "link.json", "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}" },
		{ "--env-file", "e", "link.env", "A=b\n" },
		{ "--prices", "p.yaml", "link.yaml", "gb_second: 0.00002\n" },
	};
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *home = folder(dir, "home", USER, 0755);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const char *option = files[i].option;
		cleanup_free char *secret = file(dir, files[i].name, 0, 0600),
				  *own = file(home, files[i].name, USER, 0600),
				  *link = path_in(home, files[i].link);

		write_text(secret, files[i].text);
		write_text(own, files[i].text);
		cr_assert_eq(symlink(secret, link), 0);
		expect_taken(option, secret);
		expect_taken(option, link);
		for_user();
		expect_denied(option, secret);
		expect_denied(option, link);
		expect_taken(option, own);
		(void)unsetenv("SUDO_UID");
	}
}

static void expect_output(const char *option, const char *path, bool made)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", option, path, "--", "true");
	cr_expect_eq(run.status, 0, "%s: %s", option, run.err);
	cr_expect(!strstr(run.err, "Permission denied") == made, "%s %s: %s", option, path,
		  run.err);
}

/* A report costs no run; but root's files are not written over for a user, nor made in their place.
 */
Test(bind_owner, reports_and_traces_are_the_users_to_make)
{
	static const char *const options[] = { "--report", "--trace" };
	cleanup_tmpdir char *dir = tmpdir_make_open();
	cleanup_free char *home = folder(dir, "home", USER, 0755), *roots = path_in(dir, "new"),
			  *kept = file(dir, "kept", 0, 0644), *own = path_in(home, "own"),
			  *link = path_in(home, "link");
	struct stat st;

	cr_assert_eq(symlink(kept, link), 0);
	for_user();
	for (size_t i = 0; i < 2; i++) {
		expect_output(options[i], roots, false);
		expect_output(options[i], kept, false);
		expect_output(options[i], link, false);
		expect_output(options[i], own, true);
		expect_owner(own, USER);
		cr_assert_eq(unlink(own), 0);
		cr_expect_neq(access(roots, F_OK), 0);
		cr_expect(stat(kept, &st) == 0 && st.st_size == 4, "%s", options[i]);
	}
	/* Through a link of the user's own to what is the user's. */
	cr_assert(unlink(link) == 0 && symlink("own", link) == 0 && lchown(link, USER, USER) == 0);
	expect_output("--report", link, true);
	expect_owner(own, USER);
}
