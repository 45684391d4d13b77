/* SPDX-License-Identifier: MIT */
/* Lists of contexts, of all, of a kind and of the idle ones, and what is asked of them: see pool.h.
 */
#include "pool/pool.h"

#include <string.h>

bool pool_same_kind(const struct pool_kind *a, const struct pool_kind *b)
{
	return a->owner == b->owner && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* By words: it chooses among lists, and that is all. */
static unsigned bucket_of(const struct pool_kind *kind)
{
	const unsigned char *at = kind->bytes;
	uint64_t h = kind->owner, word;
	size_t left = kind->len, n;

	for (; left; left -= n, at += n) {
		n = left < sizeof(word) ? left : sizeof(word);
		word = 0;
		memcpy(&word, at, n);
		h = (h ^ word) * 0x9e3779b97f4a7c15ULL; /* 2^64 by the golden ratio */
		h ^= h >> 32;
	}
	return (unsigned)(h % POOL_BUCKETS);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static struct pool_link *all_of(struct pool_context *c)
{
	return &c->all;
}

static struct pool_link *kin_of(struct pool_context *c)
{
	return &c->kin;
}

typedef struct pool_link *(*link_of)(struct pool_context *c);

static void link_in(struct pool_context **list, struct pool_context *c, link_of of)
{
	*of(c) = (struct pool_link){ .next = *list, .at = list };
	if (*list)
		of(*list)->at = &of(c)->next;
	*list = c;
}

static void link_out(struct pool_context *c, link_of of)
{
	struct pool_link *l = of(c);

	*l->at = l->next;
	if (l->next)
		of(l->next)->at = l->at;
	*l = (struct pool_link){ .next = NULL };
}

/* In the order in which they became so. */
static void idle_in(struct pool *p, struct pool_context *c)
{
	c->sooner = p->latest;
	c->later = NULL;
	*(p->latest ? &p->latest->later : &p->longest) = c;
	p->latest = c;
}

static void idle_out(struct pool *p, struct pool_context *c)
{
	*(c->sooner ? &c->sooner->later : &p->longest) = c->later;
	*(c->later ? &c->later->sooner : &p->latest) = c->sooner;
	c->sooner = c->later = NULL;
}

static void count_out(struct pool *p, struct pool_context *c)
{
	p->n[c->state]--;
	if (c->state != POOL_IDLE)
		return;
	p->idle_running -= c->runs;
	idle_out(p, c);
}

static void count_in(struct pool *p, struct pool_context *c)
{
	p->n[c->state]++;
	if (c->state != POOL_IDLE)
		return;
	p->idle_running += c->runs;
	idle_in(p, c);
	link_out(c, kin_of);
	link_in(&p->kin[c->bucket], c, kin_of);
}

/* ---- who comes and goes ---------------------------------------------------------------------- */

void pool_join(struct pool *p, struct pool_context *c, const struct pool_kind *kind, int64_t now_ns)
{
	*c = (struct pool_context){
		.kind = *kind, .bucket = bucket_of(kind), .state = POOL_MAKING, .since_ns = now_ns
	};
	link_in(&p->first, c, all_of);
	link_in(&p->kin[c->bucket], c, kin_of);
	count_in(p, c);
}

void pool_leave(struct pool *p, struct pool_context *c)
{
	if (!c->all.at)
		return;
	count_out(p, c);
	link_out(c, kin_of);
	link_out(c, all_of);
}

void pool_turn(struct pool *p, struct pool_context *c, enum pool_state to, int64_t now_ns)
{
	count_out(p, c);
	c->state = to;
	c->since_ns = now_ns;
	count_in(p, c);
}

void pool_set_runs(struct pool *p, struct pool_context *c, bool runs)
{
	if (c->state == POOL_IDLE)
		p->idle_running += (unsigned)runs - c->runs;
	c->runs = runs;
}

/* ---- what is asked --------------------------------------------------------------------------- */

enum pool_answer pool_ask(const struct pool *p, const struct pool_kind *kind, unsigned waiting,
			  struct pool_context **ret)
{
	unsigned coming = 0;

	for (struct pool_context *c = p->kin[bucket_of(kind)]; c; c = c->kin.next) {
		if ((c->state != POOL_IDLE && c->state != POOL_VERIFYING) ||
		    !pool_same_kind(&c->kind, kind))
			continue;
		coming += c->state == POOL_VERIFYING;
		if (c->state == POOL_IDLE) {
			*ret = c;
			return POOL_TAKE;
		}
	}
	return coming > waiting ? POOL_WAIT : POOL_MAKE;
}

/* running: of those in which a process stays. */
static unsigned idle_of(const struct pool *p, uint32_t owner, bool running)
{
	unsigned n = 0;

	for (const struct pool_context *c = p->longest; c; c = c->later)
		n += (c->runs || !running) && c->kind.owner == owner;
	return n;
}

static struct pool_context *longest_idle(const struct pool *p, uint32_t owner, bool running)
{
	struct pool_context *c = p->longest;

	while (c && !((c->runs || !running) && (owner == POOL_ANY || c->kind.owner == owner)))
		c = c->later;
	return c;
}

/* Neighbours in the list are mostly one owner's: counted once in a row. */
static uint32_t who_has_most(const struct pool *p, bool running)
{
	uint32_t most = POOL_ANY, last = POOL_ANY;
	unsigned n_most = 0;

	for (const struct pool_context *c = p->longest; c; c = c->later) {
		unsigned n;

		if ((running && !c->runs) || c->kind.owner == last)
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
	return p->n[POOL_MAKING] + p->n[POOL_BUSY] + p->n[POOL_ENDING] + p->idle_running;
}

bool pool_has(const struct pool *p, enum pool_state state, uint32_t owner)
{
	for (const struct pool_context *c = p->n[state] ? p->first : NULL; c; c = c->all.next)
		if (c->state == state && (owner == POOL_ANY || c->kind.owner == owner))
			return true;
	return false;
}

struct pool_context *pool_expired(const struct pool *p, int64_t expiry_ns, int64_t now_ns)
{
	struct pool_context *c = p->longest;

	return c && now_ns - c->since_ns >= expiry_ns ? c : NULL;
}

int64_t pool_due(const struct pool *p, int64_t expiry_ns)
{
	const struct pool_context *c = p->longest;

	return c && expiry_ns < INT64_MAX - c->since_ns ? c->since_ns + expiry_ns : INT64_MAX;
}
