/* SPDX-License-Identifier: MIT */
/*
 * wall = busy + waiting + idle: whether the parts are the right ones. What makes a thread wait is
 * arranged here (a quota, competitors on the only CPU that it may use, nothing at all), and the
 * truth is the test's own clock, cpu.stat and the competitors' clocks. Needs root, BPF, cgroup2 and
 * the cpu controller.
 */
#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/meter_rig.h"

#define QUOTA_128MB_US 1447 /* of 20 ms: 128/1769 of a CPU */

static void show(const char *what, const struct meter_usage *u)
{
	if (getenv("CLOCHE_METER_SHOW"))
		fprintf(stderr,
			"%s: wall %llu stolen %lld busy %llu quota %llu contention %llu idle %llu "
			"switches %llu+%llu unseen %llu ns\n",
			what, (unsigned long long)u->wall_ns, (long long)u->stolen_ns,
			(unsigned long long)u->busy_ns, (unsigned long long)u->quota_ns,
			(unsigned long long)u->contention_ns, (unsigned long long)u->idle_ns,
			(unsigned long long)u->switches_voluntary,
			(unsigned long long)u->switches_forced, (unsigned long long)u->unseen);
}

static void check_sum(const struct meter_usage *u)
{
	cr_assert_eq(u->wall_ns, u->busy_ns + u->quota_ns + u->contention_ns + u->idle_ns);
	cr_assert_eq(u->waiting_ns, u->quota_ns + u->contention_ns);
	cr_assert_leq(u->busy_ns, u->wall_ns);
	cr_assert_leq(u->quota_ns, u->wall_ns);
	cr_assert_leq(u->contention_ns, u->wall_ns);
	cr_assert_leq(u->idle_ns, u->wall_ns);
	cr_assert(u->complete);
}

static void use_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		_exit(97);
}

static int sleeper(void *arg)
{
	struct timespec t = ns_timespec(100 * NSEC_PER_MSEC);

	rig_tell(0);
	rig_wait();
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	rig_tell(0);
	rig_wait();
	return 0;
}

Test(meter_partition, sleeper_is_idle)
{
	struct meter_usage u;
	uint64_t before;
	struct child c;
	struct rig r;

	rig_open(&r, 0);
	c = rig_spawn(&r, sleeper, NULL);
	rig_hear(&c);
	rig_await_sleep(&c);
	before = (uint64_t)clock_now_ns();
	rig_begin(&r, false, false);
	cr_assert_geq(r.ctx.begin_ns, before);
	rig_go(&c);
	rig_hear(&c);
	rig_await_sleep(&c);
	u = rig_end(&r);
	cr_assert_leq(u.end_ns, (uint64_t)clock_now_ns());
	show("sleeper", &u);
	check_sum(&u);
	cr_assert_geq(u.idle_ns, 99 * NSEC_PER_MSEC);
	cr_assert_eq(u.quota_ns, 0);
	cr_assert_geq(u.switches_voluntary, 2);
	kill(c.process.pid, SIGKILL);
	rig_reap(&c, NULL);
	rig_close(&r);
}

/* Nobody in it at all: everything is idle, and the edges are the test's own. */
Test(meter_partition, empty_is_idle)
{
	struct meter_usage u;
	struct rig r;

	rig_open(&r, 0);
	for (int i = 0; i < 1000; i++) {
		rig_begin(&r, false, false);
		u = rig_end(&r);
		check_sum(&u);
		cr_assert_eq(u.wall_ns, u.idle_ns);
		cr_assert_eq(u.on_cpu_ns + u.started + u.peak, 0);
	}
	rig_close(&r);
}

static volatile bool for_ever = true;

static int spinner(void *arg)
{
	use_cpu(*(int *)arg);
	rig_tell(0);
	rig_wait();
	while (for_ever)
		;
	return 0;
}

static uint64_t throttled_ns(struct rig *r)
{
	return *r->cpu_path ? rig_stat(r, "cpu.stat", "throttled_time")
			    : rig_stat(r, "cpu.stat", "throttled_usec") * 1000;
}

static void sleep_ms(int ms)
{
	struct timespec t = ns_timespec(ms * NSEC_PER_MSEC);

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static pid_t competitor(int cpu)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test must not leave it spinning */
	use_cpu(cpu);
	for (;;)
		;
}

/* Beside two competitors on its only CPU the loop waits, and none of it is its quota's doing. */
Test(meter_partition, competitors_are_contention)
{
	struct meter_usage u;
	uint64_t woken;
	int cpu = 1;
	pid_t a, b;
	struct child c;
	struct rig r;

	rig_open(&r, 0);
	c = rig_spawn(&r, spinner, &cpu);
	a = competitor(cpu);
	b = competitor(cpu);
	rig_hear(&c);
	rig_await_sleep(&c);
	rig_begin(&r, false, false);
	rig_go(&c);
	woken = (uint64_t)clock_now_ns();
	sleep_ms(1000);
	u = rig_end(&r);
	show("competitors", &u);
	check_sum(&u);
	cr_assert_eq(u.quota_ns, 0);
	cr_assert_gt(u.contention_ns, u.wall_ns / 3);
	cr_assert_eq(u.busy_ns, u.on_cpu_ns + (uint64_t)u.stolen_ns);
	/* From the wake-up on it never sleeps, however long the test itself waited for a CPU. */
	cr_assert_leq(u.idle_ns, woken - u.begin_ns);
	kill(a, SIGKILL);
	kill(b, SIGKILL);
	kill(c.process.pid, SIGKILL);
	rig_reap(&c, NULL);
	while (wait(NULL) > 0)
		;
	rig_close(&r);
}

#define ROUNDS 5

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* What the child used for its own start may have had the group throttled, and until 6.17 it stays
 * so while all sleep: cpu.stat has that when it is over. It is over when nothing came for long. */
static uint64_t throttled_settled_ns(struct rig *r)
{
	uint64_t now = throttled_ns(r), before;

	do {
		before = now;
		sleep_ms(100);
		now = throttled_ns(r);
	} while (now != before);
	return now;
}

/* A busy loop under a quota, in ten thousandths how far its figure is from cpu.stat's. */
static uint64_t quota_error(struct rig *r, int cpu, struct meter_usage *u)
{
	struct child c = rig_spawn(r, spinner, &cpu);
	uint64_t truth;

	rig_hear(&c);
	rig_await_sleep(&c);
	truth = throttled_settled_ns(r);
	rig_begin(r, false, false);
	rig_go(&c);
	sleep_ms(500);
	kill(c.process.pid, SIGKILL);
	rig_reap(&c, NULL);
	*u = rig_end_last(r);
	truth = throttled_ns(r) - truth;
	show("quota", u);
	if (getenv("CLOCHE_METER_SHOW"))
		fprintf(stderr, "cpu.stat %llu ns\n", (unsigned long long)truth);
	check_sum(u);
	cr_assert_gt(truth, 0);
	return (u->quota_ns > truth ? u->quota_ns - truth : truth - u->quota_ns) * 10000 / truth;
}

/*
 * What a busy loop waits for is what the kernel says it throttled, within 2 %. The median of the
 * rounds: a throttling that begins with the loop's death is none of its, but may be in cpu.stat,
 * and since 6.3 the kernel's ends only when the group's CPU has heard of the new period, which an
 * emulated one may do late.
 */
static void check_quota(int cpu, unsigned quota_us, uint64_t contention)
{
	uint64_t error[ROUNDS], waited = 0;
	struct meter_usage u;
	struct rig r;

	rig_open(&r, quota_us);
	for (int i = 0; i < ROUNDS; i++) {
		error[i] = quota_error(&r, cpu, &u);
		cr_assert_gt(u.quota_ns, 0);
		waited += u.contention_ns;
	}
	qsort(error, ROUNDS, sizeof(*error), by_size);
	cr_assert_leq(error[ROUNDS / 2], 200, "in ten thousandths: %llu, %llu, %llu, %llu, %llu",
		      (unsigned long long)error[0], (unsigned long long)error[1],
		      (unsigned long long)error[2], (unsigned long long)error[3],
		      (unsigned long long)error[4]);
	cr_assert_geq(waited, contention);
	rig_close(&r);
}

Test(meter_partition, quota_is_waiting)
{
	check_quota(0, QUOTA_128MB_US, 0);
}

/* Under a quota and beside competitors: once the period is over, it is they that it waits for. How
 * much of it depends on whom the scheduler favours after a throttling. */
Test(meter_partition, quota_ends_where_competitors_begin)
{
	pid_t a = competitor(1), b = competitor(1);

	check_quota(1, 2 * QUOTA_128MB_US, 3 * NSEC_PER_MSEC);
	kill(a, SIGKILL);
	kill(b, SIGKILL);
	while (wait(NULL) > 0)
		;
}

/* Sleeps, spins, and sleeps again, for ever: idle time of its own making. */
static int mixer(void *arg)
{
	struct timespec t = ns_timespec(30 * NSEC_PER_MSEC);

	use_cpu(*(int *)arg);
	rig_tell(0);
	rig_wait();
	while (for_ever) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
		rig_burn(5 * NSEC_PER_MSEC);
	}
	return 0;
}

Test(meter_partition, all_three_at_once)
{
	struct meter_usage u, last = { 0 };
	uint64_t throttled, used;
	int cpu = 1;
	pid_t a, b;
	struct child c;
	struct rig r;

	rig_open(&r, 2 * QUOTA_128MB_US);
	c = rig_spawn(&r, mixer, &cpu);
	a = competitor(cpu);
	b = competitor(cpu);
	rig_hear(&c);
	rig_await_sleep(&c);
	throttled = throttled_ns(&r);
	used = rig_stat(&r, "cpu.stat", "usage_usec");
	/* Later and later ends of one invocation, most of them in the middle of a slice: nothing
	 * may be lost or counted twice at an edge. */
	rig_begin(&r, false, false);
	rig_go(&c);
	for (int i = 0; i < 30; i++) {
		sleep_ms(50);
		u = rig_end(&r);
		check_sum(&u);
		/* When a slice ends, what it had before it was seen becomes busy time, from any of
		 * the others; nothing goes the other way. */
		cr_assert_geq(u.busy_ns, last.busy_ns);
		cr_assert_geq(u.busy_ns + u.quota_ns, last.busy_ns + last.quota_ns);
		cr_assert_geq(u.busy_ns + u.contention_ns, last.busy_ns + last.contention_ns);
		cr_assert_geq(u.busy_ns + u.idle_ns, last.busy_ns + last.idle_ns);
		last = u;
	}
	kill(c.process.pid, SIGKILL);
	rig_reap(&c, NULL);
	u = rig_end_last(&r);
	check_sum(&u);
	throttled = throttled_ns(&r) - throttled;
	used = (rig_stat(&r, "cpu.stat", "usage_usec") - used) * 1000;
	show("all three", &u);
	if (getenv("CLOCHE_METER_SHOW"))
		fprintf(stderr, "cpu.stat throttled %llu used %llu, bpf %llu ns\n",
			(unsigned long long)throttled, (unsigned long long)used,
			(unsigned long long)u.on_cpu_ns);
	cr_assert_gt(u.idle_ns, 0);
	cr_assert_gt(u.contention_ns, 0);
	/* Where much else runs, it never comes as far as its quota. */
	cr_assert(u.quota_ns > 0 || throttled == 0);
	/* Until 6.17 a group is throttled also while all its threads sleep: cpu.stat has that. What
	 * it has not is the period in which the loop is killed. */
	cr_assert_leq(u.quota_ns, throttled + throttled / 50 + 20 * NSEC_PER_MSEC);
	cr_assert_geq(u.on_cpu_ns + used / 100, used);
	cr_assert_leq(u.on_cpu_ns, used + used / 100);
	kill(a, SIGKILL);
	kill(b, SIGKILL);
	while (wait(NULL) > 0)
		;
	rig_close(&r);
}
