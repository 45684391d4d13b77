/* SPDX-License-Identifier: MIT */
/* The configuration in a memfd: see handover.h. */
#include "serve/handover.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "serve/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int handover_config(const struct config *config)
{
	cleanup_fd int fd = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL, r;

	if (fd < 0)
		return -errno;
	r = file_write_all(fd, (const char *)config, sizeof(*config));
	if (r < 0)
		return r;
	return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : TAKE_FD(fd);
}

int handover_take(int fd, struct config *ret, struct cloche_err *err)
{
	ssize_t n = pread(fd, ret, sizeof(*ret), 0);

	if (n == (ssize_t)sizeof(*ret))
		return 0;
	return cloche_err_sys(err, n < 0 ? errno : EBADMSG, "take the configuration over");
}
