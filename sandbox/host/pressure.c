/* SPDX-License-Identifier: MIT */
/* The kernel's word on memory pressure: see pressure.h. */
#include "host/pressure.h"

#include "base/fd.h"

#include <fcntl.h>
#include <unistd.h>

#define TRIGGER "some 150000 1000000"

int pressure_watch(void)
{
	cleanup_fd int fd = open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	/* With its NUL, as psi.rst has it. */
	if (fd < 0 || write(fd, TRIGGER, sizeof(TRIGGER)) < 0)
		return -1;
	return TAKE_FD(fd);
}
