/* SPDX-License-Identifier: MIT */
/* The message from who gives binds to the warden who takes them: see given.h. */
#include "launch/given.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/local.h"
#include "launch/given_mark.h"
#include "launch/rights.h"
#include "launch/rootfs.h"
#include "launch/source.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* With room for one descriptor more than is taken: so many are seen to be too many. */
union control {
	struct cmsghdr head;
	char space[CMSG_SPACE((GIVEN_MAX + 1) * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

struct given_fds {
	int fd[GIVEN_MAX];
	unsigned n;
};

static size_t length_of(unsigned n)
{
	return offsetof(struct given, binds) + n * sizeof(struct given_bind);
}

_Static_assert(sizeof(GIVEN_MAGIC) == sizeof(((struct given *)0)->magic), "it fills its room");

static void close_fds(struct given_fds *fds)
{
	while (fds->n > 0)
		(void)close(fds->fd[--fds->n]);
}

/* ---- to give --------------------------------------------------------------------------------- */

/* A directory, which is written with a '/'; the rest are images. */
static bool has_root(const struct spec *spec)
{
	return spec->rootfs && strchr(spec->rootfs, '/');
}

unsigned given_count(const struct spec *spec)
{
	return (unsigned)spec->n_binds + (has_root(spec) ? 1 : 0);
}

static int pack_root(const struct spec *spec, struct given *g, struct given_fds *fds,
		     struct cloche_err *err)
{
	struct source source = { .fd = -1 };
	int r = has_root(spec) ? source_open_root(spec, spec->rootfs, &source, err) : 0;

	if (r < 0 || !has_root(spec))
		return r;
	g->binds[fds->n].how = GIVEN_ROOT;
	fds->fd[fds->n++] = source.fd;
	return 0;
}

static int pack(const struct spec *spec, struct given *g, struct given_fds *fds,
		struct cloche_err *err)
{
	int r = pack_root(spec, g, fds, err);

	for (size_t i = 0; r == 0 && i < spec->n_binds; i++) {
		const struct bind_spec *b = &spec->binds[i];
		struct given_bind *to = &g->binds[fds->n];
		struct source source = { .fd = -1 };

		to->how = b->rw ? GIVEN_RW : GIVEN_RO;
		if ((size_t)snprintf(to->place, sizeof(to->place), "%s", b->dst) >=
		    sizeof(to->place))
			return cloche_err_set(err, ENAMETOOLONG,
					      CLOCHE_FIELD
					      "bind: through the daemon a path inside may have %d "
					      "bytes",
					      GIVEN_PLACE_LEN - 1);
		r = source_open_own(b, &source, err);
		if (r == 0)
			fds->fd[fds->n++] = source.fd;
	}
	return r;
}

/* SO_PASSCRED: the kernel puts into the message who sends it. */
static int put(int socket, const struct given *g, const struct given_fds *fds)
{
	union control control = { .head = { .cmsg_len = CMSG_LEN(fds->n * sizeof(int)),
					    .cmsg_level = SOL_SOCKET,
					    .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)g, .iov_len = length_of(g->n) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = CMSG_SPACE(fds->n * sizeof(int)) };
	const int on = 1;

	memcpy(CMSG_DATA(&control.head), fds->fd, fds->n * sizeof(int));
	if (setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
	    sendmsg(socket, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

int given_pack(const struct spec *spec, int *ret_socket, unsigned char ret_claim[static HASH_LEN],
	       struct cloche_err *err)
{
	cleanup_free struct given *g = calloc(1, sizeof(*g));
	struct given_fds fds = { .n = 0 };
	int pair[2], r;

	if (!g)
		return cloche_err_sys(err, ENOMEM, CLOCHE_FIELD "bind");
	if (geteuid() == 0)
		return cloche_err_set(err, ENOTSUP,
				      CLOCHE_FIELD "bind: root's do not go through the daemon; "
						   "unset CLOCHE_CONTROL");
	if (given_count(spec) > GIVEN_MAX)
		return cloche_err_set(err, E2BIG,
				      CLOCHE_FIELD
				      "bind: %zu binds; at most %d go through the daemon, bind a "
				      "directory that holds them",
				      spec->n_binds, GIVEN_MAX);
	memcpy(g->magic, GIVEN_MAGIC, sizeof(GIVEN_MAGIC));
	g->n = given_count(spec);
	r = pack(spec, g, &fds, err);
	if (r == 0)
		given_claim(g, fds.fd, ret_claim);
	if (r == 0) {
		r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
		if (r == 0) {
			r = put(pair[1], g, &fds);
			(void)close(pair[1]);
			if (r < 0)
				(void)close(pair[0]);
		}
		if (r < 0)
			(void)cloche_err_sys(err, -r, CLOCHE_FIELD "bind: hand the sources over");
	}
	close_fds(&fds);
	if (r == 0)
		*ret_socket = pair[0];
	return r;
}

/* ---- to take --------------------------------------------------------------------------------- */

int given_prepare(unsigned n, int run_fd, const struct rights *owner, uid_t uid, struct rootfs *fs,
		  struct cloche_err *err)
{
	fs->binds = calloc(n, sizeof(*fs->binds));
	fs->maps = calloc(1, sizeof(*fs->maps));
	if (!fs->binds || !fs->maps)
		return cloche_err_sys(err, ENOMEM, CLOCHE_FIELD "bind");
	for (; fs->n_binds < n; fs->n_binds++) {
		fs->binds[fs->n_binds] =
			(struct rootfs_bind){ .tree = -1, .dst = malloc(GIVEN_PLACE_LEN) };
		if (!fs->binds[fs->n_binds].dst)
			return cloche_err_sys(err, ENOMEM, CLOCHE_FIELD "bind");
	}
	fs->maps[0] =
		(struct rootfs_map){ .uid = owner->uid, .gid = owner->gid, .map = IDMAP_NONE };
	fs->n_maps = 1;
	/* Of anybody: none is kept for the next. Where there can be none it is reported. */
	(void)idmap_open(run_fd, owner->uid, owner->gid, uid, false, &fs->maps[0].map, NULL);
	return 0;
}

int given_room(unsigned n, const struct rights *owner, struct rootfs *fs)
{
	struct room {
		struct rootfs_map map;
		struct rootfs_bind binds[GIVEN_MAX];
		char places[][GIVEN_PLACE_LEN];
	} *room = mmap(NULL, sizeof(*room) + n * sizeof(room->places[0]), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return -errno;
	room->map = (struct rootfs_map){ .uid = owner->uid, .gid = owner->gid, .map = IDMAP_NONE };
	for (unsigned i = 0; i < n; i++)
		room->binds[i] = (struct rootfs_bind){ .tree = -1, .dst = room->places[i] };
	fs->maps = &room->map;
	fs->n_maps = 1;
	fs->binds = room->binds;
	fs->n_binds = n;
	fs->idmapped = true;
	return 0;
}

/* What is no such socket is not even asked for a message. */
static bool is_pair(int fd, const struct rights *owner)
{
	struct ucred maker = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(int), maker_len = sizeof(maker);
	int domain = 0, type = 0;
	const int on = 1;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &maker_len) == 0 &&
	       maker.uid == owner->uid &&
	       setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0;
}

/* How many descriptors came: so many as there is room for are in *fds, the others closed. */
static size_t sort(struct msghdr *h, struct given_fds *fds, struct ucred *ret)
{
	size_t all = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS)
			memcpy(ret, CMSG_DATA(c), sizeof(*ret));
		for (size_t i = 0; c->cmsg_type == SCM_RIGHTS && i < n; i++, all++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (fds->n < GIVEN_MAX)
				fds->fd[fds->n++] = fd;
			else
				(void)close(fd);
		}
	}
	return all;
}

static int hear(int socket, struct given *g, struct given_fds *fds, struct ucred *ret_sender)
{
	union control control;
	struct iovec iov = { .iov_base = g, .iov_len = sizeof(*g) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(socket, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	size_t n_fds;

	if (n < 0)
		return -errno;
	n_fds = sort(&h, fds, ret_sender);
	if (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || (size_t)n < length_of(0) ||
	    memcmp(g->magic, GIVEN_MAGIC, sizeof(GIVEN_MAGIC)) != 0 || g->n > GIVEN_MAX ||
	    (size_t)n != length_of(g->n) || n_fds != g->n)
		return -EBADMSG;
	return 0;
}

static int take_one(const struct given_bind *g, int fd, const struct rights *owner,
		    struct rootfs *fs, struct rootfs_bind *to, struct cloche_err *err)
{
	const struct bind_spec bind = { .src = g->place,
					.dst = g->place,
					.rw = g->how == GIVEN_RW };
	struct source source = { .fd = fd };
	int r;

	if (g->how > GIVEN_RW || !memchr(g->place, '\0', sizeof(g->place)))
		return cloche_err_set(err, EBADMSG, CLOCHE_FIELD "bind: what there is not");
	r = spec_check_place(g->place, g->place, err);
	if (r == 0)
		r = source_judge_given(owner, "bind", g->place, bind.rw, &source, err);
	return r == 0 ? rootfs_show(fs, to, &source, &bind, err) : r;
}

/* As any other, but nobody's files in it are mapped. */
static int take_root(int fd, const struct rights *owner, struct rootfs *fs, struct cloche_err *err)
{
	struct source source = { .fd = fd };
	int r = source_judge_given(owner, "rootfs", "/", false, &source, err);

	if (r == 0 && !source.is_dir)
		r = cloche_err_set(err, ENOTDIR, CLOCHE_FIELD "rootfs: not a directory");
	return r == 0 ? rootfs_show_root(fs, &source, "/", err) : r;
}

int given_take(int socket, const struct rights *owner, struct rootfs *fs,
	       unsigned char ret_mark[static HASH_LEN], struct cloche_err *err)
{
	struct given_fds fds = { .n = 0 };
	struct ucred sender = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	unsigned root = 0;
	struct given g = { .n = 0 };
	int r = is_pair(socket, owner) ? hear(socket, &g, &fds, &sender) : -EBADMSG;

	if (r < 0 || g.n != fs->n_binds)
		r = cloche_err_set(err, EBADMSG, CLOCHE_FIELD "bind: what came is no message");
	else if (sender.uid != owner->uid || sender.gid != owner->gid || owner->uid == 0)
		r = cloche_err_set(err, EPERM, CLOCHE_FIELD "bind: they are of somebody else");
	if (r == 0 && g.n > 0 && g.binds[0].how == GIVEN_ROOT) {
		r = take_root(fds.fd[0], owner, fs, err);
		root = 1;
		fs->n_binds--;
	}
	for (unsigned i = 0; r == 0 && i < fs->n_binds; i++)
		r = take_one(&g.binds[root + i], fds.fd[root + i], owner, fs, &fs->binds[i], err);
	if (r == 0 && given_mark(&g, fds.fd, ret_mark) < 0)
		r = cloche_err_sys(err, errno, CLOCHE_FIELD "bind (statx)");
	for (size_t i = 0; i < fs->n_maps; i++)
		fd_close(&fs->maps[i].map.userns);
	close_fds(&fds);
	return r;
}

bool given_same(int socket, const struct rights *owner, const unsigned char mark[static HASH_LEN])
{
	struct given_fds fds = { .n = 0 };
	struct ucred sender = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	unsigned char now[HASH_LEN];
	struct given g = { .n = 0 };
	bool same = is_pair(socket, owner) && hear(socket, &g, &fds, &sender) == 0 &&
		    sender.uid == owner->uid && sender.gid == owner->gid &&
		    given_mark(&g, fds.fd, now) == 0 && memcmp(now, mark, HASH_LEN) == 0;

	close_fds(&fds);
	(void)close(socket);
	return same;
}
