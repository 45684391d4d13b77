/* SPDX-License-Identifier: MIT */
/* What a client's streams are, without touching them: see taken.h. */
#include "serve/taken.h"

#include "base/err.h"
#include "host/local.h"
#include "launch/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

static int refuse(int as, const char *what, struct cloche_err *err)
{
	return cloche_err_set(err, EINVAL, "%s is %s, which the daemon does not pass on: copy it",
			      stream_names[as], what);
}

/* Documentation/admin-guide/devices.txt. */
static const struct {
	unsigned from, to; /* major numbers */
} terminals[] = {
	{ 4, 4 },     /* the consoles and serial ports */
	{ 136, 143 }, /* the side of a pseudo-terminal that programs have */
	{ 166, 166 }, /* USB modems */
	{ 188, 188 }, /* USB serial ports */
	{ 204, 204 }, /* serial ports of other makers */
	{ 229, 229 }, /* those of hypervisors */
};

/* /dev/tty and /dev/console; 5:2 is where master sides come from. */
static bool is_terminal(unsigned major, unsigned minor)
{
	if (major == 5)
		return minor < 2;
	for (size_t i = 0; i < sizeof(terminals) / sizeof(terminals[0]); i++)
		if (major >= terminals[i].from && major <= terminals[i].to)
			return true;
	return false;
}

static bool is_harmless(unsigned major, unsigned minor)
{
	return major == 1 && (minor == 3 || minor == 5 || (minor >= 7 && minor <= 9));
}

static int look_at_device(const struct statx *st, int as, struct taken *ret, struct cloche_err *err)
{
	char what[64];

	if (is_harmless(st->stx_rdev_major, st->stx_rdev_minor))
		return 0;
	if (is_terminal(st->stx_rdev_major, st->stx_rdev_minor)) {
		ret->terminals |= 1U << as;
		return 0;
	}
	(void)snprintf(what, sizeof(what), "a device (%u:%u)", st->stx_rdev_major,
		       st->stx_rdev_minor);
	return refuse(as, what, err);
}

static int look_at_file(struct local *local, int fd, int as, struct taken *ret,
			struct cloche_err *err)
{
	struct stream s;

	if (local_is(local, fd))
		return stream_look(fd, as, &s, err);
	ret->unknown |= 1U << as;
	return cloche_err_set(err, EINVAL,
			      "%s is on a file system that the daemon does not know (FUSE, a "
			      "network, another mount namespace): make it a pipe, as in '| cat'",
			      stream_names[as]);
}

static int look(struct local *local, int fd, int as, struct taken *ret, struct cloche_err *err)
{
	struct statx st = { .stx_mask = 0 };
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || flags & O_PATH)
		return refuse(as, "a place (O_PATH) and not open", err);
	/* Its kind and number are what they were when it was opened; no file system is asked. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &st) < 0)
		return cloche_err_sys(err, errno, "look at %s", stream_names[as]);
	switch (st.stx_mode & S_IFMT) {
	case S_IFREG:
		return look_at_file(local, fd, as, ret, err);
	case S_IFIFO:
		return 0;
	case S_IFCHR:
		return look_at_device(&st, as, ret, err);
	case S_IFSOCK:
		return refuse(as, "a socket", err);
	default:
		return refuse(as, "no file, pipe, terminal or harmless device", err);
	}
}

static bool is_pipe(int fd)
{
	struct statx st = { .stx_mask = 0 };

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &st) == 0 &&
	       (st.stx_mode & S_IFMT) == S_IFIFO;
}

int taken_look(struct local *local, const int fds[static REQUEST_STREAMS], bool limited,
	       struct taken *ret, struct cloche_err *err)
{
	struct cloche_err other = { 0 };
	int r = 0;

	*ret = (struct taken){ .unknown = 0 };
	/* All of them: whoever is to copy one knows what else. */
	for (int i = 0; i < REQUEST_STREAMS; i++) {
		int code = look(local, fds[i], i, ret, r == 0 ? err : &other);

		r = r == 0 ? code : r;
	}
	for (int i = 1; r == 0 && limited && i < REQUEST_STREAMS; i++)
		if (!is_pipe(fds[i]))
			r = cloche_err_set(err, EINVAL,
					   "%s is no pipe, and an output limit is for pipes only",
					   stream_names[i]);
	return r;
}
