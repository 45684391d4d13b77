/* SPDX-License-Identifier: MIT */
/* An echo by way of a third process: see relay.h. */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"

#define EVENT_MAX 4096

static _Noreturn void echo(int socket)
{
	char bytes[EVENT_MAX];
	ssize_t n;

	while ((n = recv(socket, bytes, sizeof(bytes), 0)) > 0)
		(void)send(socket, bytes, (size_t)n, MSG_NOSIGNAL);
	_exit(0);
}

static void thaw(const struct relay_freezer *f)
{
	if (f && pwrite(f->freeze, "0", 1, 0) != 1)
		_exit(1);
}

static void freeze(const struct relay_freezer *f)
{
	char text[128] = "";

	if (f && pwrite(f->freeze, "1", 1, 0) != 1)
		_exit(1);
	while (f && !strstr(text, "frozen 1")) {
		ssize_t n = pread(f->events, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		(void)sched_yield();
	}
}

static _Noreturn void pass_on(const struct relay_freezer *freezer, int client, int handler)
{
	char bytes[EVENT_MAX];
	ssize_t n;

	while ((n = recv(client, bytes, sizeof(bytes), 0)) > 0) {
		(void)send(handler, bytes, (size_t)n, MSG_NOSIGNAL);
		thaw(freezer);
		n = recv(handler, bytes, sizeof(bytes), 0);
		if (n <= 0)
			break;
		freeze(freezer);
		(void)send(client, bytes, (size_t)n, MSG_NOSIGNAL);
	}
	_exit(0);
}

/* Both end at the latest with this process. */
static pid_t begin(const struct relay_freezer *freezer, int mine, int other, int to)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close(other);
	if (to < 0 && freezer && write(freezer->procs, "0", 1) != 1)
		_exit(1);
	if (to < 0)
		echo(mine);
	pass_on(freezer, mine, to);
}

int relay_freezer_open(struct relay_freezer *ret, struct cloche_err *err)
{
	bool unified = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
	cleanup_fd int dir = -1;

	*ret = (struct relay_freezer){ .procs = -1, .freeze = -1, .events = -1 };
	(void)snprintf(ret->path, sizeof(ret->path), "/sys/fs/cgroup/%scloche-bench-%d",
		       unified ? "" : "unified/", (int)getpid());
	if (mkdir(ret->path, 0755) == 0)
		dir = open(ret->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		ret->procs = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		ret->freeze = openat(dir, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
		ret->events = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	}
	if (ret->procs < 0 || ret->freeze < 0 || ret->events < 0)
		return cloche_err_sys(err, errno, "make '%s'", ret->path);
	return 0;
}

/* What was in it is dead, or will be in a moment. */
void relay_freezer_close(struct relay_freezer *f)
{
	fd_close(&f->procs);
	fd_close(&f->freeze);
	fd_close(&f->events);
	for (int i = 0; i < 1000 && rmdir(f->path) < 0 && errno == EBUSY; i++)
		(void)usleep(1000);
}

int relay_open(const struct relay_freezer *freezer, struct relay *ret, struct cloche_err *err)
{
	int front[2] = { -1, -1 }, back[2] = { -1, -1 };
	int r = 0;

	*ret = (struct relay){ .socket = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, front) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, back) < 0)
		r = cloche_err_sys(err, errno, "socketpair");
	if (r == 0) {
		ret->handler = begin(freezer, back[1], back[0], -1);
		fd_close(&back[1]);
		ret->relay = begin(freezer, front[1], front[0], back[0]);
		ret->socket = TAKE_FD(front[0]);
		if (ret->handler < 0 || ret->relay < 0)
			r = cloche_err_sys(err, errno, "fork");
	}
	for (int i = 0; i < 2; i++) {
		fd_close(&front[i]);
		fd_close(&back[i]);
	}
	return r;
}

void relay_close(struct relay *r)
{
	const pid_t both[] = { r->relay, r->handler };

	fd_close(&r->socket);
	for (int i = 0; i < 2; i++)
		if (both[i] > 0) {
			(void)kill(both[i], SIGKILL);
			(void)waitpid(both[i], NULL, 0);
		}
}

int relay_call(const struct relay *r, const char *event, int64_t *ret_ns, struct cloche_err *err)
{
	char bytes[EVENT_MAX];
	int64_t start = clock_now_ns();
	size_t len = strlen(event);

	if (send(r->socket, event, len, MSG_NOSIGNAL) < 0 ||
	    recv(r->socket, bytes, sizeof(bytes), 0) != (ssize_t)len)
		return cloche_err_sys(err, EIO, "an echo of three processes");
	*ret_ns = clock_now_ns() - start;
	return 0;
}
