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
#include "launch/plan.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
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
	uint64_t v;

	return file_read_u64(AT_FDCWD, path, &v, NULL) < 0 ? UINT32_MAX : v;
}

/* SO_RCVBUF may ask for rmem_max, and gets it twice. */
uint64_t asked_most_here(uint64_t memory_bytes)
{
	uint64_t usual = sysctl("/proc/sys/net/core/rmem_default");
	uint64_t most = 2 * sysctl("/proc/sys/net/core/rmem_max");

	return asked_most(memory_bytes, usual > most ? usual : most);
}

/* "protocol  size sockets ...", a line each. */
static int count(int proc, uint64_t *ret)
{
	static const char *const names[] = { "NETLINK", "PING", "PINGv6" };
	char text[32 << 10], name[32];
	unsigned long n;
	int r = file_read_text(proc, "net/protocols", text, sizeof(text), NULL);

	*ret = 0;
	for (const char *line = text; r == 0 && line; line = strchr(line, '\n')) {
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

/* As the function's user, and so without a capability in effect; only by its effective numbers, and
 * no longer than that: nobody but root can signal us. */
static int make(uid_t uid, int domain, int type, int protocol)
{
	gid_t gid = getegid();
	cleanup_fd int fd = -1;
	int r = 0;

	if (syscall(SYS_setresgid, -1, uid, -1) < 0 || syscall(SYS_setresuid, -1, uid, -1) < 0)
		return -errno;
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (fd < 0 || number(fd, domain) < 0)
		r = -errno;
	if (r == 0 &&
	    (syscall(SYS_setresuid, -1, 0, -1) < 0 || syscall(SYS_setresgid, -1, gid, -1) < 0))
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

int asked_socket(const struct plan *plan, int domain, int type, int protocol)
{
	uint64_t n;

	if (plan->spec->net == NET_NONE || count(plan->at.proc, &n) < 0)
		return -EAFNOSUPPORT;
	if (n >= plan->asked_most)
		return n ? -EMFILE : -EAFNOSUPPORT;
	return make(plan->uid, domain, type, protocol);
}
