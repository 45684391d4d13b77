/* SPDX-License-Identifier: MIT */
/* A client's connection: what comes by it, held against what may come, as a spec: see visit.h. */
#include "serve/visit.h"
#include "serve/watchers.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "policy/policy_join.h"
#include "serve/closer.h"
#include "serve/front.h"
#include "serve/function_visit.h"
#include "serve/image_visit.h"
#include "serve/invoking.h"
#include "serve/lessons.h"
#include "serve/packet.h"
#include "serve/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Who connects and says nothing, or has more to ask and does not. */
#define HEARING_NS (10 * NSEC_PER_SEC)

/* An event that came with its request; the inbox is for the next one's. */
static int take_event(struct visit *v, size_t len, struct cloche_err *err)
{
	v->event = malloc(len + 1);
	if (!v->event)
		return cloche_err_sys(err, ENOMEM, "begin");
	memcpy(v->event, v->front->inbox + sizeof(v->request), len);
	v->event[len] = '\0';
	return 0;
}

int visit_have_event(struct visit *v, struct cloche_err *err)
{
	return v->event ? 0 : request_read_event(&v->request, v->order_fd, &v->event, err);
}

/* What follows in its message. */
static int take_rest(struct visit *v, size_t len, struct cloche_err *err)
{
	bool event = v->request.kind == REQUEST_INVOKE && v->order_fd < 0 &&
		     v->request.event_len <= REQUEST_SHORT;
	size_t follows =
		event ? v->request.event_len : v->request.bare_n * sizeof(struct sock_filter);

	if (len < sizeof(v->request) || len != sizeof(v->request) + follows)
		return cloche_err_set(err, EBADMSG, "the daemon was asked for what there is not");
	if (event)
		return take_event(v, follows, err);
	if (follows == 0)
		return 0;
	v->bare = malloc(sizeof(*v->bare));
	if (!v->bare)
		return cloche_err_sys(err, ENOMEM, "begin");
	v->bare->flags = v->request.bare_flags;
	v->bare->n = v->request.bare_n;
	memcpy(v->bare->insns, v->front->inbox + sizeof(v->request), follows);
	return 0;
}

void client_list(struct client *c)
{
	struct visit *v = (struct visit *)c;
	struct packet_fds fds = { .n = 1 };
	struct cloche_err err = { 0 };

	fds.fd[0] = lister_make(v->front, c->uid, &err);
	if (fds.fd[0] < 0) {
		visit_send_away(v, &err);
		return;
	}
	v->answer.kind = ANSWER_LIST;
	request_version(v->answer.version);
	if (!v->left)
		(void)packet_send(v->socket, &v->answer, sizeof(v->answer), &fds);
	packet_close_fds(&fds);
	visit_leave(v);
}

static void list(struct visit *v)
{
	v->state = VISIT_ASKING;
	v->client.listing = true;
	if (lister_ready(v->front))
		client_list(&v->client);
}

static void read_ledger(struct visit *v)
{
	struct cloche_err err = { 0 };

	v->state = VISIT_ASKING;
	v->reading = reading_open(v->front, &v->client, v->socket, &err);
	if (!v->reading)
		visit_send_away(v, &err);
}

void client_read(struct client *c)
{
	visit_leave((struct visit *)c);
}

static bool needs_streams(const struct request *r)
{
	return r->kind < REQUEST_LIST;
}

/* Takes what came with it: streams and an order, or the text of functions, or an event. */
static int take_fds(struct visit *v, struct packet_fds *fds, struct cloche_err *err)
{
	if ((v->request.kind == REQUEST_DEPLOY || v->request.kind == REQUEST_INVOKE) &&
	    fds->n == 1) {
		v->order_fd = fds->fd[0];
		fds->n = 0;
	} else if (fds->n >= REQUEST_FDS && fds->n <= REQUEST_FD_BINDS + 1) {
		memcpy(v->streams, fds->fd, sizeof(v->streams));
		v->order_fd = fds->fd[REQUEST_FD_ORDER];
		v->binds = fds->n > REQUEST_FD_BINDS ? fds->fd[REQUEST_FD_BINDS] : -1;
		fds->n = 0;
	} else if (needs_streams(&v->request) || fds->n) {
		return cloche_err_set(err, EBADMSG, "the daemon was asked without streams");
	}
	return 0;
}

/* Who asks about functions or images is somebody else's client. False: he does not. */
static bool pass_on(struct visit *v)
{
	bool images = v->request.kind >= REQUEST_STORES;

	if (!images && (v->request.kind < REQUEST_DEPLOY || v->request.kind > REQUEST_FORGET))
		return false;
	v->heard = sd_event_source_disable_unref(v->heard);
	if (!images)
		function_visit_begin(v->front, TAKE_FD(v->socket), TAKE_FD(v->order_fd),
				     v->client.uid, &v->request);
	else
		image_visit_begin(v->front, TAKE_FD(v->socket), v->client.uid, &v->request);
	visit_leave(v);
	return true;
}

static void on_request(struct visit *v, int len, struct packet_fds *fds)
{
	struct cloche_err err = { 0 };
	int r = 0;

	v->requested_ns = clock_now_ns();
	if (v->again)
		front_asks_again(v->front, &v->client);
	v->again = true;
	v->client.silent = false;
	memcpy(&v->request, v->front->inbox,
	       (size_t)len < sizeof(v->request) ? (size_t)len : sizeof(v->request));
	r = take_fds(v, fds, &err);
	closer_take_all(v->front->closer, v->client.uid, fds);
	if (r == 0 && (size_t)len >= sizeof(v->request.version))
		r = request_check(&v->request, &err);
	if (r == 0)
		r = take_rest(v, (size_t)len, &err);
	if (r == 0 && (v->request.binds > 0) != (v->binds >= 0))
		r = cloche_err_set(&err, EBADMSG, "the daemon was asked for binds without them");
	if (r == 0 && v->barred.code) {
		err = v->barred;
		r = -err.code;
	}
	if (r == 0 && pass_on(v))
		return;
	if (r == 0 && v->request.kind == REQUEST_LIST) {
		list(v);
		return;
	}
	if (r == 0 && v->request.kind == REQUEST_RECORDS) {
		read_ledger(v);
		return;
	}
	if (r == 0 && v->request.kind == REQUEST_LOGS) {
		invoking_show_logs(v);
		return;
	}
	if (r == 0 && v->request.kind == REQUEST_WATCH) {
		watchers_join(v);
		return;
	}
	if (r == 0 && v->request.kind == REQUEST_LEARN) {
		lessons_join(v);
		return;
	}
	if (r == 0 && v->request.kind == REQUEST_INVOKE) {
		invoking_begin(v);
		return;
	}
	if (r == 0 && v->request.kind != REQUEST_RUN)
		r = cloche_err_set(&err, EBADMSG, "there is nothing to cancel yet");
	if (r == 0)
		r = request_read(&v->request, v->bare, v->order_fd, &v->block, &v->order, &v->spec,
				 &err);
	closer_take(v->front->closer, v->client.uid, &v->order_fd);
	if (r < 0)
		visit_send_away(v, &err);
	else
		visit_begin(v);
}

static bool is_cancel(const char *bytes, int len)
{
	const struct request *r = (const struct request *)bytes;

	return len == sizeof(*r) && r->kind == REQUEST_CANCEL;
}

/* Whatever comes then and is not CANCEL is no more than its end. */
static void on_more(struct visit *v, int len, const struct request *more, struct packet_fds *fds)
{
	closer_take_all(v->front->closer, v->client.uid, fds);
	if (!is_cancel((const char *)more, len)) {
		v->left = true;
		v->heard = sd_event_source_disable_unref(v->heard);
	}
	if (v->left && v->state != VISIT_RUNNING && v->state != VISIT_CONCLUDING)
		visit_leave(v);
	else
		client_cancel(&v->client);
}

static int on_heard(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct visit *v = arg;
	struct request more = { .kind = REQUEST_KINDS };
	struct cloche_err err = { 0 };
	struct packet_fds fds;
	bool first = v->state == VISIT_HEARING;
	int len = packet_recv(fd, first ? (void *)v->front->inbox : &more,
			      first ? sizeof(v->front->inbox) : sizeof(more), &fds);

	if (len == -EAGAIN)
		return 0;
	if (first && v->again && is_cancel(v->front->inbox, len)) {
		/* It has crossed with the answer. */
		closer_take_all(v->front->closer, v->client.uid, &fds);
	} else if (!first) {
		on_more(v, len, &more, &fds);
	} else if (len == -EBADMSG) {
		closer_take_all(v->front->closer, v->client.uid, &fds);
		(void)cloche_err_set(&err, EPROTO,
				     "the daemon was asked for what it does not know, by another "
				     "version of this program or none");
		visit_send_away(v, &err);
	} else if (len < 0) {
		closer_take_all(v->front->closer, v->client.uid, &fds);
		visit_leave(v);
	} else {
		on_request(v, len, &fds);
	}
	return 0;
}

void client_give_way(struct client *c)
{
	const struct cloche_err why = { .code = EBUSY,
					.text = "nothing was asked, and others ask; try again" };

	visit_send_away((struct visit *)c, &why);
}

static int look_at_silence(struct visit *v);

/* Nobody is held to a time that was set for what he has asked since. */
static int on_silence(sd_event_source *s, uint64_t usec, void *arg)
{
	struct visit *v = arg;

	v->silence = sd_event_source_disable_unref(v->silence);
	if (v->state == VISIT_HEARING && (clock_now_ns() >= v->silent_ns || look_at_silence(v) < 0))
		visit_leave(v);
	return 0;
}

/* One that is set stays: to set it for each request would take a call or two. */
static int look_at_silence(struct visit *v)
{
	return v->silence ? 0
			  : sd_event_add_time(v->front->event, &v->silence, CLOCK_MONOTONIC,
					      (uint64_t)v->silent_ns / NSEC_PER_USEC + 1, 0,
					      on_silence, v);
}

/* What was looked at when it was let in is so still, and will be looked at when it connects. */
bool visit_may_stay(const struct visit *v)
{
	struct front *f = v->front;

	if (!v->request.hold && !v->request.stays)
		return false;
	f->old |= view_is_old(&f->view);
	return !v->left && !f->stopping && !f->old && v->changes == f->changes;
}

int visit_hear(struct visit *v)
{
	v->silent_ns = clock_now_ns() + HEARING_NS;
	return look_at_silence(v);
}

struct client *client_open(struct front *f, int socket, const struct ucred *who,
			   const struct cloche_err *barred)
{
	struct visit *v = calloc(1, sizeof(*v));
	int r = -ENOMEM;

	if (v) {
		*v = (struct visit){ .client = { .uid = who->uid, .gid = who->gid, .silent = true },
				     .front = f,
				     .changes = f->changes,
				     .barred = *barred,
				     .socket = socket,
				     .streams = { -1, -1, -1 },
				     .order_fd = -1,
				     .binds = -1,
				     .will = -1 };
		watch_init(&v->watch, f->event, visit_step, v);
		front_owner_name(f, who->uid, v->owner);
		r = sd_event_add_io(f->event, &v->heard, socket, EPOLLIN, on_heard, v);
	}
	if (r >= 0)
		r = visit_hear(v);
	if (r >= 0)
		return &v->client;
	if (v)
		(void)sd_event_source_disable_unref(v->heard);
	closer_take(f->closer, who->uid, &socket);
	free(v);
	return NULL;
}
