/* SPDX-License-Identifier: MIT */
/* One datagram to the service manager: see notify.h. */
#include "cli/notify.h"

#include "base/fd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void notify_say(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;

	/* Not an abstract one ("@"): those are of a network, and the daemon has left the host's. */
	if (!path || path[0] != '/' || strlen(path) >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
			     sizeof(to));
}
