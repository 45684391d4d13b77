/* SPDX-License-Identifier: MIT */
/* The arithmetic between two snapshots, and the names and sizes that two compilers must agree on.
 */
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <stdbool.h>

#include "bpf/meter_abi.h"
#include "bpf/meter_slice.h"
#include "meter/usage.h"

#define PAGE 4096

static struct meter_slot armed(void)
{
	return (struct meter_slot){ .gen = 1, .last_ns = 1000, .epoch = 1 };
}

Test(usage, each_state_has_its_part)
{
	const struct {
		uint32_t running, queued, throttled;
		uint64_t busy, quota, contention, idle, on_cpu, runnable;
	} rows[] = {
		{ 0, 0, 0, 0, 0, 0, 100, 0, 0 },   { 1, 0, 0, 100, 0, 0, 0, 100, 0 },
		{ 3, 0, 0, 100, 0, 0, 0, 300, 0 }, { 1, 2, 2, 100, 0, 0, 0, 100, 200 },
		{ 0, 1, 0, 0, 0, 100, 0, 0, 100 }, { 0, 2, 1, 0, 0, 100, 0, 0, 200 },
		{ 0, 2, 2, 0, 100, 0, 0, 0, 200 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct meter_slot s = armed();

		s.running = rows[i].running;
		s.queued = rows[i].queued;
		s.throttled = rows[i].throttled;
		cr_assert_eq(usage_settle(&s, 1100), 1100);
		cr_assert_eq(s.now.busy_ns, rows[i].busy, "row %zu", i);
		cr_assert_eq(s.now.quota_ns, rows[i].quota, "row %zu", i);
		cr_assert_eq(s.now.contention_ns, rows[i].contention, "row %zu", i);
		cr_assert_eq(s.now.idle_ns, rows[i].idle, "row %zu", i);
		cr_assert_eq(s.now.on_cpu_ns, rows[i].on_cpu, "row %zu", i);
		cr_assert_eq(s.now.runnable_ns, rows[i].runnable, "row %zu", i);
	}
}

/* An edge that an event overtook is the event's: time does not run backwards. */
Test(usage, an_edge_before_the_last_event_moves_to_it)
{
	struct meter_slot s = armed();

	s.running = 1;
	cr_assert_eq(usage_settle(&s, 400), 1000);
	cr_assert_eq(s.now.busy_ns, 0);
	cr_assert_eq(s.last_ns, 1000);
}

Test(usage, tail_after_the_last_process_is_cut)
{
	struct meter_slot a = armed(), b = armed();
	struct meter_usage u;

	b.now.busy_ns = 500;
	b.now.idle_ns = 500;
	b.empty_ns = 1600;
	usage_between(&a, 1000, &b, 2000, 1, false, PAGE, &u);
	cr_assert(u.ended);
	cr_assert_eq(u.end_ns, 1600);
	cr_assert_eq(u.wall_ns, 600);
	cr_assert_eq(u.idle_ns, 100);
	cr_assert_eq(u.wall_ns, u.busy_ns + u.waiting_ns + u.idle_ns);
	/* Emptied in an earlier invocation: this one has not ended. */
	usage_between(&a, 1700, &b, 2000, 1, false, PAGE, &u);
	cr_assert(!u.ended);
	cr_assert_eq(u.wall_ns, 300);
	/* Somebody is alive. */
	b.tasks = 1;
	usage_between(&a, 1000, &b, 2000, 1, false, PAGE, &u);
	cr_assert(!u.ended);
	cr_assert_eq(u.wall_ns, 1000);
}

Test(usage, begins_at_exec_of_this_epoch_only)
{
	struct meter_slot a = armed(), b = armed();
	struct meter_usage u;

	b.tasks = 1;
	b.now.busy_ns = 900;
	b.now.on_cpu_ns = 900;
	b.now.stolen_ns = (uint64_t)-20;
	b.now.started = 3;
	b.base.busy_ns = 300;
	b.base.on_cpu_ns = 300;
	b.base.started = 0;
	b.base_ns = 1400;
	b.base_epoch = 1;
	usage_between(&a, 1000, &b, 2000, 1, true, PAGE, &u);
	cr_assert(u.began);
	cr_assert_eq(u.begin_ns, 1400);
	cr_assert_eq(u.busy_ns, 600);
	cr_assert_eq(u.stolen_ns, -20);
	cr_assert_eq(u.on_cpu_ns, 620);
	cr_assert_eq(u.started, 3);
	b.base_epoch = 7;
	usage_between(&a, 1000, &b, 2000, 1, true, PAGE, &u);
	cr_assert(!u.began);
	cr_assert_eq(u.begin_ns, 1000);
	cr_assert_eq(u.busy_ns, 900);
}

Test(usage, peaks_are_the_epochs_own)
{
	struct meter_slot a = armed(), b = armed();
	struct meter_usage u;

	b.processes = 2;
	b.processes_peak = 9;
	b.rss_pages = 10;
	b.rss_peak_pages = 100;
	usage_between(&a, 1000, &b, 2000, 1, false, PAGE, &u);
	cr_assert_eq(u.peak, 9);
	cr_assert_eq(u.rss_peak_bytes, 100 * PAGE);
	/* No event since the edge: what was there is the peak. */
	usage_between(&a, 1000, &b, 2000, 2, false, PAGE, &u);
	cr_assert_eq(u.peak, 2);
	cr_assert_eq(u.rss_peak_bytes, 10 * PAGE);
	cr_assert(!u.memory_known);
	b.used_peak_pages = 70;
	b.droppable_peak_pages = 40;
	usage_between(&a, 1000, &b, 2000, 2, false, PAGE, &u);
	cr_assert(!u.memory_known);
	usage_between(&a, 1000, &b, 2000, 1, false, PAGE, &u);
	cr_assert(u.memory_known);
	cr_assert_eq(u.memory_peak_bytes, 70 * PAGE);
	cr_assert_eq(u.cache_peak_bytes, 40 * PAGE);
	b.rss_pages = -3;
	usage_between(&a, 1000, &b, 2000, 2, false, PAGE, &u);
	cr_assert_eq(u.rss_peak_bytes, 0);
}

Test(usage, untracked_threads_make_it_incomplete)
{
	struct meter_slot a = armed(), b = armed();
	struct meter_usage u;

	usage_between(&a, 1000, &b, 2000, 1, false, PAGE, &u);
	cr_assert(u.complete);
	b.now.untracked = 1;
	usage_between(&a, 1000, &b, 2000, 1, false, PAGE, &u);
	cr_assert(!u.complete);
}

/* A switch that the kernel did not report: the thread was booked as waiting, or asleep, from 1000
 * to 1500. */
Test(usage, what_went_unseen_is_put_right)
{
	const struct {
		uint32_t running, throttled, others;
		uint64_t busy_until, base; /* what was there before the invocation */
		bool waited;
		uint64_t start, busy, on_cpu;
		bool known;
	} rows[] = {
		{ 0, 0, 0, 0, 0, true, 1000, 500, 500, true },
		{ 0, 0, 0, 0, 0, true, 1200, 300, 300, true },
		{ 0, 0, 0, 1300, 0, true, 1200, 200, 300, true },
		{ 0, 0, 0, 0, 400, true, 1000, 100, 500, true },
		{ 0, 0, 0, 0, 0, true, 1500, 0, 0, true },
		{ 1, 0, 0, 0, 0, true, 1200, 0, 300, true },
		{ 0, 1, 0, 0, 0, true, 1200, 300, 300, true },
		{ 0, 1, 0, 0, 400, true, 1000, 100, 500, true },
		{ 0, 1, 1, 0, 0, true, 1200, 300, 300, true },
		{ 0, 0, 1, 0, 0, true, 1200, 300, 300, true },
		{ 0, 0, 0, 0, 0, false, 1200, 300, 300, true },
		{ 0, 0, 0, 1300, 0, false, 1200, 200, 300, true },
		{ 0, 0, 0, 0, 400, false, 1000, 100, 500, true },
		{ 1, 0, 0, 0, 0, false, 1200, 0, 300, true },
		{ 0, 0, 1, 0, 0, false, 1200, 300, 300, true },
		{ 0, 1, 1, 0, 0, false, 1200, 0, 300, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct meter_slot s = armed();
		struct meter_counters *n = &s.now;

		s.queued = rows[i].waited ? 1 + rows[i].others : 0;
		s.throttled = rows[i].throttled;
		s.base_epoch = s.epoch;
		s.base.contention_ns = s.base.quota_ns = s.base.idle_ns = rows[i].base;
		cr_assert_eq(usage_settle(&s, 1500), 1500);
		s.queued = rows[i].waited + rows[i].others;
		s.running = rows[i].running;
		s.busy_until_ns = rows[i].busy_until;
		cr_expect_eq(slot_book_late(&s, rows[i].start, 1500, rows[i].waited), rows[i].busy,
			     "row %zu", i);
		cr_expect_eq(n->busy_ns, rows[i].busy, "row %zu", i);
		cr_expect_eq(n->contention_ns + n->quota_ns + n->idle_ns, 500 - rows[i].busy,
			     "row %zu", i);
		cr_expect_eq(n->on_cpu_ns, rows[i].on_cpu, "row %zu", i);
		if (rows[i].waited)
			cr_expect_eq(n->runnable_ns, 500 * (1 + rows[i].others) - rows[i].on_cpu,
				     "row %zu", i);
		cr_expect_eq(n->unseen, 1, "row %zu", i);
		cr_expect_eq(n->untracked, !rows[i].known, "row %zu", i);
	}
}

/* It was on a CPU from `start` to 1500, and neither that nor that it woke up was reported; another
 * one waited from 1300 on. */
Test(usage, what_went_unseen_beside_others)
{
	const struct {
		uint64_t start, base, idle, contention;
	} rows[] = {
		{ 1200, 0, 200, 0 },
		{ 1400, 0, 300, 100 },
		{ 1000, 0, 0, 0 },
		/* Most of the waiting was before the invocation. */
		{ 1200, 150, 200, 150 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct meter_slot s = armed();

		s.base_epoch = s.epoch;
		s.base.contention_ns = rows[i].base;
		cr_assert_eq(usage_settle(&s, 1300), 1300);
		s.queued = 1;
		cr_assert_eq(usage_settle(&s, 1450), 1450);
		cr_assert_eq(usage_settle(&s, 1500), 1500);
		(void)slot_book_late(&s, rows[i].start, 1500, false);
		cr_expect_eq(s.now.idle_ns, rows[i].idle, "row %zu", i);
		cr_expect_eq(s.now.contention_ns, rows[i].contention, "row %zu", i);
		cr_expect_eq(s.now.busy_ns, 500 - rows[i].idle - rows[i].contention, "row %zu", i);
		cr_expect_eq(s.now.on_cpu_ns, 1500 - rows[i].start, "row %zu", i);
		cr_expect_eq(s.now.untracked, 0, "row %zu", i);
	}
}

/* The thread slept from 1000 on, waited from 1300 and was seen on a CPU from 1500 on. */
Test(usage, a_slice_began_when_the_kernel_says)
{
	const struct {
		uint64_t alone, free, base, early;
		bool slept_alone;
		uint64_t moved, busy, quota, contention, idle;
	} rows[] = {
		{ 1000, 0, 0, 0, true, 0, 0, 0, 200, 300 },
		{ 1000, 0, 0, 150, true, 150, 150, 0, 50, 300 },
		{ 1000, 0, 0, 200, true, 200, 200, 0, 0, 300 },
		{ 1000, 0, 0, 250, true, 250, 250, 0, 0, 250 },
		{ 1000, 0, 0, 250, false, 200, 200, 0, 0, 300 },
		{ 1000, 0, 0, 900, true, 500, 500, 0, 0, 0 },
		/* Somebody was on a CPU until 1400, or all the time. */
		{ 1400, 0, 0, 150, false, 150, 100, 0, 100, 300 },
		{ 1500, 0, 0, 150, false, 150, 0, 0, 200, 300 },
		{ 1200, 0, 0, 900, true, 300, 300, 0, 0, 200 },
		/* Most of it was before the invocation. */
		{ 1000, 0, 150, 250, true, 200, 50, 0, 150, 300 },
		/* Its quota held it until 1400, or to the last. */
		{ 1000, 1400, 0, 50, true, 50, 50, 100, 50, 300 },
		{ 1000, 1400, 0, 150, true, 150, 150, 50, 0, 300 },
		{ 1000, 1500, 0, 150, true, 150, 150, 50, 0, 300 },
		{ 1450, 1500, 0, 150, true, 150, 50, 150, 0, 300 },
		{ 1000, 1400, 50, 250, true, 200, 100, 50, 50, 300 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arrival a = { 1300, 0, rows[i].alone, 1500, rows[i].slept_alone };
		struct meter_slot s = armed();
		uint64_t moved;
		__u64 beside;

		s.base_epoch = s.epoch;
		s.base.contention_ns = s.base.quota_ns = rows[i].base;
		cr_assert_eq(usage_settle(&s, 1300), 1300);
		s.queued = 1;
		s.throttled = rows[i].free > 1300;
		(void)usage_settle(&s, rows[i].free > 1300 ? rows[i].free : 1300);
		s.throttled = 0;
		(void)usage_settle(&s, rows[i].free < 1450 ? 1450 : 1500);
		cr_assert_eq(usage_settle(&s, 1500), 1500);
		a.free_ns = slot_free_since(&s);
		cr_expect_eq(a.free_ns, rows[i].free > 1300 ? rows[i].free : 1300, "row %zu", i);
		moved = slot_book_early(&s, &a, rows[i].early, &beside);
		cr_expect_eq(beside, moved - rows[i].busy, "row %zu", i);
		cr_expect_eq(moved, rows[i].moved, "row %zu: %lu", i, moved);
		cr_expect_eq(s.now.busy_ns, rows[i].busy, "row %zu", i);
		cr_expect_eq(s.now.quota_ns, rows[i].quota, "row %zu", i);
		cr_expect_eq(s.now.contention_ns, rows[i].contention, "row %zu", i);
		cr_expect_eq(s.now.idle_ns, rows[i].idle, "row %zu", i);
		cr_expect_eq(s.now.on_cpu_ns, moved, "row %zu", i);
		cr_expect_eq(s.now.runnable_ns, 200 - (rows[i].early < 200 ? rows[i].early : 200),
			     "row %zu", i);
	}
}

/* A slice across the beginning: what was stolen is shared out, so that nothing that was lost before
 * the beginning is taken from what came after it. */
Test(usage, theft_is_shared_at_an_edge)
{
	const uint64_t ms = 1000000;

	/* Wholly inside: all of it. */
	cr_assert_eq(slice_stolen(5 * ms, 0, 15 * ms, 8 * ms), 2 * ms);
	cr_assert_eq(slice_stolen(5 * ms, 5 * ms, 15 * ms, 8 * ms), 2 * ms);
	/* 300 ms before the edge and 2 ms after it, 15 ms stolen: under a tenth of a ms is ours. */
	cr_assert_lt(slice_stolen(0, 300 * ms, 302 * ms, 287 * ms), ms / 10);
	cr_assert_gt(slice_stolen(0, 300 * ms, 302 * ms, 287 * ms), ms / 11);
	/* Never more than the part holds, however much was stolen. */
	cr_assert_leq(slice_stolen(0, 300 * ms, 302 * ms, 0), 2 * (int64_t)ms);
	/* The CPU clock ahead of ours. */
	cr_assert_eq(slice_stolen(5 * ms, 0, 15 * ms, 11 * ms), -(int64_t)ms);
	cr_assert_eq(slice_stolen(0, 5 * ms, 15 * ms, 16 * ms), 0);
	cr_assert_eq(slice_stolen(0, 20 * ms, 15 * ms, ms), 0);
	cr_assert_eq(slice_stolen(7, 7, 7, 0), 0);
	/* A quarter of an hour without a switch does not overflow. */
	cr_assert_eq(slice_stolen(0, 450000 * ms, 900000 * ms, 0) / (int64_t)ms, 450000);
}

/* The kernel's own SIGKILL is the OOM killer's unless a limit of CPU time may have sent it; a mark
 * as victim alone comes to who was dying already. */
Test(usage, whom_the_oom_killer_ended)
{
	static const struct {
		uint32_t fate;
		bool oom;
	} rows[] = {
		{ 0, false },
		{ METER_MAIN_KILLED, true },
		{ METER_MAIN_OOM_VICTIM, false },
		{ METER_MAIN_KILLED | METER_MAIN_OOM_VICTIM, true },
		{ METER_MAIN_KILLED | METER_MAIN_CPU_LIMIT, false },
		{ METER_MAIN_KILLED | METER_MAIN_CPU_LIMIT | METER_MAIN_OOM_VICTIM, true },
		{ METER_MAIN_POLICY, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct meter_slot a = armed(), b = armed();
		struct meter_usage u;

		b.main_fate = rows[i].fate;
		usage_between(&a, 1000, &b, 2000, 1, false, PAGE, &u);
		cr_expect_eq(u.main_oom, rows[i].oom, "row %zu", i);
		cr_expect_eq(u.main_policy, (rows[i].fate & METER_MAIN_POLICY) != 0, "row %zu", i);
		/* Of another invocation, it is nobody's. */
		usage_between(&a, 1000, &b, 2000, 2, false, PAGE, &u);
		cr_expect(!u.main_oom && !u.main_policy, "row %zu", i);
	}
}

/* What was frozen is out of the wall time and the idle time; what was not asleep stays. */
Test(usage, frozen_time_is_nobodys)
{
	struct meter_usage u = {
		.begin_ns = 1000, .end_ns = 1500, .wall_ns = 500, .busy_ns = 100, .idle_ns = 400
	};

	usage_take_out(&u, 300);
	cr_expect_eq(u.wall_ns, 200);
	cr_expect_eq(u.idle_ns, 100);
	cr_expect_eq(u.end_ns, 1200);
	usage_take_out(&u, 300);
	cr_expect_eq(u.wall_ns, u.busy_ns);
	cr_expect_eq(u.idle_ns, 0);
}
