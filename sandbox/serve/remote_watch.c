/* SPDX-License-Identifier: MIT */
/* This user's invocations as they begin, told by the daemon: see remote_watch.h. */
#include "serve/remote_watch.h"

#include "base/fd.h"
#include "serve/packet.h"
#include "serve/remote.h"
#include "serve/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int check(const struct answer *answer, struct cloche_err *err)
{
	return answer->kind == ANSWER_WATCHED
		       ? 0
		       : cloche_err_set(err, EPROTO, "the daemon answered something else");
}

int remote_watch(const struct remote *r, struct cloche_err *err)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct request request = { .kind = REQUEST_WATCH };
	struct packet_fds fds = { .n = 0 };
	int code;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	code = remote_ask(r, &request, answer, &fds, err);
	packet_close_fds(&fds);
	return code == 0 ? check(answer, err) : code;
}

static void take(const struct answer *answer, struct packet_fds *fds, struct watched *ret)
{
	*ret = (struct watched){ .socket = -1, .why = answer->trace.why };
	(void)snprintf(ret->request_id, sizeof(ret->request_id), "%.*s", (int)UUID_LEN - 1,
		       answer->outcome.request_id);
	(void)snprintf(ret->function, sizeof(ret->function), "%.*s", (int)OUTCOME_NAME_LEN - 1,
		       answer->outcome.function);
	if (fds->n > 0)
		ret->socket = fds->fd[--fds->n];
	else if (!ret->why.code)
		(void)cloche_err_set(&ret->why, EPROTO, "the daemon gave nothing to read");
}

int remote_watch_next(const struct remote *r, struct watched *ret, struct cloche_err *err)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct packet_fds fds = { .n = 0 };
	int code;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "hear the daemon");
	code = remote_hear(r, answer, &fds, err);
	if (code == 0)
		code = check(answer, err);
	if (code == 0)
		take(answer, &fds, ret);
	packet_close_fds(&fds);
	/* No pipe of this process's own. */
	if (code == -EPIPE)
		code = cloche_err_set(err, ECONNRESET, "the daemon has ended");
	return code == -EAGAIN ? 0 : code < 0 ? code : 1;
}
