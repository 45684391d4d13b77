/* SPDX-License-Identifier: MIT */
/* Standard streams, as they are or bridged: see stdio.h. */
#include "run/stdio.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int open_again(int fd, int flags)
{
	char path[40];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_NOCTTY | O_CLOEXEC);
}

/* Also who has it open for reading only, by its name in /proc/self/fd. */
static bool anybody_writes(const struct stream *k)
{
	return (k->kind == STREAM_FILE || k->kind == STREAM_PIPE) && k->st.st_mode & S_IWOTH;
}

static bool is_bridged(const struct stdio *s, int i)
{
	if (s->kinds[i].kind == STREAM_SOCKET || s->copied & 1U << i)
		return true;
	if (i == 0)
		return s->limit != UINT64_MAX && anybody_writes(&s->kinds[0]);
	if (s->limit != UINT64_MAX)
		return true;
	if (!s->kinds[i].writes)
		return false;
	return (i == 2 && s->kinds[i].kind == STREAM_PIPE) ||
	       (!s->files && s->kinds[i].kind == STREAM_FILE && !s->kinds[i].reads);
}

static int build(struct stdio *s, int i, struct cloche_err *err)
{
	bool inward = i == 0;
	int p[2];

	s->bridges[i] = malloc(sizeof(*s->bridges[i]));
	if (!s->bridges[i])
		return cloche_err_sys(err, ENOMEM, "copy %s", stream_names[i]);
	if (pipe2(p, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	s->far[i] = p[inward];
	s->inside[i] = p[!inward];
	s->owned |= 1U << i;
	if (fcntl(s->far[i], F_SETFL, O_NONBLOCK) < 0)
		return cloche_err_sys(err, errno, "make a pipe non-blocking");
	bridge_init(s->bridges[i], i, s->far[i], s->given[i]);
	return 0;
}

/* What can be written by way of standard input is output, too. */
static int read_only_input(struct stdio *s, struct cloche_err *err)
{
	const struct stream *k = &s->kinds[0];
	off_t at = lseek(s->given[0], 0, SEEK_CUR);
	/* Non-blocking only for the opening: a FIFO's would wait for a writer. */
	int fd = k->reads ? open_again(s->given[0], O_RDONLY | O_NONBLOCK)
			  : open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return cloche_err_sys(err, errno, "open standard input anew, for reading only");
	s->inside[0] = fd;
	s->owned |= 1;
	if (fcntl(fd, F_SETFL, 0) < 0)
		return cloche_err_sys(err, errno, "have standard input block");
	if (k->reads && k->kind == STREAM_FILE && at >= 0) {
		if (lseek(fd, at, SEEK_SET) < 0)
			return cloche_err_sys(err, errno, "go on in standard input");
		s->again = s->given[0];
	}
	return 0;
}

static int give(struct stdio *s, int i, struct cloche_err *err)
{
	s->inside[i] = s->given[i] == i ? -1 : s->given[i];
	if (i > 0 && i < 3 && s->files && s->copied & 1U << i)
		return cloche_err_set(err, EINVAL,
				      CLOCHE_FIELD "fsize: %s is a file that has to be copied, for "
						   "which no limit of file sizes would hold: make "
						   "it a pipe, as in '| cat >FILE'",
				      stream_names[i]);
	/* To copy it would be to wait for what another reader may take. */
	if (i == 0 && is_bridged(s, 0) && s->kinds[0].kind == STREAM_PIPE)
		return cloche_err_set(err, EINVAL,
				      "standard input is a FIFO that anybody may write, and so "
				      "could the function past its output limit: take that right "
				      "away (chmod o-w)");
	if (i == 0 && s->limit != UINT64_MAX && s->kinds[0].writes &&
	    s->kinds[0].kind != STREAM_DEVICE && !is_bridged(s, 0))
		return read_only_input(s, err);
	/* The first of the two has the bridge. */
	if (i == 1 && is_bridged(s, 2) &&
	    stream_same_place(&s->kinds[1], s->given[1], &s->kinds[2], s->given[2]))
		return build(s, 1, err);
	if (i == 2 && s->bridges[1] &&
	    stream_same_place(&s->kinds[1], s->given[1], &s->kinds[2], s->given[2])) {
		s->inside[2] = s->inside[1];
		return 0;
	}
	return is_bridged(s, i) ? build(s, i, err) : 0;
}

int stdio_open(struct stdio *ret, const struct stdio_options *o, struct cloche_err *err)
{
	struct stdio s = STDIO_NONE;
	int r = 0;

	s.limit = o->limit ? o->limit : UINT64_MAX;
	s.files = o->files;
	s.copied = o->copied;
	for (int i = 0; r == 0 && i < 3; i++) {
		s.given[i] = o->given[i];
		r = stream_look(o->given[i], i, &s.kinds[i], err);
	}
	for (int i = 0; r == 0 && i < 3; i++)
		r = give(&s, i, err);
	if (r < 0)
		stdio_close(&s);
	else
		*ret = s;
	return r;
}

void stdio_pass(struct stdio *ret, const int given[3])
{
	*ret = STDIO_NONE;
	for (int i = 0; i < 3; i++)
		ret->inside[i] = ret->given[i] = given[i];
}

int stdio_inside(const struct stdio *s, int i)
{
	return s->inside[i] >= 0 ? s->inside[i] : s->given[i];
}

/* What others may read and not write opens by itself, and for reading only. */
static bool wants_name(const struct stdio *s)
{
	const struct stream *k = &s->kinds[0];

	return k->kind == STREAM_FILE && k->reads && !k->writes && !s->bridges[0] &&
	       (!(k->st.st_mode & S_IROTH) || k->st.st_mode & S_IWOTH);
}

static void try_name_input(struct stdio *s, int run_fd, uid_t id)
{
	int fd;

	if (s->named) {
		fd_close(&s->inside[0]);
		s->inside[0] = s->given[0] == 0 ? -1 : s->given[0];
		s->owned &= ~1U;
		s->again = -1;
		s->named = false;
	}
	if (!wants_name(s))
		return;
	fd = stream_names_open_input(run_fd, s->given[0], &s->kinds[0].st, id);
	if (fd < 0)
		return;
	s->inside[0] = fd;
	s->owned |= 1;
	s->again = s->given[0];
	s->named = true;
}

void stdio_try_give_names(struct stdio *s, int run_fd, uid_t id)
{
	int fds[3];

	stream_names_take_back(&s->names);
	try_name_input(s, run_fd, id);
	for (int i = 0; i < 3; i++)
		fds[i] = stdio_inside(s, i);
	stream_names_try_give(run_fd, id, fds, &s->names);
}

/* A script reads on where the function left off. */
static void give_back(const struct stdio *s)
{
	const struct bridge *b = s->bridges[0];
	int unread = 0;

	if (!b || s->kinds[0].kind != STREAM_FILE || ioctl(s->inside[0], FIONREAD, &unread) < 0)
		return;
	if (b->len + (size_t)unread > 0)
		(void)lseek(s->given[0], -(off_t)(b->len + (size_t)unread), SEEK_CUR);
}

void stdio_close(struct stdio *s)
{
	stream_names_take_back(&s->names);
	give_back(s);
	for (int i = 0; i < 3; i++) {
		free(s->bridges[i]);
		s->bridges[i] = NULL;
		fd_close(&s->far[i]);
		if (s->owned & (1U << i))
			fd_close(&s->inside[i]);
	}
	s->owned = 0;
}

void stdio_begin(struct stdio *s)
{
	off_t at = s->again >= 0 ? lseek(s->again, 0, SEEK_CUR) : -1;

	if (at >= 0)
		(void)lseek(s->inside[0], at, SEEK_SET);
}

void stdio_end(struct stdio *s)
{
	off_t at = s->again >= 0 ? lseek(s->inside[0], 0, SEEK_CUR) : -1;

	/* The caller reads on where the function left off. */
	if (at >= 0)
		(void)lseek(s->again, at, SEEK_SET);
}

/* ---- bridges --------------------------------------------------------------------------------- */

void stdio_wait(const struct stdio *s, bool inward, bool all, struct pollfd ret[static 3])
{
	for (int i = 0; i < 3; i++) {
		const struct bridge *b = s->bridges[i];

		ret[i] = b && (i > 0 || inward) && (all || b->len) ? bridge_wait(b)
								   : (struct pollfd){ .fd = -1 };
	}
}

static void passed_on(int r, const struct cloche_err *err, struct cloche_err *first)
{
	if (r < 0 && !first->code)
		*first = *err;
}

void stdio_move(struct stdio *s, const struct pollfd fds[static 3], struct cloche_err *first)
{
	for (int i = 0; i < 3; i++) {
		struct cloche_err err = { 0 };

		if (s->bridges[i] && fds[i].fd >= 0 && fds[i].revents)
			passed_on(bridge_move(s->bridges[i], &err), &err, first);
	}
}

bool stdio_drain(struct stdio *s, struct cloche_err *first)
{
	bool any = false;

	for (int i = 1; i < 3; i++) {
		struct cloche_err err = { 0 };
		bool left = false;

		if (s->bridges[i])
			passed_on(bridge_drain(s->bridges[i], &left, &err), &err, first);
		any |= left;
	}
	return any;
}

void stdio_lose(struct stdio *s, struct cloche_err *first)
{
	for (int i = 1; i < 3; i++) {
		struct cloche_err err = { 0 };

		if (s->bridges[i] && s->bridges[i]->len)
			passed_on(bridge_lose(s->bridges[i], &err), &err, first);
	}
}

/* ---- the last line --------------------------------------------------------------------------- */

/* By what is before the place where the next byte goes. */
static bool file_mid_line(int fd, const struct stream *k)
{
	/* One who holds a lease of it (fcntl(2)) is not waited for. */
	cleanup_fd int again = k->reads ? -1 : open_again(fd, O_RDONLY | O_NONBLOCK);
	off_t at = lseek(fd, 0, SEEK_CUR);
	struct stat st;
	char last;

	if (k->appends)
		at = fstat(fd, &st) == 0 ? st.st_size : -1;
	if (at == 0)
		return false;
	return at < 0 || pread(k->reads ? fd : again, &last, 1, at - 1) != 1 || last != '\n';
}

bool stdio_mid_line(const struct stdio *s)
{
	const struct bridge *b = s->bridges[2];

	/* Whoever wrote it. */
	if (s->kinds[2].kind == STREAM_FILE)
		return file_mid_line(s->given[2], &s->kinds[2]);
	/* Shared with standard output: nothing else has its descriptor for a writer. */
	if (!b && s->bridges[1] && s->inside[2] == s->inside[1])
		b = s->bridges[1];
	if (b)
		return b->mid_line;
	return s->kinds[2].kind != STREAM_DEVICE;
}
