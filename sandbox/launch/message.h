/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_MESSAGE_H
#define CLOCHE_LAUNCH_MESSAGE_H

#include <stddef.h>
#include <sys/types.h>

struct warden_msg;

/* The most that any message has. */
#define MESSAGE_FDS 24

/* Bytes that come behind a message. */
struct message_tail {
	char *bytes;
	size_t len; /* to be sent; or the room there is, then what came */
};

struct message_fds {
	int fd[MESSAGE_FDS];
	unsigned n;
};

/* One whole message; tail and fds may be NULL. 0 or -errno; -EMSGSIZE: the tail is too long for
 * this socket. */
int message_send(int socket, const struct warden_msg *m, const struct message_tail *tail,
		 const struct message_fds *fds);

/* The next one, waited for; its descriptors are the caller's, close-on-exec. -EPIPE: there will be
 * none; -EBADMSG: it was not whole, or longer than there is room, and is dropped. */
int message_recv(int socket, struct warden_msg *ret, struct message_tail *tail,
		 struct message_fds *fds);

void message_close_fds(struct message_fds *fds);

#endif
