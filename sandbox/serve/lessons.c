/* SPDX-License-Identifier: MIT */
/* Who learns from a function's invocations: see lessons.h. */
#include "serve/lessons.h"

#include "base/err.h"
#include "function/function_store.h"
#include "serve/front.h"
#include "serve/held.h"
#include "serve/invoking.h"
#include "serve/packet.h"
#include "serve/visit.h"

#include <sys/socket.h>

static struct visit *next(struct client *from, const struct function_version *of)
{
	while (from && ((struct visit *)from)->lesson != of)
		from = from->next;
	return (struct visit *)from;
}

/* Where it is under way it comes to its end. */
static void retire(struct front *f, const struct function_version *version)
{
	struct pool_context *following;

	for (struct pool_context *at = f->pool.first; at; at = following) {
		struct held *h = (struct held *)at;

		following = at->all.next;
		if (h->kind.function != version->id)
			continue;
		h->retired = true;
		if (at->state == POOL_IDLE)
			held_end(f, h);
	}
	provisioning_look(f);
}

void lessons_join(struct visit *v)
{
	struct cloche_err err = { 0 };

	if (invoking_find(v, &err) < 0) {
		visit_send_away(v, &err);
		return;
	}
	v->lesson = v->version;
	v->version = NULL;
	v->front->lessons++;
	v->state = VISIT_ASKING;
	retire(v->front, v->lesson);
	v->answer.kind = ANSWER_LEARNT;
	request_version(v->answer.version);
	(void)packet_send(v->socket, &v->answer, sizeof(v->answer), NULL);
}

void lessons_leave(struct visit *v)
{
	v->front->lessons -= v->lesson != NULL;
	v->lesson = function_version_unref(v->lesson);
}

void lessons_tell(const struct visit *of)
{
	const struct outcome *out = &of->answer.outcome;
	const struct learnt told = { .cgroup = out->context.cgroup_id,
				     .verdict = out->verdict,
				     .ran = out->ran,
				     .before = of->held->retired };

	if (!of->front->lessons)
		return;
	for (struct visit *w = next(of->front->clients, of->version); w;
	     w = next(w->client.next, of->version))
		if (packet_send(w->socket, &told, sizeof(told), NULL) < 0)
			(void)shutdown(w->socket, SHUT_RDWR);
}
