/* SPDX-License-Identifier: MIT */
/*
 * A crowd that ends at once: two daemons with as many contexts each as one may have, and so twice
 * the bound, are killed with all their wardens. Each function's filter is a JIT image, of which
 * more than a thousand freed at a time have stopped a kernel; and network namespaces, mounts and
 * cgroups have queues of their own. So this is done in a guest only. CROWD: contexts of each
 * daemon, 1000 for as many as may be, which takes an emulated guest half an hour; else 64.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/klog.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "launch/running.h"
#include "tests/lib/daemon.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/throwaway.h"

#define DAEMONS	 2
#define SOME	 32
#define IDLE_MAX 1000 /* what the configuration may say */
/* Programs that have nothing to do with how many contexts there are: of a daemon, of its clients.
 */
#define FEW_IMAGES 48
#define LOG_ALL	   3 /* SYSLOG_ACTION_READ_ALL */
#define LOG_CLEAR  5 /* SYSLOG_ACTION_CLEAR */
#define LOG_MAX	   (1 << 20)

/* Of each daemon. */
static unsigned crowd(unsigned most)
{
	const char *asked = getenv("CROWD");
	unsigned long n = asked && *asked ? strtoul(asked, NULL, 10) : SOME;

	return n < most ? (unsigned)n : most;
}

/* BPF programs that the kernel holds, filters among them, each once however many inherit it. */
static unsigned programs(void)
{
	char line[512];
	unsigned n = 0;
	FILE *f = fopen("/proc/vmallocinfo", "re");

	cr_assert(f, "/proc/vmallocinfo: %m");
	while (fgets(line, sizeof(line), f))
		n += strstr(line, " bpf_prog_alloc") != NULL;
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

/* ---- two daemons ----------------------------------------------------------------------------- */

/* What the kernel holds is all tests'. */
static void be_alone(void)
{
	int lock = open("/run/cloche-test-crowd", O_RDWR | O_CREAT, 0600);

	cr_assert(lock >= 0 && flock(lock, LOCK_EX) == 0, "%m");
}

static void prepare(struct daemon d[static DAEMONS], unsigned contexts)
{
	struct rlimit files;
	char lines[160];

	only_in_a_guest();
	be_alone();
	cr_assert_eq(file_write_text(AT_FDCWD, "/proc/sys/net/core/bpf_jit_enable", "1", NULL), 0);
	/* Two pipes of each client. */
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	/* What other tests have had it say (memory limits are told with a trace) is not of this. */
	cr_assert_geq(klogctl(LOG_CLEAR, NULL, 0), 0);
	(void)snprintf(lines, sizeof(lines),
		       "contexts: %u\nper_owner: {contexts: %u}\nsilence: 60s\n"
		       "idle_expiry: 900s\n",
		       contexts, contexts);
	for (int i = 0; i < DAEMONS; i++) {
		daemon_prepare(&d[i]);
		daemon_reconfigure(&d[i], lines);
	}
}

static void kill_both(struct daemon d[static DAEMONS])
{
	for (int i = 0; i < DAEMONS; i++)
		cr_assert_eq(kill(d[i].pid, SIGKILL), 0);
	for (int i = 0; i < DAEMONS; i++) {
		cr_expect_eq(process_status(d[i].pid), 137);
		(void)fclose(d[i].said);
	}
}

/* What the ones before have left is found and taken away. */
static void expect_served_and_nothing_left(struct daemon d[static DAEMONS])
{
	for (int i = 0; i < DAEMONS; i++) {
		cleanup_run struct run run = { 0 };

		daemon_start(&d[i]);
		AS_USER(&d[i], &run, "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--",
			"true");
		cr_expect_eq(run.status, 0, "%s", run.err);
		daemon_stop(&d[i]);
	}
	expect_a_well_kernel();
}

/* ---- functions ------------------------------------------------------------------------------- */

#define ONE(d) "-m", "4M", "--cpu", "shared", "-t", "900s", "-e", (d)->mark, "--", "sh", "-c"

static void fill(const struct daemon *d, struct client *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		c[i] = client_begin_args(
			d, (const char *const[]){ ONE(d), "echo begun; exec sleep 900", NULL });
}

/* Those that run are as many as may. */
static void expect_no_more(const struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	AS_USER(d, &run, ONE(d), "true");
	cr_expect_eq(run.status, 125, "%s", run.err);
	cr_expect(strstr(run.err, "no more, whatever is configured") != NULL, "%s", run.err);
}

static void expect_all_ended(struct client *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		cr_expect_eq(process_status(c[i].pid), 125);
		client_expect_over(&c[i]);
	}
}

Test(escape_crowd, functions_of_twice_the_bound_killed_at_once_stop_no_kernel)
{
	const unsigned n = crowd(RUNNING_MAX);
	struct client *c = calloc((size_t)DAEMONS * n, sizeof(*c));
	struct daemon d[DAEMONS];
	unsigned before, more;

	cr_assert(c != NULL);
	prepare(d, n + 1);
	/* Twice: what the first one leaves to be freed is there when the second ends. */
	for (int round = 0; round < 2; round++) {
		before = programs();
		for (unsigned i = 0; i < DAEMONS; i++) {
			daemon_start(&d[i]);
			fill(&d[i], c + i * n, n);
			if (n == RUNNING_MAX)
				expect_no_more(&d[i]);
		}
		more = programs() - before;
		fprintf(stderr, "%u functions, %u filters\n", DAEMONS * n, more);
		/* Each has one, and nothing else has more than a few. */
		cr_expect_geq(more, DAEMONS * n);
		cr_expect_lt(more, DAEMONS * n + FEW_IMAGES);
		kill_both(d);
		expect_all_ended(c, DAEMONS * n);
		expect_a_well_kernel();
	}
	expect_served_and_nothing_left(d);
	free(c);
}

/* ---- what is idle ---------------------------------------------------------------------------- */

/* Each of another kind, so that each has a context of its own, which stays. */
static void keep(const struct daemon *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		cleanup_run struct run run = { 0 };
		char tmp[16], shm[16];

		(void)snprintf(tmp, sizeof(tmp), "%uK", 1024 + 4 * (i / 32));
		(void)snprintf(shm, sizeof(shm), "%uK", 1024 + 4 * (i % 32));
		AS_USER(d, &run, "-q", "-m", "4M", "--tmp-size", tmp, "--shm-size", shm, "--cpu",
			"shared", "-t", "60s", "--", "true");
		cr_assert_eq(run.status, 0, "%u: %s", i, run.err);
	}
}

static unsigned wardens_of(const struct daemon *d)
{
	char path[64];
	unsigned n = 0;
	int child;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", d->pid, d->pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		n++;
	if (f)
		(void)fclose(f);
	return n ? n - 1 : 0;
}

Test(escape_crowd, idle_contexts_hold_no_filter_and_may_be_many)
{
	const unsigned n = crowd(IDLE_MAX);
	struct daemon d[DAEMONS];
	unsigned before, more;

	prepare(d, n);
	before = programs();
	for (unsigned i = 0; i < DAEMONS; i++) {
		daemon_start(&d[i]);
		keep(&d[i], n);
		cr_expect_geq(wardens_of(&d[i]), n);
	}
	more = programs() - before;
	fprintf(stderr, "%u idle contexts, %u filters\n", DAEMONS * n, more);
	cr_expect_lt(more, FEW_IMAGES);
	kill_both(d);
	expect_a_well_kernel();
	expect_served_and_nothing_left(d);
}
