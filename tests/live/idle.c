/* SPDX-License-Identifier: MIT */
/*
 * What a context is while it is idle, beside many others: a warden, with nothing of theirs, in a
 * table of descriptors that is as small as with one. Needs root.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "host/slot.h"
#include "tests/lib/daemon.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#define CONTEXTS 12

/* So many lines of the process' file have the text. */
static unsigned lines_with(int pid, const char *file, const char *text)
{
	char path[64], line[600];
	unsigned n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "re");
	cr_assert(f, "%s: %m", path);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	(void)fclose(f);
	return n;
}

/* So many of its descriptors are of a file whose name has the text. */
static unsigned fds_of(int pid, const char *text)
{
	char path[64], to[400];
	const struct dirent *e;
	unsigned n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	cr_assert(d, "%s: %m", path);
	while ((e = readdir(d))) {
		ssize_t len = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);

		to[len > 0 ? len : 0] = '\0';
		n += strstr(to, text) != NULL;
	}
	(void)closedir(d);
	return n;
}

static void expect_small(int warden)
{
	cr_expect_eq(fds_of(warden, "/slots"), 1, "slots of others");
	/* The launcher's, and who drives the next invocation; a blank has one. */
	cr_expect_leq(fds_of(warden, "socket:"), 2, "sockets of others");
	cr_expect_eq(lines_with(warden, "maps", "memfd:context"), 1, "pages of others");
	cr_expect_eq(lines_with(warden, "status", "FDSize:\t64\n"), 1, "room for others'");
}

Test(idle, a_warden_has_nothing_of_others)
{
	char path[64], memory[16];
	unsigned wardens = 0;
	struct daemon d;
	int pid, front;
	FILE *f;

	daemon_prepare(&d);
	daemon_start(&d);
	for (int i = 0; i < CONTEXTS; i++) {
		cleanup_run struct run run = { 0 };

		(void)snprintf(memory, sizeof(memory), "%dM", 16 + i);
		AS_USER(&d, &run, "-q", "-m", memory, "--cpu", "shared", "-t", "60s", "--", "true");
		cr_expect_eq(run.status, 0, "%s", run.err);
	}
	front = daemon_front(&d);
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", d.pid, d.pid);
	f = fopen(path, "re");
	cr_assert(f, "%s: %m", path);
	while (fscanf(f, "%d", &pid) == 1)
		if (pid != front && lines_with(pid, "status", "Seccomp_filters:\t1\n")) {
			expect_small(pid);
			wardens++;
		}
	(void)fclose(f);
	cr_expect_geq(wardens, CONTEXTS);
	daemon_stop(&d);
}

static int clean_never(unsigned n, void *arg, struct cloche_err *err)
{
	(*(unsigned *)arg)++;
	return -EBUSY;
}

/* What a dead one has left is tried by whoever comes, each time; but not what the caller knows to
 * be its own. */
Test(idle, slots_that_are_ours_are_not_tried)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_fd int run = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct slot left = { .fd = -1 }, next = { .fd = -1 };
	static bool ours[SLOT_MAX];
	struct cloche_err err = { 0 };
	unsigned tried = 0;

	cr_assert_eq(slot_take(run, NULL, clean_never, &tried, &left, &err), 0, "%s", err.text);
	slot_release(&left, false);
	cr_assert_eq(slot_take(run, NULL, clean_never, &tried, &next, &err), 0, "%s", err.text);
	cr_expect_eq(tried, 1);
	cr_expect_neq(next.n, left.n);
	slot_release(&next, true);
	ours[left.n] = true;
	cr_assert_eq(slot_take(run, ours, clean_never, &tried, &next, &err), 0, "%s", err.text);
	cr_expect_eq(tried, 1);
	cr_expect_neq(next.n, left.n);
	slot_release(&next, true);
}
