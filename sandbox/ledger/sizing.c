/* SPDX-License-Identifier: MIT */
/*
 * Which memory size to take: see sizing.h for what the words mean. Amounts are compared exactly;
 * the knee is a matter of shape, and floating point will do for it.
 */
#include "ledger/sizing.h"

static bool is_cheaper(const struct sizing *a, const struct sizing *b)
{
	return a->cost != b->cost ? a->cost < b->cost : a->time_ns < b->time_ns;
}

static bool is_faster(const struct sizing *a, const struct sizing *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->cost < b->cost;
}

/* Between the first and the last that succeeded, both of which exist and differ. */
static int find_knee(const struct sizing *sizes, int first, int last, int64_t least, int64_t most)
{
	const struct sizing *a = &sizes[first], *b = &sizes[last];
	double range = (double)(most - least), best = 0.05;
	int knee = -1;

	for (int i = first + 1; i < last; i++) {
		double x = (double)(sizes[i].memory_bytes - a->memory_bytes) /
			   (double)(b->memory_bytes - a->memory_bytes);
		double line = ((double)a->time_ns * (1 - x) + (double)b->time_ns * x) / range;
		double below = line - (double)sizes[i].time_ns / range;

		if (!sizes[i].ok || below <= best)
			continue;
		best = below;
		knee = i;
	}
	return knee;
}

struct sizing_choice sizing_choose(const struct sizing *sizes, size_t n)
{
	struct sizing_choice c = { .cheapest = -1, .fastest = -1, .knee = -1 };
	int first = -1, last = -1;
	int64_t most = 0;

	for (int i = 0; i < (int)n; i++) {
		if (!sizes[i].ok)
			continue;
		if (first < 0)
			first = i;
		last = i;
		if (c.cheapest < 0 || is_cheaper(&sizes[i], &sizes[c.cheapest]))
			c.cheapest = i;
		if (c.fastest < 0 || is_faster(&sizes[i], &sizes[c.fastest]))
			c.fastest = i;
		if (sizes[i].time_ns > most)
			most = sizes[i].time_ns;
	}
	if (first == last)
		return c;
	c.flat = (most - sizes[c.fastest].time_ns) < sizes[c.fastest].time_ns / 10;
	if (!c.flat && most > sizes[c.fastest].time_ns)
		c.knee = find_knee(sizes, first, last, sizes[c.fastest].time_ns, most);
	return c;
}

/* The one with so many below it in the order; of equals the first one comes first. */
static int64_t time_ranked(const int64_t *times_ns, size_t n, size_t rank)
{
	for (size_t i = 0; i < n; i++) {
		size_t below = 0;

		for (size_t j = 0; j < n; j++)
			if (times_ns[j] < times_ns[i] + (j < i))
				below++;
		if (below == rank)
			return times_ns[i];
	}
	return 0;
}

/* As launch/limits.c makes a quota of a share, in ns. */
#define PERIOD_NS     20000000LL
#define QUOTA_MIN_NS  1000000LL
#define PERIOD_MAX_NS 1000000000LL

uint64_t sizing_vcpu_micro(uint64_t memory_bytes)
{
	return (memory_bytes >> 10) * 1000000 / (SIZING_VCPU_BYTES >> 10);
}

/* Of a period: what the quota leaves; and so long its CPU time takes at the quota's pace. */
static int64_t at_quota(const struct sizing_run *run, int64_t *ret_rest_ns)
{
	__int128 period_ns = PERIOD_NS, quota_ns = (__int128)run->vcpu_micro * PERIOD_NS / 1000000;
	__int128 all;

	if (quota_ns < QUOTA_MIN_NS) {
		quota_ns = QUOTA_MIN_NS;
		period_ns = QUOTA_MIN_NS * 1000000 / (__int128)run->vcpu_micro;
		if (period_ns > PERIOD_MAX_NS)
			period_ns = PERIOD_MAX_NS;
	}
	*ret_rest_ns = period_ns > quota_ns ? (int64_t)(period_ns - quota_ns) : 0;
	all = run->on_cpu_ns * period_ns / quota_ns;
	return all < INT64_MAX ? (int64_t)all : INT64_MAX;
}

int64_t sizing_uncontended(const struct sizing_run *run)
{
	int64_t rest_ns, pace_ns, least_ns;

	if (run->contention_ns <= 0)
		return run->wall_ns;
	least_ns = run->contention_ns < run->wall_ns ? run->wall_ns - run->contention_ns : 0;
	if (run->vcpu_micro == 0 || run->on_cpu_ns <= 0)
		return least_ns;
	pace_ns = at_quota(run, &rest_ns);
	/* The last period need not be waited for, and the first may have begun with a throttled end
	 * of the one before: at most two rests less, and one in the mean. */
	if (pace_ns - 2 * rest_ns > run->wall_ns || pace_ns - rest_ns < least_ns)
		return least_ns;
	return pace_ns - rest_ns < run->wall_ns ? pace_ns - rest_ns : run->wall_ns;
}

bool sizing_is_much(int64_t contention_ns, int64_t wall_ns)
{
	return contention_ns > 0 && contention_ns >= wall_ns / 10;
}

int64_t sizing_median(const int64_t *times_ns, size_t n)
{
	int64_t low = time_ranked(times_ns, n, (n - 1) / 2);

	return low + (time_ranked(times_ns, n, n / 2) - low) / 2;
}
