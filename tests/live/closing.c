/* SPDX-License-Identifier: MIT */
/*
 * Clients who hand over what cannot be closed: a socket that lingers, behind which somebody never
 * reads. Neither does the front wait for it, nor anybody else, and it ends all the same. What
 * lingers for good, a file system that does not answer, is escape/guest/fuse.c's.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "serve/packet.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

/* As many as are too many for one user, and more. */
#define HANDED 20

static int listen_somewhere(struct sockaddr_in *ret)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)ret, sizeof(*ret)) == 0 &&
		  listen(fd, 20 * HANDED) == 0 &&
		  getsockname(fd, (struct sockaddr *)ret, &len) == 0);
	return fd;
}

/* Full of what nobody reads: its last close(2) waits until somebody does. */
static int lingering(const struct sockaddr_in *at)
{
	const struct linger forever = { .l_onoff = 1, .l_linger = 3600 };
	static const char bytes[65536];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0, "%m");
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &forever, sizeof(forever)), 0);
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	cr_assert_eq(errno, EAGAIN);
	return fd;
}

/* packet_send() has room for no more than are taken. */
static int send_all(int socket, const struct packet_fds *fds)
{
	char space[CMSG_SPACE(PACKET_FDS_SENT * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = (char[]){ "nonsense" }, .iov_len = 8 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = CMSG_SPACE(fds->n * sizeof(int)) };

	*CMSG_FIRSTHDR(&h) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(fds->n * sizeof(int)),
					       .cmsg_level = SOL_SOCKET,
					       .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), fds->fd, fds->n * sizeof(int));
	return sendmsg(socket, &h, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Nobody else has it: the daemon is the last. Whether it likes the message is no matter. */
static void hand(const struct daemon *d, const struct sockaddr_in *at, bool in_a_socket)
{
	struct packet_fds fds = { .fd = { lingering(at) }, .n = 1 };
	int socket = daemon_knock(d), pair[2];

	if (in_a_socket) {
		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		cr_assert_eq(packet_send(pair[1], "", 1, &fds), 0);
		packet_close_fds(&fds);
		(void)close(pair[1]);
		fds = (struct packet_fds){ .fd = { pair[0] }, .n = 1 };
	}
	/* More than any message may have. */
	while (in_a_socket && fds.n < 2 * PACKET_FDS)
		fds.fd[fds.n++] = lingering(at);
	cr_assert_eq(send_all(socket, &fds), 0);
	/* The front has not taken it yet: this is not the last close. */
	packet_close_fds(&fds);
	(void)close(socket);
}

static void expect_served(const struct daemon *d, const char *uid, int status, const char *says)
{
	cleanup_run struct run run = { 0 };

	daemon_run_as(d, uid, &run,
		      (const char *const[]){ "-q", "-m", "32M", "--cpu", "shared", "-t", "60s",
					     "--", "echo", "served", NULL });
	cr_expect_eq(run.status, status, "%s", run.err);
	cr_expect(strstr(run.out, says) || strstr(run.err, says), "%s%s", run.out, run.err);
}

/* As soon as what he has sent is closed, which a thread does in its own time; or as it has not been
 * for so long that he is to be refused. */
static void await(const struct daemon *d, const char *uid, int status)
{
	int is = -1;

	while (is != status) {
		cleanup_run struct run run = { 0 };

		daemon_run_as(d, uid, &run,
			      (const char *const[]){ "-q", "-m", "32M", "--cpu", "shared", "-t",
						     "60s", "--", "true", NULL });
		is = run.status;
		cr_assert(is == 0 || is == 125, "%d %s", is, run.err);
	}
}

/* Who asks and goes away at once, as often as one may not owe, has done nothing that is not his
 * right. */
static void ask_and_go(const struct daemon *d, uid_t uid)
{
	pid_t front = daemon_front(d), pid;

	cr_assert_eq(kill(front, SIGSTOP), 0);
	pid = fork();
	if (pid == 0) {
		if (setgid(uid) < 0 || setuid(uid) < 0)
			_exit(99);
		for (int i = 0; i < HANDED; i++) {
			cleanup_fd int socket = daemon_knock(d);

			cr_assert_eq(packet_send(socket, "nonsense", 8, NULL), 0);
		}
		_exit(0);
	}
	cr_expect_eq(process_status(pid), 0);
	cr_assert_eq(kill(front, SIGCONT), 0);
}

/* While the front looks elsewhere, so that all are its own when it looks. */
static void be_hostile(const struct daemon *d, const struct sockaddr_in *at, uid_t uid)
{
	pid_t front = daemon_front(d), pid;

	cr_assert_eq(kill(front, SIGSTOP), 0);
	pid = fork();
	if (pid == 0) {
		if (setgid(uid) < 0 || setuid(uid) < 0)
			_exit(99);
		for (unsigned i = 0; i < HANDED; i++)
			hand(d, at, i % 2);
		_exit(0);
	}
	cr_expect_eq(process_status(pid), 0);
	cr_assert_eq(kill(front, SIGCONT), 0);
}

Test(closing, who_hands_over_what_cannot_be_closed_holds_up_nobody_else)
{
	cleanup_fd int peer = -1;
	struct sockaddr_in at;
	struct daemon d;
	pid_t front;

	daemon_prepare(&d);
	daemon_reconfigure(&d, "silence: 10s\n");
	daemon_start(&d);
	front = daemon_front(&d);
	peer = listen_somewhere(&at);
	be_hostile(&d, &at, 1001);
	for (int i = 0; i < 3; i++)
		expect_served(&d, DAEMON_USER, 0, "served");
	await(&d, "1001", 125);
	/* Nor who has a number that is like his, and has done no more than to go. */
	ask_and_go(&d, 1009);
	expect_served(&d, "1009", 0, "served");
	expect_served(&d, "1001", 125, "that user 1001 has handed to the daemon cannot be closed");
	cr_expect_eq(daemon_front(&d), front, "the front hung");
	/* Nobody is there to read any more: all are closed, and he is a client as others are. */
	fd_close(&peer);
	await(&d, "1001", 0);
	cr_expect_eq(daemon_front(&d), front, "the front hung");
	/* And it comes to an end while something lingers. */
	peer = listen_somewhere(&at);
	be_hostile(&d, &at, 1002);
	expect_served(&d, DAEMON_USER, 0, "served");
	daemon_stop(&d);
}
