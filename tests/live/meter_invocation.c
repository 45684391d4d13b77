/* SPDX-License-Identifier: MIT */
/*
 * Whole invocations by exec, many in one context: the three clocks, processes, memory, faults,
 * switches, and the trace. Needs root, BPF, cgroup2, and HELPERS (build/helpers).
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "bpf/meter_abi.h"
#include "meter/events.h"
#include "tests/lib/meter_rig.h"

static const char *helper(void)
{
	static char path[512];
	const char *dir = getenv("HELPERS");

	(void)snprintf(path, sizeof(path), "%s/meter_work", dir ? dir : "build/helpers");
	cr_assert(!access(path, X_OK), "no '%s': make tests", path);
	return path;
}

static uint64_t before_exec_ns = 5 * NSEC_PER_MSEC;

/* Burns before it execs: nothing of it may show in an invocation that begins at the exec. */
static int exec_helper(void *arg)
{
	char **argv = arg;

	rig_burn(before_exec_ns);
	execv(argv[0], argv);
	return 127;
}

static struct meter_usage run(struct rig *r, char *const argv[], bool trace,
			      uint64_t *ret_rusage_ns)
{
	struct child c;
	struct meter_usage u;
	int status;

	rig_begin(r, true, trace);
	c = rig_spawn(r, exec_helper, (void *)argv);
	status = rig_reap(&c, ret_rusage_ns);
	cr_assert(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", (unsigned)status);
	u = rig_end(r);
	cr_assert(u.began && u.complete);
	cr_assert_eq(u.wall_ns, u.busy_ns + u.waiting_ns + u.idle_ns);
	return u;
}

#define RUN(r, ...) run(r, (char *[]){ (char *)helper(), __VA_ARGS__, NULL }, false, NULL)

/*
 * BPF from birth (so that all three mean the same), the cgroup's counter, the parent's rusage. They
 * read the clock one after the other at a switch: what holds the machine up in between (an
 * interrupt, a host that takes the CPU) is in one and not in the other, either way. A slice that
 * was not seen would be short in every round.
 */
Test(meter_invocation, three_clocks_agree)
{
	enum { ROUNDS = 10 };
	char *argv[] = { (char *)helper(), "burn", "50", "fork", "5", "threads", "10", NULL };
	int short_of_cgroup = 0, short_of_rusage = 0;
	struct rig r;

	rig_open(&r, 0);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t cgroup = rig_stat(&r, "cpu.stat", "usage_usec"), rusage, allowed;
		struct meter_usage u;
		struct child c;

		rig_begin(&r, false, false);
		c = rig_spawn(&r, exec_helper, argv);
		cr_assert(!rig_reap(&c, &rusage));
		u = rig_end_last(&r);
		cgroup = (rig_stat(&r, "cpu.stat", "usage_usec") - cgroup) * 1000;
		allowed = 200 * NSEC_PER_USEC + cgroup / 200;
		cr_assert(u.on_cpu_ns <= cgroup + allowed && cgroup <= u.on_cpu_ns + allowed,
			  "bpf %llu, cgroup %llu", (unsigned long long)u.on_cpu_ns,
			  (unsigned long long)cgroup);
		cr_assert_leq(rusage, u.on_cpu_ns + allowed);
		cr_assert_geq(rusage, 55 * NSEC_PER_MSEC);
		short_of_cgroup += u.on_cpu_ns + 1000 < cgroup;
		/* rusage ends when the parent is told, a little before the last switch. */
		short_of_rusage += u.on_cpu_ns + 20 * NSEC_PER_USEC < rusage;
	}
	cr_assert_lt(short_of_cgroup, ROUNDS / 2);
	cr_assert_lt(short_of_rusage, ROUNDS / 2);
	rig_close(&r);
}

Test(meter_invocation, begins_at_exec)
{
	struct meter_usage u;
	struct rig r;

	rig_open(&r, 0);
	before_exec_ns = NSEC_PER_SEC;
	u = RUN(&r, "burn", "1");
	cr_assert_eq(u.started, 1);
	cr_assert_eq(u.peak, 1);
	cr_assert_geq(u.on_cpu_ns, NSEC_PER_MSEC);
	/* What is before is ours, and far more than a program takes to start on any machine. */
	cr_assert_leq(u.on_cpu_ns, before_exec_ns / 2);
	cr_assert_leq(u.on_cpu_ns + (uint64_t)u.stolen_ns, u.wall_ns);
	rig_close(&r);
}

Test(meter_invocation, no_exec_is_told)
{
	char *argv[] = { "/nonexistent", NULL };
	struct meter_usage u;
	struct child c;
	struct rig r;

	rig_open(&r, 0);
	rig_begin(&r, true, false);
	c = rig_spawn(&r, exec_helper, argv);
	rig_reap(&c, NULL);
	u = rig_end(&r);
	cr_assert(!u.began);
	cr_assert_eq(u.started, 1);
	rig_close(&r);
}

Test(meter_invocation, processes_are_counted_anew)
{
	struct meter_usage u;
	struct rig r;

	rig_open(&r, 0);
	for (int i = 0; i < 20; i++) {
		u = RUN(&r, "fork", "7");
		cr_assert_eq(u.started, 8, "%llu", (unsigned long long)u.started);
		cr_assert_eq(u.peak, 8, "%llu", (unsigned long long)u.peak);
		u = RUN(&r, "threads", "9", "exec", "threads", "1");
		cr_assert_eq(u.started, 1);
		cr_assert_eq(u.peak, 1);
		cr_assert_geq(u.switches_voluntary, 1);
	}
	rig_close(&r);
}

/* So many at once that some share an entry of the programs' table (two dozen pairs are to be
 * expected, none with a chance of one in a billion): they are found all the same. */
Test(meter_invocation, a_process_lives_until_its_last_thread)
{
	struct meter_usage u;
	struct rig r;

	rig_open(&r, 0);
	for (int i = 0; i < 3; i++) {
		u = RUN(&r, "leaders", "5");
		cr_assert_eq(u.started, 6, "%llu", (unsigned long long)u.started);
		cr_assert_eq(u.peak, 6, "%llu", (unsigned long long)u.peak);
	}
	u = RUN(&r, "thread-exec", "burn", "1");
	cr_assert_eq(u.started, 1);
	cr_assert_eq(u.peak, 1);
	rig_close(&r);
}

/* What the kernel books as the thread's CPU time is none of its waiting as well. */
Test(meter_invocation, waking_an_idle_cpu_is_no_waiting)
{
	struct meter_usage u;
	struct rig r;

	rig_open(&r, 0);
	u = RUN(&r, "nap", "100");
	cr_assert_leq(u.on_cpu_ns, u.busy_ns + u.busy_ns / 50 + 100 * NSEC_PER_USEC,
		      "on CPU %llu, busy %llu, waiting %llu", (unsigned long long)u.on_cpu_ns,
		      (unsigned long long)u.busy_ns, (unsigned long long)u.waiting_ns);
	rig_close(&r);
}

Test(meter_invocation, a_crowd_is_counted)
{
	char *argv[] = { (char *)helper(), "fork", "900", NULL };
	struct meter_usage u;
	struct rig r;

	rig_open(&r, 0);
	for (int i = 0; i < 2; i++) {
		(void)run(&r, argv, false, NULL);
		u = rig_end_last(&r);
		cr_assert_eq(u.started, 901, "%llu", (unsigned long long)u.started);
		cr_assert_eq(u.peak, 901, "%llu", (unsigned long long)u.peak);
		/* Each birth was followed by a last switch (rig_end_last waited for it). */
		cr_assert_geq(u.switches_voluntary, 901);
	}
	rig_close(&r);
}

/* Also as the 50th in a context in which a bigger one was: peaks are an invocation's own. */
Test(meter_invocation, memory_peaks)
{
	uint64_t base, mib[] = { 1, 16, 64 };
	struct meter_usage u;
	struct rig r;
	char n[16];

	rig_open(&r, 0);
	base = RUN(&r, "touch", "0", "burn", "0").rss_peak_bytes;
	cr_assert_leq(base, 4 << 20);
	for (int i = 0; i < 51; i++) {
		uint64_t want = i == 0 ? 64 : mib[i % 3], got;

		(void)snprintf(n, sizeof(n), "%llu", (unsigned long long)want);
		u = RUN(&r, "touch", n);
		got = u.rss_peak_bytes;
		cr_assert_leq(got, base + ((want + 1) << 20), "%llu MiB: %llu",
			      (unsigned long long)want, (unsigned long long)got);
		cr_assert_geq(got + (1 << 20), base + (want << 20), "%llu MiB: %llu",
			      (unsigned long long)want, (unsigned long long)got);
		cr_assert_geq(u.faults, want * 256);
		cr_assert_geq(u.faults_minor + u.faults_major, want * 256);
		cr_assert_leq(u.faults_minor + u.faults_major, want * 256 + 512);
	}
	rig_close(&r);
}

/* ---- the trace, as a count of what is in it ---- */

struct seen {
	uint64_t n[METER_EV_TYPES], all, last_ns;
	char args[METER_ARGS_MAX];
	size_t args_len;
	int exit_code, signal;
};

static int on_event(const struct meter_event *ev, size_t size, void *arg)
{
	struct seen *s = arg;

	cr_assert(ev->type > 0 && ev->type < METER_EV_TYPES);
	s->n[ev->type]++;
	s->all++;
	if (ev->type == METER_EV_EXEC) {
		const struct meter_event_exec *x = (const void *)ev;

		cr_assert_eq(size, sizeof(*x));
		cr_assert_eq(x->args_len, x->args_all);
		memcpy(s->args, x->args, x->args_len);
		s->args_len = x->args_len;
	}
	if (ev->type == METER_EV_SIGNAL && ev->arg == SIGUSR1)
		s->signal = (int)(ev->value & 0xffffffff) == (int)ev->tgid;
	return 0;
}

/* The kernel kills, by the limit of a memory group on whichever hierarchy has that controller. */
static int hungry(void *arg)
{
	const char *procs = arg;
	int fd = *procs ? open(procs, O_WRONLY | O_CLOEXEC) : -1;

	if (*procs && write(fd, "0", 1) != 1)
		return 3;
	rig_wait();
	for (size_t n = 0; n < 256; n++) {
		char *p = malloc(1 << 20);

		memset(p, (int)n | 1, 1 << 20);
	}
	return 0;
}

static void write_to(const char *dir, const char *file, const char *text)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) > 0, "write '%s'", path);
	close(fd);
}

Test(meter_invocation, oom_kills_are_counted)
{
	bool v1 = !access("/sys/fs/cgroup/memory/tasks", F_OK);
	struct cloche_err err = { 0 };
	struct meter_events *e = NULL;
	char dir[160], procs[192] = "";
	struct seen s = { 0 };
	struct meter_usage u;
	struct child c;
	struct rig r;
	int status;

	rig_open(&r, 0);
	if (v1) {
		(void)snprintf(dir, sizeof(dir), "/sys/fs/cgroup/memory/%s",
			       strrchr(r.leaf_path, '/') + 1);
		cr_assert(!mkdir(dir, 0755));
		(void)snprintf(procs, sizeof(procs), "%s/tasks", dir);
		write_to(dir, "memory.limit_in_bytes", "16M");
	} else {
		write_to("/sys/fs/cgroup", "cgroup.subtree_control", "+memory");
		write_to(r.leaf_path, "memory.max", "16M");
	}
	cr_assert(!meter_events_open(&e, &r.meter, r.ctx.slot, 1 << 20, &err), "%s", err.text);
	rig_begin(&r, false, true);
	c = rig_spawn(&r, hungry, procs);
	rig_go(&c);
	status = rig_reap(&c, NULL);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	u = rig_end(&r);
	cr_assert_eq(u.oom_kills, 1);
	cr_assert(!meter_events_read(e, 0, on_event, &s, &err), "%s", err.text);
	cr_assert_eq(s.n[METER_EV_OOM], 1);
	meter_events_free(e);
	rig_close(&r);
	while (v1 && rmdir(dir) && errno == EBUSY)
		;
}

#define DATAGRAM 1000

/* Ten datagrams to itself: each is there once, with its IP and UDP headers. */
static int talks(void *arg)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);
	char b[DATAGRAM] = { 0 };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (void *)&a, sizeof(a)) || getsockname(fd, (void *)&a, &len))
		return 3;
	rig_wait();
	for (int i = 0; i < 10; i++)
		if (sendto(fd, b, sizeof(b), 0, (void *)&a, sizeof(a)) != sizeof(b) ||
		    recv(fd, b, sizeof(b), 0) != sizeof(b))
			return 3;
	return 0;
}

Test(meter_invocation, bytes_are_counted)
{
	struct cloche_err err = { 0 };
	struct meter_usage u;
	struct child c;
	struct rig r;

	rig_open(&r, 0);
	cr_assert(!meter_watch_network(&r.meter, r.leaf, &err), "%s", err.text);
	cr_assert(!meter_watch_network(&r.meter, r.leaf, &err), "%s", err.text);
	rig_begin(&r, false, false);
	c = rig_spawn(&r, talks, NULL);
	rig_go(&c);
	cr_assert_eq(rig_reap(&c, NULL), 0);
	u = rig_end(&r);
	cr_assert_eq(u.lo_bytes, 10 * (DATAGRAM + 28), "%llu", (unsigned long long)u.lo_bytes);
	cr_assert_eq(u.rx_bytes + u.tx_bytes, 0);
	rig_close(&r);
}

Test(meter_invocation, trace_tells_what_happened)
{
	char *argv[] = { (char *)helper(), "kill", "10", "fork", "3", "exec", "burn", "2", NULL };
	struct cloche_err err = { 0 };
	struct meter_events *e = NULL;
	struct seen s = { 0 };
	struct meter_usage u;
	char want[1024];
	int n;
	struct rig r;

	rig_open(&r, 0);
	cr_assert(!meter_events_open(&e, &r.meter, r.ctx.slot, 1 << 20, &err), "%s", err.text);
	(void)run(&r, argv, true, NULL);
	u = rig_end_last(&r);
	cr_assert(!meter_events_read(e, 0, on_event, &s, &err), "%s", err.text);
	cr_assert_eq(s.n[METER_EV_EXEC], 2);
	cr_assert_eq(s.n[METER_EV_FORK], 4);
	cr_assert_eq(s.n[METER_EV_EXIT], 4);
	cr_assert_eq(s.n[METER_EV_OOM], 0);
	cr_assert_eq(s.signal, 1);
	n = snprintf(want, sizeof(want), "%s%cburn%c2", helper(), 0, 0) + 1;
	cr_assert_eq(s.args_len, (size_t)n);
	cr_assert(memcmp(s.args, want, (size_t)n) == 0);
	cr_assert_eq(s.n[METER_EV_ON], s.n[METER_EV_OFF]);
	cr_assert_eq(s.all, u.events);
	cr_assert_eq(u.lost, 0);
	/* Without tracing nothing is written. */
	u = RUN(&r, "fork", "3");
	cr_assert_eq(u.events + u.lost, 0);
	meter_events_free(e);
	rig_close(&r);
}

/* A ring of one page loses nearly all: read and lost together are what an ample one gets. */
Test(meter_invocation, every_loss_is_counted)
{
	char *argv[] = { (char *)helper(), "threads", "2000", NULL };
	uint64_t births = 0, deaths = 0;
	struct cloche_err err = { 0 };
	struct meter_events *e = NULL;
	struct seen s = { 0 };
	struct meter_usage u;
	struct child c;
	struct rig r;

	rig_open(&r, 0);
	cr_assert(!meter_events_open(&e, &r.meter, r.ctx.slot, 16 << 20, &err), "%s", err.text);
	(void)run(&r, argv, true, NULL);
	u = rig_end_last(&r);
	cr_assert(!meter_events_read(e, 0, on_event, &s, &err), "%s", err.text);
	births = s.n[METER_EV_FORK];
	deaths = s.n[METER_EV_EXIT];
	cr_assert_eq(births, 2001);
	cr_assert_eq(deaths, 2001);
	cr_assert_eq(u.lost, 0);
	cr_assert_eq(s.all, u.events);
	meter_events_free(e);
	e = NULL;
	s = (struct seen){ 0 };
	cr_assert(!meter_events_open(&e, &r.meter, r.ctx.slot, 1, &err), "%s", err.text);
	rig_begin(&r, false, true);
	c = rig_spawn(&r, exec_helper, argv);
	cr_assert(!rig_reap(&c, NULL));
	u = rig_end_last(&r);
	cr_assert(!meter_events_read(e, 0, on_event, &s, &err), "%s", err.text);
	cr_assert_eq(s.all, u.events);
	cr_assert_gt(u.lost, 0);
	/* Known for certain: births, deaths, one exec, an OFF for each switch and an ON before it.
	 */
	cr_assert_eq(u.events + u.lost,
		     2001 + 2001 + 1 + 2 * (u.switches_voluntary + u.switches_forced));
	meter_events_free(e);
	rig_close(&r);
}
