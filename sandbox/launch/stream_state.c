/* SPDX-License-Identifier: MIT */
/* Sets the shared state of the standard streams back: see stream_state.h. */
#include "launch/stream_state.h"

#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

/* By fdinfo: it lists the locks that were taken by way of this open file (proc_pid_fdinfo(5)).
 * Where that cannot be read, a lock is taken for the caller's. */
static bool holds_lock(int fd)
{
	char path[40], text[2048];
	struct statfs fs;

	/* Nobody else can open a pipe without a name, or a socket, to wait for a lock on it. */
	if (fstatfs(fd, &fs) == 0 && (fs.f_type == PIPEFS_MAGIC || fs.f_type == SOCKFS_MAGIC))
		return false;
	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return file_read_text(AT_FDCWD, path, text, sizeof(text), NULL) < 0 ||
	       strstr(text, "lock:") != NULL;
}

void stream_state_keep(struct stream_state ret[static 3], const int fds[static 3])
{
	for (int i = 0; i < 3; i++) {
		struct f_owner_ex owner = { 0 };
		int fd = fds[i];

		(void)fcntl(fd, F_GETOWN_EX, &owner);
		ret[i] = (struct stream_state){ .fd = fd,
						.flags = fcntl(fd, F_GETFL),
						.signal = fcntl(fd, F_GETSIG),
						.pipe_size = fcntl(fd, F_GETPIPE_SZ),
						.owner = owner,
						.locked = holds_lock(fd) };
		terminal_keep(fd, &ret[i].terminal);
	}
}

static void restore_owner(int fd, const struct f_owner_ex *was)
{
	struct f_owner_ex now = { 0 };

	if (fcntl(fd, F_GETOWN_EX, &now) == 0 && (now.type != was->type || now.pid != was->pid))
		(void)fcntl(fd, F_SETOWN_EX, was);
}

/* Both kinds that belong to the open file: flock(2) and open file description locks. */
static void unlock(int fd)
{
	struct flock all = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	(void)flock(fd, LOCK_UN);
	(void)fcntl(fd, F_OFD_SETLK, &all);
}

static void restore(int fd, const struct stream_state *was)
{
	terminal_restore(fd, &was->terminal);
	if (fcntl(fd, F_GETFL) != was->flags)
		(void)fcntl(fd, F_SETFL, was->flags);
	if (fcntl(fd, F_GETSIG) != was->signal)
		(void)fcntl(fd, F_SETSIG, was->signal);
	restore_owner(fd, &was->owner);
	/* EBUSY: more is in it than it held before, and nobody has read it yet. */
	if (was->pipe_size > 0 && fcntl(fd, F_GETPIPE_SZ) != was->pipe_size)
		(void)fcntl(fd, F_SETPIPE_SZ, was->pipe_size);
	if (!was->locked && holds_lock(fd))
		unlock(fd);
}

void stream_state_restore(const struct stream_state state[static 3])
{
	for (int i = 0; i < 3; i++)
		if (state[i].flags >= 0)
			restore(state[i].fd, &state[i]);
}
