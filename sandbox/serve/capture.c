/* SPDX-License-Identifier: MIT */
/* Reads pipes of functions in the front's loop: see capture.h. */
#include "serve/capture.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

/* At a time; then others have their turn. */
#define PIECE	  (16U << 10)
#define PIPE_SIZE (16 << 10)

/* 1: there may be more; 0: not now; -1: never. */
static int read_some(struct capture *c)
{
	static char buf[PIECE]; /* the front has one thread that comes here */
	ssize_t n = c->fd < 0 ? 0 : read(c->fd, buf, sizeof(buf));

	if (n > 0)
		c->take(c->arg, buf, (size_t)n);
	return n > 0 ? 1 : n < 0 ? 0 : -1;
}

static int on_heard(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct capture *c = arg;

	/* Nobody has its other end any more. */
	if (read_some(c) < 0)
		c->heard = sd_event_source_disable_unref(c->heard);
	return 0;
}

int capture_begin(struct capture *c, sd_event *event,
		  void (*take)(void *arg, const char *bytes, size_t len), void *arg, int *ret_end,
		  struct cloche_err *err)
{
	int ends[2], r = -1;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "make a pipe for what it writes");
	*c = (struct capture){ .fd = ends[0], .take = take, .arg = arg };
	*ret_end = ends[1];
	(void)fcntl(c->fd, F_SETPIPE_SZ, PIPE_SIZE);
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0)
		r = sd_event_add_io(event, &c->heard, c->fd, EPOLLIN, on_heard, c);
	return r < 0 ? cloche_err_sys(err, r == -1 ? errno : -r, "wait for what it writes") : 0;
}

void capture_drain(struct capture *c)
{
	while (read_some(c) > 0)
		;
}

void capture_end(struct capture *c)
{
	c->heard = sd_event_source_disable_unref(c->heard);
	fd_close(&c->fd);
}
