/* SPDX-License-Identifier: MIT */
/* Which memory size is the cheapest, the fastest, the knee: tables of made-up measurements. */
#include "ledger/sizing.h"

#include "launch/limits.h"

#include <criterion/criterion.h>

#define MIB (1ULL << 20)
#define MS  1000000LL

/* Twelve sizes at most; time 0: the runs there failed. */
static const struct {
	const char *what;
	struct {
		uint64_t mb;
		int64_t time;
		int64_t cost;
	} sizes[8];
	int cheapest, fastest, knee;
	bool flat;
} cases[] = {
	{ "nothing", { { 0 } }, -1, -1, -1, false },
	{ "one size", { { 128, 10, 5 } }, 0, 0, -1, false },
	{ "none succeeded", { { 128, 0, 0 }, { 256, 0, 0 } }, -1, -1, -1, false },
	/* CPU-bound up to one vCPU, then nothing is gained. */
	{ "an elbow",
	  { { 128, 1382, 28 },
	    { 256, 691, 28 },
	    { 512, 345, 28 },
	    { 1024, 173, 29 },
	    { 1769, 100, 29 },
	    { 3538, 100, 58 } },
	  2,
	  4,
	  2,
	  false },
	{ "small sizes fail",
	  { { 64, 0, 1 }, { 128, 0, 1 }, { 256, 700, 30 }, { 512, 340, 28 }, { 3538, 300, 90 } },
	  3,
	  4,
	  3,
	  false },
	{ "a straight line has no knee",
	  { { 100, 300, 3 }, { 200, 200, 4 }, { 300, 100, 5 } },
	  0,
	  2,
	  -1,
	  false },
	{ "a bulge has no knee",
	  { { 100, 300, 3 }, { 200, 290, 4 }, { 300, 100, 5 } },
	  0,
	  2,
	  -1,
	  false },
	{ "two sizes have no knee", { { 100, 300, 3 }, { 200, 100, 4 } }, 0, 1, -1, false },
	{ "asleep: noise is no knee",
	  { { 128, 1005, 1 }, { 256, 1000, 2 }, { 512, 1001, 4 }, { 1024, 1002, 8 } },
	  0,
	  1,
	  -1,
	  true },
	{ "equal costs: the faster", { { 128, 20, 7 }, { 256, 10, 7 } }, 1, 1, -1, false },
	{ "equal times: the cheaper", { { 128, 10, 7 }, { 256, 10, 6 } }, 1, 1, -1, true },
	{ "all equal: the smaller", { { 128, 10, 7 }, { 256, 10, 7 } }, 0, 0, -1, true },
};

Test(sizing, choices)
{
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct sizing sizes[8] = { 0 };
		struct sizing_choice choice;
		size_t n = 0;

		for (; n < 8 && cases[c].sizes[n].mb; n++)
			sizes[n] = (struct sizing){ .memory_bytes = cases[c].sizes[n].mb * MIB,
						    .ok = cases[c].sizes[n].time > 0,
						    .time_ns = cases[c].sizes[n].time * MS,
						    .cost = cases[c].sizes[n].cost * MONEY_PICO };
		choice = sizing_choose(sizes, n);
		cr_expect_eq(choice.cheapest, cases[c].cheapest, "%s: cheapest %d", cases[c].what,
			     choice.cheapest);
		cr_expect_eq(choice.fastest, cases[c].fastest, "%s: fastest %d", cases[c].what,
			     choice.fastest);
		cr_expect_eq(choice.knee, cases[c].knee, "%s: knee %d", cases[c].what, choice.knee);
		cr_expect_eq(choice.flat, cases[c].flat, "%s: flat %d", cases[c].what, choice.flat);
	}
}

Test(sizing, the_median_of_an_even_number_is_the_mean_of_the_middle_two)
{
	const int64_t far = INT64_MAX - 1;

	cr_expect_eq(sizing_median((const int64_t[]){ 5 }, 1), 5);
	cr_expect_eq(sizing_median((const int64_t[]){ 9, 1 }, 2), 5);
	cr_expect_eq(sizing_median((const int64_t[]){ 1, 4 }, 2), 2);
	cr_expect_eq(sizing_median((const int64_t[]){ 9, 1, 5 }, 3), 5);
	cr_expect_eq(sizing_median((const int64_t[]){ 10, 30, 20, 900 }, 4), 25);
	cr_expect_eq(sizing_median((const int64_t[]){ 7, 7, 7, 7 }, 4), 7);
	cr_expect_eq(sizing_median((const int64_t[]){ 3, 8, 3, 8, 3, 8 }, 6), 5);
	cr_expect_eq(sizing_median((const int64_t[]){ far, far - 2 }, 2), far - 1);
}

/* At 512 MB a function has 5.79 ms of each 20. Times in ms. */
static const struct {
	const char *what;
	int64_t wall, contention, on_cpu;
	uint64_t mb; /* 0: no quota is known */
	int64_t least, most;
} runs[] = {
	{ "nobody beside it", 1000, 0, 300, 512, 1000, 1000 },
	{ "nobody measured", 1000, -1, 300, 512, 1000, 1000 },
	{ "no quota", 1000, 600, 400, 0, 400, 400 },
	{ "mostly asleep", 1000, 100, 50, 512, 900, 900 },
	/* Alone it is throttled; beside others it waits for them instead, as long in all. */
	{ "others have what the quota would keep", 1000, 700, 290, 512, 987, 1000 },
	{ "the half of it", 1400, 600, 290, 512, 987, 1002 },
	/* The last period is not waited for. */
	{ "less than a period", 12, 7, 5, 512, 5, 5 },
	{ "a full CPU has nothing to wait for", 2000, 1000, 1000, 1769, 1000, 1000 },
	{ "more than the quota lets anybody have: it had none", 1000, 400, 600, 512, 600, 600 },
	{ "more than all", 100, 150, 0, 512, 0, 0 },
};

Test(sizing, what_others_took_is_no_part_of_the_time_and_the_quota_is)
{
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		const struct sizing_run run = {
			.wall_ns = runs[i].wall * MS,
			.contention_ns = runs[i].contention * MS,
			.on_cpu_ns = runs[i].on_cpu * MS,
			.vcpu_micro = sizing_vcpu_micro(runs[i].mb * MIB),
		};
		int64_t ns = sizing_uncontended(&run);

		cr_expect(ns >= runs[i].least * MS && ns <= runs[i].most * MS, "%s: %lld ns",
			  runs[i].what, (long long)ns);
	}
}

/* The shares that the two arithmetics give, and the least quota. */
Test(sizing, memory_buys_cpu_as_it_does_where_quotas_are_made)
{
	static const uint64_t mb[] = { 4, 64, 128, 512, 1769, 3538 };

	cr_expect_eq(SIZING_VCPU_BYTES, LIMITS_VCPU_BYTES);
	for (size_t i = 0; i < sizeof(mb) / sizeof(mb[0]); i++)
		cr_expect_eq(sizing_vcpu_micro(mb[i] * MIB),
			     cpu_limits_of(CPU_CAPPED, mb[i] * MIB, 0, 64).micro);
}
