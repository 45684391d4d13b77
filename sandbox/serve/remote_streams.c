/* SPDX-License-Identifier: MIT */
/* What of its streams a client copies itself: see remote_streams.h. */
#include "serve/remote_streams.h"

#include "base/clock.h"
#include "host/local.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* A file that the daemon will not take, as far as that can be seen from here; and an input that a
 * function could open by its name, and write over: only root has a read-only mount for that. */
static bool is_to_copy(int fd, int as)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	return !local_may_be(fd) ||
	       (as == 0 && st.st_mode & S_IWOTH && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
}

static unsigned look_what_to_copy(const int given[3])
{
	unsigned copied = 0;

	for (int i = 0; i < 3; i++)
		if (is_to_copy(given[i], i))
			copied |= 1U << i;
	return copied;
}

static void begin(struct remote_streams *s)
{
	struct stdio_options o = { .limit = s->spec->output_bytes,
				   .files = s->spec->fsize_bytes != UINT64_MAX,
				   .copied = s->copied };

	memcpy(o.given, s->given, sizeof(o.given));
	s->stdio = STDIO_NONE;
	s->unfit = (struct cloche_err){ 0 };
	if (stdio_open(&s->stdio, &o, &s->unfit) < 0)
		(void)cloche_err_stage(&s->unfit, "streams");
}

void remote_streams_open(struct remote_streams *s, const struct spec *spec, const int given[3])
{
	memcpy(s->given, given, sizeof(s->given));
	s->spec = spec;
	s->copied = look_what_to_copy(given);
	begin(s);
}

void remote_streams_close(struct remote_streams *s)
{
	stdio_close(&s->stdio);
}

bool remote_streams_copy(struct remote_streams *s, unsigned unknown)
{
	if (!(unknown & ~s->copied))
		return false;
	s->copied |= unknown;
	stdio_close(&s->stdio);
	begin(s);
	return true;
}

void remote_streams_fds(const struct remote_streams *s, int ret[static 3])
{
	for (int i = 0; i < 3; i++)
		ret[i] = stdio_inside(&s->stdio, i);
}

unsigned remote_streams_own_terminals(const struct remote_streams *s)
{
	unsigned own = 0;
	int fds[3];

	remote_streams_fds(s, fds);
	for (int i = 0; i < 3; i++)
		if (s->stdio.kinds[i].kind == STREAM_TERMINAL && !s->stdio.bridges[i] &&
		    !stream_is_foreign_terminal(fds[i]))
			own |= 1U << i;
	return own;
}

enum waited { WAITED_READER, WAITED_CANCEL, WAITED_LONG };

static enum waited wait_for_readers(const struct remote_streams *s, int timeout_ms, int cancel_fd)
{
	struct pollfd fds[4] = { { .fd = cancel_fd, .events = POLLIN } };
	int n;

	stdio_wait(&s->stdio, false, false, fds + 1);
	do
		n = poll(fds, 4, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return WAITED_LONG;
	return fds[0].revents ? WAITED_CANCEL : WAITED_READER;
}

void remote_streams_settle(struct remote_streams *s, enum remote_patience patience, int cancel_fd,
			   struct cloche_err *first)
{
	int timeout_ms = patience == PATIENCE_HURRIED ? (int)(BRIDGE_STALL_NS / NSEC_PER_MSEC) : -1;
	enum waited waited = WAITED_READER;

	while (waited == WAITED_READER && stdio_drain(&s->stdio, first) &&
	       patience != PATIENCE_NONE)
		waited = wait_for_readers(s, timeout_ms, cancel_fd);
	if (waited == WAITED_LONG)
		stdio_lose(&s->stdio, first);
}
