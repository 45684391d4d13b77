/* SPDX-License-Identifier: MIT */
/*
 * Memory buys CPU: what a busy function is given of the share that its memory entitles it to, at
 * four sizes for five seconds each: within 2 %. The share is a limit and no reservation: what
 * others on this host took away meanwhile (waiting that the quota did not cause, by the meter) is
 * not owed. Needs root and two CPUs.
 */
#include "tests/lib/env.h"
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>

#define VCPU_MB 1769.0 /* one vCPU, as Lambda has it */
#define MARGIN	0.02

/*
 * As many busy processes as it may use CPUs, so that each of them waits for the quota or for others
 * and never for another of them.
 */
static double share_of(unsigned megabytes, const char *command, double *ret_others)
{
	cleanup_run struct run run = { 0 };
	double entitled = megabytes / VCPU_MB, delivered, wall;
	char bind[512], memory[16];

	(void)snprintf(bind, sizeof(bind), "%s:/opt/helpers", env_need("HELPERS"));
	(void)snprintf(memory, sizeof(memory), "%uM", megabytes);
	RUN_CLOCHE(&run, "-m", memory, "-t", "30s", "--bind", bind, "--", "/bin/sh", "-c", command);
	cr_assert_eq(run.status, 0, "%s", run.err);
	wall = (double)report_int(&run, "time.wall_ns") * entitled;
	delivered = (double)report_int(&run, "cpu.on_cpu_ns") / wall;
	*ret_others = (double)(report_int(&run, "cpu.runnable_ns") -
			       report_int(&run, "cpu.throttled_ns")) /
		      wall;
	cr_log_info("%u MB: %.4f of the share, %.4f to others", megabytes, delivered, *ret_others);
	return delivered;
}

/*
 * In one of ten rounds at the latest: an emulated CPU that stands still on a busy host takes from
 * the share what nobody counts, or is counted as the function's where it stands still. A quota that
 * is wrong is so in every round.
 */
static void check_share(unsigned megabytes, const char *command)
{
	double delivered = 0, others = 0, taken;
	bool right = false;

	for (int i = 0; i < 10 && !right; i++) {
		delivered = share_of(megabytes, command, &others);
		/* The kernel's sum of throttling may exceed all waiting by some of it: under a
		 * small quota, which waits 13 times as long as it runs, by a fifth of the share. */
		taken = others > 0 ? others : 0;
		right = delivered <= 1 + MARGIN && delivered + taken >= 1 - MARGIN;
	}
	cr_expect(right, "%u MB: %.4f of the share, %.4f to others", megabytes, delivered, others);
}

#define ONE "exec /opt/helpers/burn 5000"
#define TWO "/opt/helpers/burn 5000 & exec /opt/helpers/burn 5000"

Test(share, delivered_is_entitled, .timeout = 600)
{
	check_share(128, ONE);
	check_share(512, ONE);
	check_share(1769, ONE);
	check_share(3008, TWO);
}
