/* SPDX-License-Identifier: MIT */
/*
 * A daemon that was killed: what it leaves is there until the next one comes.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/daemon.h"

static void expect_that_the_launcher_takes_all(void)
{
	struct daemon d;
	struct client c;

	daemon_prepare(&d);
	daemon_start(&d);
	c = client_begin(&d);
	daemon_kill(&d);
	client_expect_lost(&c);
	daemon_start(&d);
	daemon_expect_serves(&d);
	daemon_expect_records(&d, " ok ", 1);
	daemon_stop(&d);
}

/* Who kills all of it at once leaves what the next start writes. */
static void expect_that_no_record_is_lost(void)
{
	struct client c[2];
	struct daemon d;
	pid_t front;

	daemon_prepare(&d);
	daemon_start(&d);
	for (int i = 0; i < 2; i++)
		c[i] = client_begin(&d);
	front = daemon_front(&d);
	cr_assert_eq(kill(d.pid, SIGSTOP), 0);
	cr_assert_eq(kill(front, SIGKILL), 0);
	daemon_kill(&d);
	for (int i = 0; i < 2; i++)
		client_expect_lost(&c[i]);
	daemon_start(&d);
	expect_line(d.said, "2 that ran when a front ended: in the ledger as cancelled");
	daemon_expect_records(&d, "cancelled", 2);
	daemon_expect_serves(&d);
	daemon_stop(&d);
}

/* What it was just making may have its lock a moment longer than it. */
static void expect_that_a_lock_of_the_dead_is_waited_for(void)
{
	char path[700], text[16];
	struct daemon d;
	pid_t dead;
	int lock;

	daemon_prepare(&d);
	daemon_start(&d);
	dead = d.pid;
	daemon_kill(&d);
	(void)snprintf(path, sizeof(path), "%s/state/lock", d.dir);
	lock = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0, "%m");
	cr_assert_gt(read(lock, text, sizeof(text) - 1), 0);
	cr_assert_eq(strtol(text, NULL, 10), dead);
	if (fork() == 0) {
		/* So long that it is met; by somebody who inherited it. */
		(void)poll(NULL, 0, 300);
		_exit(0);
	}
	(void)close(lock);
	daemon_start(&d);
	daemon_expect_serves(&d);
	daemon_stop(&d);
	while (wait(NULL) > 0)
		;
}

/* One after the other. */
Test(daemon_killed, takes_all_with_it_and_starts_anew)
{
	expect_that_the_launcher_takes_all();
	expect_that_no_record_is_lost();
	expect_that_a_lock_of_the_dead_is_waited_for();
}
