/* SPDX-License-Identifier: MIT */
/* Who may see what of the contexts that there are: see lister.h. */
#include "serve/lister.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/process.h"
#include "serve/client.h"
#include "serve/config.h"
#include "serve/front.h"
#include "serve/held.h"
#include "serve/listing.h"
#include "serve/packet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Nobody has the launcher count for him all the time. */
#define FRESH_NS (50 * NSEC_PER_MSEC)

bool lister_ready(struct front *f)
{
	struct lister *l = &f->lister;

	if (l->tally && clock_now_ns() - l->taken_ns < FRESH_NS)
		return true;
	if (!l->asked)
		front_tell(f, &(struct command){ .kind = COMMAND_TALLY });
	l->asked = true;
	return false;
}

void lister_hear(struct front *f, struct packet_fds *fds)
{
	struct lister *l = &f->lister;
	struct tally *tally = NULL;

	if (fds->n != 1 || listing_take_tally(fds->fd[0], &tally, NULL) < 0)
		return;
	free(l->tally);
	*l = (struct lister){ .tally = tally, .taken_ns = clock_now_ns() };
	front_listed(f);
}

void lister_close(struct lister *l)
{
	free(l->tally);
	l->tally = NULL;
}

static uint64_t own_cpu_ns(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static enum listed_state state_of(const struct held *h)
{
	static const enum listed_state states[POOL_STATES] = {
		[POOL_MAKING] = LISTED_STARTING,
		[POOL_BUSY] = LISTED_BUSY,
		/* Of the invocation that it had. */
		[POOL_VERIFYING] = LISTED_BUSY,
		[POOL_RESERVED] = LISTED_BUSY,
		[POOL_IDLE] = LISTED_READY,
		[POOL_ENDING] = LISTED_ENDING,
	};

	return states[h->pool.state];
}

static const struct tally_row *counted_of(const struct tally *t, uint64_t number)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].context == number)
			return &t->rows[i];
	return NULL;
}

static void list_one(const struct front *f, const struct held *h, struct listed *ret)
{
	const struct tally_row *counted = counted_of(f->lister.tally, h->number);

	*ret = (struct listed){ .uid = h->kind.make.owner,
				.state = state_of(h),
				.age_ns = clock_now_ns() - h->made_ns,
				.invocations = h->invocations,
				.memory_bytes = counted ? counted->memory_bytes : LISTING_UNKNOWN,
				.cpu_ns = counted ? counted->cpu_ns : LISTING_UNKNOWN };
	owner_name(ret->uid, ret->owner);
	(void)snprintf(ret->id, sizeof(ret->id), "%s", h->id);
	(void)snprintf(ret->function, sizeof(ret->function), "%s", h->function);
	(void)snprintf(ret->command, sizeof(ret->command), "%s", h->command);
}

static void head_for(const struct front *f, uid_t uid, struct listing *ret)
{
	const struct owner_limits *own = config_owner(f->config, uid);

	ret->taken_ns = f->lister.taken_ns;
	ret->since_ns = f->since_ns;
	ret->daemon_cpu_ns = ret->launcher_bytes = ret->front_bytes = LISTING_UNKNOWN;
	if (uid == 0) {
		ret->contexts_max = f->config->contexts;
		ret->memory_max_bytes = f->config->memory_bytes;
		ret->vcpu_milli = f->config->vcpu_milli;
		ret->daemon_cpu_ns = f->lister.tally->launcher_cpu_ns + own_cpu_ns();
		ret->launcher_bytes = f->lister.tally->launcher_bytes;
		ret->front_bytes = process_own_memory();
		return;
	}
	ret->contexts_max = own->contexts;
	ret->memory_max_bytes = own->memory_bytes;
	ret->vcpu_milli = own->vcpu_milli;
}

struct listing *lister_list(const struct front *f, uid_t uid)
{
	struct listing *l;
	uint32_t n = 0;

	for (const struct pool_context *c = f->pool.first; c; c = c->all.next)
		n++;
	n = n > LISTING_MAX ? LISTING_MAX : n;
	l = calloc(1, listing_size(n));
	if (!l)
		return NULL;
	head_for(f, uid, l);
	for (const struct pool_context *c = f->pool.first; c && l->n < n; c = c->all.next) {
		const struct held *h = (const struct held *)c;

		if (uid == 0 || h->kind.make.owner == uid)
			list_one(f, h, &l->rows[l->n++]);
	}
	return l;
}

int lister_make(const struct front *f, uid_t uid, struct cloche_err *err)
{
	cleanup_free struct listing *l = lister_list(f, uid);
	int fd = l ? listing_hand(l, listing_size(l->n)) : -ENOMEM;

	return fd < 0 ? cloche_err_sys(err, -fd, "list the contexts (memfd)") : fd;
}
