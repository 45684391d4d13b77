/* SPDX-License-Identifier: MIT */
/*
 * Telling threads apart. One pass in order of time keeps, for each number, the thread that has it
 * now; a birth and a death change that, and so does an exec by a thread that is not the leader.
 */
#include "trace/trace_threads.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>

#include "bpf/meter_abi.h"
#include "trace/trace.h"

/* A thread while they are being told apart. */
struct life {
	bool born;
	bool after_death; /* of who had the number before: it has not been born again, so far */
	bool on;	  /* a CPU: that one */
	bool took_over; /* has the leader's number already, though its exec is not on record yet */
	uint32_t cpu;
	size_t same_as; /* another life that turned out to be this one; itself: none */
	uint64_t end_ns;
};

struct owned {
	const struct trace_event *event;
	size_t life;
};

struct census {
	const struct trace *t;
	uint32_t *numbers; /* sorted, each once */
	size_t *now;	   /* for each of them the life that has it */
	size_t numbers_n;
	struct life *lives;
	size_t lives_n;
	struct owned *owned;
	size_t owned_n;
};

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool is_of_thread(uint32_t type)
{
	return type == METER_EV_ON || type == METER_EV_OFF || type == METER_EV_EXEC;
}

static size_t life_add(struct census *c, bool born)
{
	c->lives[c->lives_n] = (struct life){ .born = born, .same_as = c->lives_n };
	c->lives[c->lives_n].end_ns = c->t->end_ns;
	return c->lives_n++;
}

static size_t *life_of(struct census *c, uint32_t number)
{
	const uint32_t *at = bsearch(&number, c->numbers, c->numbers_n, sizeof(number), by_number);

	return &c->now[at - c->numbers];
}

/*
 * The leader's number changes hands, a little before the exec is on record. What came under it
 * since the leader's death was of the one who calls already. A leader whose death is not on record
 * under that number was dead by now all the same (it may have got the caller's number first).
 */
static void take_over(struct census *c, const struct trace_event *e)
{
	size_t *leader = life_of(c, e->tid), *caller = life_of(c, e->arg);

	if (c->lives[*leader].took_over) {
		c->lives[*leader].took_over = false;
		if (!c->lives[*caller].after_death)
			c->lives[*caller].end_ns = e->at_ns;
		*caller = life_add(c, true);
		return;
	}
	if (c->lives[*leader].after_death)
		c->lives[*leader].same_as = *caller;
	else
		c->lives[*leader].end_ns = e->at_ns;
	*leader = *caller;
	*caller = life_add(c, true);
}

/*
 * Leader and caller exchange their numbers while they are on CPUs, and leave these under the
 * other's. Who leaves a CPU is who was on it.
 */
static void notice_exchange(struct census *c, const struct trace_event *e)
{
	size_t *now = life_of(c, e->tid), *other = NULL, who = *now;

	if (c->lives[who].on && c->lives[who].cpu == e->cpu)
		return;
	for (size_t i = 0; i < c->numbers_n && !other; i++)
		if (c->lives[c->now[i]].on && c->lives[c->now[i]].cpu == e->cpu &&
		    (e->tid == e->pid || c->numbers[i] == e->pid))
			other = &c->now[i];
	if (!other)
		return;
	*now = *other;
	*other = who;
	c->lives[e->tid == e->pid ? *now : *other].took_over = true;
}

static void follow(struct census *c, const struct trace_event *e)
{
	size_t *now;

	if (e->type == METER_EV_FORK) {
		*life_of(c, e->arg) = life_add(c, true);
		return;
	}
	if (e->type == METER_EV_EXEC && e->arg && e->arg != e->tid)
		take_over(c, e);
	if (e->type == METER_EV_OFF)
		notice_exchange(c, e);
	now = life_of(c, e->tid);
	if (e->type == METER_EV_ON || !c->lives[*now].on)
		c->lives[*now].cpu = e->cpu;
	c->lives[*now].on = e->type != METER_EV_OFF;
	c->owned[c->owned_n++] = (struct owned){ e, *now };
	if (e->type == METER_EV_OFF && e->arg == METER_OFF_DEAD) {
		*now = life_add(c, true);
		c->lives[*now].after_death = true;
	}
}

static size_t root_of(const struct census *c, size_t life)
{
	while (c->lives[life].same_as != life)
		life = c->lives[life].same_as;
	return life;
}

/* owned[] lies in order of time. */
static int by_life(const void *a, const void *b)
{
	const struct owned *x = a, *y = b;

	if (x->life != y->life)
		return x->life < y->life ? -1 : 1;
	return (x->event > y->event) - (x->event < y->event);
}

static int collect(struct census *c, struct trace_threads *ret)
{
	ret->v = calloc(c->lives_n + 1, sizeof(*ret->v));
	ret->events = calloc(c->owned_n + 1, sizeof(struct trace_event *));
	if (!ret->v || !ret->events) {
		trace_threads_free(ret);
		return -ENOMEM;
	}
	for (size_t i = 0; i < c->owned_n; i++)
		c->owned[i].life = root_of(c, c->owned[i].life);
	qsort(c->owned, c->owned_n, sizeof(*c->owned), by_life);
	for (size_t i = 0; i < c->owned_n; i++) {
		const struct life *l = &c->lives[c->owned[i].life];

		if (!i || c->owned[i].life != c->owned[i - 1].life)
			ret->v[ret->n++] = (struct trace_thread){ .first = i,
								  .born = l->born,
								  .end_ns = l->end_ns };
		ret->v[ret->n - 1].n++;
		ret->events[i] = c->owned[i].event;
	}
	return 0;
}

/* Every number that the trace speaks of, and who had it when it began. */
static void count_numbers(struct census *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->t->n; i++) {
		const struct trace_event *e = &c->t->events[i];

		c->numbers[n++] = e->tid;
		if (e->type == METER_EV_FORK || e->type == METER_EV_EXEC)
			c->numbers[n++] = e->arg;
	}
	qsort(c->numbers, n, sizeof(*c->numbers), by_number);
	for (size_t i = 0; i < n; i++)
		if (!i || c->numbers[i] != c->numbers[i - 1]) {
			c->numbers[c->numbers_n] = c->numbers[i];
			c->now[c->numbers_n++] = life_add(c, false);
		}
}

int trace_threads(const struct trace *t, struct trace_threads *ret)
{
	/* An event brings up two numbers at most, and one new life. */
	struct census c = { .t = t,
			    .numbers = calloc(2 * t->n + 1, sizeof(*c.numbers)),
			    .now = calloc(2 * t->n + 1, sizeof(*c.now)),
			    .lives = calloc(3 * t->n + 1, sizeof(*c.lives)),
			    .owned = calloc(t->n + 1, sizeof(*c.owned)) };
	int r = -ENOMEM;

	*ret = (struct trace_threads){ 0 };
	if (c.numbers && c.now && c.lives && c.owned) {
		count_numbers(&c);
		for (size_t i = 0; i < t->n; i++)
			if (is_of_thread(t->events[i].type) || t->events[i].type == METER_EV_FORK)
				follow(&c, &t->events[i]);
		r = collect(&c, ret);
	}
	free(c.numbers);
	free(c.now);
	free(c.lives);
	free(c.owned);
	return r;
}

void trace_threads_free(struct trace_threads *t)
{
	free(t->v);
	free((void *)t->events);
	*t = (struct trace_threads){ 0 };
}
