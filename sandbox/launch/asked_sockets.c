/* SPDX-License-Identifier: MIT */
/*
 * Makes a socket in a context: see asked_sockets.h. How many there are is counted by the kernel, in
 * the context's own network: sockets of netlink from their making, of ping from the moment at which
 * they have a number; so those get it here. Each is there before the next is asked for: nobody is
 * faster than the count.
 */
#include "launch/asked_sockets.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "launch/launcher.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One message more than the queue holds, and the socket itself. */
#define BESIDE (128 << 10)
#define FEW    4 /* ping(8) wants two */

uint64_t asked_most(uint64_t memory_bytes, uint64_t queue_bytes)
{
	uint64_t each = queue_bytes + BESIDE;
	uint64_t tenth = memory_bytes / 10 / each, quarter = memory_bytes / 4 / each;

	return tenth >= FEW ? tenth : quarter < FEW ? quarter : FEW;
}

static uint64_t sysctl(const char *path)
{
	cleanup_free char *text = NULL;
	size_t len;

	return file_load(AT_FDCWD, path, 64, &text, &len, NULL) < 0 ? UINT32_MAX
								    : strtoull(text, NULL, 10);
}

/* SO_RCVBUF may ask for rmem_max, and gets it twice. */
static uint64_t queue_max(void)
{
	uint64_t usual = sysctl("/proc/sys/net/core/rmem_default");
	uint64_t most = 2 * sysctl("/proc/sys/net/core/rmem_max");

	return usual > most ? usual : most;
}

/* "protocol  size sockets ...", a line each. */
static int count(pid_t pid, uint64_t *ret)
{
	static const char *const names[] = { "NETLINK", "PING", "PINGv6" };
	cleanup_free char *text = NULL;
	char path[64], name[32];
	unsigned long n;
	size_t len;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/net/protocols", (int)pid);
	r = file_load(AT_FDCWD, path, 64 << 10, &text, &len, NULL);
	*ret = 0;
	for (char *line = text; r >= 0 && line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%31s %*s %lu", name, &n) != 2)
			continue;
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			*ret += strcmp(name, names[i]) == 0 ? n : 0;
	}
	return r;
}

static int number(int fd, int domain)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = { .any.sa_family = (sa_family_t)domain };
	socklen_t len = domain == AF_INET ? sizeof(at.v4) : sizeof(at.v6);

	return domain == AF_NETLINK ? 0 : bind(fd, &at.any, len);
}

/* As the function's user, and so without a capability in effect. */
static int make(uid_t uid, int domain, int type, int protocol)
{
	gid_t gid = getegid();
	cleanup_fd int fd = -1;
	int r = 0;

	if (syscall(SYS_setresgid, -1, uid, -1) < 0)
		return -errno;
	if (syscall(SYS_setresuid, -1, uid, -1) < 0) {
		r = -errno;
	} else {
		fd = socket(domain, type | SOCK_CLOEXEC, protocol);
		if (fd < 0 || number(fd, domain) < 0)
			r = -errno;
		if (syscall(SYS_setresuid, -1, 0, -1) < 0)
			abort(); /* without its rights it can end no context but by its own end */
	}
	if (syscall(SYS_setresgid, -1, gid, -1) < 0)
		abort();
	return r < 0 ? r : TAKE_FD(fd);
}

int asked_socket(const struct context *ctx, int domain, int type, int protocol)
{
	cleanup_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	/* The host's: older kernels show it in no other network. */
	uint64_t n, most = asked_most(ctx->plan.spec->memory_bytes, queue_max());
	int fd;

	if (ctx->plan.spec->net == NET_NONE || geteuid() != 0 || own < 0 ||
	    count(ctx->warden.pid, &n) < 0 || setns(ctx->warden.pidfd, CLONE_NEWNET) < 0)
		return -EAFNOSUPPORT;
	if (n >= most)
		fd = n ? -EMFILE : -EAFNOSUPPORT;
	else
		fd = make(ctx->plan.uid, domain, type, protocol);
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	return fd;
}
