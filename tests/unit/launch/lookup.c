/* SPDX-License-Identifier: MIT */
/* Lookups: to what they lead, and that no change between two of them goes unseen. */
#include "base/fd.h"
#include "launch/lookup.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *top;
static int top_fd = -1;

static void touch(const char *name)
{
	cleanup_fd int fd = openat(top_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	cr_assert(fd >= 0, "%s", name);
}

static void link_to(const char *target, const char *name)
{
	cr_assert_eq(symlinkat(target, top_fd, name), 0, "%s", name);
}

static void move(const char *from, const char *to)
{
	cr_assert_eq(renameat(top_fd, from, top_fd, to), 0, "%s", from);
}

/* a/f and b/f; dir leads to a, other to b. */
static void tree_make(void)
{
	top = tmpdir_make();
	top_fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert(top_fd >= 0 && mkdirat(top_fd, "a", 0755) == 0 &&
		  mkdirat(top_fd, "b", 0755) == 0);
	touch("a/f");
	touch("b/f");
	link_to("a", "dir");
	link_to("b", "other");
}

static void tree_free(void)
{
	fd_close(&top_fd);
	tmpdir_free(&top);
}

TestSuite(lookup, .init = tree_make, .fini = tree_free);

/* Until what was just made is older than the kernel's tick. */
static void settle(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
}

static void look(const char *path, struct lookup *ret)
{
	cleanup_fd int fd = lookup(top_fd, path, ret);

	cr_assert(fd >= 0, "%s: %s", path, strerror(-fd));
}

static ino_t inode(const char *path)
{
	struct stat st;

	cr_assert_eq(fstatat(top_fd, path, &st, 0), 0, "%s", path);
	return st.st_ino;
}

Test(lookup, leads_to_what_the_kernel_finds)
{
	static const char *const paths[] = { "a/f",	     "./a//f",	"dir/f",    "b/../dir/f",
					     "other/../a/f", "chain/f", "absolute", "deep" };
	char target[300];
	struct lookup l;

	link_to("dir", "one");
	link_to("./one/.", "two");
	link_to("two//", "chain");
	link_to("chain/f", "deep");
	(void)snprintf(target, sizeof(target), "%s/other/../dir/f", top);
	link_to(target, "absolute");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cleanup_fd int fd = lookup(top_fd, paths[i], &l);
		struct stat st;

		cr_assert(fd >= 0 && fstat(fd, &st) == 0, "%s: %s", paths[i], strerror(-fd));
		cr_expect_eq(st.st_ino, inode(paths[i]), "%s", paths[i]);
		cr_expect_eq(l.file.st_ino, st.st_ino);
	}
	(void)snprintf(target, sizeof(target), "%s/a/f", top);
	look(target, &l);
	cr_expect_eq(l.file.st_ino, inode("a/f"));
}

Test(lookup, says_what_it_cannot_follow)
{
	char name[300];
	struct lookup l;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	link_to("loop", "loop");
	cr_expect_eq(lookup(top_fd, "loop", &l), -ELOOP);
	cr_expect_eq(lookup(top_fd, "none", &l), -ENOENT);
	cr_expect_eq(lookup(top_fd, "", &l), -EISDIR);
	cr_expect_eq(lookup(top_fd, "dir", &l), -EISDIR);
	cr_expect_eq(lookup(top_fd, "a/f/", &l), -ENOTDIR);
	cr_expect_eq(lookup(top_fd, "a/f/g", &l), -ENOTDIR);
	cr_expect_eq(lookup(top_fd, name, &l), -ENAMETOOLONG);
	cr_expect_eq(lookup(top_fd, "/proc/self/exe", &l), -EOPNOTSUPP);
}

Test(lookup, of_a_long_way_is_refused)
{
	char path[300] = "";
	struct lookup l;

	for (size_t i = 0; i < 50; i++)
		(void)snprintf(path + 5 * i, sizeof(path) - 5 * i, "a/../a/f");
	cr_expect_eq(lookup(top_fd, path, &l), -E2BIG);
}

Test(lookup, is_the_same_while_nothing_changes)
{
	struct lookup was, now;

	look("dir/f", &was);
	look("dir/f", &now);
	cr_expect(lookup_same(&was, &now));
	look("other/f", &now);
	cr_expect_not(lookup_same(&was, &now));
}

/* After each of these all is where it was before. */
Test(lookup, sees_what_was_changed_and_put_back)
{
	struct lookup was, now;

	settle();
	look("dir/f", &was);
	cr_assert(lookup_quiet(&was));

	move("dir", "away");
	move("other", "dir");
	move("dir", "other");
	move("away", "dir");
	look("dir/f", &now);
	cr_expect_not(lookup_same(&was, &now), "a link");

	settle();
	look("dir/f", &was);
	move("a", "away");
	move("b", "a");
	move("a", "b");
	move("away", "a");
	look("dir/f", &now);
	cr_expect_not(lookup_same(&was, &now), "a directory");

	settle();
	look("dir/f", &was);
	move("a/f", "a/away");
	move("a/away", "a/f");
	look("dir/f", &now);
	cr_expect_not(lookup_same(&was, &now), "the file");

	settle();
	look("dir/f", &was);
	cr_assert_eq(fchmodat(top_fd, "a/f", 0700, 0), 0);
	cr_assert_eq(fchmodat(top_fd, "a/f", 0755, 0), 0);
	look("dir/f", &now);
	cr_expect_not(lookup_same(&was, &now), "the file's mode");
}

/* In the tick of a change another one could bear the same time. */
Test(lookup, is_quiet_a_tick_after_the_last_change)
{
	struct lookup l;
	bool quiet = true;

	for (int i = 0; i < 20 && quiet; i++) {
		cr_assert_eq(fchmodat(top_fd, "a/f", i % 2 ? 0700 : 0755, 0), 0);
		look("a/f", &l);
		quiet = lookup_quiet(&l);
	}
	cr_expect_not(quiet, "the file");
	settle();
	cr_expect(lookup_quiet(&l));

	touch("a/h");
	cr_assert_eq(fchmodat(top_fd, "a", 0777, 0), 0); /* others may rename there */
	quiet = true;
	for (int i = 0; i < 20 && quiet; i++) {
		move(i % 2 ? "a/g" : "a/h", i % 2 ? "a/h" : "a/g");
		look("a/f", &l);
		quiet = lookup_quiet(&l);
	}
	cr_expect_not(quiet, "a directory");
}
