/* SPDX-License-Identifier: MIT */
/*
 * Numbers that a user has for his containers are none of the daemon's users: he would have his
 * limits as often as there are such numbers. Needs root.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

#define LENT	 "700001"
#define NOT_LENT "765536" /* the next after the last */

static const char *const args[] = { "-q",  "-m", "32M", "--cpu", "shared", "-t",
				    "60s", "--", "id",	"-un",	 NULL };

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %m", path);
}

/* In the place of the host's, for this process and what it starts; root's daemon.h folder has it.
 */
static void lend(const struct daemon *d, const char *text)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/subuid", d->dir);
	put(path, text);
	if (access("/etc/subuid", F_OK) < 0)
		test_skip("the host has no /etc/subuid to put another one upon");
	cr_assert(unshare(CLONE_NEWNS) == 0 &&
			  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			  mount(path, "/etc/subuid", NULL, MS_BIND, NULL) == 0,
		  "%m");
}

static void expect(const struct daemon *d, const char *uid, bool served)
{
	cleanup_run struct run run = { 0 };

	daemon_run_as(d, uid, &run, args);
	cr_expect_eq(run.status, served ? 0 : 125, "%s: %d %s", uid, run.status, run.err);
	if (!served)
		expect_has(run.err, "user " LENT " is a number that a user has for his containers "
				    "(/etc/subuid)");
}

Test(daemon_subordinates, they_are_no_users)
{
	struct daemon d;

	daemon_prepare(&d);
	lend(&d, "somebody:700000:65536\n");
	daemon_start(&d);
	expect(&d, LENT, false);
	expect(&d, NOT_LENT, true);
	expect(&d, DAEMON_USER, true);
	daemon_stop(&d);
}

/* The administrator knows better, from the signal on. */
Test(daemon_subordinates, but_those_that_the_configuration_names)
{
	struct daemon d;

	daemon_prepare(&d);
	lend(&d, "somebody:700000:65536\n");
	daemon_start(&d);
	expect(&d, LENT, false);
	daemon_reconfigure(&d, "owners:\n  - {user: " LENT ", contexts: 2}\n");
	cr_assert_eq(kill(d.pid, SIGHUP), 0);
	expect_line(d.said, "the configuration is read anew");
	expect(&d, LENT, true);
	daemon_stop(&d);
}

/* So does a file that was changed, and the next front by itself. */
Test(daemon_subordinates, lent_later)
{
	char path[600];
	struct pollfd end = { .events = POLLIN };
	struct daemon d;
	pid_t front;

	daemon_prepare(&d);
	lend(&d, "");
	daemon_start(&d);
	expect(&d, LENT, true);
	front = daemon_front(&d);
	(void)snprintf(path, sizeof(path), "%s/subuid", d.dir);
	put(path, "somebody:700000:65536\n");
	end.fd = (int)syscall(SYS_pidfd_open, front, 0);
	cr_assert(end.fd >= 0 && kill(front, SIGKILL) == 0 && poll(&end, 1, -1) == 1, "%m");
	(void)close(end.fd);
	expect(&d, LENT, false);
	put(path, "");
	cr_assert_eq(kill(d.pid, SIGHUP), 0);
	expect_line(d.said, "the configuration is read anew");
	expect(&d, LENT, true);
	daemon_stop(&d);
}
