/* SPDX-License-Identifier: MIT */
/* Asks for a client's trace, and tells what comes of it: see traced.h. */
#include "serve/traced.h"

#include "base/err.h"
#include "serve/front.h"
#include "serve/held.h"
#include "serve/packet.h"
#include "serve/scribe.h"
#include "serve/visit.h"
#include "serve/watchers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool asked_for(const struct visit *v)
{
	return v->request.trace || v->request.keep_trace;
}

bool traced_wanted(const struct visit *v)
{
	return !v->untraced && (asked_for(v) || watchers_of(v->front, v->client.uid) > 0);
}

/* What does not fit is not shown; the last byte stays 0. */
static void describe(char *const argv[], char ret[static SCRIBE_COMMAND_LEN])
{
	size_t at = 0;

	for (; *argv && at + 2 < SCRIBE_COMMAND_LEN; argv++) {
		if (**argv == '\0')
			continue;
		(void)snprintf(ret + at, SCRIBE_COMMAND_LEN - 1 - at, "%s", *argv);
		at += strlen(ret + at) + 1;
	}
}

void traced_ask(struct visit *v)
{
	struct command c = { .kind = COMMAND_TRACE,
			     .context = v->held->number,
			     .trace = { .file = v->request.trace,
					.keep = v->request.keep_trace,
					.watchers = watchers_of(v->front, v->client.uid) } };

	memcpy(c.trace.request_id, v->answer.outcome.request_id,
	       sizeof(v->answer.outcome.request_id));
	(void)snprintf(c.trace.function, sizeof(c.trace.function), "%.*s",
		       (int)sizeof(c.trace.function) - 1, v->request.function);
	if (c.trace.watchers)
		describe(v->spec.argv, c.trace.command);
	v->watchers = c.trace.watchers;
	v->state = VISIT_TRACING;
	front_tell(v->front, &c);
}

void traced_begin(struct visit *v, const struct reply *reply, const struct packet_fds *fds)
{
	const struct packet_fds pipe = { .fd = { fds->fd[0] }, .n = 1 };
	unsigned piped = v->request.trace && fds->n > 0;

	v->traced = reply->err.code == 0;
	if (v->watchers)
		watchers_show(v->front, v->client.uid, &v->answer.outcome, fds, piped, &reply->err);
	v->watchers = 0;
	v->untraced |= !v->traced;
	if (asked_for(v))
		v->answer.trace.why = reply->err;
	if (!v->traced || !piped)
		return;
	v->answer.kind = ANSWER_TRACE;
	request_version(v->answer.version);
	(void)packet_send(v->socket, &v->answer, sizeof(v->answer), &pipe);
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
	if (!asked_for(v))
		return;
	v->answer.trace.bytes = reply->residue;
	v->answer.trace.unkept = reply->err;
	if (reply->residue == 0)
		v->answer.trace.why = reply->err;
}

void traced_lose(struct visit *v, const char *why)
{
	v->untraced |= v->traced;
	if (v->traced && asked_for(v))
		(void)cloche_err_set(&v->answer.trace.why, ECHILD, "%s", why);
	v->traced = false;
}
