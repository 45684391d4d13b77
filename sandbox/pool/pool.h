/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POOL_POOL_H
#define CLOCHE_POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which contexts are kept from one invocation to the next, which of them is taken, and which are
 * given up. Pure: it makes and ends none, has no clock, allocates nothing. Whoever has the contexts
 * (serve/held.h) has a struct pool_context in each, tells what became of it and asks what to do.
 *
 *	MAKING ──> BUSY ──> VERIFYING ──> IDLE ──> BUSY
 *	           BUSY ──> RESERVED ──> BUSY
 *	from each of them ENDING, and out of the pool
 *
 * Two invocations may have the same context, one after the other, when owner and kind are the same:
 * the kind is what was decided when it was made (limits, policy), as bytes that are compared.
 */
enum pool_state {
	POOL_MAKING,	/* asked for */
	POOL_BUSY,	/* an invocation has it */
	POOL_VERIFYING, /* what the last one left is looked for */
	POOL_RESERVED,	/* the same, and then it is BUSY again, for whoever had it */
	POOL_IDLE,	/* clean: whoever is of its kind may take it */
	POOL_ENDING,	/* not wanted any more */
	POOL_STATES
};

struct pool_kind {
	uint32_t owner;
	const void *bytes;
	size_t len;
};

/* A place in a list, from which it goes without a walk. at: what points to it; NULL: it is in none.
 */
struct pool_link {
	struct pool_context *next, **at;
};

struct pool_context {
	struct pool_link all, kin; /* the pool's own: of all, and of those whose kinds may be one */
	struct pool_context *sooner, *later; /* ..., of the idle ones */
	unsigned bucket;
	struct pool_kind kind;
	enum pool_state state;
	bool runs;	  /* also while it is IDLE: a process stays in it */
	int64_t since_ns; /* it is in that state */
};

/*
 * What is asked for each invocation (pool_ask, pool_running, pool_due) takes as long with a
 * thousand contexts as with ten. All zeroes: empty. It stays where it is: what is in it points to
 * it.
 */
#define POOL_BUCKETS 256

struct pool {
	struct pool_context *first;		/* the next: all.next */
	struct pool_context *kin[POOL_BUCKETS]; /* the one that was idle last before the others */
	struct pool_context *longest, *latest;	/* idle */
	unsigned n[POOL_STATES];
	unsigned idle_running;
};

bool pool_same_kind(const struct pool_kind *a, const struct pool_kind *b);

/* In, as MAKING, and out; kind's bytes are borrowed meanwhile. now_ns: never less than before. */
void pool_join(struct pool *p, struct pool_context *c, const struct pool_kind *kind,
	       int64_t now_ns);
void pool_leave(struct pool *p, struct pool_context *c);
void pool_turn(struct pool *p, struct pool_context *c, enum pool_state to, int64_t now_ns);
void pool_set_runs(struct pool *p, struct pool_context *c, bool runs);

/*
 * What an invocation of that kind is to do. TAKE: *ret, the one that was idle last, so that those
 * which are too many become old. WAIT: for one that is being verified, which takes a fraction of
 * what a new one takes; waiting: how many of that kind wait already.
 */
enum pool_answer { POOL_TAKE, POOL_WAIT, POOL_MAKE };
enum pool_answer pool_ask(const struct pool *p, const struct pool_kind *kind, unsigned waiting,
			  struct pool_context **ret);

/* The one to give up for want of room; NULL: none is idle. The longest idle one of the owner, or,
 * POOL_ANY, of whoever has most of them: nobody's are all gone for what another one hoards. */
#define POOL_ANY UINT32_MAX
struct pool_context *pool_victim(const struct pool *p, uint32_t owner);
/* The same of those alone in which a process stays. */
struct pool_context *pool_victim_running(const struct pool *p, uint32_t owner);

/* In how many there is a process, or may be: of those on their way in and out none is left out. */
unsigned pool_running(const struct pool *p);

/* Whether the owner, or anybody (POOL_ANY), has one in that state. */
bool pool_has(const struct pool *p, enum pool_state state, uint32_t owner);

/* Idle for so long: the one that is longest; NULL: none. due: when that will be, INT64_MAX: never
 * as it is. */
struct pool_context *pool_expired(const struct pool *p, int64_t expiry_ns, int64_t now_ns);
int64_t pool_due(const struct pool *p, int64_t expiry_ns);

#endif
