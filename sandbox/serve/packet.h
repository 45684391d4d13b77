/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_PACKET_H
#define CLOCHE_SERVE_PACKET_H

#include <stddef.h>

/*
 * One message of a SOCK_SEQPACKET socket, whole, with its descriptors. Neither waits; EINTR is none
 * of the caller's matters.
 */
#define PACKET_FDS 8
/* What a message of anybody's can have (SCM_MAX_FD): what there is no room for the kernel would
 * close then and there. */
#define PACKET_FDS_SENT 253

struct packet_fds {
	int fd[PACKET_FDS_SENT]; /* beyond PACKET_FDS: of a message that had too many */
	unsigned n;
};

/* 0 or -errno. fds may be NULL. The other: with something behind it. */
int packet_send(int socket, const void *bytes, size_t len, const struct packet_fds *fds);
int packet_send_with(int socket, const void *bytes, size_t len, const void *more, size_t more_len,
		     const struct packet_fds *fds);

/* The length, or -errno: -EAGAIN where none is there, -EPIPE at the end, or for one without a byte,
 * -EBADMSG for one that was longer than there is room, or had more descriptors. The descriptors are
 * the caller's, close-on-exec, also then. fds NULL: it may have none, and one that it has is never
 * this process's: to close a file of a file system that somebody else answers for may take for
 * ever. */
int packet_recv(int socket, void *bytes, size_t room, struct packet_fds *fds);

/* The same from who is trusted: it sends no descriptor that takes its time to be closed. */
int packet_recv_trusted(int socket, void *bytes, size_t room, struct packet_fds *fds);

void packet_close_fds(struct packet_fds *fds);

#endif
