/* SPDX-License-Identifier: MIT */
/* Asks for a client's trace, and tells what comes of it: see traced.h. */
#include "serve/traced.h"

#include "base/err.h"
#include "serve/front.h"
#include "serve/held.h"
#include "serve/packet.h"
#include "serve/visit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool traced_wanted(const struct visit *v)
{
	return (v->request.trace || v->request.keep_trace) && !v->answer.trace.why.code;
}

void traced_ask(struct visit *v)
{
	struct command c = { .kind = COMMAND_TRACE,
			     .context = v->held->number,
			     .trace = { .file = v->request.trace, .keep = v->request.keep_trace } };

	memcpy(c.trace.request_id, v->answer.outcome.request_id,
	       sizeof(v->answer.outcome.request_id));
	(void)snprintf(c.trace.function, sizeof(c.trace.function), "%.*s",
		       (int)sizeof(c.trace.function) - 1, v->request.function);
	v->state = VISIT_TRACING;
	front_tell(v->front, &c);
}

void traced_begin(struct visit *v, const struct reply *reply, const struct packet_fds *fds)
{
	v->traced = reply->err.code == 0;
	v->answer.trace.why = reply->err;
	if (!v->traced || !v->request.trace)
		return;
	v->answer.kind = ANSWER_TRACE;
	request_version(v->answer.version);
	(void)packet_send(v->socket, &v->answer, sizeof(v->answer), fds);
}

void traced_conclude(struct visit *v)
{
	v->state = VISIT_CONCLUDING;
	front_tell(v->front,
		   &(struct command){ .kind = COMMAND_CONCLUDE,
				      .context = v->held->number,
				      .trace = { .verdict = v->answer.outcome.verdict } });
}

void traced_end(struct visit *v, const struct reply *reply)
{
	v->traced = false;
	v->answer.trace.bytes = reply->residue;
	v->answer.trace.unkept = reply->err;
	if (reply->residue == 0)
		v->answer.trace.why = reply->err;
}

void traced_lose(struct visit *v, const char *why)
{
	if (v->traced)
		(void)cloche_err_set(&v->answer.trace.why, ECHILD, "%s", why);
	v->traced = false;
}
