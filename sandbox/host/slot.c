/* SPDX-License-Identifier: MIT */
/* The table of slots; its theory of operation stands in slot.h. */
#include "host/slot.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define DIRTY 1

static int lock_byte(int fd, unsigned n, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = n, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

static int mark(int fd, unsigned n, char v)
{
	return pwrite(fd, &v, 1, n) == 1 ? 0 : -errno;
}

/* Under the lock of slot n, whose byte may have changed since the table was read. */
static int clean_if_dirty(int fd, unsigned n, int (*clean)(unsigned, void *, struct cloche_err *),
			  void *arg)
{
	char now = 0;
	int r;

	if (pread(fd, &now, 1, n) < 0)
		return -errno;
	if (now != DIRTY)
		return 0;
	r = clean(n, arg, NULL);
	return r < 0 ? r : mark(fd, n, 0);
}

int slot_take(int run_fd, const bool *ours,
	      int (*clean)(unsigned n, void *arg, struct cloche_err *err), void *arg,
	      struct slot *ret, struct cloche_err *err)
{
	cleanup_fd int fd =
		openat(run_fd, "slots", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	char table[SLOT_MAX] = { 0 };
	int mine = -1;
	ssize_t used;

	if (fd < 0)
		return cloche_err_sys(err, errno, "open '%s/slots'", HOST_RUN_DIR);
	used = pread(fd, table, sizeof(table), 0);
	if (used < 0)
		return cloche_err_sys(err, errno, "read '%s/slots'", HOST_RUN_DIR);

	/* Every dirty slot is tried, so that what a killed run left goes with the next run. */
	for (unsigned n = 0; n < SLOT_MAX; n++) {
		if (table[n] != DIRTY && mine >= 0) {
			if (n >= (size_t)used)
				break;
			continue;
		}
		if ((ours && ours[n]) || lock_byte(fd, n, F_WRLCK) < 0)
			continue; /* a living owner */
		if (clean_if_dirty(fd, n, clean, arg) < 0 || mine >= 0) {
			(void)lock_byte(fd, n, F_UNLCK);
			continue;
		}
		mine = (int)n;
	}
	if (mine < 0)
		return cloche_err_set(err, EUSERS,
				      "all %d slots of '%s' are taken; wait for a run to "
				      "end",
				      SLOT_MAX, HOST_RUN_DIR);
	if (mark(fd, (unsigned)mine, DIRTY) < 0)
		return cloche_err_sys(err, errno, "write '%s/slots'", HOST_RUN_DIR);
	ret->n = (unsigned)mine;
	ret->fd = TAKE_FD(fd);
	return 0;
}

void slot_release(struct slot *slot, int clean)
{
	if (slot->fd < 0)
		return;
	if (clean)
		(void)mark(slot->fd, slot->n, 0);
	fd_close(&slot->fd);
}
