/* SPDX-License-Identifier: MIT */
/* Idmapped mounts: the owner's private code is readable inside without chmod. */
#include "launch/idmap.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/host.h"
#include "host/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE   4096
#define PINNED_SLOTS 16

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

static int wait_for_the_end(void *arg)
{
	/* Not longer than the launcher, also when that died before this line. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != (pid_t)(intptr_t)arg)
		_exit(EXIT_FAILURE);
	for (;;)
		(void)pause();
}

static int make(uid_t from_uid, gid_t from_gid, uid_t to, struct idmap *ret, struct cloche_err *err)
{
	char *stack = aligned_alloc(16, STACK_SIZE);
	pid_t pid;
	int fd;

	if (!stack)
		return cloche_err_sys(err, ENOMEM, "clone for an id map");
	/* It shares our memory: no copy is made of it. */
	pid = clone(wait_for_the_end, stack + STACK_SIZE, CLONE_VM | CLONE_NEWUSER,
		    (void *)(intptr_t)getpid());
	if (pid < 0) {
		free(stack);
		return cloche_err_sys(err, errno, "clone for an id map");
	}
	fd = map_and_open(pid, from_uid, from_gid, to, to, err);
	*ret = (struct idmap){ .userns = fd, .holder = pid, .stack = stack };
	return fd < 0 ? fd : 0;
}

int idmap_open(int run_fd, uid_t from_uid, gid_t from_gid, uid_t to, bool keep, struct idmap *ret,
	       struct cloche_err *err)
{
	bool pinned = keep && to - SLOT_UID_BASE < PINNED_SLOTS;
	char pin[64], ns[32];
	int r;

	(void)snprintf(pin, sizeof(pin), "ns/idmap-%u-%u-%u", from_uid, from_gid, to);
	*ret = IDMAP_NONE;
	if (pinned)
		ret->userns = host_pin_open(run_fd, pin);
	if (ret->userns >= 0)
		return 0;
	r = make(from_uid, from_gid, to, ret, err);
	if (r == 0 && pinned) {
		(void)snprintf(ns, sizeof(ns), "/proc/%d/ns/user", ret->holder);
		host_try_pin(ns, pin);
	}
	if (ret->holder > 0)
		(void)kill(ret->holder, SIGKILL); /* our own unreaped child: no other's number */
	return r;
}

void idmap_close(struct idmap *map)
{
	fd_close(&map->userns);
	/* __WCLONE: it sends no signal when it ends. */
	while (map->holder > 0 && waitpid(map->holder, NULL, __WCLONE) < 0 && errno == EINTR)
		;
	free(map->stack);
	*map = IDMAP_NONE;
}

int idmap_apply(int tree, const struct idmap *map)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (__u64)map->userns };

	if (map->userns < 0)
		return -EBADF;
	return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0
		       ? -errno
		       : 0;
}
