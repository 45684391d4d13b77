/* SPDX-License-Identifier: MIT */
/* Messages with more than there is room for, in bytes and in descriptors. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/packet.h"

#define MANY 253 /* SCM_MAX_FD: the kernel takes no more */

static void open_pair(int pair[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

/* The lowest number that is free: a descriptor that leaks takes it. */
static int lowest(void)
{
	int fd = dup(0);

	(void)close(fd);
	return fd;
}

static void send_many(int socket, unsigned n)
{
	char space[CMSG_SPACE(MANY * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = n ? space : NULL,
			    .msg_controllen = n ? CMSG_SPACE(n * sizeof(int)) : 0 };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	if (c) {
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS };
		for (unsigned i = 0; i < n; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &socket, sizeof(int));
	}
	cr_assert_eq(sendmsg(socket, &h, 0), 1);
}

Test(packet, descriptors_up_to_the_most_and_no_more)
{
	int pair[2], free_fd;
	struct packet_fds fds;
	char byte;

	open_pair(pair);
	free_fd = lowest();
	for (unsigned n = 0; n <= MANY; n++) {
		int want = n <= PACKET_FDS ? 1 : -EBADMSG;

		send_many(pair[0], n);
		cr_assert_eq(packet_recv(pair[1], &byte, 1, &fds), want, "%u", n);
		cr_assert_eq(fds.n, n, "%u", n);
		for (unsigned i = 0; i < fds.n; i++)
			cr_expect(fcntl(fds.fd[i], F_GETFD) & FD_CLOEXEC);
		packet_close_fds(&fds);
		cr_assert_eq(lowest(), free_fd, "%u: one is left open", n);
	}
}

Test(packet, a_longer_one_is_dropped_whole)
{
	struct packet_fds fds;
	char room[4];
	int pair[2];

	open_pair(pair);
	cr_assert_eq(packet_send(pair[0], "12345", 5, NULL), 0);
	cr_assert_eq(packet_send(pair[0], "1234", 4, NULL), 0);
	cr_expect_eq(packet_recv(pair[1], room, 4, &fds), -EBADMSG);
	cr_expect_eq(packet_recv(pair[1], room, 4, &fds), 4);
	cr_expect_eq(packet_recv(pair[1], room, 4, &fds), -EAGAIN);
	(void)close(pair[0]);
	cr_expect_eq(packet_recv(pair[1], room, 4, &fds), -EPIPE);
}

Test(packet, nobody_is_waited_for)
{
	static char bytes[1000];
	int pair[2], r = 0;

	open_pair(pair);
	for (int i = 0; i < 100000 && r == 0; i++)
		r = packet_send(pair[0], bytes, sizeof(bytes), NULL);
	cr_expect_eq(r, -EAGAIN);
}

/* Who wants none gets none, not even to close. */
Test(packet, descriptors_that_nobody_wants)
{
	struct packet_fds fds = { .n = 1 };
	int pair[2], ends[2];
	char byte;

	cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0 && pipe(ends) == 0);
	fds.fd[0] = ends[1];
	cr_assert_eq(packet_send(pair[0], "x", 1, &fds), 0);
	(void)close(ends[1]);
	cr_expect_eq(packet_recv(pair[1], &byte, 1, NULL), -EBADMSG);
	cr_expect_eq(read(ends[0], &byte, 1), 0, "somebody has it");
	cr_assert_eq(packet_send(pair[0], "x", 1, NULL), 0);
	cr_expect_eq(packet_recv(pair[1], &byte, 1, NULL), 1);
}
