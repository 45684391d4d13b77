/* SPDX-License-Identifier: MIT */
/* The listening socket's part of the front: see door.h. */
#include "serve/door.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "host/slot.h"
#include "serve/client.h"
#include "serve/closer.h"
#include "serve/config.h"
#include "serve/front.h"
#include "serve/function_visit.h"
#include "serve/image_visit.h"
#include "serve/packet.h"
#include "serve/request.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Connections, from all and from one user; of one, those on which nothing was asked yet. */
#define CLIENTS_MAX    512
#define CLIENTS_OF_ONE 128
#define SILENT_OF_ONE  64
/* Let in before those who are in are seen to again. */
#define EAGER 32
/* What one user has sent and cannot be closed yet. */
#define OWED_BY_ONE 16
/* The kernel's NGROUPS_MAX. */
#define GROUPS_MAX 65536

struct crowd {
	unsigned all, silent; /* of one user */
	struct client *first; /* that is silent, of anybody's */
};

static void look(const struct front *f, uid_t uid, struct crowd *ret)
{
	*ret = (struct crowd){ .all = image_visits_of(f, uid) + function_visits_of(f, uid) };
	for (struct client *c = f->clients; c; c = c->next) {
		if (c->silent && !ret->first)
			ret->first = c;
		ret->all += c->uid == uid;
		ret->silent += c->silent && c->uid == uid;
	}
}

/* What he has said already, that its descriptors are closed as such are; and because of what lay
 * unread he would be told of a reset, and not of this (unix_release_sock). */
static void say_why(struct front *f, int socket, uint32_t uid, const struct cloche_err *why)
{
	struct answer a = { .kind = ANSWER_REFUSED };
	struct packet_fds fds;
	int n;

	request_version(a.version);
	a.refused = *why;
	(void)shutdown(socket, SHUT_RD);
	do {
		n = packet_recv(socket, f->inbox, sizeof(f->inbox), &fds);
		closer_take_all(f->closer, uid, &fds);
	} while (n > 0 || n == -EBADMSG);
	(void)packet_send(socket, &a, sizeof(a), NULL);
}

static void send_away(struct front *f, int socket, uint32_t uid, const struct cloche_err *why)
{
	say_why(f, socket, uid, why);
	closer_take(f->closer, uid, &socket);
}

/* By what the kernel says of who connected, when he did. */
static int check_allowed(const struct front *f, int socket, const struct ucred *who,
			 struct cloche_err *err)
{
	cleanup_free gid_t *groups = NULL;
	gid_t none;
	socklen_t len = 0;

	/* To each of its functions the socket may be bound, and none is a user with limits anew. */
	if (slot_is_uid(who->uid))
		return cloche_err_set(err, EACCES,
				      "user %u is none, but a context's own number: functions may "
				      "not use the daemon",
				      who->uid);
	if (!f->config->restricted)
		return 0;
	/* Too small for any but none. */
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, &none, &len) < 0 && errno != ERANGE)
		return cloche_err_sys(err, errno, "ask for a client's groups");
	if (len / sizeof(gid_t) > GROUPS_MAX)
		return cloche_err_set(err, EACCES, "user %u has too many groups", who->uid);
	groups = calloc(len / sizeof(gid_t) + 1, sizeof(gid_t));
	if (!groups)
		return cloche_err_sys(err, ENOMEM, "ask for a client's groups");
	if (len && getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return cloche_err_sys(err, errno, "ask for a client's groups");
	groups[len / sizeof(gid_t)] = who->gid;
	if (config_allows(f->config, who->uid, groups, len / sizeof(gid_t) + 1))
		return 0;
	return cloche_err_set(err, EACCES,
			      "user %u may not use the daemon ('allow' in its configuration)",
			      who->uid);
}

/* Before anything else is done for him. Whoever has waited longest in silence gives way, for one
 * who means to ask does so at once. */
static void check_room(struct front *f, uid_t uid, struct cloche_err *why)
{
	struct crowd crowd;

	look(f, uid, &crowd);
	if (crowd.silent >= SILENT_OF_ONE)
		(void)cloche_err_set(why, EBUSY,
				     "user %u has connected %u times and asked nothing yet, which "
				     "is the most; try again",
				     uid, crowd.silent);
	else if (crowd.all >= CLIENTS_OF_ONE || (f->n_clients >= CLIENTS_MAX && !crowd.first))
		(void)cloche_err_set(why, EBUSY, "the daemon has too many clients; try again");
	else if (closer_owes(f->closer, uid, clock_now_ns()) >= OWED_BY_ONE)
		(void)cloche_err_set(
			why, EBUSY,
			"files that user %u has handed to the daemon cannot be closed: "
			"what they are on does not answer",
			uid);
	else if (f->n_clients >= CLIENTS_MAX)
		client_give_way(crowd.first);
}

static void let_in(struct front *f, int socket)
{
	struct ucred who = { .uid = (uid_t)-1 };
	struct cloche_err why = { 0 };
	socklen_t len = sizeof(who);
	struct client *c;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		(void)cloche_err_sys(&why, errno, "ask who connects");
	else if (config_subordinate(f->config, who.uid))
		(void)cloche_err_set(&why, EACCES,
				     "user %u is a number that a user has for his containers "
				     "(/etc/subuid): that user may use the daemon, and it may not",
				     who.uid);
	else
		check_room(f, who.uid, &why);
	if (why.code) {
		send_away(f, socket, who.uid, &why);
		return;
	}
	f->old |= view_is_old(&f->view);
	(void)check_allowed(f, socket, &who, &why);
	c = client_open(f, socket, &who, &why);
	if (c) {
		*f->clients_end = c;
		f->clients_end = &c->next;
		f->n_clients++;
	}
}

/* Accepted first, then answered: who comes when one of these has had his answer may come for
 * something that was told in between. */
static int on_knock(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct front *f = arg;
	int sockets[EAGER];
	unsigned n = 0;

	while (n < EAGER) {
		sockets[n] = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (sockets[n] < 0)
			break;
		n++;
	}
	for (unsigned i = 0; i < n; i++)
		let_in(f, sockets[i]);
	return 0;
}

int door_open(struct front *f, struct cloche_err *err)
{
	int r = sd_event_add_io(f->event, &f->knocks, f->control, EPOLLIN, on_knock, f);

	return r < 0 ? cloche_err_sys(err, -r, "listen to who connects") : 0;
}

void door_close(struct front *f)
{
	f->knocks = sd_event_source_disable_unref(f->knocks);
}
