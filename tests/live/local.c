/* SPDX-License-Identifier: MIT */
/*
 * What is known of a descriptor by its mount (host/local.h) follows the host's mounts: also where
 * the number of a mount that was known is another's now. Needs root.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "host/local.h"
#include "tests/lib/env.h"
#include "tests/lib/tmpdir.h"

#define TRIES 10000

/* In mounts of its own, which begin with one tmpfs. */
struct rig {
	char *dir;
	int mountinfo;
	struct local local;
};

static void rig_make(struct rig *r)
{
	if (geteuid() != 0)
		test_skip("needs root");
	r->dir = tmpdir_make();
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	r->mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	cr_assert_geq(r->mountinfo, 0);
	cr_assert_eq(local_init(&r->local, r->mountinfo), 0);
}

static void rig_end(struct rig *r)
{
	fd_close(&r->mountinfo);
	tmpdir_free(&r->dir);
}

/* Its root, without a question to it. */
static int mount_here(const struct rig *r, const char *type)
{
	int fd;

	cr_assert_eq(mount(type, r->dir, type, 0, NULL), 0);
	fd = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

static uint64_t number_of(int fd)
{
	struct statx st;

	cr_assert_eq(statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st), 0);
	return st.stx_mnt_id;
}

Test(local, a_mount_is_known_again)
{
	struct rig r;
	int fd;

	rig_make(&r);
	fd = mount_here(&r, "tmpfs");
	cr_assert(local_is(&r.local, fd));
	cr_assert(local_is(&r.local, fd));
	fd_close(&fd);
	cr_assert_eq(umount2(r.dir, MNT_DETACH), 0);
	rig_end(&r);
}

/* Returns its number, which is free again. */
static uint64_t known_and_gone(struct rig *r)
{
	int fd = mount_here(r, "tmpfs");
	uint64_t number = number_of(fd);

	cr_assert(local_is(&r->local, fd));
	fd_close(&fd);
	cr_assert_eq(umount2(r->dir, MNT_DETACH), 0);
	return number;
}

/* What is not known to be the kernel's own: any of which it is not said. */
Test(local, the_number_of_a_mount_that_is_gone_says_nothing)
{
	uint64_t number = 0;
	bool again = false;
	struct rig r;

	rig_make(&r);
	/* Somebody else on this host may be quicker to have it, and may keep it. */
	for (int i = 0; !again && i < TRIES; i++) {
		int fd;

		number = known_and_gone(&r);
		fd = mount_here(&r, "mqueue");
		again = number_of(fd) == number;
		cr_assert(!again || !local_is(&r.local, fd));
		fd_close(&fd);
		cr_assert_eq(umount2(r.dir, MNT_DETACH), 0);
	}
	cr_assert(again, "the number never came again");
	rig_end(&r);
}

/* By a table of any length and by memory, which has an end. */
Test(local, of_many_mounts_each_is_known)
{
	enum { MANY = 3 * LOCAL_SEEN };
	int fds[MANY];
	struct rig r;

	rig_make(&r);
	for (int i = 0; i < MANY; i++)
		fds[i] = mount_here(&r, "tmpfs");
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < MANY; i++)
			cr_assert(local_is(&r.local, fds[i]), "the %dth", i);
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(umount2(r.dir, MNT_DETACH), 0);
	/* They are nowhere now. */
	for (int i = 0; i < MANY; i++)
		cr_assert_not(local_is(&r.local, fds[i]), "the %dth", i);
	for (int i = 0; i < MANY; i++)
		fd_close(&fds[i]);
	rig_end(&r);
}
