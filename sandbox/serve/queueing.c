/* SPDX-License-Identifier: MIT */
/* Clients that wait for somebody's end, so many of a user and so long: see visit.h. */
#include "serve/visit.h"

#include "base/clock.h"
#include "base/err.h"
#include "launch/running.h"
#include "serve/config.h"
#include "serve/front.h"
#include "serve/held.h"
#include "serve/invoking.h"
#include "serve/limit.h"

#include <errno.h>

static int on_late(sd_event_source *s, uint64_t usec, void *arg)
{
	struct visit *v = arg;

	v->late = true;
	if (v->state == VISIT_SEEKING)
		visit_refuse(v, &v->full);
	return 0;
}

/* A function says itself how long its events may wait, whatever may be said of commands. */
static unsigned queued_most(const struct visit *v)
{
	unsigned most = config_owner(v->front->config, v->client.uid)->waiting;

	return v->version && most < INVOKING_QUEUED ? INVOKING_QUEUED : most;
}

bool visit_try_queue(struct visit *v, int64_t wait_ns, struct cloche_err *why)
{
	struct front *f = v->front;
	unsigned most = queued_most(v);
	bool more = !v->client.queued;

	if ((why->code != EDQUOT && why->code != EBUSY) || v->late || v->cancelled || f->stopping ||
	    most == 0 || wait_ns == 0)
		return false;
	v->full = *why;
	if (more && front_queued(f, v->client.uid) >= most) {
		(void)cloche_err_set(why, EBUSY,
				     "%.280s, and %u requests of user %u wait already (limit "
				     "'%s')",
				     v->full.text, most, v->client.uid,
				     limit_name(LIMIT_OWNER_WAITING));
		return false;
	}
	if (more &&
	    sd_event_add_time_relative(f->event, &v->patience, CLOCK_MONOTONIC,
				       (uint64_t)wait_ns / NSEC_PER_USEC, 1, on_late, v) < 0)
		return false;
	v->client.queued = true;
	return true;
}

static unsigned contexts(const struct pool *p)
{
	unsigned n = 0;

	for (int i = 0; i < POOL_STATES; i++)
		n += p->n[i];
	return n;
}

/* What is kept and idle has a function in it as well, and may be what is asked for. Where the front
 * is wrong, the warden is not (launch/running.h). */
static bool has_room_to_run(const struct visit *v, bool once)
{
	const struct pool *pool = &v->front->pool;
	unsigned most = v->front->config->running;
	struct pool_context *found = NULL;

	return contexts(pool) < most || pool_running(pool) < most ||
	       (!once && pool_ask(pool, &v->client.kind, 0, &found) == POOL_TAKE && found->runs);
}

bool visit_may_run(struct visit *v, bool once)
{
	struct front *f = v->front;
	struct cloche_err why = { 0 };

	if (has_room_to_run(v, once))
		return true;
	(void)running_full(f->config->running, &why);
	v->client.full = held_make_way(f) || visit_try_queue(v, f->config->wait_ns, &why);
	v->client.waiting = v->client.full;
	if (v->client.waiting)
		return false;
	f->counts.refused[LIMIT_RUNNING]++;
	visit_refuse(v, &why);
	return false;
}
