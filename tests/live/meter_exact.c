/* SPDX-License-Identifier: MIT */
/*
 * How exact the meter is, against truths of its own: the CPU clock of the process that burns, the
 * monotonic clock of the test, the kernel's cpu.stat and rusage. Needs root, BPF and cgroup2.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/meter_rig.h"

struct burn {
	uint64_t ns;
	unsigned threads;
	unsigned busy;
	sem_t start, done;
};

/* Everybody burns a share; whoever is last wakes the first thread, and nobody else is woken: what
 * threads do after the last look at the clock, the burner cannot see and the meter can. */
static void burn_share(struct burn *b)
{
	rig_burn(b->ns / b->threads);
	if (!__atomic_sub_fetch(&b->busy, 1, __ATOMIC_SEQ_CST))
		sem_post(&b->done);
}

static void *burn_thread(void *arg)
{
	struct burn *b = arg;

	for (;;) {
		while (sem_wait(&b->start))
			;
		burn_share(b);
	}
	return NULL;
}

/* Burns when told, and says what it saw on its own clock from its first look to its last. */
static int burner(void *arg)
{
	struct burn *b = arg;
	pthread_t t;

	sem_init(&b->start, 0, 0);
	sem_init(&b->done, 0, 0);
	for (unsigned i = 1; i < b->threads; i++)
		if (pthread_create(&t, NULL, burn_thread, b))
			return 1;
	rig_tell(0);
	for (;;) {
		uint64_t c0;

		rig_wait();
		c0 = rig_process_ns();
		b->busy = b->threads;
		for (unsigned i = 1; i < b->threads; i++)
			sem_post(&b->start);
		burn_share(b);
		while (sem_wait(&b->done))
			;
		rig_tell(rig_process_ns() - c0);
	}
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t outside(uint64_t v, uint64_t least, uint64_t most)
{
	if (v < least)
		return (int64_t)(least - v);
	return v > most ? (int64_t)(v - most) : 0;
}

static void check_sum(const struct meter_usage *u)
{
	cr_assert_eq(u->wall_ns, u->busy_ns + u->waiting_ns + u->idle_ns);
	cr_assert_eq(u->waiting_ns, u->quota_ns + u->contention_ns);
	cr_assert_eq(u->wall_ns, u->end_ns - u->begin_ns);
	cr_assert_leq(u->busy_ns, u->wall_ns);
	cr_assert_leq(u->waiting_ns, u->wall_ns);
	cr_assert_leq(u->idle_ns, u->wall_ns);
	cr_assert(u->complete);
}

/* What is burnt at once, in how many threads; how often here, and how often for the bench. All of
 * the long ones take minutes; a few show that nothing adds up with time. */
struct load {
	uint64_t ms;
	unsigned threads;
	unsigned runs; /* 0: for the bench only; these come last */
};

#define RUNS_MAX 100

static struct load loads[] = {
	{ 1, 1, 50 },  { 1, 2, 50 },  { 1, 8, 25 },   { 10, 1, 25 }, { 10, 2, 25 },  { 10, 8, 10 },
	{ 100, 1, 4 }, { 100, 8, 4 }, { 1000, 2, 1 }, { 100, 2, 0 }, { 1000, 1, 0 }, { 1000, 8, 0 },
};

struct errors {
	int64_t outside[RUNS_MAX]; /* how far the meter lies outside of both truths */
	int64_t beyond[RUNS_MAX];  /* what the burner does not see: waking and going to sleep */
};

/* Two truths hold one run between them, on whatever machine and under whatever load: the burner
 * cannot have had less than it saw on its own clock, nor more than the kernel booked for its cgroup
 * while it went from asleep to asleep. */
static void burn_once(struct rig *r, struct child *c, const struct burn *b, int64_t *outside_ns,
		      int64_t *beyond_ns)
{
	uint64_t seen, booked;
	struct meter_usage u;

	rig_await_sleep(c);
	booked = rig_stat(r, "cpu.stat", "usage_usec");
	rig_begin(r, false, false);
	rig_go(c);
	seen = rig_hear(c);
	rig_await_sleep(c);
	u = rig_end(r);
	check_sum(&u);
	cr_assert_leq(u.busy_ns, u.on_cpu_ns + (uint64_t)u.stolen_ns);
	if (b->threads == 1)
		cr_assert_eq(u.busy_ns, u.on_cpu_ns + (uint64_t)u.stolen_ns);
	cr_assert_geq(seen, b->ns);
	booked = (rig_stat(r, "cpu.stat", "usage_usec") - booked) * 1000;
	*outside_ns = outside(u.on_cpu_ns, seen, booked);
	*beyond_ns = (int64_t)(u.on_cpu_ns - seen);
}

static void show(const struct load *l, const struct errors *e, unsigned runs)
{
	unsigned p99 = runs - 1 - (runs == RUNS_MAX), middle = runs / 2;

	fprintf(stderr,
		"  %4llu ms in %u threads, %3u runs: error p99 %6.1f max %6.1f us; beyond the "
		"burner's own clock: median %6.1f p99 %6.1f us\n",
		(unsigned long long)l->ms, l->threads, runs, (double)e->outside[p99] / 1e3,
		(double)e->outside[runs - 1] / 1e3, (double)e->beyond[middle] / 1e3,
		(double)e->beyond[p99] / 1e3);
}

ParameterizedTestParameters(meter_exact, between_both_truths)
{
	size_t n = sizeof(loads) / sizeof(*loads);

	while (!getenv("CLOCHE_METER_BENCH") && !loads[n - 1].runs)
		n--;
	return cr_make_param_array(struct load, loads, n);
}

ParameterizedTest(struct load *l, meter_exact, between_both_truths)
{
	bool bench = getenv("CLOCHE_METER_BENCH");
	uint64_t ns = l->ms * NSEC_PER_MSEC;
	uint64_t limit = ns / 200 > 50 * NSEC_PER_USEC ? ns / 200 : 50 * NSEC_PER_USEC;
	struct burn b = { .ns = ns, .threads = l->threads };
	unsigned runs = bench ? RUNS_MAX : l->runs;
	struct errors e;
	struct child c;
	struct rig r;

	rig_open(&r, 0);
	c = rig_spawn(&r, burner, &b);
	rig_hear(&c);
	for (unsigned i = 0; i < runs; i++)
		burn_once(&r, &c, &b, &e.outside[i], &e.beyond[i]);
	cr_assert(!kill(c.process.pid, SIGKILL));
	rig_reap(&c, NULL);
	rig_close(&r);
	qsort(e.outside, runs, sizeof(*e.outside), by_value);
	qsort(e.beyond, runs, sizeof(*e.beyond), by_value);
	if (bench)
		show(l, &e, runs);
	/* The last but one of a hundred; with fewer runs the worst. */
	cr_assert_leq((uint64_t)e.outside[runs - 1 - (runs == RUNS_MAX)], limit,
		      "%llu ms in %u threads: p99 of %u runs is off by %lld ns, limit %llu",
		      (unsigned long long)l->ms, l->threads, runs, (long long)e.outside[runs - 1],
		      (unsigned long long)limit);
}
