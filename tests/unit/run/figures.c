/* SPDX-License-Identifier: MIT */
/* From what was read to what the outcome says: each figure, and what is not known. */
#include <criterion/criterion.h>
#include <signal.h>

#include "run/figures.h"
#include "run/outcome.h"

#define UNKNOWN UINT64_MAX
#define MS	1000000

static struct observed usual(void)
{
	return (struct observed){ .fresh_peak = true,
				  .ran = true,
				  .start_ns = 100 * MS,
				  .launch_cpu_ns = 1 * MS,
				  .told = true,
				  .end_ns = 150 * MS,
				  .dead_ns = 151 * MS,
				  .requested_ns = 90 * MS,
				  .after = { .cpu_ns = 11 * MS,
					     .user_ns = 6 * MS,
					     .system_ns = 2 * MS,
					     .memory_peak = 4096 } };
}

Test(figures, without_the_meter)
{
	struct observed seen = usual();
	struct outcome out = { 0 };

	seen.rusage.ru_utime.tv_usec = 9000;
	figures_of(&seen, &out);
	cr_assert_eq(out.verdict, VERDICT_OK);
	cr_assert_eq(out.launch_ns, 10 * MS);
	cr_assert_eq(out.wall_ns, 50 * MS, "to the end of the function's own process");
	cr_assert_eq(out.on_cpu_ns, 10 * MS, "without ours");
	cr_assert_eq(out.rusage_ns, 8 * MS, "without ours");
	/* three to one, of what is the function's */
	cr_assert_eq(out.usage.user_ns, 7500000);
	cr_assert_eq(out.usage.user_ns + out.usage.system_ns, out.usage.cpu_ns);
	cr_assert_eq(out.overshoot_ns, -1);
	cr_assert(out.charged_known);
}

Test(figures, with_the_meter)
{
	struct observed seen = usual();
	struct outcome out = { .metered = { .known = true,
					    .usage = { .begin_ns = 101 * MS,
						       .wall_ns = 49 * MS,
						       .on_cpu_ns = 8 * MS } } };

	figures_of(&seen, &out);
	cr_assert_eq(out.launch_ns, 11 * MS, "to its first instruction");
	cr_assert_eq(out.wall_ns, 49 * MS);
	cr_assert_eq(out.on_cpu_ns, 8 * MS);
}

Test(figures, a_deadline)
{
	struct observed seen = usual();
	struct outcome out = { 0 };

	seen.killed = true;
	seen.cause = VERDICT_TIMEOUT;
	seen.deadline_ns = 149 * MS;
	figures_of(&seen, &out);
	cr_assert_eq(out.verdict, VERDICT_TIMEOUT);
	cr_assert_eq(out.overshoot_ns, 2 * MS);
}

Test(figures, ended_together_with_the_warden)
{
	struct observed seen = usual();
	struct outcome out = { 0 };

	seen.told = false;
	seen.killed = true;
	seen.cause = VERDICT_CPU_TIMEOUT;
	figures_of(&seen, &out);
	cr_assert_eq(out.status, SIGKILL);
	cr_assert_eq(out.wall_ns, 51 * MS, "to the last process's end");
}

Test(figures, what_never_ran)
{
	struct observed seen = { .requested_ns = 5 * MS, .dead_ns = 9 * MS };
	struct outcome out = { 0 };

	figures_of(&seen, &out);
	cr_assert_eq(out.verdict, VERDICT_LAUNCH_ERROR);
	cr_assert_eq(out.launch_ns, 4 * MS);
	cr_assert_eq(out.wall_ns, 0);
}

Test(figures, denials_that_a_signal_overtook)
{
	struct observed seen = usual();
	struct outcome out = { .denials = { .total = 3, .made = 1 },
			       .metered = { .known = true,
					    .usage = { .listened = true, .asked = 9 } } };

	figures_of(&seen, &out);
	cr_assert_eq(out.denials.overtaken, 5);
	out.denials = (struct denials){ .total = 1 };
	out.metered.usage.asked = DENIALS_MAX + 1;
	figures_of(&seen, &out);
	cr_assert_eq(out.verdict, VERDICT_DENIED, "they count against the limit");
}

/* Each figure of a cgroup: what it had counted before, what after, what is its own. */
Test(figures, since)
{
	static const struct {
		uint64_t before, after, want;
	} rows[] = {
		{ 0, 5, 5 },
		{ 5, 5, 0 },
		{ 3, 5, 2 },
		{ 5, 3, UNKNOWN },
		{ UNKNOWN, 5, UNKNOWN },
		{ 5, UNKNOWN, UNKNOWN },
		{ UNKNOWN, UNKNOWN, UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cgroup_usage before = { .throttled_ns = rows[i].before,
					       .throttled_periods = rows[i].before,
					       .oom_kills = rows[i].before,
					       .pids_denied = rows[i].before };
		struct cgroup_usage after = { .throttled_ns = rows[i].after,
					      .throttled_periods = rows[i].after,
					      .oom_kills = rows[i].after,
					      .pids_denied = rows[i].after };
		struct cgroup_usage u = figures_since(&after, &before, 0);

		cr_assert_eq(u.throttled_ns, rows[i].want, "row %zu", i);
		cr_assert_eq(u.throttled_periods, rows[i].want, "row %zu", i);
		cr_assert_eq(u.oom_kills, rows[i].want, "row %zu", i);
		cr_assert_eq(u.pids_denied, rows[i].want, "row %zu", i);
	}
}

Test(figures, the_peak_of_a_cgroup_that_cannot_forget)
{
	struct observed seen = usual();
	struct outcome out = { 0 };

	seen.fresh_peak = false;
	seen.before.memory_peak = 4096;
	figures_of(&seen, &out);
	cr_assert_not(out.charged_known, "it may be an earlier one's");
	seen.after.memory_peak = 8192;
	figures_of(&seen, &out);
	cr_assert(out.charged_known, "it has grown");
	seen.after.memory_peak = UNKNOWN;
	figures_of(&seen, &out);
	cr_assert_not(out.charged_known);
}

/* The scale of ticks is coarser than what a short function uses. */
Test(figures, user_and_system_are_the_sum)
{
	struct cgroup_usage none = { 0 };
	struct cgroup_usage u = { .cpu_ns = 7, .user_ns = 0, .system_ns = 0 };

	u = figures_since(&u, &none, 3);
	cr_assert_eq(u.cpu_ns, 4);
	cr_assert_eq(u.user_ns, 4);
	cr_assert_eq(u.system_ns, 0);
	u = (struct cgroup_usage){ .cpu_ns = UNKNOWN, .user_ns = 5, .system_ns = 5 };
	u = figures_since(&u, &none, 3);
	cr_assert_eq(u.cpu_ns, UNKNOWN);
	cr_assert_eq(u.user_ns, 5);
}
