/* SPDX-License-Identifier: MIT */
/* An echo by way of a third process: see relay.h. */
#include "relay.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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

static _Noreturn void pass_on(int client, int handler)
{
	char bytes[EVENT_MAX];
	ssize_t n;

	while ((n = recv(client, bytes, sizeof(bytes), 0)) > 0) {
		(void)send(handler, bytes, (size_t)n, MSG_NOSIGNAL);
		n = recv(handler, bytes, sizeof(bytes), 0);
		if (n <= 0)
			break;
		(void)send(client, bytes, (size_t)n, MSG_NOSIGNAL);
	}
	_exit(0);
}

/* Both end at the latest with this process. */
static pid_t begin(int mine, int other, int to)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close(other);
	if (to < 0)
		echo(mine);
	pass_on(mine, to);
}

int relay_open(struct relay *ret, struct cloche_err *err)
{
	int front[2] = { -1, -1 }, back[2] = { -1, -1 };
	int r = 0;

	*ret = (struct relay){ .socket = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, front) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, back) < 0)
		r = cloche_err_sys(err, errno, "socketpair");
	if (r == 0) {
		ret->handler = begin(back[1], back[0], -1);
		fd_close(&back[1]);
		ret->relay = begin(front[1], front[0], back[0]);
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
