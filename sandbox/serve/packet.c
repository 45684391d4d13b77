/* SPDX-License-Identifier: MIT */
/* Whole messages and their descriptors: see packet.h. */
#include "serve/packet.h"

#include "base/tick.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(PACKET_FDS_SENT * sizeof(int))];
};

int packet_send(int socket, const void *bytes, size_t len, const struct packet_fds *fds)
{
	return packet_send_with(socket, bytes, len, NULL, 0, fds);
}

int packet_send_with(int socket, const void *bytes, size_t len, const void *more, size_t more_len,
		     const struct packet_fds *fds)
{
	union control control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov[] = { { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len },
			       { .iov_base = (void *)(uintptr_t)more, .iov_len = more_len } };
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	if (fds && fds->n) {
		control.head.cmsg_len = CMSG_LEN(fds->n * sizeof(int));
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(fds->n * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds->fd, fds->n * sizeof(int));
	}
	do
		n = sendmsg(socket, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void packet_close_fds(struct packet_fds *fds)
{
	if (fds->n == 0)
		return;
	tick_begin();
	while (fds->n > 0)
		(void)close(fds->fd[--fds->n]);
	tick_end();
}

/* False: they were too many. */
static bool take_fds(struct msghdr *h, struct packet_fds *ret)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(h);
	int fds[sizeof(union control) / sizeof(int)]; /* the kernel fills up what is padding, too */
	size_t n;

	ret->n = 0;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return true;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	for (size_t i = 0; i < n && i < PACKET_FDS_SENT; i++)
		ret->fd[ret->n++] = fds[i];
	for (size_t i = PACKET_FDS_SENT; i < n; i++)
		(void)close(fds[i]);
	return n <= PACKET_FDS;
}

int packet_recv_trusted(int socket, void *bytes, size_t room, struct packet_fds *fds)
{
	union control control;
	struct iovec iov = { .iov_base = bytes, .iov_len = room };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = fds ? &control : NULL,
			    .msg_controllen = fds ? sizeof(control) : 0 };
	ssize_t n;

	if (fds)
		fds->n = 0;
	do
		n = recvmsg(socket, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno != ECONNRESET ? -errno : -EPIPE;
	/* Also of a message without a byte, which nobody can tell from the end. */
	if ((fds && !take_fds(&h, fds)) || h.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EBADMSG;
	return n == 0 ? -EPIPE : (int)n;
}

/* What there is no room for, the kernel closes here. */
int packet_recv(int socket, void *bytes, size_t room, struct packet_fds *fds)
{
	int r;

	tick_begin();
	r = packet_recv_trusted(socket, bytes, room, fds);
	tick_end();
	return r;
}
