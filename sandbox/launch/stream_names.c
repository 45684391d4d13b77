/* SPDX-License-Identifier: MIT */
/* Standard streams that open by name: see stream_names.h. */
#include "launch/stream_names.h"

#include "base/fd.h"
#include "host/slot.h"
#include "launch/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define READ  4U
#define WRITE 2U

/* ---- locks ---- */

/* Of each thing's bytes in the table. */
enum {
	BYTE_GUARD,   /* whoever looks at its mode and changes it */
	BYTE_WRITERS, /* shared: those to whom others' bit was given */
	BYTE_GROUP,   /* the one whose group it has */
	BYTES
};

static int lock(const struct stream_names *n, const struct stream_given *g, int byte, short type,
		int how)
{
	struct flock l = { .l_type = type,
			   .l_whence = SEEK_SET,
			   .l_start = (off_t)(g->at + (unsigned)byte),
			   .l_len = 1 };
	int r;

	do
		r = fcntl(n->table, how, &l);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int guard(const struct stream_names *n, const struct stream_given *g)
{
	return lock(n, g, BYTE_GUARD, F_WRLCK, F_OFD_SETLKW);
}

static void unlock(const struct stream_names *n, const struct stream_given *g, int byte)
{
	(void)lock(n, g, byte, F_UNLCK, F_OFD_SETLK);
}

/* Two things that meet in one place wait for each other, or one of them is not given. */
static uint64_t place_of(const struct stat *st)
{
	uint64_t h = ((uint64_t)st->st_ino ^ (uint64_t)st->st_dev << 32) * 0x9e3779b97f4a7c15ULL;

	return (h >> 24) * BYTES;
}

/* ---- modes ---- */

static bool is_slots(gid_t gid)
{
	return gid - SLOT_UID_BASE < SLOT_MAX;
}

/* What it was before a run that was killed: pipe(2) gives a pipe to its maker, /dev/pts has a group
 * for its terminals, which that of /dev/tty is too. */
static void forget_killed(const struct stream_names *n, const struct stream_given *g,
			  struct stat *st)
{
	struct stat tty;

	if (!is_slots(st->st_gid))
		return;
	st->st_mode &= ~(mode_t)S_IRWXG;
	st->st_gid = n->own;
	if (g->terminal && stat("/dev/tty", &tty) == 0) {
		st->st_gid = tty.st_gid;
		st->st_mode |= S_IWGRP;
	}
}

/* Nobody has a moment of more than both modes let him. */
static int set_group(int fd, gid_t gid, mode_t mode)
{
	if (fchmod(fd, mode & 07707) < 0 || fchown(fd, (uid_t)-1, gid) < 0 ||
	    fchmod(fd, mode & 07777) < 0)
		return -errno;
	return 0;
}

static int give_group(const struct stream_names *n, struct stream_given *g)
{
	int r = lock(n, g, BYTE_GROUP, F_WRLCK, F_OFD_SETLK);

	if (r < 0)
		return r;
	forget_killed(n, g, &g->was);
	r = set_group(g->fd, n->gid, (g->was.st_mode & ~(mode_t)S_IRWXG) | g->bits << 3);
	if (r < 0)
		unlock(n, g, BYTE_GROUP);
	return r;
}

/* Whoever is of a group that was left is none of the others. */
static void try_clear_group(const struct stream_names *n, struct stream_given *g)
{
	if (!is_slots(g->was.st_gid) || lock(n, g, BYTE_GROUP, F_WRLCK, F_OFD_SETLK) < 0)
		return;
	forget_killed(n, g, &g->was);
	(void)set_group(g->fd, g->was.st_gid, g->was.st_mode);
	unlock(n, g, BYTE_GROUP);
}

static int give_others(const struct stream_names *n, struct stream_given *g)
{
	int r;

	try_clear_group(n, g);
	r = lock(n, g, BYTE_WRITERS, F_RDLCK, F_OFD_SETLK);
	if (r == 0 && fchmod(g->fd, (g->was.st_mode & 07777) | WRITE) < 0) {
		r = -errno;
		unlock(n, g, BYTE_WRITERS);
	}
	return r;
}

static bool by_group(const struct stream_given *g)
{
	return g->terminal || g->bits & READ;
}

/* A pipe whose owner has changed its mode is left to him. */
static bool is_as_made(const struct stat *st)
{
	return (st->st_mode & 07777 & ~066U) == 0600;
}

static int give(const struct stream_names *n, struct stream_given *g)
{
	int r = guard(n, g);

	if (r < 0)
		return r;
	r = fstat(g->fd, &g->was) < 0 ? -errno : 0;
	if (r == 0 && !g->terminal && !is_as_made(&g->was))
		r = -EPERM;
	if (r == 0)
		r = by_group(g) ? give_group(n, g) : give_others(n, g);
	unlock(n, g, BYTE_GUARD);
	return r;
}

static void take_back(const struct stream_names *n, const struct stream_given *g)
{
	struct stat now;

	if (guard(n, g) < 0 || fstat(g->fd, &now) < 0)
		return;
	if (by_group(g)) {
		/* The bits of others may be another run's. */
		if (now.st_gid == n->gid)
			(void)set_group(g->fd, g->was.st_gid,
					(now.st_mode & 07707) | (g->was.st_mode & S_IRWXG));
		unlock(n, g, BYTE_GROUP);
	} else {
		unlock(n, g, BYTE_WRITERS);
		if (lock(n, g, BYTE_WRITERS, F_WRLCK, F_OFD_SETLK) == 0)
			(void)fchmod(g->fd, now.st_mode & 07777 & ~WRITE);
		unlock(n, g, BYTE_WRITERS);
	}
	unlock(n, g, BYTE_GUARD);
}

/* ---- streams ---- */

static bool is_own_terminal(int fd)
{
	pid_t session;

	return ioctl(fd, TIOCGSID, &session) == 0;
}

/* By what it is not: the devices of memory (null, zero and their like) and the own one. */
bool stream_is_foreign_terminal(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return true;
	return S_ISCHR(st.st_mode) && major(st.st_rdev) != 1 && !is_own_terminal(fd);
}

static bool is_pipe(int fd, const struct stat *st)
{
	struct statfs fs;

	return S_ISFIFO(st->st_mode) && fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC;
}

static unsigned bits_of(int fd)
{
	int mode = fcntl(fd, F_GETFL) & O_ACCMODE;

	return (mode != O_WRONLY ? READ : 0) | (mode != O_RDONLY ? WRITE : 0);
}

/* The side of a pseudo-terminal that programs have, or a console. */
static bool is_his_terminal(const struct stat *st, uid_t uid)
{
	unsigned of = major(st->st_rdev);

	return st->st_uid == uid && (of == 4 || (of >= 136 && of <= 143));
}

/* who: NULL: this process. Two streams may be one thing. */
static void note(struct stream_names *n, const int fds[static 3], int as,
		 const struct stream_caller *who)
{
	int fd = fds[as];
	struct stream_given g = { .fd = fd, .bits = bits_of(fd) };

	if (fstat(fd, &g.was) < 0)
		return;
	if (S_ISCHR(g.was.st_mode))
		g.terminal = who ? who->terminals & 1U << as && is_his_terminal(&g.was, who->uid)
				 : is_own_terminal(fd);
	if (!g.terminal && !is_pipe(fd, &g.was))
		return;
	for (unsigned i = 0; i < n->n; i++)
		if (n->given[i].was.st_dev == g.was.st_dev &&
		    n->given[i].was.st_ino == g.was.st_ino) {
			n->given[i].bits |= g.bits;
			return;
		}
	g.at = place_of(&g.was);
	n->given[n->n++] = g;
}

static void give_all(struct stream_names *n)
{
	unsigned all = n->n;

	n->n = 0;
	for (unsigned i = 0; i < all && n->table >= 0; i++)
		if (give(n, &n->given[i]) == 0)
			n->given[n->n++] = n->given[i];
}

int stream_names_table(int run_fd)
{
	return openat(run_fd, "streams", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

void stream_names_try_give(int run_fd, uid_t id, const int fds[static 3], struct stream_names *ret)
{
	struct stream_names n = { .table = -1, .gid = id, .own = getegid() };

	for (int i = 0; i < 3; i++)
		note(&n, fds, i, NULL);
	if (n.n > 0)
		n.table = stream_names_table(run_fd);
	give_all(&n);
	*ret = n;
}

void stream_names_try_give_for(int table, uid_t id, const struct stream_caller *who,
			       const int fds[static 3], struct stream_names *ret)
{
	struct stream_names n = { .table = -1, .gid = id, .own = who->gid };

	for (int i = 0; i < 3; i++)
		note(&n, fds, i, who);
	if (n.n > 0)
		n.table = fcntl(table, F_DUPFD_CLOEXEC, 3);
	give_all(&n);
	*ret = n;
}

void stream_names_take_back(struct stream_names *names)
{
	for (unsigned i = 0; i < names->n; i++)
		take_back(names, &names->given[i]);
	names->n = 0;
	fd_close(&names->table);
}

/* ---- files ---- */

static int open_in(int mount, int fd)
{
	cleanup_fd int again = -1;
	char path[40];
	off_t at = lseek(fd, 0, SEEK_CUR);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", mount);
	again = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (again < 0 || at < 0 || lseek(again, at, SEEK_SET) < 0)
		return -errno;
	return TAKE_FD(again);
}

int stream_names_open_input(int run_fd, int fd, const struct stat *st, uid_t id)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	cleanup_fd int tree =
		open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	struct idmap map = IDMAP_NONE;
	int r;

	/* Read-only before it makes anybody an owner. */
	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	if (st->st_mode & S_IROTH)
		return open_in(tree, fd);
	r = idmap_open(run_fd, st->st_uid, st->st_gid, id, st->st_uid == geteuid(), &map, NULL);
	if (r == 0)
		r = idmap_apply(tree, &map);
	if (r == 0)
		r = open_in(tree, fd);
	idmap_close(&map);
	return r;
}
