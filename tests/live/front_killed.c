/* SPDX-License-Identifier: MIT */
/*
 * The front is killed at each call that it makes between the end of an invocation and its answer:
 * wherever that is, the invocation has one record, and its client one answer or one clear error.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/lib/captive.h"
#include "tests/lib/daemon.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

/* So many calls are more than it makes: the test would not end. */
#define CALLS_MAX 500

static bool has_ended(const struct client *c)
{
	siginfo_t end = { 0 };

	return waitid(P_PID, (id_t)c->pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid;
}

/* What writes, or says something to somebody. */
static bool counts(long call)
{
	return call == SYS_pwrite64 || call == SYS_sendmsg || call == SYS_write ||
	       call == SYS_ftruncate || call == SYS_fallocate;
}

/* Stopped there, its end not yet seen; false: the client was answered before. */
static bool bring_to(const struct captive *front, const struct client *c, unsigned nth)
{
	for (unsigned seen = 0, i = 0; i < CALLS_MAX; i++) {
		if (counts(captive_next(front)) && seen++ == nth)
			return true;
		if (has_ended(c))
			return false;
	}
	cr_assert_fail("it goes on for ever");
	return false;
}

static bool kill_at(unsigned nth)
{
	cleanup_run struct run run = { 0 };
	struct captive front;
	struct client c;
	struct daemon d;
	bool answered;
	int status;

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin(&d);
	captive_take(&front, daemon_front(&d));
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	answered = !bring_to(&front, &c, nth);
	cr_assert_eq(kill(front.pid, SIGKILL), 0);
	cr_assert_eq(waitpid(front.pid, &status, __WALL), front.pid);
	status = process_status(c.pid);
	cr_expect(answered ? status == 130 : status == 125 || status == 130, "%u: %d", nth, status);
	client_expect_over(&c);
	/* What the next front could not see to before it was told to end, the one after does. */
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	cr_assert_eq(kill(d.pid, SIGTERM), 0);
	cr_expect_eq(process_status(d.pid), 0);
	(void)fclose(d.said);
	daemon_start(&d);
	AS_USER(&d, &run, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_expect_records(&d, "cancelled", 1);
	daemon_stop(&d);
	return !answered;
}

Test(front_killed, at_each_call_an_invocation_has_one_record)
{
	unsigned n = 0;

	while (kill_at(n))
		n++;
	/* The record alone takes three writes, and there is what is said to the launcher. */
	cr_expect_gt(n, 5, "%u calls only were seen", n);
}
