/* SPDX-License-Identifier: MIT */
/* Threads that do nothing but close: see closer.h. */
#include "serve/closer.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/tick.h"
#include "host/local.h"
#include "serve/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS	    8
#define QUEUE_MAX   1024
#define STACK_BYTES (64 << 10)
/* A socket that has lain unread, or may linger and does not, is closed in less, on a host however
 * busy. */
#define PATIENCE_NS NSEC_PER_SEC

/* Written by the loop where fd is -1, by the thread where it is not. */
struct waiting {
	int fd;
	uint32_t uid;
	int64_t owed_ns; /* from when on it counts against him */
};

struct lane {
	int in, out; /* a pipe, of places in: */
	struct waiting queue[QUEUE_MAX];
	pthread_barrier_t *begun;
};

struct closer {
	struct local *local;
	struct lane lanes[THREADS];
};

static void *close_all(void *arg)
{
	struct lane *l = arg;
	uint16_t at;

	/* What a thread calls to begin with is not what the filter lets pass. */
	(void)pthread_barrier_wait(l->begun);
	while (read(l->out, &at, sizeof(at)) == sizeof(at)) {
		(void)close(__atomic_load_n(&l->queue[at].fd, __ATOMIC_ACQUIRE));
		__atomic_store_n(&l->queue[at].fd, -1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int begin(struct lane *l, pthread_barrier_t *begun, const pthread_attr_t *attr)
{
	pthread_t thread;
	int ends[2];

	for (unsigned i = 0; i < QUEUE_MAX; i++)
		l->queue[i].fd = -1;
	l->begun = begun;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	l->out = ends[0];
	l->in = ends[1];
	return -pthread_create(&thread, attr, close_all, l);
}

int closer_open(struct local *local, struct closer **ret, struct cloche_err *err)
{
	struct closer *c = calloc(1, sizeof(*c));
	pthread_barrier_t begun;
	pthread_attr_t attr;
	int r = 0;

	if (!c)
		return cloche_err_sys(err, ENOMEM, "begin");
	c->local = local;
	(void)pthread_barrier_init(&begun, NULL, THREADS + 1);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (unsigned i = 0; r == 0 && i < THREADS; i++)
		r = begin(&c->lanes[i], &begun, &attr);
	(void)pthread_attr_destroy(&attr);
	/* Those that were begun wait for ever, for the end of the process. */
	if (r < 0)
		return cloche_err_sys(err, -r, "begin the threads that close what clients send");
	(void)pthread_barrier_wait(&begun);
	(void)pthread_barrier_destroy(&begun);
	*ret = c;
	return 0;
}

/* How many wait, and of them of that user, that count by then. */
static unsigned waiting_in(const struct lane *l, uint32_t uid, int64_t by_ns, unsigned *ret_own)
{
	unsigned n = 0;

	for (unsigned at = 0; at < QUEUE_MAX; at++) {
		if (__atomic_load_n(&l->queue[at].fd, __ATOMIC_ACQUIRE) < 0)
			continue;
		n++;
		*ret_own += l->queue[at].uid == uid && l->queue[at].owed_ns <= by_ns;
	}
	return n;
}

/* Where his wait already, that he has no more than one; else where nobody's do. */
static struct lane *choose(struct closer *c, uint32_t uid)
{
	struct lane *empty = NULL;

	for (unsigned i = 0; i < THREADS; i++) {
		unsigned own = 0;
		bool waits = waiting_in(&c->lanes[i], uid, INT64_MAX, &own) > 0;

		if (own > 0)
			return &c->lanes[i];
		if (!waits && !empty)
			empty = &c->lanes[i];
	}
	return empty ? empty : &c->lanes[uid % THREADS];
}

/* False: all places are taken. */
static bool hand_over(struct closer *c, uint32_t uid, int fd, bool local)
{
	struct lane *l = choose(c, uid);
	int64_t now_ns = clock_now_ns();

	for (uint16_t at = 0; at < QUEUE_MAX; at++) {
		if (__atomic_load_n(&l->queue[at].fd, __ATOMIC_ACQUIRE) >= 0)
			continue;
		l->queue[at].uid = uid;
		l->queue[at].owed_ns = local ? now_ns + PATIENCE_NS : now_ns;
		__atomic_store_n(&l->queue[at].fd, fd, __ATOMIC_RELEASE);
		/* There is room in a pipe for all of them. */
		(void)!write(l->in, &at, sizeof(at));
		return true;
	}
	return false;
}

/* Of what there is on mounts of ours only sockets may linger, and of these not those of AF_UNIX;
 * but in one of these others may be, unread, which go with it. */
static bool closes_at_once(const struct closer *c, int fd)
{
	struct pollfd unread = { .fd = fd, .events = POLLIN };
	socklen_t len = sizeof(int);
	int domain;

	if (!local_is(c->local, fd))
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return errno == ENOTSOCK;
	return domain == AF_UNIX && poll(&unread, 1, 0) == 0;
}

void closer_take(struct closer *c, uint32_t uid, int *fd)
{
	if (*fd >= 0 && c && !closes_at_once(c, *fd)) {
		bool local = local_is(c->local, *fd);

		/* Who connects more often than can be closed had all descriptors else; but of a
		 * file system that does not answer, what has no place stays open. */
		if (hand_over(c, uid, *fd, local) || !local)
			*fd = -1;
	}
	/* Between the look and this, somebody may have put something in. */
	tick_close(fd);
}

void closer_take_all(struct closer *c, uint32_t uid, struct packet_fds *fds)
{
	while (fds->n > 0)
		closer_take(c, uid, &fds->fd[--fds->n]);
}

unsigned closer_owes(const struct closer *c, uint32_t uid, int64_t now_ns)
{
	unsigned own = 0;

	for (unsigned i = 0; c && i < THREADS; i++)
		(void)waiting_in(&c->lanes[i], uid, now_ns, &own);
	return own;
}
