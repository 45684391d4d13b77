/* SPDX-License-Identifier: MIT */
/*
 * The cache of compiled filters: that it is used, and that nothing damaged, foreign or renamed in
 * it ever is. A planted entry that says "allow" stands for everything that must not be believed.
 */
#include "base/err.h"
#include "policy/policy.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64], dir[96], profiles[96];

static void set_up(void)
{
	(void)snprintf(base, sizeof(base), "/tmp/cloche-policy-XXXXXX");
	cr_assert_neq(mkdtemp(base), NULL);
	(void)snprintf(dir, sizeof(dir), "%s/run/policies", base);
	(void)snprintf(profiles, sizeof(profiles), "%s/etc", base);
}

static void tear_down(void)
{
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", base);
	cr_expect_eq(system(command), 0);
}

TestSuite(policy_cache, .init = set_up, .fini = tear_down);

static struct policy load_behind(const char *name, enum policy_walls walls)
{
	const struct policy_dirs dirs = { profiles, dir };
	struct cloche_err err = { 0 };
	struct policy policy;

	cr_assert_eq(policy_load_from(&dirs, name, walls, &policy, &err), 0, "%s", err.text);
	return policy;
}

static struct policy load(const char *name)
{
	return load_behind(name, POLICY_WALLS_ONLINE);
}

/* The path of the one entry; how many there are. */
static int entries(char path[static 512])
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int n = 0;

	cr_assert_neq(d, NULL);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, 512, "%s/%s", dir, e->d_name);
		n++;
	}
	(void)closedir(d);
	return n;
}

static void expect_same(const struct policy *a, const struct policy *b)
{
	cr_expect_str_eq(a->name, b->name);
	cr_expect_str_eq(a->sha256, b->sha256);
	cr_expect_eq(a->kills, b->kills);
	cr_expect_eq(a->flags, b->flags);
	cr_assert_eq(a->prog.len, b->prog.len);
	cr_expect_eq(
		memcmp(a->prog.filter, b->prog.filter, a->prog.len * sizeof(struct sock_filter)),
		0);
}

Test(policy_cache, second_load_takes_the_entry)
{
	struct policy cold = load("strict"), warm;
	char path[512];
	struct stat st, again;

	cr_assert_eq(entries(path), 1);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	warm = load("strict");
	expect_same(&cold, &warm);
	cr_assert_eq(stat(path, &again), 0);
	cr_expect_eq(st.st_ino, again.st_ino, "the entry was written again");
	cr_assert_eq(stat(dir, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0700);
	policy_free(&cold);
	policy_free(&warm);
}

/* The walls are part of what an entry is found by. */
Test(policy_cache, with_and_without_a_network_are_two_entries)
{
	struct policy online = load("default"), offline, again;
	char path[512];

	offline = load_behind("default", POLICY_WALLS_OFFLINE);
	cr_assert_eq(entries(path), 2);
	cr_expect_neq(online.prog.len, offline.prog.len);
	again = load_behind("default", POLICY_WALLS_OFFLINE);
	expect_same(&offline, &again);
	cr_expect_str_eq(online.sha256, offline.sha256, "it is of the profile's text");
	cr_assert_eq(entries(path), 2);
	policy_free(&online);
	policy_free(&offline);
	policy_free(&again);
}

Test(policy_cache, damage_anywhere_is_found_and_mended)
{
	struct policy cold = load("default");
	char path[512];
	struct stat st;

	cr_assert_eq(entries(path), 1);
	cr_assert_eq(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += at < 200 ? 1 : 97) {
		struct policy again;

		file_flip(path, at);
		again = load("default");
		expect_same(&cold, &again);
		policy_free(&again);
		/* Were it not mended, this would undo the damage: so it must show as well. */
		file_flip(path, at);
		again = load("default");
		expect_same(&cold, &again);
		policy_free(&again);
	}
	policy_free(&cold);
}

Test(policy_cache, short_long_and_empty_entries_are_not_believed)
{
	struct policy cold = load("default");
	char path[512];
	struct stat st;

	cr_assert_eq(entries(path), 1);
	cr_assert_eq(stat(path, &st), 0);
	for (off_t len = 0; len <= st.st_size + 8; len += len == st.st_size - 8 ? 16 : 8) {
		struct policy again;

		cr_assert_eq(truncate(path, len), 0);
		again = load("default");
		expect_same(&cold, &again);
		policy_free(&again);
	}
	policy_free(&cold);
}

Test(policy_cache, an_entry_under_another_name_is_not_believed)
{
	struct policy strict = load("strict"), loose, other;
	char path[512], planted[512];

	cr_assert_eq(entries(path), 1);
	cr_assert_eq(unlink(path), 0);
	loose = load("default");
	cr_assert_eq(entries(planted), 1);
	cr_assert_eq(rename(planted, path), 0);
	other = load("strict");
	expect_same(&strict, &other);
	policy_free(&strict);
	policy_free(&loose);
	policy_free(&other);
}

Test(policy_cache, a_directory_that_others_can_write_is_not_used)
{
	struct policy policy = load("default");
	char path[512];

	policy_free(&policy);
	cr_assert_eq(entries(path), 1);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(chmod(dir, 0777), 0);
	policy = load("default");
	cr_expect_eq(entries(path), 0, "%s was written", path);
	policy_free(&policy);
}

Test(policy_cache, a_cache_that_cannot_be_made_costs_time_only)
{
	struct policy policy;

	(void)snprintf(dir, sizeof(dir), "/proc/nowhere/policies");
	policy = load("default");
	cr_expect_gt(policy.prog.len, 100);
	policy_free(&policy);
}

Test(policy_cache, it_does_not_grow_for_ever)
{
	char path[512], text[128];

	cr_assert_eq(mkdir(profiles, 0700), 0);
	for (int i = 0; i < 300; i++) {
		struct policy policy;
		FILE *f;

		(void)snprintf(path, sizeof(path), "%s/p.json", profiles);
		(void)snprintf(text, sizeof(text),
			       "{\"comment\":\"%d\",\"defaultAction\":\"SCMP_ACT_ERRNO\"}", i);
		f = fopen(path, "we");
		cr_assert_neq(f, NULL);
		cr_assert_geq(fputs(text, f), 0);
		cr_assert_eq(fclose(f), 0);
		policy = load("p");
		policy_free(&policy);
	}
	cr_expect_leq(entries(path), 256);
	cr_expect_gt(entries(path), 0);
}

/* ---- names ---------------------------------------------------------------------------------- */

static void expect_error(const char *name, int code, const char *part)
{
	const struct policy_dirs dirs = { profiles, NULL };
	struct cloche_err err = { 0 };
	struct policy policy;

	cr_expect_eq(policy_load_from(&dirs, name, POLICY_WALLS_ONLINE, &policy, &err), -code,
		     "%s: %s", name, err.text);
	cr_expect_neq(strstr(err.text, part), NULL, "%s: %s", name, err.text);
}

Test(policy_cache, wrong_names_are_told)
{
	char fifo[96];

	expect_error("nope", ENOENT, "no policy 'nope': neither shipped nor ");
	expect_error("", EINVAL, "a name has letters");
	expect_error("..", EINVAL, "a name has letters");
	expect_error("a b", EINVAL, "a name has letters");
	expect_error("./nope.json", ENOENT, "open policy './nope.json': no such file");
	expect_error("/etc/", EINVAL, "is not a regular file");
	expect_error("/dev/null", EINVAL, "is not a regular file");
	(void)snprintf(fifo, sizeof(fifo), "%s/f", base);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	expect_error(fifo, EINVAL, "is not a regular file");
	expect_error(
		"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.json",
		ENAMETOOLONG, "a name has at most 63 bytes");
}
