/* SPDX-License-Identifier: MIT */
/* Copies a function's output: see output.h. */
#include "pool/output.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void output_init(struct output *o, int in, int to)
{
	struct stat st;

	o->in = in;
	o->to = to;
	o->from = o->len = 0;
	/* The caller's descriptor is not ours to make non-blocking, others have it too. But a pipe
	 * that poll(2) calls writable takes PIPE_BUF at once (pipe(7)), and a file everything. */
	o->chunk = fstat(to, &st) == 0 && S_ISREG(st.st_mode) ? sizeof(o->buf) : PIPE_BUF;
}

struct pollfd output_wait(const struct output *o)
{
	return o->len ? (struct pollfd){ .fd = o->to, .events = POLLOUT }
		      : (struct pollfd){ .fd = o->in, .events = POLLIN };
}

static bool is_later(int code)
{
	return code == EINTR || code == EAGAIN;
}

static int fill(struct output *o, uint64_t *room, struct cloche_err *err)
{
	ssize_t n = read(o->in, o->buf, sizeof(o->buf));
	bool over;

	if (n < 0 && is_later(errno))
		return 0;
	if (n <= 0) {
		o->in = -1;
		return n < 0 ? cloche_err_sys(err, errno, "read the function's output") : 0;
	}
	over = (uint64_t)n > *room;
	o->from = 0;
	o->len = over ? (size_t)*room : (size_t)n;
	*room -= o->len;
	return over;
}

/* Whoever writes into the pipe from now on is told: SIGPIPE, as with a pipe of their own. The
 * number stays the owner's. */
static void hang_up(struct output *o)
{
	cleanup_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)dup3(fd, o->in, O_CLOEXEC);
	o->in = -1;
	o->len = 0;
}

static int empty(struct output *o, struct cloche_err *err)
{
	int code;

	ssize_t n = write(o->to, o->buf + o->from, o->len < o->chunk ? o->len : o->chunk);

	if (n >= 0) {
		o->from += (size_t)n;
		o->len -= (size_t)n;
		return 0;
	}
	code = errno;
	if (is_later(code))
		return 0;
	if (o->in >= 0)
		hang_up(o);
	o->len = 0;
	if (code == EPIPE)
		return 0;
	return cloche_err_sys(err, code,
			      o->to == STDOUT_FILENO ? "write to standard output"
						     : "write to standard error");
}

int output_move(struct output *o, uint64_t *room, struct cloche_err *err)
{
	return o->len ? empty(o, err) : fill(o, room, err);
}

int output_flush(struct output *o, uint64_t *room, int cancel_fd, struct cloche_err *err)
{
	int r = 0;

	while (r == 0 && (o->in >= 0 || o->len)) {
		if (o->len) {
			struct pollfd p[] = { output_wait(o),
					      { .fd = cancel_fd, .events = POLLIN } };

			if (poll(p, 2, -1) < 0)
				continue;
			if (!p[0].revents)
				return 0;
		}
		r = output_move(o, room, err);
		if (!o->len && o->in >= 0) {
			/* Nothing more is there, though another context's writers keep it open. */
			struct pollfd p = output_wait(o);

			if (poll(&p, 1, 0) == 0)
				return r;
		}
	}
	return r;
}
