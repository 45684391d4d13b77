/* SPDX-License-Identifier: MIT */
/* Idmapped mounts: the owner's private code is readable inside without chmod. */
#include "launch/idmap.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The namespace needs a process to be named by; it lives as long as the fd is opened. */
static int map_and_open(pid_t pid, uid_t fu, gid_t fg, uid_t tu, gid_t tg, struct cloche_err *err)
{
	char path[64], text[64];
	int r, fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	(void)snprintf(text, sizeof(text), "%u %u 1", fu, tu);
	r = file_write_text(AT_FDCWD, path, text, err);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	(void)snprintf(text, sizeof(text), "%u %u 1", fg, tg);
	r = file_write_text(AT_FDCWD, path, text, err);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? cloche_err_sys(err, errno, "open '%s'", path) : fd;
}

int idmap_open(uid_t from_uid, gid_t from_gid, uid_t to_uid, gid_t to_gid, struct cloche_err *err)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	int fd;

	if (pid < 0)
		return cloche_err_sys(err, errno, "clone3 for an id map");
	if (pid == 0)
		for (;;)
			(void)pause();
	fd = map_and_open(pid, from_uid, from_gid, to_uid, to_gid, err);
	(void)kill(pid, SIGKILL); /* our own unreaped child: the number cannot be another's */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return fd;
}

int idmap_apply(int tree, int userns)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (__u64)userns };

	if (userns < 0)
		return -EBADF;
	return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0
		       ? -errno
		       : 0;
}
