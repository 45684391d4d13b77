/* SPDX-License-Identifier: MIT */
/* What clients ask about images and kept traces, on its way to the launcher and back: see
 * image_visit.h. */
#include "serve/image_visit.h"

#include "base/err.h"
#include "base/fd.h"
#include "serve/closer.h"
#include "serve/command.h"
#include "serve/front.h"
#include "serve/held.h"
#include "serve/limit.h"
#include "serve/packet.h"
#include "serve/request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct image_visit {
	struct image_visit *next;
	struct front *front;
	uid_t uid;
	int socket;
	sd_event_source *heard;
	bool asked, waiting; /* the launcher owes something; there was no room */
	struct command asks;
	struct answer answer;
};

static void leave(struct image_visit *v)
{
	if (v->asked && v->asks.kind == COMMAND_BUILD)
		front_tell(v->front,
			   &(struct command){ .kind = COMMAND_LEAVE, .context = v->asks.context });
	for (struct image_visit **at = &v->front->image_visits; *at; at = &(*at)->next)
		if (*at == v) {
			*at = v->next;
			break;
		}
	(void)sd_event_source_disable_unref(v->heard);
	closer_take(v->front->closer, v->uid, &v->socket);
	front_look_whether_done(v->front);
	free(v);
}

static void answer(struct image_visit *v, enum answer_kind kind, const struct packet_fds *fds)
{
	v->answer.kind = kind;
	request_version(v->answer.version);
	(void)packet_send(v->socket, &v->answer, sizeof(v->answer), fds);
	leave(v);
}

static void refuse(struct image_visit *v, const struct cloche_err *why)
{
	v->answer.refused = *why;
	answer(v, ANSWER_REFUSED, NULL);
}

/* There is nothing more to say: it goes. */
static int on_heard(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	leave(arg);
	return 0;
}

static void ask(struct image_visit *v)
{
	v->asks.context = front_number(v->front);
	v->asked = true;
	v->waiting = false;
	front_tell(v->front, &v->asks);
}

static void command_of(const struct request *r, uid_t uid, struct command *ret)
{
	static const enum command_kind kinds[REQUEST_KINDS] = {
		[REQUEST_STORES] = COMMAND_STORES,
		[REQUEST_BUILD] = COMMAND_BUILD,
		[REQUEST_REMOVE] = COMMAND_REMOVE,
		[REQUEST_TRACES] = COMMAND_SHOW,
	};

	*ret = (struct command){ .kind = kinds[r->kind], .images = { .owner = uid } };
	if (r->kind == REQUEST_TRACES)
		memcpy(ret->trace.request_id, r->trace_id, sizeof(r->trace_id));
	if (r->kind == REQUEST_TRACES)
		ret->trace.file = r->learn;
	if (r->kind == REQUEST_STORES && r->image_form == IMAGE_OF_CODE)
		ret->images.form = IMAGE_OF_CODE;
	if (r->kind == REQUEST_STORES || r->kind == REQUEST_TRACES)
		return;
	(void)snprintf(ret->images.name, sizeof(ret->images.name), "%s", r->image_name);
	if (r->kind == REQUEST_REMOVE)
		return;
	(void)snprintf(ret->images.ref, sizeof(ret->images.ref), "%s", r->image_ref);
	ret->images.form = r->image_form;
	ret->images.bytes = r->image_bytes;
}

void image_visit_begin(struct front *f, int socket, uid_t uid, const struct request *r)
{
	struct image_visit *v = calloc(1, sizeof(*v));

	if (!v) {
		closer_take(f->closer, uid, &socket);
		return;
	}
	*v = (struct image_visit){
		.next = f->image_visits, .front = f, .uid = uid, .socket = socket
	};
	command_of(r, uid, &v->asks);
	f->image_visits = v;
	if (f->stopping) {
		refuse(v, &(struct cloche_err){ .code = EBUSY,
						.text = "the daemon is being stopped" });
		return;
	}
	if (sd_event_add_io(f->event, &v->heard, socket, EPOLLIN, on_heard, v) < 0) {
		refuse(v, &(struct cloche_err){ .code = ENOMEM, .text = "no memory" });
		return;
	}
	ask(v);
}

/* What is idle gives way to it, as to a context. */
static bool may_wait(const struct image_visit *v, const struct reply *reply)
{
	return reply->limit != LIMIT_NONE && reply->limit != LIMIT_OWNER_IMAGES &&
	       reply->limit != LIMIT_OWNER_CODE &&
	       ((reply->err.code == EDQUOT && held_make_room(v->front, v->uid)) ||
		(reply->err.code == EBUSY && held_make_room(v->front, POOL_ANY)));
}

/* The pipe; whoever does not take it has nothing to send. */
static void begin(struct image_visit *v, struct packet_fds *fds)
{
	v->answer.kind = ANSWER_SEND;
	request_version(v->answer.version);
	if (packet_send(v->socket, &v->answer, sizeof(v->answer), fds) < 0)
		leave(v);
}

bool image_visit_hear(struct front *f, const struct reply *reply, struct packet_fds *fds)
{
	struct image_visit *v = f->image_visits;

	while (v && !(v->asked && v->asks.context == reply->context))
		v = v->next;
	if (!v)
		return false;
	if (reply->kind == REPLY_BUILDING) {
		begin(v, fds);
		return true;
	}
	v->asked = false;
	if (reply->err.code && reply->kind == REPLY_DONE && may_wait(v, reply)) {
		v->waiting = true;
	} else if (reply->err.code) {
		if (reply->limit != LIMIT_NONE && reply->limit < LIMITS)
			f->counts.refused[reply->limit]++;
		refuse(v, &reply->err);
	} else if (reply->kind == REPLY_SHOWN) {
		answer(v, ANSWER_TRACES, fds);
	} else if (reply->kind == REPLY_STORES) {
		v->answer.stores = (uint32_t)reply->limit;
		answer(v, ANSWER_STORES, fds);
	} else {
		answer(v, ANSWER_DONE, NULL);
	}
	return true;
}

void image_visits_retry(struct front *f)
{
	for (struct image_visit *v = f->image_visits; v; v = v->next)
		if (v->waiting)
			ask(v);
}

void image_visits_end(struct front *f)
{
	while (f->image_visits)
		refuse(f->image_visits, &(struct cloche_err){ .code = EBUSY,
							      .text = "the daemon is being "
								      "stopped" });
}

unsigned image_visits_of(const struct front *f, uid_t uid)
{
	unsigned n = 0;

	for (const struct image_visit *v = f->image_visits; v; v = v->next)
		n += v->uid == uid;
	return n;
}
