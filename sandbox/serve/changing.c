/* SPDX-License-Identifier: MIT */
/* Changes of what is deployed, written by threads: see changing.h. */
#include "serve/changing.h"

#include "base/err.h"
#include "function/function_change.h"
#include "serve/front.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define THREADS	    8
#define STACK_BYTES (64 << 10)

struct change_job {
	struct change_job *next;
	struct function_change *change;
	changing_done *done;
	void *arg;
	struct cloche_err err;
	int written;
};

/* In the order in which they came. */
struct queue {
	struct change_job *first, **end;
};

struct changing {
	struct front *front;
	int knock; /* an eventfd */
	pthread_barrier_t begun;
	pthread_mutex_t lock; /* for both, and held for moments: */
	pthread_cond_t more;
	struct queue asked, written;
};

static void put(struct queue *q, struct change_job *job)
{
	job->next = NULL;
	*q->end = job;
	q->end = &job->next;
}

static struct change_job *take(struct queue *q)
{
	struct change_job *job = q->first;

	if (!job)
		return NULL;
	q->first = job->next;
	if (!q->first)
		q->end = &q->first;
	return job;
}

static void *write_all(void *arg)
{
	struct changing *c = arg;

	/* What a thread calls to begin with is not what the filter lets pass. */
	(void)pthread_barrier_wait(&c->begun);
	for (;;) {
		struct change_job *job;

		(void)pthread_mutex_lock(&c->lock);
		while (!(job = take(&c->asked)))
			(void)pthread_cond_wait(&c->more, &c->lock);
		(void)pthread_mutex_unlock(&c->lock);
		job->written = change_write(job->change, &job->err);
		(void)pthread_mutex_lock(&c->lock);
		put(&c->written, job);
		(void)pthread_mutex_unlock(&c->lock);
		(void)eventfd_write(c->knock, 1);
	}
	return NULL;
}

/* What is on the disk and not in memory the next front reads. */
static void end(struct changing *c, struct function_change *change, int written,
		const struct cloche_err *err, changing_done *done, void *arg)
{
	int r = change_end(c->front->functions, change, written);

	if (r < 0)
		(void)sd_event_exit(c->front->event, r);
	done(arg, written, err);
}

static struct change_job *take_written(struct changing *c)
{
	struct change_job *job;

	(void)pthread_mutex_lock(&c->lock);
	job = take(&c->written);
	(void)pthread_mutex_unlock(&c->lock);
	return job;
}

static int on_knock(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct changing *c = arg;
	struct change_job *job;
	eventfd_t n;

	(void)eventfd_read(fd, &n);
	while ((job = take_written(c))) {
		end(c, job->change, job->written, &job->err, job->done, job->arg);
		free(job);
	}
	return 0;
}

static int start_threads(struct changing *c)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r = 0;

	(void)pthread_barrier_init(&c->begun, NULL, THREADS + 1);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (unsigned i = 0; r == 0 && i < THREADS; i++)
		r = -pthread_create(&thread, &attr, write_all, c);
	(void)pthread_attr_destroy(&attr);
	/* Those that were begun wait for ever, for the end of the process. */
	if (r == 0)
		(void)pthread_barrier_wait(&c->begun);
	return r;
}

int changing_open(struct front *f, struct changing **ret, struct cloche_err *err)
{
	struct changing *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return cloche_err_sys(err, ENOMEM, "begin");
	c->front = f;
	c->asked.end = &c->asked.first;
	c->written.end = &c->written.first;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->more, NULL);
	c->knock = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = c->knock < 0 ? -errno : sd_event_add_io(f->event, NULL, c->knock, EPOLLIN, on_knock, c);
	if (r >= 0)
		r = start_threads(c);
	if (r < 0)
		return cloche_err_sys(err, -r, "begin the threads that write what is deployed");
	*ret = c;
	return 0;
}

void changing_begin(struct changing *c, struct function_change *change, changing_done *done,
		    void *arg)
{
	struct change_job *job = calloc(1, sizeof(*job));
	struct cloche_err err = { 0 };

	if (!job) {
		end(c, change, change_write(change, &err), &err, done, arg);
		return;
	}
	*job = (struct change_job){ .change = change, .done = done, .arg = arg };
	(void)pthread_mutex_lock(&c->lock);
	put(&c->asked, job);
	(void)pthread_cond_signal(&c->more);
	(void)pthread_mutex_unlock(&c->lock);
}
