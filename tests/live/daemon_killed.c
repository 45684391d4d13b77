/* SPDX-License-Identifier: MIT */
/*
 * A daemon that was killed. By itself: what it leaves is there until the next one comes, and others
 * that look for what is left on this host would find it.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "tests/lib/daemon.h"
#include "tests/lib/run.h"

Test(daemon_killed, takes_all_with_it_and_starts_anew)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	struct client c;

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin(&d);
	cr_assert_eq(kill(d.pid, SIGKILL), 0);
	cr_expect_eq(process_status(d.pid), 137);
	expect_line(c.err, "the daemon has ended before it answered");
	cr_expect_eq(process_status(c.pid), 125);
	client_expect_over(&c);
	(void)fclose(d.said);
	daemon_start(&d);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_expect_records(&d, " ok ", 1);
	daemon_stop(&d);
}
