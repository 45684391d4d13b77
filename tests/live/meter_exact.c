/* SPDX-License-Identifier: MIT */
/*
 * How exact the meter is, against truths of its own: the CPU clock of the process that burns, the
 * monotonic clock of the test, the kernel's cpu.stat and rusage. Needs root, BPF and cgroup2.
 */
#include <criterion/criterion.h>
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

/*
 * runs of ns on so many threads in one context. Two truths hold the figure between them: the burner
 * cannot have had less than it saw on its own clock, nor more than the kernel booked for its cgroup
 * while it went from asleep to asleep. The error is how far the meter lies outside. (What the
 * burner does not see, waking and going to sleep, is some 10 us, but milliseconds in an emulated
 * machine that loses its CPU meanwhile.)
 */
static void check_burn(uint32_t slot, uint64_t ns, unsigned threads, unsigned runs)
{
	uint64_t limit = ns / 200 > 50 * NSEC_PER_USEC ? ns / 200 : 50 * NSEC_PER_USEC;
	struct burn b = { .ns = ns, .threads = threads };
	int64_t error[128], beyond[128];
	struct child c;
	struct rig r;

	if (getenv("CLOCHE_METER_FULL"))
		runs = 100;
	rig_open(&r, slot, 0);
	c = rig_spawn(&r, burner, &b);
	rig_hear(&c);
	for (unsigned i = 0; i < runs; i++) {
		struct meter_usage u;
		uint64_t seen, booked;

		rig_await_sleep(&c);
		booked = rig_stat(&r, "cpu.stat", "usage_usec");
		rig_begin(&r, false, false);
		rig_go(&c);
		seen = rig_hear(&c);
		rig_await_sleep(&c);
		u = rig_end(&r);
		check_sum(&u);
		cr_assert_leq(u.busy_ns, u.on_cpu_ns + (uint64_t)u.stolen_ns);
		if (threads == 1)
			cr_assert_eq(u.busy_ns, u.on_cpu_ns + (uint64_t)u.stolen_ns);
		cr_assert_geq(seen, ns);
		booked = (rig_stat(&r, "cpu.stat", "usage_usec") - booked) * 1000;
		beyond[i] = (int64_t)(u.on_cpu_ns - seen);
		error[i] = outside(u.on_cpu_ns, seen, booked);
	}
	cr_assert(!kill(c.pid, SIGKILL));
	rig_reap(&c, NULL);
	rig_close(&r);
	qsort(error, runs, sizeof(*error), by_value);
	qsort(beyond, runs, sizeof(*beyond), by_value);
	if (getenv("CLOCHE_METER_SHOW"))
		fprintf(stderr,
			"%llu ms %u threads: error p99 %lld max %lld; beyond what the burner saw: "
			"median %lld p99 %lld max %lld ns\n",
			(unsigned long long)(ns / NSEC_PER_MSEC), threads,
			(long long)error[runs * 99 / 100 - 1], (long long)error[runs - 1],
			(long long)beyond[runs / 2], (long long)beyond[runs * 99 / 100 - 1],
			(long long)beyond[runs - 1]);
	cr_assert_leq((uint64_t)error[runs * 99 / 100 - 1], limit,
		      "%llu ms in %u threads: p99 of %u runs is off by %lld ns, limit %llu",
		      (unsigned long long)(ns / 1000000), threads, runs,
		      (long long)error[runs * 99 / 100 - 1], (unsigned long long)limit);
}

/* A hundred runs of the long ones take minutes: with CLOCHE_METER_FULL only. A few show that
 * nothing adds up with time. */
Test(meter_exact, burn_1ms_1_thread)
{
	check_burn(100, 1 * NSEC_PER_MSEC, 1, 100);
}
Test(meter_exact, burn_1ms_2_threads)
{
	check_burn(101, 1 * NSEC_PER_MSEC, 2, 100);
}
Test(meter_exact, burn_1ms_8_threads)
{
	check_burn(102, 1 * NSEC_PER_MSEC, 8, 100);
}
Test(meter_exact, burn_10ms_1_thread)
{
	check_burn(103, 10 * NSEC_PER_MSEC, 1, 100);
}
Test(meter_exact, burn_10ms_2_threads)
{
	check_burn(104, 10 * NSEC_PER_MSEC, 2, 100);
}
Test(meter_exact, burn_10ms_8_threads)
{
	check_burn(105, 10 * NSEC_PER_MSEC, 8, 100);
}
Test(meter_exact, burn_100ms_1_thread)
{
	check_burn(106, 100 * NSEC_PER_MSEC, 1, 8);
}
Test(meter_exact, burn_100ms_8_threads)
{
	check_burn(107, 100 * NSEC_PER_MSEC, 8, 8);
}
Test(meter_exact, burn_1000ms_2_threads)
{
	check_burn(108, 1000 * NSEC_PER_MSEC, 2, 2);
}
