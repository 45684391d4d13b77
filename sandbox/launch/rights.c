/* SPDX-License-Identifier: MIT */
/* Takes and gives back the file system rights of another user. See rights.h. */
#include "launch/rights.h"

#include "base/file.h"
#include "host/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct rights rights_of_others = { .uid = SLOT_UID_BASE, .gid = SLOT_UID_BASE };

struct own {
	gid_t groups[RIGHTS_GROUPS_MAX];
	int n;
};

/* Of this thread alone: glibc's setgroups(3) is of all. */
static int set_groups(size_t n, const gid_t *groups)
{
	return syscall(SYS_setgroups, n, groups) < 0 ? -errno : 0;
}

/* setfsuid(2) says nothing of failure: asked again, with an id that is none, it tells what it is.
 */
static int set_ids(uid_t uid, gid_t gid)
{
	for (int i = 0; i < 3; i++) {
		(void)setfsgid(gid);
		(void)setfsuid(uid);
		if ((gid_t)setfsgid((gid_t)-1) == gid && (uid_t)setfsuid((uid_t)-1) == uid)
			return 0;
	}
	return -EPERM;
}

static int give_back(const struct own *own)
{
	int r = set_ids(geteuid(), getegid()), s = set_groups((size_t)own->n, own->groups);

	return r < 0 ? r : s;
}

static int take(const struct rights *who, struct own *ret)
{
	int r;

	ret->n = getgroups(RIGHTS_GROUPS_MAX, ret->groups);
	if (ret->n < 0)
		return -errno;
	r = set_groups(who->n_groups, who->groups);
	if (r == 0)
		r = set_ids(who->uid, who->gid);
	if (r < 0)
		(void)give_back(ret);
	return r;
}

int rights_take(const struct rights *who)
{
	struct own own;

	return take(who, &own);
}

/* Without our rights back nothing more can be made, and an errno that says so is the best answer.
 */
static int back(const struct own *own, int r)
{
	int s = give_back(own);

	if (s == 0)
		return r;
	if (r > 0)
		(void)close(r);
	return s;
}

int rights_open(const struct rights *who, const char *path, uint64_t resolve)
{
	struct own own;
	int r = who ? take(who, &own) : 0;

	if (r < 0)
		return r;
	r = file_openat2(AT_FDCWD, path, O_PATH | O_CLOEXEC, resolve);
	return who ? back(&own, r) : r;
}

int rights_do(const struct rights *who, int (*job)(void *arg), void *arg)
{
	struct own own;
	int r = who ? take(who, &own) : 0;

	if (r < 0)
		return r;
	r = job(arg);
	return who ? back(&own, r) : r;
}

struct call {
	int (*open)(const char *path);
	const char *path;
};

static int call(void *arg)
{
	const struct call *c = arg;

	return c->open(c->path);
}

int rights_call(const struct rights *who, int (*open)(const char *path), const char *path)
{
	struct call c = { open, path };

	return rights_do(who, call, &c);
}

int rights_check(const struct rights *who, int fd, int mode)
{
	struct own own;
	int r = who ? take(who, &own) : 0;

	if (r < 0)
		return r;
	r = faccessat(fd, "", mode, AT_EACCESS | AT_EMPTY_PATH) < 0 ? -errno : 0;
	return who ? back(&own, r) : r;
}

int rights_reopen(const struct rights *who, int fd)
{
	struct own own;
	char path[32];
	int r = take(who, &own);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (r < 0)
		r = -errno;
	return back(&own, r);
}
