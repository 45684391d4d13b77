/* SPDX-License-Identifier: MIT */
/*
 * A crowd that ends at once: with twice as many contexts as the daemon has by default, each with a
 * function in it, the launcher is killed, and all wardens with it. Each process with a filter of
 * its own frees a JIT image then, of which more than a thousand at a time have stopped a kernel; so
 * this is done in a guest only.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "serve/config.h"
#include "tests/lib/daemon.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/throwaway.h"

/* What the kernel has been seen to stop at. */
#define IMAGES_DANGER 1024
#define LOG_ALL	      3 /* SYSLOG_ACTION_READ_ALL */
#define LOG_CLEAR     5 /* SYSLOG_ACTION_CLEAR */
#define LOG_MAX	      (1 << 20)

/* The filters that the processes of a cgroup or of the daemon are under, each as often as it is
 * inherited: no less than there are images. */
static unsigned filters_of(int pid)
{
	char path[64], line[256];
	unsigned n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Seccomp_filters: %u", &n) == 1)
			break;
	if (f)
		(void)fclose(f);
	return n;
}

/* All processes below, which the launcher's children and theirs are. */
static unsigned filters_below(int pid)
{
	char path[64];
	unsigned n = filters_of(pid);
	int child;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		n += filters_below(child);
	if (f)
		(void)fclose(f);
	return n;
}

static void expect_a_well_kernel(void)
{
	static const char *const ills[] = {
		"BUG:",	       "Oops",		 "blocked for more than",
		"soft lockup", "rcu_sched self", "Call Trace"
	};
	char *log = calloc(1, LOG_MAX + 1);

	cr_assert(log && klogctl(LOG_ALL, log, LOG_MAX) >= 0);
	for (size_t i = 0; i < sizeof(ills) / sizeof(ills[0]); i++)
		cr_expect_null(strstr(log, ills[i]), "the kernel says: %s", strstr(log, ills[i]));
	free(log);
}

static void fill(const struct daemon *d, struct client *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		c[i] = client_begin_args(
			d, (const char *const[]){ "-m", "8M", "--cpu", "shared", "-t", "900s", "-e",
						  d->mark, "--", "sh", "-c",
						  "echo begun; exec sleep 900", NULL });
}

static void expect_all_ended(struct client *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		cr_expect_eq(process_status(c[i].pid), 125);
		client_expect_over(&c[i]);
	}
}

static void expect_served(const struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	AS_USER(d, &run, "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
}

Test(escape_crowd, twice_the_bound_killed_at_once_stops_no_kernel)
{
	static struct config usual;
	unsigned n, filters;
	struct client *c;
	struct daemon d;
	char lines[128];

	only_in_a_guest();
	cr_assert_eq(file_write_text(AT_FDCWD, "/proc/sys/net/core/bpf_jit_enable", "1", NULL), 0);
	/* What other tests have had it say (memory limits are told with a trace) is not of this. */
	cr_assert_geq(klogctl(LOG_CLEAR, NULL, 0), 0);
	config_defaults(&usual);
	n = 2 * usual.contexts;
	c = calloc(n, sizeof(*c));
	cr_assert(c != NULL);
	daemon_prepare(&d);
	(void)snprintf(lines, sizeof(lines),
		       "contexts: %u\nper_owner: {contexts: %u}\nsilence: 60s\n", n, n);
	daemon_reconfigure(&d, lines);
	/* Twice: what the first one leaves to be freed is there when the second ends. */
	for (int round = 0; round < 2; round++) {
		daemon_start(&d);
		fill(&d, c, n);
		filters = filters_below(d.pid);
		fprintf(stderr, "%u contexts, %u filters\n", n, filters);
		/* All have one, and by default they are few enough. */
		cr_expect_geq(filters, n);
		cr_expect_lt(filters / 2, IMAGES_DANGER);
		cr_assert_eq(kill(d.pid, SIGKILL), 0);
		cr_expect_eq(process_status(d.pid), 137);
		expect_all_ended(c, n);
		(void)fclose(d.said);
		expect_a_well_kernel();
	}
	daemon_start(&d);
	expect_served(&d);
	daemon_expect_records(&d, "cancelled", 2 * (size_t)n);
	daemon_stop(&d);
	expect_a_well_kernel();
	free(c);
}
