/* SPDX-License-Identifier: MIT */
/* Threads that do nothing but close: see closer.h. */
#include "serve/closer.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "host/local.h"
#include "serve/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of those who mean ill, so many can have one hang. */
#define THREADS	    32
#define QUEUE_MAX   65536
#define STACK_BYTES (64 << 10)
/* A socket that has lain unread, or may linger and does not, is closed in less, on a host however
 * busy. */
#define PATIENCE_NS NSEC_PER_SEC

/* What an order needs (launch/order.h) is less; to free so much takes no time. */
#define SMALL_BYTES (4ULL << 20)

struct waiting {
	int fd; /* -1: nothing is to be closed, but this called: */
	uint32_t uid;
	void (*run)(void *arg);
	void *arg;
	int64_t owed_ns; /* from when on it counts against him */
};

/* So many of one user count at once: what is sent in a burst has a bound, too. */
#define OWED_MAX 2048

/* A ring: the loop puts in and counts put, the thread closes and counts closed. */
struct lane {
	int in, out; /* a pipe: who reads a byte looks what there is */
	uint32_t put, closed;
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
	char bytes[256];
	uint32_t at = 0;

	/* What a thread calls to begin with is not what the filter lets pass. */
	(void)pthread_barrier_wait(l->begun);
	while (read(l->out, bytes, sizeof(bytes)) > 0)
		while (at != __atomic_load_n(&l->put, __ATOMIC_ACQUIRE)) {
			const struct waiting *w = &l->queue[at++ % QUEUE_MAX];

			if (w->fd < 0)
				w->run(w->arg);
			else
				(void)close(w->fd);
			__atomic_store_n(&l->closed, at, __ATOMIC_RELEASE);
		}
	return NULL;
}

static int begin(struct lane *l, pthread_barrier_t *begun, const pthread_attr_t *attr)
{
	pthread_t thread;
	int ends[2];

	l->begun = begun;
	if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0)
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
	uint32_t closed = __atomic_load_n(&l->closed, __ATOMIC_ACQUIRE);

	for (uint32_t at = closed; at != l->put; at++) {
		const struct waiting *w = &l->queue[at % QUEUE_MAX];

		*ret_own += w->uid == uid && w->owed_ns <= by_ns;
	}
	return l->put - closed;
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

/* False: there is no place. */
static bool hand_over(struct closer *c, const struct waiting *what)
{
	struct lane *l = choose(c, what->uid);
	unsigned own = 0;

	if (waiting_in(l, what->uid, INT64_MAX, &own) >= QUEUE_MAX)
		return false;
	l->queue[l->put % QUEUE_MAX] = *what;
	__atomic_store_n(&l->put, l->put + 1, __ATOMIC_RELEASE);
	/* Where there is no room for it, others are still to be read. */
	(void)!write(l->in, "", 1);
	return true;
}

bool closer_do(struct closer *c, uint32_t uid, void (*run)(void *arg), void *arg)
{
	const struct waiting what = {
		.fd = -1, .uid = uid, .run = run, .arg = arg, .owed_ns = INT64_MAX
	};

	return hand_over(c, &what);
}

/* A device of memory's, and a small file in memory: there is nobody whom it could have to wait for,
 * and nothing to free. */
static bool closes_at_once(const struct closer *c, int fd)
{
	struct statx st = { .stx_mask = 0 };

	if (!local_is(c->local, fd) ||
	    statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &st) < 0)
		return false;
	if (S_ISCHR(st.stx_mode))
		return st.stx_rdev_major == 1;
	return S_ISREG(st.stx_mode) && local_is_memory(c->local, fd) &&
	       statx(fd, "", AT_EMPTY_PATH, STATX_BLOCKS, &st) == 0 &&
	       st.stx_blocks <= SMALL_BYTES / 512;
}

void closer_take(struct closer *c, uint32_t uid, int *fd)
{
	if (*fd < 0)
		return;
	if (c && !closes_at_once(c, *fd)) {
		struct waiting what = { .fd = *fd, .uid = uid, .owed_ns = clock_now_ns() };

		what.owed_ns += local_is(c->local, *fd) ? PATIENCE_NS : 0;
		/* Where there is no place it stays open. */
		(void)hand_over(c, &what);
		*fd = -1;
	}
	fd_close(fd);
}

void closer_take_all(struct closer *c, uint32_t uid, struct packet_fds *fds)
{
	while (fds->n > 0)
		closer_take(c, uid, &fds->fd[--fds->n]);
}

unsigned closer_owes(const struct closer *c, uint32_t uid, int64_t now_ns)
{
	unsigned own = 0, all = 0;

	for (unsigned i = 0; c && i < THREADS; i++) {
		(void)waiting_in(&c->lanes[i], uid, now_ns, &own);
		(void)waiting_in(&c->lanes[i], uid, INT64_MAX, &all);
	}
	return all >= OWED_MAX ? all : own;
}
