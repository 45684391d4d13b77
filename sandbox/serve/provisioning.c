/* SPDX-License-Identifier: MIT */
/* Contexts that are ready before anybody asks: see provisioning.h. */
#include "serve/provisioning.h"

#include "base/clock.h"
#include "base/err.h"
#include "function/function_store.h"
#include "policy/policy_join.h"
#include "serve/front.h"
#include "serve/function_spec.h"
#include "serve/held.h"
#include "serve/logged.h"
#include "serve/resident.h"

#include <errno.h>
#include <stdlib.h>

/* After one that failed. */
#define AGAIN_USEC (10 * 1000000ULL)

static unsigned contexts_of(const struct front *f, const struct function_version *v)
{
	unsigned n = 0;

	for (const struct pool_context *c = f->pool.first; c; c = c->all.next)
		n += c->state != POOL_ENDING && ((const struct held *)c)->kind.function == v->id &&
		     !((const struct held *)c)->kind.tuned;
	return n;
}

/* How many are on their way, of all and of the owner: each has one at a time, so that nobody waits
 * for an init that another one draws out. */
static unsigned starting(const struct front *f, uint32_t owner, unsigned *ret_own)
{
	unsigned n = 0;

	*ret_own = 0;
	for (const struct pool_context *c = f->pool.first; c; c = c->all.next) {
		const struct held *h = (const struct held *)c;

		if (!h->provisioned || h->user || c->state == POOL_ENDING ||
		    (h->resident && resident_is_settled(h->resident)))
			continue;
		n++;
		*ret_own += h->kind.make.owner == owner;
	}
	return n;
}

static bool may_start(const struct front *f, uint32_t owner)
{
	unsigned own;

	return starting(f, owner, &own) < PROVISIONING_STARTS && own == 0;
}

static bool is_later(const struct front *f, uint32_t owner)
{
	const struct provisioning *p = &f->provisioning;
	int64_t now_ns = clock_now_ns();

	for (unsigned i = 0; i < PROVISIONING_LATER; i++)
		if (p->later[i].owner == owner && p->later[i].until_ns > now_ns)
			return true;
	return false;
}

/* The version of some function that has too few of them; NULL: none. */
static struct function_version *find_wanting(const struct front *f)
{
	const struct function *at;
	size_t i = 0;

	while ((at = function_store_next(f->functions, &i))) {
		struct function_version *v =
			function_store_get(f->functions, at->owner, at->name, 0);

		if (v && v->config.concurrency.provisioned > contexts_of(f, v) &&
		    !is_later(f, v->owner) && may_start(f, v->owner))
			return v;
	}
	return NULL;
}

static int on_again(sd_event_source *s, uint64_t usec, void *arg)
{
	provisioning_look(arg);
	return 0;
}

static void try_later(struct front *f, uint32_t owner)
{
	struct provisioning *p = &f->provisioning;
	unsigned at = p->next++ % PROVISIONING_LATER;
	int r;

	p->later[at].owner = owner;
	p->later[at].until_ns = clock_now_ns() + (int64_t)AGAIN_USEC * NSEC_PER_USEC;
	p->again = sd_event_source_disable_unref(p->again);
	r = sd_event_add_time_relative(f->event, &p->again, CLOCK_MONOTONIC, AGAIN_USEC, 0,
				       on_again, f);
	if (r < 0)
		(void)sd_event_exit(f->event, r);
}

/* As invoking.c has it for who asks. */
static int make_kind(struct front *f, const struct function_version *v, struct held_kind *ret,
		     struct cloche_err *err)
{
	struct function_spec *s = calloc(1, sizeof(*s));
	int r = s ? function_spec_make(v, 0, true, s, err) : cloche_err_sys(err, ENOMEM, "begin");

	if (r == 0)
		r = spec_check(&s->spec, &f->host, err);
	if (r == 0)
		r = command_from_spec(&s->spec, &ret->make, err);
	if (r == 0)
		function_spec_kind(v, ret);
	if (s)
		function_spec_free(s);
	free(s);
	return r;
}

static void start(struct front *f, const struct function_version *v)
{
	struct held_kind *kind = calloc(1, sizeof(*kind));
	struct cloche_err err = { 0 };
	struct held *h = NULL;

	if (kind && make_kind(f, v, kind, &err) == 0)
		h = held_make(f, kind, v->config.filter ? v->config.filter->insns : NULL, NULL);
	if (h) {
		h->provisioned = true;
		held_describe(h, v->config.name, (char *const[]){ NULL });
	} else {
		try_later(f, v->owner);
	}
	free(kind);
}

void provisioning_look(struct front *f)
{
	const struct function_version *v;

	if (f->stopping || f->old || !f->functions)
		return;
	for (unsigned n = 0; n < PROVISIONING_STARTS && (v = find_wanting(f)); n++)
		start(f, v);
}

void provisioning_end(struct front *f)
{
	f->provisioning.again = sd_event_source_disable_unref(f->provisioning.again);
}

/* ---- one of them ----------------------------------------------------------------------------- */

static int begin_version(struct front *f, struct held *h, const struct function_version *v,
			 struct cloche_err *err)
{
	struct function_spec *s = calloc(1, sizeof(*s));
	struct function_logged *log = NULL;

	if (!s)
		return cloche_err_sys(err, ENOMEM, "begin");
	if (function_spec_make(v, 0, true, s, err) == 0 && spec_check(&s->spec, &f->host, err) == 0)
		log = logged_open(&f->logged, f->functions, v->owner, v->config.name, err);
	if (log)
		h->resident = resident_open(f, h, &s->spec, log, clock_now_ns(), err);
	function_spec_free(s);
	free(s);
	return h->resident ? 0 : -1;
}

static int begin(struct front *f, struct held *h, struct cloche_err *err)
{
	const struct function_version *v =
		function_store_get(f->functions, h->kind.make.owner, h->function, 0);

	if (!v || v->id != h->kind.function)
		return cloche_err_set(err, ESTALE, "the function has changed meanwhile");
	return begin_version(f, h, v, err);
}

void provisioning_have(struct front *f, struct held *h)
{
	struct cloche_err err = { 0 };

	if (begin(f, h, &err) < 0) {
		held_end(f, h);
		try_later(f, h->kind.make.owner);
	}
}

void provisioning_refused(struct front *f, uint32_t owner)
{
	try_later(f, owner);
	provisioning_look(f);
}

void provisioning_settled(struct front *f, struct held *h, bool well)
{
	if (well) {
		held_rest(f, h);
	} else {
		held_end(f, h);
		try_later(f, h->kind.make.owner);
	}
	provisioning_look(f);
}

bool provisioning_keeps(const struct front *f, const struct held *h)
{
	const struct function_version *v;

	if (!h->kind.function || h->kind.tuned || !h->resident)
		return false;
	v = function_store_get(f->functions, h->kind.make.owner, h->function, 0);
	return v && v->id == h->kind.function &&
	       contexts_of(f, v) <= v->config.concurrency.provisioned;
}
