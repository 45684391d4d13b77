/* SPDX-License-Identifier: MIT */
/* Who watches what his invocations do: see watchers.h. */
#include "serve/watchers.h"

#include "base/err.h"
#include "base/fd.h"
#include "serve/front.h"
#include "serve/packet.h"
#include "serve/scribe.h"
#include "serve/visit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct visit *next(struct client *from, uid_t uid)
{
	while (from && !(from->uid == uid && ((struct visit *)from)->watching))
		from = from->next;
	return (struct visit *)from;
}

unsigned watchers_of(const struct front *f, uid_t uid)
{
	unsigned n = 0;

	for (struct visit *w = next(f->clients, uid); w && n < SCRIBE_WATCHERS;
	     w = next(w->client.next, uid))
		n++;
	return n;
}

void watchers_join(struct visit *v)
{
	struct cloche_err err = { 0 };

	if (watchers_of(v->front, v->client.uid) >= SCRIBE_WATCHERS) {
		(void)cloche_err_set(&err, EUSERS, "%d of user %u watch already, and no more can",
				     SCRIBE_WATCHERS, v->client.uid);
		visit_send_away(v, &err);
		return;
	}
	v->state = VISIT_ASKING;
	v->watching = true;
	v->answer.kind = ANSWER_WATCHED;
	request_version(v->answer.version);
	(void)packet_send(v->socket, &v->answer, sizeof(v->answer), NULL);
}

void watchers_show(const struct front *f, uid_t uid, const struct outcome *of,
		   const struct packet_fds *fds, unsigned from, const struct cloche_err *why)
{
	cleanup_free struct answer *a = calloc(1, sizeof(*a));

	if (!a)
		return;
	a->kind = ANSWER_WATCHED;
	request_version(a->version);
	a->trace.why = *why;
	memcpy(a->outcome.request_id, of->request_id, sizeof(a->outcome.request_id));
	memcpy(a->outcome.function, of->function, sizeof(a->outcome.function));
	for (struct visit *w = next(f->clients, uid); w && (from < fds->n || why->code);
	     w = next(w->client.next, uid), from++) {
		const struct packet_fds one = { .fd = { from < fds->n ? fds->fd[from] : -1 },
						.n = from < fds->n };

		(void)packet_send(w->socket, a, sizeof(*a), &one);
	}
}
