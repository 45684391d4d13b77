/* SPDX-License-Identifier: MIT */
/* Messages between launcher and warden, each in one piece with its descriptors: see message.h. */
#include "launch/message.h"

#include "base/fd.h"
#include "launch/warden.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
};

int message_send(int socket, const struct warden_msg *m, const struct message_tail *tail,
		 const struct message_fds *fds)
{
	union control control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov[2] = { { .iov_base = (void *)(uintptr_t)m, .iov_len = sizeof(*m) } };
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = 1 };
	ssize_t n;

	if (tail) {
		iov[1] = (struct iovec){ .iov_base = tail->bytes, .iov_len = tail->len };
		h.msg_iovlen = 2;
	}
	if (fds && fds->n) {
		control.head.cmsg_len = CMSG_LEN(fds->n * sizeof(int));
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(fds->n * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds->fd, fds->n * sizeof(int));
	}
	do
		n = sendmsg(socket, &h, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void message_close_fds(struct message_fds *fds)
{
	while (fds->n > 0)
		(void)close(fds->fd[--fds->n]);
}

int message_recv(int socket, struct warden_msg *ret, struct message_tail *tail,
		 struct message_fds *fds)
{
	union control control;
	struct iovec iov[2] = { { .iov_base = ret, .iov_len = sizeof(*ret) } };
	struct msghdr h = { .msg_iov = iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;

	fds->n = 0;
	if (tail) {
		iov[1] = (struct iovec){ .iov_base = tail->bytes, .iov_len = tail->len };
		h.msg_iovlen = 2;
	}
	do
		n = recvmsg(socket, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno != ECONNRESET ? -errno : -EPIPE;
	c = CMSG_FIRSTHDR(&h);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		fds->n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds->fd, CMSG_DATA(c), fds->n * sizeof(int));
	}
	if (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || (size_t)n < sizeof(*ret)) {
		message_close_fds(fds);
		return -EBADMSG;
	}
	if (tail)
		tail->len = (size_t)n - sizeof(*ret);
	return 0;
}
