/* SPDX-License-Identifier: MIT */
/*
 * A host that is short of memory, by the kernel's own word (PSI): what the daemon keeps becomes
 * less, what was longest not used first. All of the host has to stall for that, so it is a guest.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "tests/lib/daemon.h"
#include "tests/lib/run.h"
#include "tests/lib/throwaway.h"

#define KEPT	 8
#define PRESSING "/sys/fs/cgroup/cloche-pressing"

/* ---- the daemon's contexts ------------------------------------------------------------------- */

/* Each of another kind, so that none serves two, and known by its command. */
static void use_one(const struct daemon *d, unsigned i)
{
	cleanup_run struct run run = { 0 };
	char memory[16], number[16];

	(void)snprintf(memory, sizeof(memory), "%uM", 32 + i);
	(void)snprintf(number, sizeof(number), "no%u", i);
	AS_USER(d, &run, "-q", "-m", memory, "--cpu", "shared", "-t", "60s", "--", "true", number);
	cr_assert_eq(run.status, 0, "%s", run.err);
}

/* Which are there, a bit each; and how many of these are idle. */
static unsigned look(const struct daemon *d, unsigned *ret_idle)
{
	cleanup_run struct run run = { 0 };
	struct daemon as = *d;
	unsigned there = 0, idle = 0;
	char command[24];

	as.verb = "ps";
	AS_USER(&as, &run, "--json");
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (unsigned i = 0; i < KEPT; i++) {
		(void)snprintf(command, sizeof(command), "\"true no%u\"", i);
		if (strstr(run.out, command))
			there |= 1U << i;
	}
	for (const char *at = run.out; (at = strstr(at, "\"ready\"")); at++)
		idle++;
	*ret_idle = idle;
	return there;
}

/* ---- who presses ----------------------------------------------------------------------------- */

/* Above memory.high each page costs its process a sleep, which counts as a stall. */
static pid_t press(void)
{
	pid_t pid;

	(void)file_write_text(AT_FDCWD, "/sys/fs/cgroup/cgroup.subtree_control", "+memory", NULL);
	cr_assert_eq(mkdir(PRESSING, 0755), 0, "%m");
	cr_assert_eq(file_write_text(AT_FDCWD, PRESSING "/memory.high", "16M", NULL), 0);
	cr_assert_eq(file_write_text(AT_FDCWD, PRESSING "/memory.max", "64M", NULL), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (file_write_text(AT_FDCWD, PRESSING "/cgroup.procs", "0", NULL) == 0)
			(void)execlp("sh", "sh", "-c", "while :; do tail /dev/zero; done", NULL);
		_exit(99);
	}
	return pid;
}

static void stop_pressing(pid_t pid)
{
	char procs[128];

	cr_assert_eq(file_write_text(AT_FDCWD, PRESSING "/cgroup.kill", "1", NULL), 0);
	(void)waitpid(pid, NULL, 0);
	do
		cr_assert_eq(file_read_text(AT_FDCWD, PRESSING "/cgroup.events", procs,
					    sizeof(procs), NULL),
			     0);
	while (strstr(procs, "populated 1"));
	cr_expect_eq(rmdir(PRESSING), 0, "%m");
}

Test(escape_pressure, the_least_valuable_go_when_the_host_is_short_of_memory)
{
	unsigned idle = 0, there;
	struct daemon d;
	pid_t presser;

	only_in_a_guest();
	daemon_prepare(&d);
	daemon_reconfigure(&d, "idle_expiry: 3600s\n");
	daemon_start(&d);
	for (unsigned i = 0; i < KEPT; i++) {
		use_one(&d, i);
		/* So that each is idle for longer than the next. */
		while (look(&d, &idle), idle <= i)
			;
	}
	there = look(&d, &idle);
	cr_expect_eq(there, (1U << KEPT) - 1, "kept before: %x", there);
	presser = press();
	while (look(&d, &idle), idle == KEPT)
		;
	stop_pressing(presser);
	/* One that was used later has not gone before one that was used earlier. */
	there = look(&d, &idle);
	fprintf(stderr, "of %d kept contexts there are still, by bits, %x\n", KEPT, there);
	cr_expect_lt(idle, KEPT);
	if (there && !(there & 1U << (KEPT - 1)))
		cr_assert_fail("the last one went before others: %x", there);
	for (unsigned i = 0; i + 1 < KEPT; i++)
		cr_expect(!(there & 1U << i) || there & 1U << (i + 1), "%u went before %u: %x",
			  i + 1, i, there);
	/* And it serves as before. */
	use_one(&d, 0);
	daemon_stop(&d);
}
