/* SPDX-License-Identifier: MIT */
/* Listens where a function looks for the Runtime API: see api_socket.h. */
#include "launch/api_socket.h"

#include "base/err.h"
#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Connections that nobody has accepted yet, and what a function may send on each before anybody
 * reads: what comes in here is charged to whoever accepts, not to the function. A runtime has
 * two or three. */
#define BACKLOG	     16
#define BUFFER_BYTES (256 << 10)

int api_socket_open(struct cloche_err *err)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(API_SOCKET_PORT),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int bytes = BUFFER_BYTES;

	if (fd < 0)
		return cloche_err_sys(err, errno, "make the Runtime API's socket");
	/* Of a listener those of its connections have them. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) < 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0)
		return cloche_err_sys(err, errno, "listen at 127.0.0.1:%d", API_SOCKET_PORT);
	return TAKE_FD(fd);
}
