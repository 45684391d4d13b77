/* SPDX-License-Identifier: MIT */
/* Deployed functions: versions, owners, and what is left of them when the power goes or the disk
 * damages a file. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "function/function_change.h"
#include "function/function_store.h"
#include "tests/lib/tmpdir.h"

/* ---- the power goes -------------------------------------------------------------------------- */

/* At the call of that number of those that change files; 0: never. Before it is done. */
static unsigned dies_at, calls;

static void step(void)
{
	if (dies_at && ++calls == dies_at)
		_exit(7);
}

int fsync(int fd)
{
	step();
	return (int)syscall(SYS_fsync, fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	step();
	return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
	step();
	return (int)syscall(SYS_mkdirat, dir, name, mode);
}

int unlinkat(int dir, const char *name, int flags)
{
	step();
	return (int)syscall(SYS_unlinkat, dir, name, flags);
}

/* Torn in the middle. */
ssize_t write(int fd, const void *bytes, size_t n)
{
	if (dies_at && calls + 1 == dies_at)
		(void)syscall(SYS_write, fd, bytes, n / 2);
	step();
	return syscall(SYS_write, fd, bytes, n);
}

/* ---- the rig --------------------------------------------------------------------------------- */

static char said[4096];

static void say(const char *line)
{
	(void)snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", line);
}

static struct function_store *open_store(const char *dir)
{
	struct function_store *s = NULL;
	struct cloche_err err = { 0 };

	said[0] = '\0';
	cr_assert_eq(function_store_open(AT_FDCWD, dir, say, &s, &err), 0, "%s", err.text);
	return s;
}

static struct function_config config(const char *name, uint64_t memory_mb)
{
	struct function_config c;

	function_config_defaults(&c, FAMILY_EXEC);
	(void)snprintf(c.name, sizeof(c.name), "%s", name);
	(void)snprintf(c.runtime, sizeof(c.runtime), "exec");
	c.handler = calloc(2, sizeof(*c.handler));
	c.handler[0] = strdup("sort");
	c.memory_mb = memory_mb;
	hash_sha256_hex(&memory_mb, sizeof(memory_mb), c.code.sha256);
	return c;
}

/* A change from its beginning to its end. */
static int change(struct function_store *s, struct function_change *c, int begun,
		  struct cloche_err *err)
{
	int r = begun == 0 && c ? change_write(c, err) : begun;

	cr_assert_eq(change_end(s, c, r), 0);
	return r;
}

static int put_all(struct function_store *s, uint32_t owner, struct function_put *puts, size_t n,
		   struct cloche_err *err)
{
	struct function_change *c = NULL;
	int r = change_put(s, owner, puts, n, 1, &c, err);

	return change(s, c, r, err);
}

static int roll_back(struct function_store *s, const char *name, uint32_t *version,
		     struct cloche_err *err)
{
	struct function_change *c = NULL;
	int r = change_rollback(s, 1000, name, version, &c, err);

	return change(s, c, r, err);
}

static int remove_one(struct function_store *s, const char *name, struct cloche_err *err)
{
	struct function_change *c = NULL;
	int r = change_remove(s, 1000, name, &c, err);

	return change(s, c, r, err);
}

static uint32_t put_as(struct function_store *s, uint32_t owner, const char *name,
		       uint64_t memory_mb, enum function_put_what what)
{
	struct function_config c = config(name, memory_mb);
	struct function_put put = { .config = &c };
	struct cloche_err err = { 0 };

	cr_assert_eq(put_all(s, owner, &put, 1, &err), 0, "%s", err.text);
	cr_expect_eq(put.what, what);
	function_config_free(&c);
	return put.version;
}

static uint64_t memory_of(const struct function_store *s, uint32_t owner, const char *name,
			  uint32_t version)
{
	const struct function_version *v = function_store_get(s, owner, name, version);

	return v ? v->config.memory_mb : 0;
}

static char *path_of(char path[static 512], const char *dir, const char *file)
{
	return tmpdir_path(path, dir, file);
}

/* ---- what it does ---------------------------------------------------------------------------- */

Test(function_store, counts_versions_and_keeps_them)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct function_store *s = open_store(dir);

	cr_expect_eq(put_as(s, 1000, "f", 10, PUT_CREATED), 1);
	cr_expect_eq(put_as(s, 1000, "f", 10, PUT_UNCHANGED), 1);
	cr_expect_eq(put_as(s, 1000, "f", 11, PUT_UPDATED), 2);
	cr_expect_eq(put_as(s, 1000, "a", 12, PUT_CREATED), 1);
	for (int again = 0; again < 2; again++) {
		size_t at = 0;

		cr_expect_eq(function_store_count(s, 1000), 2);
		cr_expect_eq(memory_of(s, 1000, "f", 0), 11);
		cr_expect_eq(memory_of(s, 1000, "f", 1), 10);
		cr_expect_eq(memory_of(s, 1000, "f", 3), 0);
		cr_expect_str_eq(function_store_next(s, &at)->name, "a");
		cr_expect_str_eq(function_store_next(s, &at)->name, "f");
		cr_expect_null(function_store_next(s, &at));
		(void)function_store_close(s);
		s = open_store(dir);
		cr_expect_str_eq(said, "");
	}
	(void)function_store_close(s);
}

Test(function_store, owners_have_their_own)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct function_store *s = open_store(dir);
	struct cloche_err err = { 0 };

	(void)put_as(s, 1000, "f", 10, PUT_CREATED);
	(void)put_as(s, 0, "f", 20, PUT_CREATED);
	(void)put_as(s, 1001, "f", 30, PUT_CREATED);
	cr_expect_eq(remove_one(s, "f", &err), 0, "%s", err.text);
	cr_expect_eq(remove_one(s, "f", &err), -ENOENT);
	(void)function_store_close(s);
	s = open_store(dir);
	cr_expect_eq(memory_of(s, 0, "f", 0), 20);
	cr_expect_eq(memory_of(s, 1000, "f", 0), 0);
	cr_expect_eq(memory_of(s, 1001, "f", 0), 30);
	(void)function_store_close(s);
}

Test(function_store, goes_back)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct function_store *s = open_store(dir);
	struct cloche_err err = { 0 };
	uint32_t version = 0;

	(void)put_as(s, 1000, "f", 10, PUT_CREATED);
	cr_expect_eq(roll_back(s, "f", &version, &err), -ENOENT);
	(void)put_as(s, 1000, "f", 11, PUT_UPDATED);
	(void)put_as(s, 1000, "f", 12, PUT_UPDATED);
	cr_expect_eq(roll_back(s, "f", &version, &err), 0, "%s", err.text);
	cr_expect_eq(version, 2);
	version = 9;
	cr_expect_eq(roll_back(s, "f", &version, &err), -ENOENT);
	cr_expect_eq(roll_back(s, "g", &version, &err), -ENOENT);
	version = 1;
	cr_expect_eq(roll_back(s, "f", &version, &err), 0, "%s", err.text);
	(void)function_store_close(s);
	s = open_store(dir);
	cr_expect_eq(memory_of(s, 1000, "f", 0), 10);
	cr_expect_eq(memory_of(s, 1000, "f", 3), 12);
	/* A number is never another's. */
	cr_expect_eq(put_as(s, 1000, "f", 12, PUT_UPDATED), 4);
	(void)function_store_close(s);
}

Test(function_store, the_oldest_versions_go_but_the_one_that_counts)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct function_store *s = open_store(dir);
	struct cloche_err err = { 0 };
	struct function_version *held;
	char path[512], sha[HASH_HEX_LEN];
	uint64_t first = 1;
	uint32_t version = 1;

	(void)put_as(s, 1000, "f", 1, PUT_CREATED);
	held = function_version_ref(function_store_get(s, 1000, "f", 1));
	for (unsigned i = 2; i <= FUNCTION_VERSIONS_MAX; i++)
		(void)put_as(s, 1000, "f", i, PUT_UPDATED);
	hash_sha256_hex(&first, sizeof(first), sha);
	cr_expect(function_store_uses(s, 1000, sha));
	cr_expect_not(function_store_uses(s, 1001, sha));
	cr_expect_eq(roll_back(s, "f", &version, &err), 0);
	(void)put_as(s, 1000, "f", 100, PUT_UPDATED);
	cr_expect_eq(memory_of(s, 1000, "f", 1), 1);
	cr_expect_eq(memory_of(s, 1000, "f", 2), 0);
	(void)put_as(s, 1000, "f", 101, PUT_UPDATED);
	cr_expect_eq(memory_of(s, 1000, "f", 1), 0);
	cr_expect_not(function_store_uses(s, 1000, sha));
	cr_expect_neq(access(path_of(path, dir, "1000/f/1.json"), F_OK), 0);
	cr_expect_eq(access(path_of(path, dir, "1000/f/18.json"), F_OK), 0);
	/* Whoever has it has it. */
	cr_expect_eq(held->config.memory_mb, 1);
	(void)function_version_unref(held);
	(void)function_store_close(s);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void spoil(const char *dir, const char *file, const char *text)
{
	char path[512];
	FILE *f = fopen(path_of(path, dir, file), "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %m", file);
}

static void cut(const char *dir, const char *file)
{
	char path[512];
	struct stat st;

	cr_assert_eq(stat(path_of(path, dir, file), &st), 0);
	cr_assert_eq(truncate(path, st.st_size / 2), 0);
}

static void expect_said(const char *text)
{
	cr_expect(strstr(said, text), "said: %snot: %s", said, text);
}

Test(function_store, what_is_damaged_is_named_and_left_out)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct function_store *s = open_store(dir);
	char path[512];

	(void)put_as(s, 1000, "f", 10, PUT_CREATED);
	(void)put_as(s, 1000, "f", 11, PUT_UPDATED);
	(void)put_as(s, 1000, "g", 12, PUT_CREATED);
	(void)put_as(s, 1000, "h", 13, PUT_CREATED);
	(void)put_as(s, 1001, "f", 14, PUT_CREATED);
	(void)function_store_close(s);
	cut(dir, "1000/f/2.json");
	spoil(dir, "1000/g/1.json", "{}");
	/* Another function's. */
	cr_assert_eq(unlink(path_of(path, dir, "1000/h/1.json")), 0);
	cr_assert_eq(symlink("../f/1.json", path), 0);
	spoil(dir, "stranger", "");
	s = open_store(dir);
	expect_said("functions of user 1000: 'f', 2.json: left out");
	expect_said("'g', 1.json: left out: it is no function");
	expect_said("'h', 1.json: left out");
	expect_said("'stranger'");
	cr_expect_eq(memory_of(s, 1000, "f", 0), 10);
	cr_expect_eq(memory_of(s, 1000, "g", 0), 0);
	cr_expect_eq(memory_of(s, 1000, "h", 0), 0);
	cr_expect_eq(memory_of(s, 1001, "f", 0), 14);
	/* It may be looked at. */
	cr_expect_eq(access(path_of(path, dir, "1000/g/1.json"), F_OK), 0);
	cr_expect_eq(put_as(s, 1000, "f", 15, PUT_UPDATED), 3);
	(void)function_store_close(s);
}

Test(function_store, without_the_list_what_can_be_read_counts)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct function_store *s = open_store(dir);

	(void)put_as(s, 1000, "f", 10, PUT_CREATED);
	(void)put_as(s, 1000, "f", 11, PUT_UPDATED);
	(void)put_as(s, 1000, "g", 12, PUT_CREATED);
	(void)function_store_close(s);
	cut(dir, "1000/functions.json");
	s = open_store(dir);
	expect_said("functions.json: left out");
	cr_expect_eq(memory_of(s, 1000, "f", 0), 11);
	cr_expect_eq(memory_of(s, 1000, "f", 1), 10);
	cr_expect_eq(memory_of(s, 1000, "g", 0), 12);
	(void)function_store_close(s);
}

/* ---- the power goes, at each step ------------------------------------------------------------ */

/* f is changed, g is new. */
static void put_two(struct function_store *s)
{
	struct function_config f = config("f", 20), g = config("g", 21);
	struct function_put puts[] = { { .config = &f }, { .config = &g } };

	(void)put_all(s, 1000, puts, 2, NULL);
	function_config_free(&f);
	function_config_free(&g);
}

static void go_back(struct function_store *s)
{
	uint32_t version = 1;

	(void)roll_back(s, "f", &version, NULL);
}

static void remove_both(struct function_store *s)
{
	(void)remove_one(s, "f", NULL);
}

static void prepare(const char *dir)
{
	struct function_store *s = open_store(dir);

	(void)put_as(s, 1000, "f", 10, PUT_CREATED);
	(void)put_as(s, 1000, "f", 11, PUT_UPDATED);
	(void)function_store_close(s);
}

/* Whether it died of it. */
static bool die_at(const char *dir, unsigned n, void (*step_of)(struct function_store *s))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct function_store *s = open_store(dir);

		calls = 0;
		dies_at = n;
		step_of(s);
		_exit(0);
	}
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status) == 7;
}

/* Before: f is 11 and there is no g. after: what it may be, too. */
static void die_everywhere(void (*step_of)(struct function_store *s), uint64_t f_after,
			   uint64_t g_after)
{
	bool died = true, was_before = false, was_after = false;
	unsigned n = 1;

	for (; died; n++) {
		cleanup_tmpdir char *dir = tmpdir_make();
		struct function_store *s;
		uint64_t f, g;

		prepare(dir);
		died = die_at(dir, n, step_of);
		s = open_store(dir);
		cr_expect_str_eq(said, "", "%u: %s", n, said);
		f = memory_of(s, 1000, "f", 0);
		g = memory_of(s, 1000, "g", 0);
		was_before |= f == 11 && g == 0;
		was_after |= f == f_after && g == g_after;
		cr_expect((f == 11 && g == 0) || (f == f_after && g == g_after), "%u: f %lu, g %lu",
			  n, f, g);
		/* It goes on as if nothing had been. */
		put_two(s);
		cr_expect_eq(memory_of(s, 1000, "f", 0), 20);
		cr_expect_eq(memory_of(s, 1000, "g", 0), 21);
		(void)function_store_close(s);
	}
	cr_expect(was_before && was_after);
	cr_expect_gt(n, 3);
}

Test(function_store, all_or_nothing_is_deployed_whenever_the_power_goes)
{
	die_everywhere(put_two, 20, 21);
}

Test(function_store, all_or_nothing_is_gone_back_whenever_the_power_goes)
{
	die_everywhere(go_back, 10, 0);
}

Test(function_store, all_or_nothing_is_removed_whenever_the_power_goes)
{
	die_everywhere(remove_both, 0, 0);
}

/* ---- a change is on its way ------------------------------------------------------------------ */

/* Until it is written all is as before, but for what is removed; of several owners side by side. */
Test(function_store, shows_what_was_while_it_is_written)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct function_store *s = open_store(dir);
	struct function_config f = config("f", 20), g = config("g", 30);
	struct function_put put_f = { .config = &f }, put_g = { .config = &g };
	struct function_change *one = NULL, *other = NULL;
	struct cloche_err err = { 0 };

	(void)put_as(s, 1000, "f", 10, PUT_CREATED);
	cr_assert_eq(change_put(s, 1000, &put_f, 1, 1, &one, &err), 0, "%s", err.text);
	cr_assert_eq(change_put(s, 1001, &put_g, 1, 1, &other, &err), 0, "%s", err.text);
	cr_expect_eq(memory_of(s, 1000, "f", 0), 10);
	cr_expect_eq(memory_of(s, 1001, "g", 0), 0);
	cr_assert_eq(change_write(other, &err), 0, "%s", err.text);
	cr_assert_eq(change_write(one, &err), 0, "%s", err.text);
	cr_expect_eq(memory_of(s, 1000, "f", 0), 10);
	cr_assert_eq(change_end(s, other, 0), 0);
	cr_assert_eq(change_end(s, one, 0), 0);
	cr_expect_eq(memory_of(s, 1000, "f", 0), 20);
	cr_expect_eq(memory_of(s, 1000, "f", 1), 10);
	cr_expect_eq(memory_of(s, 1001, "g", 0), 30);
	cr_assert_eq(change_remove(s, 1000, "f", &one, &err), 0, "%s", err.text);
	cr_expect_eq(memory_of(s, 1000, "f", 0), 0);
	/* It could not be written. */
	cr_assert_eq(change_end(s, one, -EIO), 0);
	cr_expect_eq(memory_of(s, 1000, "f", 0), 20);
	cr_expect_eq(memory_of(s, 1000, "f", 1), 10);
	function_config_free(&f);
	function_config_free(&g);
	(void)function_store_close(s);
}
