/* SPDX-License-Identifier: MIT */
/*
 * Under sudo what a command line names is the user's to open, whichever verb it is: what that user
 * could not read is not shown, what they could not write is not written, and what is made is
 * theirs. `cloche run` has its own tests in bind_owner.c. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/own_etc.h"
#include "tests/lib/roots.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER 4242

/* A folder that everybody may enter and root alone may write to, with one of the user's in it. */
struct place {
	char *dir, *home;
};

static struct place place_make(void)
{
	struct place p;

	if (geteuid() != 0)
		test_skip("needs root");
	p.dir = tmpdir_make_open();
	p.home = path_in(p.dir, "home");
	etc_dir(p.home, 0755);
	cr_assert_eq(chown(p.home, USER, USER), 0);
	return p;
}

static void place_free(struct place *p)
{
	tmpdir_free(&p->dir);
	free(p->home);
}
#define cleanup_place __attribute__((cleanup(place_free)))

static char *file(const char *dir, const char *name, uid_t owner, const char *text)
{
	char *path = path_in(dir, name);
	cleanup_file FILE *f = fopen(path, "we");

	cr_assert(f && fputs(text, f) >= 0);
	cr_assert(fchmod(fileno(f), 0600) == 0 && fchown(fileno(f), owner, owner) == 0);
	return path;
}

static void by_sudo(bool on)
{
	if (on)
		cr_assert(setenv("SUDO_UID", "4242", 1) == 0 && setenv("SUDO_GID", "4242", 1) == 0);
	else
		cr_assert(unsetenv("SUDO_UID") == 0 && unsetenv("SUDO_GID") == 0);
}

/* Each word "@" is the file. */
static void run_words(struct run *run, const char *const words[], const char *path)
{
	const char *argv[12] = { env_need("CLOCHE") };

	for (size_t i = 0; words[i]; i++)
		argv[i + 1] = strcmp(words[i], "@") == 0 ? path : words[i];
	run_argv(run, argv);
}

/* ---- what is read --------------------------------------------------------------------------- */

#define SECRET "5e12e7"

static const struct {
	const char *words[8];
	const char *name, *text;
	bool fails; /* for everybody: it is read, and is nothing of the kind */
} inputs[] = {
	{ { "policy", "show", "@" }, "a.json", "{\"defaultAction\":\"" SECRET "\"}", false },
	{ { "policy", "check", "@" }, "b.json", "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", false },
	{ { "policy", "test", "default", "@" }, "t", "ALLOW read\n", false },
	{ { "cost", "-m", "128", "--duration", "1s", "--prices", "@" },
	  "p.yaml",
	  "gb_second: 0.00002\n",
	  false },
	{ { "trace", "@" }, "trace", SECRET, true },
	{ { "report", "@", "--html", "-" }, "report", SECRET, true },
	{ { "image", "build", "--recipe", "@", "x" }, "recipe", SECRET "!\n", true },
	{ { "audit", "verify", "--against", "@" }, "lines", SECRET, true },
	{ { "policy", "learn", "-o", "/dev/null", "--base", "@", "true" },
	  "c.json",
	  "{\"defaultAction\":\"" SECRET "\"}",
	  true },
};

static void expect_denied(const char *const words[], const char *path)
{
	cleanup_run struct run run = { 0 };

	run_words(&run, words, path);
	cr_expect_neq(run.status, 0, "%s %s %s", words[0], words[1], path);
	cr_expect(strcasestr(run.err, "permission denied"), "%s %s: %s", words[0], words[1],
		  run.err);
	cr_expect(!strstr(run.out, SECRET) && !strstr(run.err, SECRET), "%s %s: %s%s", words[0],
		  words[1], run.out, run.err);
}

/* By its own name and by a link of the user's. */
Test(sudo, what_the_user_may_not_read_is_not_read)
{
	cleanup_place struct place p = place_make();

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		cleanup_free char *secret = file(p.dir, inputs[i].name, 0, inputs[i].text),
				  *link = path_in(p.home, inputs[i].name);
		cleanup_run struct run run = { 0 };

		cr_assert_eq(symlink(secret, link), 0);
		by_sudo(false);
		run_words(&run, inputs[i].words, link);
		cr_expect_eq(run.status != 0, inputs[i].fails, "%s %s: %s", inputs[i].words[0],
			     inputs[i].words[1], run.err);
		cr_expect(!strcasestr(run.err, "permission denied"), "%s", run.err);
		by_sudo(true);
		expect_denied(inputs[i].words, secret);
		expect_denied(inputs[i].words, link);
		/* The user's own is. */
		run_free(&run);
		cr_assert(unlink(link) == 0);
		free(file(p.home, inputs[i].name, USER, inputs[i].text));
		run_words(&run, inputs[i].words, link);
		cr_expect(!strcasestr(run.err, "permission denied"), "%s %s: %s",
			  inputs[i].words[0], inputs[i].words[1], run.err);
	}
}

/* Of what is in a folder that the user may not enter it is not even told whether it is there. */
Test(sudo, a_bind_tells_nothing_of_others_folders)
{
	cleanup_place struct place p = place_make();
	cleanup_free char *closed = path_in(p.dir, "closed"), *there = NULL, *none = NULL;

	etc_dir(closed, 0700);
	there = file(closed, "there", 0, "");
	none = path_in(closed, "none");
	by_sudo(true);
	for (int i = 0; i < 2; i++) {
		cleanup_run struct run run = { .no_report = true };

		RUN_CLOCHE(&run, "-b", i ? there : none, "--", "true");
		cr_expect_eq(run.status, 2, "%s", run.err);
		expect_has(run.err, "permission denied");
	}
}

/* ---- what is written ------------------------------------------------------------------------ */

static const char *const outputs[][8] = {
	{ "policy", "learn", "-o", "@", "true" },
	{ "report", "report.json", "--html", "@" },
	{ "trace", "trace.jsonl", "-o", "@" },
	{ "audit", "key", "@" },
};

static void expect_owner(const char *path, uid_t owner)
{
	struct stat st;

	cr_assert_eq(lstat(path, &st), 0, "%s: %m", path);
	cr_expect(st.st_uid == owner && st.st_gid == owner, "%s is of %u:%u", path, st.st_uid,
		  st.st_gid);
}

/* Not over a file of root's, nor beside one, nor where a link of the user's leads. */
Test(sudo, what_the_user_may_not_write_is_not_written)
{
	cleanup_place struct place p = place_make();
	cleanup_free char *kept = file(p.dir, "kept", 0, "kept"), *new = path_in(p.dir, "new"),
			  *own = path_in(p.home, "own"), *link = path_in(p.home, "link");
	cleanup_run struct run made = { .no_report = true };
	struct stat st;

	cr_assert_eq(chdir(p.home), 0);
	by_sudo(true);
	RUN_CLOCHE(&made, "-q", "--report", "report.json", "--trace", "trace.jsonl", "--", "true");
	cr_assert_eq(made.status, 0, "%s", made.err);
	cr_assert_eq(symlink(new, link), 0);
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
		const char *const paths[] = { kept, new, link };
		cleanup_run struct run run = { 0 };

		for (size_t k = 0; k < 3; k++) {
			run_words(&run, outputs[i], paths[k]);
			/* A profile takes the link's own place. */
			if (k < 2 || strcmp(outputs[i][1], "learn") != 0)
				cr_expect_neq(run.status, 0, "%s %s %s", outputs[i][0],
					      outputs[i][1], paths[k]);
			run_free(&run);
		}
		cr_expect(stat(kept, &st) == 0 && st.st_size == 4 && st.st_uid == 0, "%s",
			  outputs[i][0]);
		cr_expect_neq(access(new, F_OK), 0, "%s", outputs[i][0]);
		run_words(&run, outputs[i], own);
		cr_expect_eq(run.status, 0, "%s %s: %s", outputs[i][0], outputs[i][1], run.err);
		expect_owner(own, USER);
		cr_assert_eq(unlink(own), 0);
		(void)unlink(link);
		cr_assert_eq(symlink(new, link), 0);
	}
}

static size_t count_in(const char *path, uid_t owner)
{
	DIR *d = opendir(path);
	struct dirent *e;
	size_t n = 0;

	cr_assert(d, "%s: %m", path);
	while ((e = readdir(d))) {
		cleanup_free char *at = path_in(path, e->d_name);

		if (e->d_name[0] == '.')
			continue;
		n++;
		expect_owner(at, owner);
	}
	(void)closedir(d);
	return n;
}

/* refusal: NULL where it runs. */
static void run_with_ledger(const char *dir, const char *refusal)
{
	cleanup_run struct run run = { .no_report = true };

	RUN_CLOCHE(&run, "-q", "--ledger", dir, "--", "echo", "ran");
	cr_expect_eq(run.status != 0, refusal != NULL, "%s: %s", dir, run.err);
	cr_expect_str_eq(run.out, refusal ? "" : "ran\n");
	if (refusal)
		expect_has(run.err, refusal);
}

/* A ledger that is named; the one that there is anyway is root's. */
Test(sudo, a_ledger_of_the_users_is_theirs)
{
	cleanup_place struct place p = place_make();
	cleanup_free char *roots = path_in(p.dir, "roots"), *new = path_in(p.dir, "new"),
			  *own = path_in(p.home, "deep/ledger"), *usual = path_in(p.dir, "usual");
	cleanup_run struct run run = { 0 };

	etc_dir(roots, 0755);
	by_sudo(true);
	run_with_ledger(roots, "can be written by other users");
	run_with_ledger(new, "permission denied");
	cr_expect_eq(count_in(roots, 0), 0);
	cr_expect_neq(access(new, F_OK), 0);
	run_with_ledger(own, NULL);
	run_with_ledger(own, NULL);
	cr_expect_geq(count_in(own, USER), 2);
	by_sudo(false);
	CLOCHE(&run, "audit", "verify", "--ledger", own);
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(setenv("CLOCHE_LEDGER", usual, 1), 0);
	by_sudo(true);
	run_with_ledger(usual, NULL);
	cr_expect_geq(count_in(usual, 0), 2);
}
