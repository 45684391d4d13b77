/* SPDX-License-Identifier: MIT */
/* Copies a standard stream: see bridge.h. */
#include "run/bridge.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/tick.h"
#include "launch/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_kind(int fd, mode_t kind)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

void bridge_init(struct bridge *b, int as, int pipe, int outside)
{
	b->inward = as == 0;
	b->from = b->inward && pipe >= 0 ? outside : pipe;
	b->to = b->inward ? pipe : outside;
	b->from_socket = is_kind(b->from, S_IFSOCK);
	b->to_socket = is_kind(b->to, S_IFSOCK);
	b->mid_line = false;
	b->name = stream_names[as];
	b->at = b->len = 0;
	/* The caller's descriptor is not ours to make non-blocking, others have it too. But a pipe
	 * that poll(2) calls writable takes PIPE_BUF at once (pipe(7)), a file everything, and a
	 * socket can be asked not to wait. */
	b->chunk = b->inward || b->to_socket || is_kind(b->to, S_IFREG) ? sizeof(b->buf) : PIPE_BUF;
}

struct pollfd bridge_wait(const struct bridge *b)
{
	return b->len ? (struct pollfd){ .fd = b->to, .events = POLLOUT }
		      : (struct pollfd){ .fd = b->from, .events = POLLIN };
}

static bool is_later(int code)
{
	return code == EINTR || code == EAGAIN;
}

/* The other end learns of it; the number stays its owner's. */
static void let_go(int fd, int flags)
{
	cleanup_fd int null = open("/dev/null", flags | O_CLOEXEC);

	if (null >= 0)
		(void)dup3(null, fd, O_CLOEXEC);
}

/* No more comes. */
static void end(struct bridge *b)
{
	if (b->inward)
		let_go(b->to, O_WRONLY);
	b->from = -1;
}

/* No more is wanted: whoever writes into the pipe from now on is told by SIGPIPE, as with a pipe of
 * their own. What a caller still sends stays where it is. */
static void hang_up(struct bridge *b)
{
	if (!b->inward && b->from >= 0)
		let_go(b->from, O_RDONLY);
	b->from = -1;
	b->len = 0;
}

/* Without room for control messages: what else is sent is thrown away by the kernel, then and
 * there.
 */
static ssize_t take(struct bridge *b)
{
	ssize_t n;

	tick_begin();
	n = recv(b->from, b->buf, sizeof(b->buf), MSG_DONTWAIT);
	tick_end();
	return n;
}

static int fill(struct bridge *b, struct cloche_err *err)
{
	ssize_t n = b->from_socket ? take(b) : read(b->from, b->buf, sizeof(b->buf));
	int code = errno;

	if (n < 0 && is_later(code))
		return 0;
	if (n <= 0) {
		end(b);
		return n < 0 ? cloche_err_sys(err, code, "read from %s", b->name) : 0;
	}
	b->at = 0;
	b->len = (size_t)n;
	return 0;
}

static int empty(struct bridge *b, struct cloche_err *err)
{
	size_t want = b->len < b->chunk ? b->len : b->chunk;
	const char *data = b->buf + b->at;
	ssize_t n = b->to_socket ? send(b->to, data, want, MSG_DONTWAIT | MSG_NOSIGNAL)
				 : write(b->to, data, want);
	int code = errno;

	if (n >= 0) {
		if (n > 0)
			b->mid_line = data[n - 1] != '\n';
		b->at += (size_t)n;
		b->len -= (size_t)n;
		return 0;
	}
	if (is_later(code))
		return 0;
	hang_up(b);
	if (code == EPIPE || (b->to_socket && code == ECONNRESET))
		return 0;
	return cloche_err_sys(err, code, "write to %s", b->name);
}

int bridge_move(struct bridge *b, struct cloche_err *err)
{
	return b->len ? empty(b, err) : fill(b, err);
}

int bridge_drain(struct bridge *b, bool *ret_left, struct cloche_err *err)
{
	*ret_left = false;
	while (b->len || b->from >= 0) {
		struct pollfd p = bridge_wait(b);
		int r;

		/* Nothing more is there, though another context's writers may keep it open. */
		if (poll(&p, 1, 0) <= 0) {
			*ret_left = b->len > 0;
			return 0;
		}
		r = bridge_move(b, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int bridge_lose(struct bridge *b, struct cloche_err *err)
{
	size_t lost = b->len;

	b->len = 0;
	return cloche_err_set(err, ETIMEDOUT,
			      "write to %s: nobody reads it, the last %zu bytes are lost", b->name,
			      lost);
}
