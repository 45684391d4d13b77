/* SPDX-License-Identifier: MIT */
/* An invocation that began with an init: what is added up, what is the more of both, what is not
 * known. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "run/outcome.h"
#include "run/parts.h"

#define UNKNOWN UINT64_MAX

static struct outcome part(uint64_t n)
{
	struct outcome out = { .ran = true,
			       .verdict = VERDICT_OK,
			       .started_real_ns = (int64_t)(1000 * n),
			       .wall_ns = (int64_t)(60 * n),
			       .on_cpu_ns = 9 * n,
			       .rusage_ns = 8 * n,
			       .rusage = { .ru_utime = { .tv_usec = 600000 },
					   .ru_maxrss = (long)(7 * n),
					   .ru_nvcsw = (long)n },
			       .usage = { .cpu_ns = 9 * n,
					  .throttled_ns = n,
					  .memory_peak = 100 / n,
					  .oom_kills = n },
			       .charged_known = true };

	out.metered.known = true;
	out.metered.usage = (struct meter_usage){ .complete = true,
						  .begin_ns = 500 * n,
						  .wall_ns = 60 * n,
						  .busy_ns = 30 * n,
						  .waiting_ns = 20 * n,
						  .quota_ns = 15 * n,
						  .contention_ns = 5 * n,
						  .idle_ns = 10 * n,
						  .started = n,
						  .peak = 4 - n,
						  .memory_known = true,
						  .memory_peak_bytes = 100 / n };
	return out;
}

Test(parts, what_both_took_and_the_most_of_either)
{
	struct outcome init = part(1), out = part(2);
	const struct meter_usage *m = &out.metered.usage;

	out.verdict = VERDICT_ERROR;
	parts_join(&out, &init);
	cr_expect_eq(out.verdict, VERDICT_ERROR);
	cr_expect_eq(out.started_real_ns, 1000);
	cr_expect_eq(out.wall_ns, 180);
	cr_expect_eq(out.on_cpu_ns, 27);
	cr_expect_eq(out.rusage_ns, 24);
	cr_expect_eq(out.rusage.ru_utime.tv_sec, 1);
	cr_expect_eq(out.rusage.ru_utime.tv_usec, 200000);
	cr_expect_eq(out.rusage.ru_maxrss, 14);
	cr_expect_eq(out.rusage.ru_nvcsw, 3);
	cr_expect_eq(out.usage.cpu_ns, 27);
	cr_expect_eq(out.usage.throttled_ns, 3);
	cr_expect_eq(out.usage.oom_kills, 3);
	cr_expect_eq(out.usage.memory_peak, 100);
	cr_expect_eq(m->begin_ns, 500);
	cr_expect_eq(m->wall_ns, 180);
	cr_expect_eq(m->wall_ns, m->busy_ns + m->waiting_ns + m->idle_ns);
	cr_expect_eq(m->waiting_ns, m->quota_ns + m->contention_ns);
	cr_expect_eq(m->started, 3);
	cr_expect_eq(m->peak, 3);
	cr_expect_eq(m->memory_peak_bytes, 100);
	cr_expect(out.charged_known && out.metered.known && m->complete && m->memory_known);
}

Test(parts, what_one_does_not_know_both_do_not)
{
	struct outcome init = part(1), out = part(2);

	init.usage.throttled_ns = UNKNOWN;
	init.charged_known = false;
	init.metered.known = false;
	(void)snprintf(init.metered.why, sizeof(init.metered.why), "why not");
	out.usage.oom_kills = UNKNOWN;
	out.usage.memory_peak = UNKNOWN;
	parts_join(&out, &init);
	cr_expect_eq(out.usage.throttled_ns, UNKNOWN);
	cr_expect_eq(out.usage.oom_kills, UNKNOWN);
	cr_expect_eq(out.usage.memory_peak, UNKNOWN);
	cr_expect_eq(out.usage.cpu_ns, 27);
	cr_expect_not(out.charged_known);
	cr_expect_not(out.metered.known);
	cr_expect_str_eq(out.metered.why, "why not");
}

Test(parts, the_last_call_that_its_policy_killed_for_is_told)
{
	struct outcome init = part(1), out = part(2);

	init.metered.usage.killed_arch = 5;
	init.metered.usage.killed_call = 6;
	init.metered.usage.policy_kills = 1;
	parts_join(&out, &init);
	cr_expect_eq(out.metered.usage.killed_call, 6);
	cr_expect_eq(out.metered.usage.policy_kills, 1);
	out.metered.usage.killed_call = 7;
	parts_join(&out, &init);
	cr_expect_eq(out.metered.usage.killed_call, 7);
	cr_expect_eq(out.metered.usage.policy_kills, 2);
}
