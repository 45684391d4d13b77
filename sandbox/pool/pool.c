/* SPDX-License-Identifier: MIT */
/* A list, and what is asked of it: see pool.h. The list is as long as the daemon has contexts, a
 * thousand at most, and is walked. */
#include "pool/pool.h"

#include <string.h>

bool pool_same_kind(const struct pool_kind *a, const struct pool_kind *b)
{
	return a->owner == b->owner && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

void pool_join(struct pool *p, struct pool_context *c, const struct pool_kind *kind, int64_t now_ns)
{
	*c = (struct pool_context){
		.next = p->first, .kind = *kind, .state = POOL_MAKING, .since_ns = now_ns
	};
	p->first = c;
	p->n[POOL_MAKING]++;
}

void pool_leave(struct pool *p, struct pool_context *c)
{
	for (struct pool_context **at = &p->first; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			p->n[c->state]--;
			return;
		}
}

void pool_turn(struct pool *p, struct pool_context *c, enum pool_state to, int64_t now_ns)
{
	p->n[c->state]--;
	p->n[to]++;
	c->state = to;
	c->since_ns = now_ns;
}

enum pool_answer pool_ask(const struct pool *p, const struct pool_kind *kind, unsigned waiting,
			  struct pool_context **ret)
{
	struct pool_context *best = NULL;
	unsigned coming = 0;

	for (struct pool_context *c = p->first; c; c = c->next) {
		if ((c->state != POOL_IDLE && c->state != POOL_VERIFYING) ||
		    !pool_same_kind(&c->kind, kind))
			continue;
		coming += c->state == POOL_VERIFYING;
		if (c->state == POOL_IDLE && (!best || c->since_ns > best->since_ns))
			best = c;
	}
	if (best) {
		*ret = best;
		return POOL_TAKE;
	}
	return coming > waiting ? POOL_WAIT : POOL_MAKE;
}

/* running: of those in which a process stays. */
static bool is_idle(const struct pool_context *c, bool running)
{
	return c->state == POOL_IDLE && (c->runs || !running);
}

static unsigned idle_of(const struct pool *p, uint32_t owner, bool running)
{
	unsigned n = 0;

	for (const struct pool_context *c = p->first; c; c = c->next)
		n += is_idle(c, running) && c->kind.owner == owner;
	return n;
}

static struct pool_context *longest_idle(const struct pool *p, uint32_t owner, bool running)
{
	struct pool_context *best = NULL;

	for (struct pool_context *c = p->first; c; c = c->next)
		if (is_idle(c, running) && (owner == POOL_ANY || c->kind.owner == owner) &&
		    (!best || c->since_ns < best->since_ns))
			best = c;
	return best;
}

/* Neighbours in the list are mostly one owner's: counted once in a row. */
static uint32_t who_has_most(const struct pool *p, bool running)
{
	uint32_t most = POOL_ANY, last = POOL_ANY;
	unsigned n_most = 0;

	for (const struct pool_context *c = p->first; c; c = c->next) {
		unsigned n;

		if (!is_idle(c, running) || c->kind.owner == last)
			continue;
		last = c->kind.owner;
		n = idle_of(p, last, running);
		if (n > n_most) {
			n_most = n;
			most = last;
		}
	}
	return most;
}

static struct pool_context *victim(const struct pool *p, uint32_t owner, bool running)
{
	if (p->n[POOL_IDLE] == 0)
		return NULL;
	if (owner == POOL_ANY)
		owner = who_has_most(p, running);
	return longest_idle(p, owner, running);
}

struct pool_context *pool_victim(const struct pool *p, uint32_t owner)
{
	return victim(p, owner, false);
}

struct pool_context *pool_victim_running(const struct pool *p, uint32_t owner)
{
	return victim(p, owner, true);
}

unsigned pool_running(const struct pool *p)
{
	unsigned n = p->n[POOL_MAKING] + p->n[POOL_BUSY] + p->n[POOL_ENDING];

	for (const struct pool_context *c = p->n[POOL_IDLE] ? p->first : NULL; c; c = c->next)
		n += is_idle(c, true);
	return n;
}

bool pool_has(const struct pool *p, enum pool_state state, uint32_t owner)
{
	for (const struct pool_context *c = p->first; c; c = c->next)
		if (c->state == state && (owner == POOL_ANY || c->kind.owner == owner))
			return true;
	return false;
}

struct pool_context *pool_expired(const struct pool *p, int64_t expiry_ns, int64_t now_ns)
{
	struct pool_context *c = p->n[POOL_IDLE] ? longest_idle(p, POOL_ANY, false) : NULL;

	return c && now_ns - c->since_ns >= expiry_ns ? c : NULL;
}

int64_t pool_due(const struct pool *p, int64_t expiry_ns)
{
	const struct pool_context *c = p->n[POOL_IDLE] ? longest_idle(p, POOL_ANY, false) : NULL;

	return c && expiry_ns < INT64_MAX - c->since_ns ? c->since_ns + expiry_ns : INT64_MAX;
}
