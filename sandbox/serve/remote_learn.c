/* SPDX-License-Identifier: MIT */
/* Asks for what an owner's contexts call: see remote_learn.h. */
#include "serve/remote_learn.h"

#include "base/err.h"
#include "base/fd.h"
#include "serve/packet.h"
#include "serve/remote.h"
#include "serve/remote_invoke.h"
#include "serve/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* More kinds than a learner has room for are nobody's of ours. */
#define ENTRIES_MAX (8U * CALLS_KINDS)

static int ask(const struct remote *remote, int *ret, struct cloche_err *err)
{
	struct request request = { .kind = REQUEST_TRACES, .learn = 1 };
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct packet_fds fds = { .n = 0 };
	int r;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	r = remote_ask(remote, &request, answer, &fds, err);
	if (r == 0 && (answer->kind != ANSWER_TRACES || fds.n != 1))
		r = cloche_err_set(err, EPROTO, "the daemon answered something else");
	if (r == 0)
		*ret = fds.fd[--fds.n];
	packet_close_fds(&fds);
	return r;
}

int remote_learn_open(const char *control, const uint8_t wanted[static CALLS_NR], int *ret,
		      struct cloche_err *err)
{
	struct remote remote = { .socket = -1 };
	cleanup_fd int fd = -1;
	int32_t code = 0;
	int r = remote_invoke_open(control, &remote, err);

	if (r == 0)
		r = ask(&remote, &fd, err);
	remote_close(&remote);
	if (r < 0)
		return r;
	if (send(fd, wanted, CALLS_NR, MSG_NOSIGNAL) != CALLS_NR ||
	    recv(fd, &code, sizeof(code), MSG_WAITALL) != sizeof(code))
		return cloche_err_set(err, EPIPE, "the daemon does not count system calls");
	if (code)
		return cloche_err_sys(err, code, "the daemon counts system calls (BPF)");
	*ret = TAKE_FD(fd);
	return 0;
}

int remote_learn_read(int fd, struct learner_entry **ret, size_t *ret_n, uint64_t *ret_lost,
		      struct cloche_err *err)
{
	cleanup_free struct learner_entry *all = NULL;
	struct learner_entry e = { .is = 1 };
	size_t n = 0, room = 0;

	if (send(fd, "", 1, MSG_NOSIGNAL) != 1)
		return cloche_err_set(err, EPIPE, "the daemon has ended, or waited for too long");
	for (;;) {
		if (recv(fd, &e, sizeof(e), MSG_WAITALL) != sizeof(e) || n == ENTRIES_MAX)
			return cloche_err_set(err, EPIPE, "not all that was counted has come");
		if (!e.is)
			break;
		if (n == room) {
			struct learner_entry *more;

			room = room ? 2 * room : 1024;
			more = reallocarray(all, room, sizeof(*all));
			if (!more)
				return cloche_err_sys(err, ENOMEM, "take what was counted");
			all = more;
		}
		all[n++] = e;
	}
	*ret = TAKE_PTR(all);
	*ret_n = n;
	*ret_lost = e.count;
	return 0;
}

int remote_learn_function(const struct remote *r, const char *function, uint32_t version,
			  struct cloche_err *err)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct request request = { .kind = REQUEST_LEARN, .function_version = version };
	struct packet_fds fds = { .n = 0 };
	int code;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	(void)snprintf(request.function, sizeof(request.function), "%s", function);
	code = remote_ask(r, &request, answer, &fds, err);
	packet_close_fds(&fds);
	if (code == 0 && answer->kind != ANSWER_LEARNT)
		code = cloche_err_set(err, EPROTO, "the daemon answered something else");
	return code;
}

int remote_learn_next(const struct remote *r, struct learnt *ret, struct cloche_err *err)
{
	int n = packet_recv(r->socket, ret, sizeof(*ret), NULL);

	if (n == -EAGAIN)
		return 0;
	if (n == -EPIPE)
		return cloche_err_set(err, ECONNRESET,
				      "the daemon has ended, or told faster than was heard");
	if (n != (int)sizeof(*ret))
		return cloche_err_set(err, EPROTO, "the daemon said something else");
	return 1;
}
