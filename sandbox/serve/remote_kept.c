/* SPDX-License-Identifier: MIT */
/* Has the daemon show what it keeps: see remote_kept.h. */
#include "serve/remote_kept.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "serve/packet.h"
#include "serve/remote.h"
#include "serve/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int remote_kept_open(const struct remote *remote, const char *id, int *ret_pipe,
		     struct cloche_err *err)
{
	struct request request = { .kind = REQUEST_TRACES };
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct packet_fds fds = { .n = 0 };
	int r;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	(void)snprintf(request.trace_id, sizeof(request.trace_id), "%s", id ? id : "");
	r = remote_ask(remote, &request, answer, &fds, err);
	if (r == 0 && (answer->kind != ANSWER_TRACES || fds.n != 1))
		r = cloche_err_set(err, EPROTO, "the daemon answered something else");
	if (r == 0)
		*ret_pipe = fds.fd[--fds.n];
	packet_close_fds(&fds);
	return r;
}

int remote_kept_read(int pipe, void *bytes, size_t len, struct cloche_err *err)
{
	char *at = bytes;

	while (len > 0) {
		ssize_t n = read(pipe, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? cloche_err_sys(err, errno, "read the daemon's traces")
				     : cloche_err_set(err, EPIPE,
						      "the daemon has ended before it had shown "
						      "all");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int remote_kept_next(int pipe, struct shown *ret, struct cloche_err *err)
{
	int r = remote_kept_read(pipe, ret, sizeof(*ret), err);

	if (r < 0)
		return r;
	ret->id[sizeof(ret->id) - 1] = '\0';
	if (ret->code)
		return cloche_err_sys(err, ret->code, "read the daemon's traces");
	return ret->id[0] != '\0';
}

FILE *remote_kept_part(int pipe, const struct shown *shown, struct cloche_err *err)
{
	cleanup_fd int fd = memfd_create("trace", MFD_CLOEXEC);
	uint64_t left = shown->len;
	char bytes[1 << 13];
	FILE *f;
	int r = fd < 0 ? cloche_err_sys(err, errno, "keep the daemon's traces (memfd)") : 0;

	while (r == 0 && left > 0) {
		size_t n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);

		r = remote_kept_read(pipe, bytes, n, err);
		if (r == 0)
			r = file_write_all(fd, bytes, n);
		left -= n;
	}
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		if (!err->code)
			(void)cloche_err_sys(err, r < 0 ? -r : errno, "keep the daemon's traces");
		return NULL;
	}
	f = fdopen(fd, "r");
	if (f)
		(void)TAKE_FD(fd);
	else
		(void)cloche_err_sys(err, errno, "keep the daemon's traces");
	return f;
}
