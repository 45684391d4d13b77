/* SPDX-License-Identifier: MIT */
/*
 * Binds that somebody without rights gives (launch/given.h), as the warden takes them: whose they
 * are, what they may be, and what nobody is held up by. Each test takes in this process, for user
 * 1000, what a child that is some user has put into a socket. Needs root.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "launch/given.h"
#include "launch/rights.h"
#include "launch/rootfs.h"
#include "tests/lib/env.h"
#include "tests/lib/tmpdir.h"

#define USER  1000
#define OTHER 1001

static const struct rights owner = { .uid = USER, .gid = USER };

/* A message and how it comes. */
struct gift {
	struct given *given;
	size_t len; /* 0: as long as it should be */
	int fds[GIVEN_MAX + 2];
	unsigned n_fds;
	uid_t maker, sender;
};

static struct gift gift_new(void)
{
	struct gift g = { .given = calloc(1, sizeof(*g.given)), .maker = USER, .sender = USER };

	cr_assert_not_null(g.given);
	if (geteuid() != 0)
		test_skip("needs root");
	memcpy(g.given->magic, GIVEN_MAGIC, sizeof(GIVEN_MAGIC));
	return g;
}

static void gift_free(struct gift *g)
{
	for (unsigned i = 0; i < g->n_fds; i++)
		(void)close(g->fds[i]);
	free(g->given);
}
#define cleanup_gift __attribute__((cleanup(gift_free)))

static void gift_add(struct gift *g, int fd, const char *place)
{
	struct given_bind *b = &g->given->binds[g->given->n++];

	cr_assert_geq(fd, 0, "%s: %m", place);
	g->fds[g->n_fds++] = fd;
	(void)snprintf(b->place, sizeof(b->place), "%s", place);
}

static int path_fd(const char *path)
{
	return open(path, O_PATH | O_CLOEXEC);
}

/* In a child of that user. */
static void as_user(uid_t uid, void (*act)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(98);
		act(arg);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "the child: %x", (unsigned)status);
}

struct sending {
	const struct gift *gift;
	int fd; /* the sender's end, with the maker's word; or where the pair goes */
};

static void send_gift(void *arg)
{
	const struct sending *s = arg;
	const struct gift *g = s->gift;
	char space[CMSG_SPACE((GIVEN_MAX + 2) * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = g->given,
			     .iov_len = g->len ? g->len
					       : offsetof(struct given, binds) +
							 g->given->n * sizeof(struct given_bind) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	const int on = 1;

	if (g->n_fds) {
		h.msg_control = space;
		h.msg_controllen = CMSG_SPACE(g->n_fds * sizeof(int));
		*CMSG_FIRSTHDR(&h) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(g->n_fds * sizeof(int)),
						       .cmsg_level = SOL_SOCKET,
						       .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), g->fds, g->n_fds * sizeof(int));
	}
	if (setsockopt(s->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
	    sendmsg(s->fd, &h, MSG_NOSIGNAL) < 0)
		_exit(97);
}

/* Makes a pair and sends both ends to whom it is for. */
static void make_pair(void *arg)
{
	const struct sending *s = arg;
	char space[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = sizeof(space) };
	int pair[2];

	*CMSG_FIRSTHDR(&h) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(pair)),
					       .cmsg_level = SOL_SOCKET,
					       .cmsg_type = SCM_RIGHTS };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		_exit(96);
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), pair, sizeof(pair));
	if (sendmsg(s->fd, &h, MSG_NOSIGNAL) < 0)
		_exit(95);
}

static void pair_of(uid_t uid, int ret[2])
{
	char space[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8))), byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = sizeof(space) };
	int way[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, way), 0);
	as_user(uid, make_pair, &(struct sending){ .fd = way[1] });
	cr_assert_eq(recvmsg(way[0], &h, MSG_CMSG_CLOEXEC), 1);
	cr_assert_not_null(CMSG_FIRSTHDR(&h));
	memcpy(ret, CMSG_DATA(CMSG_FIRSTHDR(&h)), 2 * sizeof(int));
	(void)close(way[0]);
	(void)close(way[1]);
}

static int take_from(int socket, unsigned n, const struct rights *who, struct cloche_err *err)
{
	unsigned char mark[HASH_LEN];
	struct rootfs fs;
	int r;

	rootfs_init(&fs);
	cr_assert_eq(given_prepare(n, -1, who, 1900000000, &fs, err), 0, "%s", err->text);
	r = given_take(socket, who, &fs, mark, err);
	for (unsigned i = 0; r == 0 && i < fs.n_binds; i++)
		cr_expect_geq(fs.binds[i].tree, 0);
	cr_expect(r != 0 || fs.n_binds + (fs.tree >= 0) == n);
	rootfs_free(&fs);
	return r;
}

static int take_gift(const struct gift *g, struct cloche_err *err)
{
	int pair[2], r;

	*err = (struct cloche_err){ 0 };
	pair_of(g->maker, pair);
	as_user(g->sender, send_gift, &(struct sending){ g, pair[1] });
	(void)close(pair[1]);
	r = take_from(pair[0], g->given->n ? g->given->n : 1, &owner, err);
	(void)close(pair[0]);
	return r;
}

static void expect_taken(const struct gift *g, int r, const char *said, const char *what)
{
	struct cloche_err err;
	int got = take_gift(g, &err);

	cr_expect_eq(got, r, "%s: %d, not %d: %s", what, got, r, err.text);
	if (said)
		cr_expect(strstr(err.text, said), "%s: %s", what, err.text);
}

/* ---- whose they are -------------------------------------------------------------------------- */

Test(given, of_the_user_and_nobody_else)
{
	static const struct {
		uid_t maker, sender;
		int r;
	} rows[] = {
		{ USER, USER, 0 },	   { USER, OTHER, -EPERM },    { USER, 0, -EPERM },
		{ OTHER, USER, -EBADMSG }, { OTHER, OTHER, -EBADMSG }, { 0, USER, -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_gift struct gift g = gift_new();

		g.maker = rows[i].maker;
		g.sender = rows[i].sender;
		gift_add(&g, path_fd("/usr/bin"), "/mnt");
		expect_taken(&g, rows[i].r, NULL, "a row");
	}
}

/* Whom all belongs to gives nothing away by this way. */
Test(given, root_is_nobody)
{
	static const struct rights root = { .uid = 0, .gid = 0 };
	cleanup_gift struct gift g = gift_new();
	struct cloche_err err = { 0 };
	int pair[2];

	g.maker = g.sender = 0;
	gift_add(&g, path_fd("/usr/bin"), "/mnt");
	pair_of(0, pair);
	as_user(0, send_gift, &(struct sending){ &g, pair[1] });
	cr_expect_eq(take_from(pair[0], 1, &root, &err), -EPERM, "%s", err.text);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* Nothing is waited for, and nothing is read of what is no such socket. */
Test(given, what_is_no_socket_that_holds_them)
{
	cleanup_gift struct gift g = gift_new();
	struct cloche_err err = { 0 };
	int pair[2], stream[2], ends[2], fds[6];

	pair_of(USER, pair);
	cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0 &&
		  pipe2(ends, O_CLOEXEC) == 0);
	fds[0] = pair[0]; /* empty */
	fds[1] = stream[0];
	fds[2] = ends[0];
	fds[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[4] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	fds[5] = memfd_create("x", MFD_CLOEXEC);
	for (int i = 0; i < 6; i++)
		cr_expect_eq(take_from(fds[i], 1, &owner, &err), -EBADMSG, "%d: %s", i, err.text);
	/* What it was ends with it. */
	(void)close(pair[1]);
	cr_expect_eq(take_from(pair[0], 1, &owner, &err), -EBADMSG, "%s", err.text);
}

/* ---- the message ----------------------------------------------------------------------------- */

Test(given, messages_that_are_none)
{
	const size_t head = offsetof(struct given, binds), one = sizeof(struct given_bind);
	const size_t lens[] = {
		1, 16, head - 1, head, head + 1, head + one - 1, head + one + 1, head + 2 * one
	};
	cleanup_gift struct gift g = gift_new();

	gift_add(&g, path_fd("/usr/bin"), "/mnt");
	expect_taken(&g, 0, NULL, "as it should be");
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		g.len = lens[i];
		expect_taken(&g, -EBADMSG, NULL, "of another length");
	}
	g.len = 0;
	g.given->magic[3]++;
	expect_taken(&g, -EBADMSG, NULL, "of another magic");
	g.given->magic[3]--;
	for (uint32_t how = GIVEN_ROOT + 1; how; how *= 2) {
		g.given->binds[0].how = how;
		expect_taken(&g, -EBADMSG, NULL, "in another way");
	}
	g.given->binds[0].how = GIVEN_RO;
	memset(g.given->binds[0].place, '/', sizeof(g.given->binds[0].place));
	expect_taken(&g, -EBADMSG, NULL, "a place without an end");
}

Test(given, as_many_descriptors_as_binds)
{
	cleanup_gift struct gift g = gift_new();
	struct cloche_err err;

	while (g.given->n < GIVEN_MAX)
		gift_add(&g, path_fd("/usr/bin"), "/mnt");
	expect_taken(&g, 0, NULL, "the most, and all the same");
	for (int more = 1; more <= 2; more++) {
		g.fds[g.n_fds++] = path_fd("/usr/bin");
		expect_taken(&g, -EBADMSG, NULL, "too many");
	}
	g.n_fds -= 3;
	expect_taken(&g, -EBADMSG, NULL, "one is missing");
	g.n_fds++;
	g.given->n--;
	g.n_fds--;
	expect_taken(&g, 0, NULL, "one less of both");
	/* The launcher made room for as many as it was told. */
	g.given->n = 1;
	g.n_fds = 1;
	{
		int pair[2];

		pair_of(USER, pair);
		as_user(USER, send_gift, &(struct sending){ &g, pair[1] });
		cr_expect_eq(take_from(pair[0], 2, &owner, &err), -EBADMSG, "%s", err.text);
	}
	g.given->n = UINT32_MAX;
	g.len = 20;
	{
		int pair[2];

		pair_of(USER, pair);
		as_user(USER, send_gift, &(struct sending){ &g, pair[1] });
		cr_expect_eq(take_from(pair[0], 1, &owner, &err), -EBADMSG, "%s", err.text);
	}
}

Test(given, places)
{
	static const struct {
		const char *place;
		int r;
	} rows[] = {
		{ "/mnt/x", 0 },      { "mnt", -EINVAL },	 { "", -EINVAL },
		{ "/", -EINVAL },     { "/.", -EINVAL },	 { "/a/../b", -EINVAL },
		{ "/proc", -EINVAL }, { "//./proc/x", -EINVAL }, { "/..", -EINVAL },
		{ "/x\033[2J", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_gift struct gift g = gift_new();

		gift_add(&g, path_fd("/usr/bin"), rows[i].place);
		expect_taken(&g, rows[i].r, NULL, rows[i].place);
	}
}

/* ---- the descriptors ------------------------------------------------------------------------- */

static void expect_fd(int fd, bool rw, int r, const char *said, const char *what)
{
	cleanup_gift struct gift g = gift_new();

	gift_add(&g, fd, "/mnt");
	g.given->binds[0].how = rw ? GIVEN_RW : GIVEN_RO;
	expect_taken(&g, r, said, what);
}

Test(given, kinds)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	char fifo[512], link[512], self[64];
	int pipes[2], mem = memfd_create("x", MFD_CLOEXEC);

	cr_assert(mkfifo(tmpdir_path(fifo, dir, "fifo"), 0666) == 0 && chmod(fifo, 0666) == 0 &&
		  symlink("/etc/shadow", tmpdir_path(link, dir, "link")) == 0 &&
		  pipe2(pipes, O_CLOEXEC) == 0);
	expect_fd(path_fd("/usr/bin/env"), false, 0, NULL, "a file");
	expect_fd(path_fd(fifo), true, 0, NULL, "a FIFO");
	expect_fd(open("/usr/bin/env", O_RDONLY | O_CLOEXEC), false, -EBADMSG, "open", "open");
	expect_fd(open("/usr/bin", O_RDONLY | O_CLOEXEC), false, -EBADMSG, "open", "open");
	expect_fd(open(link, O_PATH | O_NOFOLLOW | O_CLOEXEC), false, -ELOOP, "link", "a link");
	expect_fd(path_fd("/"), false, -EPERM, "the whole host", "/");
	expect_fd(path_fd("/proc"), false, -EINVAL, "file system", "/proc");
	expect_fd(path_fd("/proc/self"), false, -EINVAL, "file system", "/proc/self");
	expect_fd(path_fd("/sys/kernel"), false, -EINVAL, "file system", "/sys");
	expect_fd(path_fd("/proc/self/ns/mnt"), false, -EINVAL, "file system", "a namespace");
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", pipes[0]);
	expect_fd(path_fd(self), false, -EINVAL, "file system", "a pipe");
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", mem);
	expect_fd(path_fd(self), false, -EINVAL, "file system", "a file in memory");
}

/* What is to be read or written is judged for the user by the kernel, whoever opened it. */
Test(given, with_the_users_rights)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	char private[512], own[512], group[512], file[512];
	cleanup_fd int made = open(tmpdir_path(file, dir, "file"), O_CREAT | O_CLOEXEC, 0600);

	cr_assert(made >= 0 && mkdir(tmpdir_path(private, dir, "private"), 0700) == 0 &&
		  mkdir(tmpdir_path(own, dir, "own"), 0700) == 0 && chown(own, USER, USER) == 0 &&
		  mkdir(tmpdir_path(group, dir, "group"), 0750) == 0 &&
		  chown(group, 0, OTHER) == 0);
	expect_fd(path_fd(file), false, -EACCES, "may not read", "root's file");
	expect_fd(path_fd(private), false, -EACCES, "may not read", "root's");
	expect_fd(path_fd(group), false, -EACCES, "may not read", "another group's");
	expect_fd(path_fd(own), false, 0, NULL, "the own");
	expect_fd(path_fd(own), true, 0, NULL, "the own, to write");
	expect_fd(path_fd("/usr/bin"), true, -EACCES, "may not write", "to write");
}

static int make_root(const char *dir, const char *name, char path[static 512])
{
	static const char *const tops[] = { "dev", "proc", "sys", "tmp" };
	char top[520];

	cr_assert_eq(mkdir(tmpdir_path(path, dir, name), 0755), 0);
	for (int i = 0; i < 4; i++) {
		(void)snprintf(top, sizeof(top), "%s/%s", path, tops[i]);
		cr_assert_eq(mkdir(top, 0755), 0);
	}
	return path_fd(path);
}

/* One, and in front; a directory that the user may enter and that has the places of a root. */
Test(given, a_root)
{
	static const struct {
		const char *what;
		uint32_t first, second;
		const char *path; /* NULL: a root that is one */
		int r;
	} rows[] = {
		{ "a root, and a bind", GIVEN_ROOT, GIVEN_RO, NULL, 0 },
		{ "a root behind", GIVEN_RO, GIVEN_ROOT, NULL, -EBADMSG },
		{ "two", GIVEN_ROOT, GIVEN_ROOT, NULL, -EBADMSG },
		{ "a file", GIVEN_ROOT, GIVEN_RO, "/usr/bin/env", -ENOTDIR },
		{ "no place for /proc", GIVEN_ROOT, GIVEN_RO, "/usr", -ENOENT },
		{ "the host", GIVEN_ROOT, GIVEN_RO, "/", -EPERM },
		{ "/proc", GIVEN_ROOT, GIVEN_RO, "/proc", -EINVAL },
	};
	cleanup_tmpdir char *dir = tmpdir_make_open();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_gift struct gift g = gift_new();
		char path[512], name[16];

		(void)snprintf(name, sizeof(name), "%zu", i);
		gift_add(&g, rows[i].path ? path_fd(rows[i].path) : make_root(dir, name, path),
			 "/mnt");
		gift_add(&g, rows[i].second == GIVEN_ROOT ? dup(g.fds[0]) : path_fd("/usr/bin"),
			 "/opt");
		g.given->binds[0].how = rows[i].first;
		g.given->binds[1].how = rows[i].second;
		expect_taken(&g, rows[i].r, NULL, rows[i].what);
	}
}

/* A mount of whoever has made a mount namespace of its own. */
Test(given, from_another_mount_namespace)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	int way[2], status, fd = -1;
	char path[1024];
	pid_t pid;

	cr_assert_eq(pipe2(way, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("x", dir, "tmpfs", 0, "mode=777") < 0 || write(way[1], "x", 1) != 1)
			_exit(1);
		(void)pause();
	}
	cr_assert_eq(read(way[0], path, 1), 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/root%s", pid, dir);
	fd = path_fd(path);
	expect_fd(fd, false, -EINVAL, "another mount namespace", "of another mount namespace");
	(void)kill(pid, SIGKILL);
	cr_expect_eq(waitpid(pid, &status, 0), pid);
}

/* Of which nobody answers for anything. */
Test(given, a_file_system_that_does_not_answer, .timeout = 30)
{
	cleanup_tmpdir char *dir = tmpdir_make_open();
	char options[128];
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	/* Guests have none, and are none of those who hold others up. */
	if (fuse < 0) {
		fprintf(stderr, "note: no /dev/fuse, nothing was tried with it\n");
		return;
	}
	(void)snprintf(options, sizeof(options),
		       "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", fuse);
	cr_assert_eq(mount("x", dir, "fuse.none", 0, options), 0, "%m");
	expect_fd(path_fd(dir), false, -EINVAL, "FUSE", "FUSE");
	(void)umount2(dir, MNT_DETACH);
	(void)close(fuse);
}
