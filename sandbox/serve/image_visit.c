/* SPDX-License-Identifier: MIT */
/* What clients ask about images, on its way to the launcher and back: see image_visit.h. */
#include "serve/image_visit.h"

#include "base/err.h"
#include "base/fd.h"
#include "serve/command.h"
#include "serve/front.h"
#include "serve/packet.h"
#include "serve/request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>

struct image_visit {
	struct image_visit *next;
	struct front *front;
	uid_t uid;
	int socket;
	uint64_t number; /* what the launcher knows it by */
	sd_event_source *heard;
	struct answer answer;
};

static void leave(struct image_visit *v)
{
	for (struct image_visit **at = &v->front->image_visits; *at; at = &(*at)->next)
		if (*at == v) {
			*at = v->next;
			break;
		}
	(void)sd_event_source_disable_unref(v->heard);
	fd_close(&v->socket);
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

void image_visit_begin(struct front *f, int socket, uid_t uid, const struct request *r)
{
	struct command c = { .kind = COMMAND_STORES, .images = { .owner = uid } };
	struct image_visit *v = calloc(1, sizeof(*v));

	if (!v) {
		(void)close(socket);
		return;
	}
	*v = (struct image_visit){
		.next = f->image_visits, .front = f, .uid = uid, .socket = socket
	};
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
	v->number = c.context = front_number(f);
	front_tell(f, &c);
}

void image_visit_hear(struct front *f, const struct reply *reply, struct packet_fds *fds)
{
	struct image_visit *v = f->image_visits;

	while (v && v->number != reply->context)
		v = v->next;
	if (!v)
		return;
	if (reply->err.code) {
		refuse(v, &reply->err);
		return;
	}
	v->answer.stores = (uint32_t)reply->limit;
	answer(v, ANSWER_STORES, fds);
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
