/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_API_SOCKET_H
#define CLOCHE_LAUNCH_API_SOCKET_H

struct cloche_err;

/*
 * The socket at which a function finds the Runtime API: it listens at the loopback of the context,
 * which the caller is in, before there is a function, so that nobody in there can have the port.
 * Whoever accepts is outside, with the driver: a socket is of the network namespace that it was
 * made in, and keeps that.
 */
#define API_SOCKET_PORT 9001

/* Non-blocking, close-on-exec. -errno. */
int api_socket_open(struct cloche_err *err);

#endif
