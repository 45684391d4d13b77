/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_STREAMS_H
#define CLOCHE_LAUNCH_STREAMS_H

#include <stdbool.h>
#include <sys/stat.h>

struct cloche_err;

/*
 * What may be a function's standard input, output or error: a list of kinds, each of which carries
 * bytes and nothing else that a function could use. Whatever is not on it is refused by name:
 * directories and what was opened by O_PATH (doors to the host's files), block devices, devices but
 * for the harmless ones, the master side of a terminal, descriptors without a file (eventfd, epoll,
 * pidfd, io_uring, BPF), message queues, namespaces, sockets that are no connection, and files of
 * the kernel's own that are open for writing.
 */
enum stream_kind {
	STREAM_FILE,	 /* a regular one; memfd_create(2) makes them, too */
	STREAM_PIPE,	 /* or FIFO */
	STREAM_SOCKET,	 /* a stream; never given to a function as it is: see run/stdio.h */
	STREAM_TERMINAL, /* the side that programs have */
	STREAM_DEVICE,	 /* null, zero, full, random, urandom */
};

struct stream {
	enum stream_kind kind;
	bool reads, writes; /* as it was opened */
	bool appends;
	struct stat st;
};

extern const char *const stream_names[3]; /* "standard input", ... */

/* Finds out what fd is that is to be stream 0, 1 or 2. *ret is set on success. -EINVAL: it may not
 * be one, *err says what it is and what to do; -EBADF: it is not open. */
int stream_look(int fd, int as, struct stream *ret, struct cloche_err *err);

/* Both write to the same place, so that what goes to one comes before or after what goes to the
 * other: the same pipe, terminal or socket, or the same open file. */
bool stream_same_place(const struct stream *a, int a_fd, const struct stream *b, int b_fd);

#endif
