/* SPDX-License-Identifier: MIT */
/* Hashes beside the loop: see hashing.h. */
#include "serve/hashing.h"

#include "run/executed.h"
#include "serve/closer.h"
#include "serve/front.h"
#include "serve/held.h"
#include "serve/visit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Takes a tenth of a second. */
#define HASHED_MOST (32ULL << 20)
/* Behind others of his, and on a disk that has much to do. */
#define PATIENCE_USEC (2 * 1000000ULL)

struct hashing {
	struct front *front;
	int done; /* an eventfd */
};

enum job_state { JOB_RUNS, JOB_DONE, JOB_LEFT };

/* The thread's until it is done, or its when it is left. */
struct hash_job {
	struct executed_unread unread; /* with a descriptor of its own */
	char hash[HASH_HEX_LEN];
	int done;
	int state;
};

static void job_free(struct hash_job *job)
{
	(void)close(job->unread.fd);
	free(job);
}

/* By the thread, to the end of which the file may have anybody wait. */
static void job_run(void *arg)
{
	struct hash_job *job = arg;
	int done = job->done;

	if (__atomic_load_n(&job->state, __ATOMIC_RELAXED) == JOB_RUNS)
		executed_read(&job->unread, job->hash);
	/* Here, so that it is not the loop that closes it. */
	(void)close(job->unread.fd);
	job->unread.fd = -1;
	if (__atomic_exchange_n(&job->state, JOB_DONE, __ATOMIC_ACQ_REL) == JOB_LEFT)
		free(job);
	(void)eventfd_write(done, 1);
}

void hashing_leave(struct hash_job **job)
{
	if (*job && __atomic_exchange_n(&(*job)->state, JOB_LEFT, __ATOMIC_ACQ_REL) == JOB_DONE)
		free(*job);
	*job = NULL;
}

static void take(struct visit *v)
{
	struct hash_job *job = v->hash;

	executed_remember(AT_FDCWD, &job->unread, job->hash);
	memcpy(v->answer.outcome.code_sha256, job->hash, sizeof(job->hash));
	hashing_leave(&v->hash);
}

static bool is_done(const struct hash_job *job)
{
	return __atomic_load_n(&job->state, __ATOMIC_ACQUIRE) == JOB_DONE;
}

static int on_done(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct hashing *h = arg;
	struct client *next;
	eventfd_t n;

	(void)eventfd_read(fd, &n);
	for (struct client *c = h->front->clients; c; c = next) {
		struct visit *v = (struct visit *)c;

		next = c->next;
		if (!v->hash || !is_done(v->hash))
			continue;
		take(v);
		visit_hashed(v);
	}
	return 0;
}

static int on_impatience(sd_event_source *s, uint64_t usec, void *arg)
{
	struct visit *v = arg;

	hashing_leave(&v->hash);
	visit_hashed(v);
	return 0;
}

int hashing_open(struct front *f, struct hashing **ret)
{
	struct hashing *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->front = f;
	h->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = h->done < 0 ? -errno : sd_event_add_io(f->event, NULL, h->done, EPOLLIN, on_done, h);
	if (r < 0) {
		free(h);
		return r;
	}
	*ret = h;
	return 0;
}

static struct hash_job *job_make(const struct hashing *h, const struct executed_unread *unread)
{
	struct hash_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->unread = *unread;
	job->done = h->done;
	job->unread.fd = fcntl(unread->fd, F_DUPFD_CLOEXEC, 3);
	if (job->unread.fd >= 0)
		return job;
	free(job);
	return NULL;
}

bool hashing_begin(struct visit *v)
{
	char *hash = v->answer.outcome.code_sha256;
	struct front *f = v->front;
	struct executed_unread unread;
	struct hash_job *job;

	if (executed_recall(AT_FDCWD, &v->held->ctx, &v->inv.executed, HASHED_MOST, hash, &unread))
		return true;
	v->patience = sd_event_source_disable_unref(v->patience);
	job = job_make(f->hashing, &unread);
	if (!job)
		return true;
	if (sd_event_add_time_relative(f->event, &v->patience, CLOCK_MONOTONIC, PATIENCE_USEC, 1,
				       on_impatience, v) < 0 ||
	    !closer_do(f->closer, v->client.uid, job_run, job)) {
		job_free(job);
		return true;
	}
	v->hash = job;
	return false;
}
