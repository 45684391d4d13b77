/* SPDX-License-Identifier: MIT */
/* What somebody has handed over counts against him when it should be closed and is not: a socket
 * after a while, a file of a file system that nobody knows at once. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "host/local.h"
#include "serve/closer.h"

#define SOCKETS 20

/* Its close waits as long as the listener is there. */
static int lingering(int listens)
{
	const struct linger hour = { .l_onoff = 1, .l_linger = 3600 };
	static const char bytes[65536];
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(getsockname(listens, (struct sockaddr *)&at, &len) == 0 &&
			  connect(fd, (struct sockaddr *)&at, len) == 0 &&
			  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)) == 0,
		  "%m");
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	return fd;
}

static int listener(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, SOCKETS) == 0,
		  "%m");
	return fd;
}

Test(closer, sockets_count_after_a_while_and_strange_files_at_once)
{
	/* Of no mount: whatever has a name is strange. */
	cleanup_fd int none = memfd_create("mounts", MFD_CLOEXEC), listens = listener();
	int64_t before_ns = clock_now_ns(), later_ns;
	struct cloche_err err = { 0 };
	struct closer *c = NULL;
	struct local local;
	int file;

	cr_assert_eq(local_init(&local, none), 0);
	cr_assert_eq(closer_open(&local, &c, &err), 0, "%s", err.text);
	for (int i = 0; i < SOCKETS; i++) {
		int fd = lingering(listens);

		closer_take(c, 7, &fd);
		cr_expect_eq(fd, -1);
	}
	later_ns = clock_now_ns() + 10 * NSEC_PER_SEC;
	cr_expect_eq(closer_owes(c, 7, before_ns + NSEC_PER_SEC / 2), 0);
	cr_expect_eq(closer_owes(c, 7, later_ns), SOCKETS);
	/* It waits behind the sockets. */
	file = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	closer_take(c, 7, &file);
	cr_expect_geq(closer_owes(c, 7, clock_now_ns()), 1);
	cr_expect_eq(closer_owes(c, 7, later_ns), SOCKETS + 1);
	cr_expect_eq(closer_owes(c, 8, later_ns), 0);
}
