/* SPDX-License-Identifier: MIT */
/* Counts and passes on what a function writes: see output.h. */
#include "launch/output.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* One pipe's worth: others want to be heard in between. */
#define MOVE_MAX (64U << 10)

/* By its name the function may open it for writing, as the driver's: stream_names.h. Its owner is
 * root, and none of the function's uids is. */
#define NAMED_MODE 0602

static int become(struct output_pipe *p, int stream, struct cloche_err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "make a pipe for the output limit");
	p->from = ends[0];
	p->to = fcntl(stream, F_DUPFD_CLOEXEC, 3);
	if (p->to < 0 || fchmod(ends[1], NAMED_MODE) < 0 || dup2(ends[1], stream) < 0)
		(void)cloche_err_sys(err, errno, "put a pipe for the output limit in place");
	(void)close(ends[1]);
	return -err->code;
}

int output_open(struct output *ret, uint64_t limit, struct cloche_err *err)
{
	struct stat first, second;
	int r;

	*ret = OUTPUT_NONE;
	if (limit == UINT64_MAX)
		return 0;
	if (fstat(1, &first) < 0 || fstat(2, &second) < 0)
		return cloche_err_sys(err, errno, "look at the output's pipes");
	if (!S_ISFIFO(first.st_mode) || !S_ISFIFO(second.st_mode))
		return cloche_err_set(err, EINVAL, "an output limit is for pipes only");
	ret->limited = true;
	ret->room = limit;
	r = become(&ret->pipes[0], 1, err);
	if (r == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino)
		return dup2(1, 2) < 0 ? cloche_err_sys(err, errno, "dup2") : 0;
	return r == 0 ? become(&ret->pipes[1], 2, err) : r;
}

/* That its reader is gone poll(2) tells unasked (POLLERR). */
void output_watch(const struct output *o, struct pollfd ret[static OUTPUT_FDS])
{
	for (int i = 0; i < OUTPUT_PIPES; i++) {
		const struct output_pipe *p = &o->pipes[i];

		ret[i] = (struct pollfd){ .fd = p->full ? -1 : p->from, .events = POLLIN };
		ret[OUTPUT_PIPES + i] =
			(struct pollfd){ .fd = p->to, .events = p->full ? POLLOUT : 0 };
	}
}

static bool has_reader(const struct output_pipe *p)
{
	struct pollfd to = { .fd = p->to };

	return poll(&to, 1, 0) <= 0;
}

static size_t held(struct output *o, const struct output_pipe *p)
{
	int n = 0;

	if (p->from >= 0 && ioctl(p->from, FIONREAD, &n) < 0)
		o->code = errno;
	return (size_t)n;
}

/* Whoever writes there is told by SIGPIPE, as when the driver's pipe were its own. */
static void hang_up(struct output_pipe *p)
{
	fd_close(&p->from);
	fd_close(&p->to);
	p->full = false;
}

static void move(struct output *o, struct output_pipe *p)
{
	size_t most = o->room < MOVE_MAX ? (size_t)o->room : MOVE_MAX;
	ssize_t n;

	if (p->from >= 0 && !has_reader(p))
		hang_up(p);
	if (p->from < 0 || most == 0)
		return;
	n = splice(p->from, NULL, p->to, NULL, most, SPLICE_F_NONBLOCK);
	p->full = n < 0 && errno == EAGAIN && held(o, p) > 0;
	if (n > 0)
		o->room -= (uint64_t)n;
	else if (n == 0 || errno == EPIPE)
		hang_up(p); /* the end of all writers, or of the reader */
	else if (errno != EAGAIN && errno != EINTR)
		o->code = errno;
}

bool output_move(struct output *o)
{
	bool was = o->cut;

	for (int i = 0; i < OUTPUT_PIPES; i++)
		move(o, &o->pipes[i]);
	o->cut |= held(o, &o->pipes[0]) + held(o, &o->pipes[1]) > o->room;
	return o->cut && !was;
}

void output_drain(struct output *o, bool *ret_more)
{
	uint64_t before;

	*ret_more = false;
	if (!o->limited)
		return;
	do {
		before = o->room;
		(void)output_move(o);
	} while (o->room < before);
	for (int i = 0; i < OUTPUT_PIPES; i++)
		if (o->room > 0 && held(o, &o->pipes[i]) > 0)
			*ret_more = true;
		else
			hang_up(&o->pipes[i]);
}

bool output_pass(struct output *o, bool *ret_more)
{
	bool was = o->cut;
	uint64_t before;

	*ret_more = false;
	if (!o->limited)
		return false;
	do {
		before = o->room;
		(void)output_move(o);
	} while (o->room < before);
	for (int i = 0; i < OUTPUT_PIPES; i++)
		*ret_more |= held(o, &o->pipes[i]) > 0;
	return o->cut && !was;
}

void output_renew(struct output *o, uint64_t limit)
{
	o->room = limit;
	o->cut = false;
}

void output_close(struct output *o)
{
	for (int i = 0; i < OUTPUT_PIPES; i++)
		hang_up(&o->pipes[i]);
}
