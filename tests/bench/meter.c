/* SPDX-License-Identifier: MIT */
/*
 * What the meter costs: a context switch with no meter, with an empty program on sched_switch alone
 * and with two on the meter's two hooks (the floor: what the kernel takes for calling them), with
 * the meter but outside any context, and inside one; a system call while somebody traces; and what
 * a run pays for finding the meter, arming, beginning and ending.
 *
 * The switch is a byte going back and forth between two processes on one CPU, the cheapest switch
 * that user space can make and so the hardest on the meter. The three are measured in turns, round
 * by round, and compared within the round; the noise shown is the spread between rounds of the same
 * thing (half the distance of the quartiles).
 *
 *   build/tests/bench/meter [ROUNDS]        as root; default 30
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "meter/meter.h"
#include "meter/usage.h"
#include "floor.skel.h"

#define NAME	   "cloche-meter-bench"
#define TURNS	   20000
#define ROUNDS_MAX 1000
#define SLOT	   500

enum { NONE, FLOOR_SWITCH, FLOOR, OUTSIDE, INSIDE, KINDS };

static void fail(const char *what, const struct cloche_err *err)
{
	fprintf(stderr, "bench meter: %s: %s\n", what, err ? err->text : strerror(errno));
	exit(1);
}

static pid_t spawn(int cgroup)
{
	struct clone_args a = { .exit_signal = SIGCHLD };
	long pid;

	if (cgroup >= 0) {
		a.flags = CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)cgroup;
	}
	pid = syscall(SYS_clone3, &a, sizeof(a));
	if (pid < 0)
		fail("clone3", NULL);
	if (!pid)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return (pid_t)pid;
}

static void bounce(int in, int out, unsigned n)
{
	char b = 0;

	while (n--)
		if (read(in, &b, 1) != 1 || write(out, &b, 1) != 1)
			_exit(1);
}

static double cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)timespec_ns(t);
}

/* One of the two: after a warm-up it takes the CPU time of its turns. */
static void player(int in, int out, int result, bool serves)
{
	double ns;

	if (serves && write(out, "", 1) != 1)
		_exit(1);
	bounce(in, out, 1000);
	ns = cpu_ns();
	bounce(in, out, TURNS);
	ns = (cpu_ns() - ns) / (2.0 * TURNS);
	_exit(write(result, &ns, sizeof(ns)) != sizeof(ns));
}

/* ns for one switch: the CPU time of both, which what else runs on the machine hardly touches. */
static double ping_pong(int cgroup)
{
	int ab[2], ba[2], result[2];
	double x = 0, y = 0;
	cpu_set_t set;
	pid_t a, b;

	CPU_ZERO(&set);
	CPU_SET(1 % sysconf(_SC_NPROCESSORS_ONLN), &set);
	if (pipe2(ab, O_CLOEXEC) || pipe2(ba, O_CLOEXEC) || pipe2(result, O_CLOEXEC))
		fail("pipe", NULL);
	b = spawn(cgroup);
	if (!b) {
		sched_setaffinity(0, sizeof(set), &set);
		player(ab[0], ba[1], result[1], false);
	}
	a = spawn(cgroup);
	if (!a) {
		sched_setaffinity(0, sizeof(set), &set);
		player(ba[0], ab[1], result[1], true);
	}
	close(ab[1]);
	close(ba[1]);
	if (read(result[0], &x, sizeof(x)) != sizeof(x) ||
	    read(result[0], &y, sizeof(y)) != sizeof(y))
		fail("ping-pong", NULL);
	while (wait(NULL) > 0)
		;
	close(ab[0]);
	close(ba[0]);
	close(result[0]);
	close(result[1]);
	return x + y;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const double *v, unsigned n, double q)
{
	double s[ROUNDS_MAX];

	memcpy(s, v, n * sizeof(*v));
	qsort(s, n, sizeof(*s), by_value);
	return s[(unsigned)(q * (n - 1) + 0.5)];
}

static void row(const char *name, const double *v, const double *base, unsigned n)
{
	double ratio[ROUNDS_MAX];

	printf("  %-22s %8.0f ns  ±%4.0f", name, quantile(v, n, 0.5),
	       (quantile(v, n, 0.75) - quantile(v, n, 0.25)) / 2);
	if (base) {
		for (unsigned i = 0; i < n; i++)
			ratio[i] = (v[i] / base[i] - 1) * 100;
		printf("   %+6.1f %%  ±%4.1f", quantile(ratio, n, 0.5),
		       (quantile(ratio, n, 0.75) - quantile(ratio, n, 0.25)) / 2);
	}
	printf("\n");
}

static int make_leaf(char path[static 128], uint64_t *ret_id)
{
	struct stat st;
	int fd;

	(void)snprintf(path, 128, "%s/cloche-meter-bench-%d",
		       access("/sys/fs/cgroup/unified/cgroup.procs", F_OK)
			       ? "/sys/fs/cgroup"
			       : "/sys/fs/cgroup/unified",
		       (int)getpid());
	if (mkdir(path, 0755))
		fail(path, NULL);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		fail(path, NULL);
	*ret_id = st.st_ino;
	return fd;
}

/* Their programs are in the first row too, and the first on a hook costs more than the second. */
static void warn_of_others(void)
{
	DIR *dir = opendir("/sys/fs/bpf");
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (strncmp(d->d_name, METER_NAME "-", sizeof(METER_NAME)) == 0 &&
		    strncmp(d->d_name, NAME "-", sizeof(NAME)) != 0)
			printf("note: '/sys/fs/bpf/%s' is loaded as well: the rows below are too "
			       "close together\n",
			       d->d_name);
	if (dir)
		(void)closedir(dir);
}

static void remove_meter(void)
{
	struct cloche_err err = { 0 };

	if (meter_remove(NAME, &err))
		fail("remove", &err);
}

static double with_floor(bool wakeup)
{
	struct floor_bpf *b = floor_bpf__open();
	double ns;

	if (!b)
		fail("open the empty programs", NULL);
	(void)bpf_program__set_autoload(b->progs.floor_wakeup, wakeup);
	if (floor_bpf__load(b) || floor_bpf__attach(b))
		fail("load the empty programs", NULL);
	ns = ping_pong(-1);
	floor_bpf__destroy(b);
	return ns;
}

static void bench_switches(unsigned rounds, int leaf, uint64_t id)
{
	static double v[KINDS][ROUNDS_MAX], again[ROUNDS_MAX];
	struct cloche_err err = { 0 };
	struct meter_context c;
	struct meter_usage u;
	struct meter m;

	for (unsigned i = 0; i < rounds; i++) {
		v[NONE][i] = ping_pong(-1);
		again[i] = ping_pong(-1);
		v[FLOOR_SWITCH][i] = with_floor(false);
		v[FLOOR][i] = with_floor(true);
		m = (struct meter)METER_INIT;
		if (meter_open(&m, NAME, &err) || meter_arm(&c, &m, SLOT, id, &err) ||
		    meter_begin(&c, false, false, &err))
			fail("arm", &err);
		v[OUTSIDE][i] = ping_pong(-1);
		v[INSIDE][i] = ping_pong(leaf);
		if (meter_end(&c, &u, &err) || meter_disarm(&c, &err))
			fail("end", &err);
		/* A meter that did not look would be very cheap. */
		if (u.switches_voluntary + u.switches_forced < TURNS)
			fail("the meter saw too few switches", &err);
		meter_close(&m);
		remove_meter();
	}
	printf("context switch (pipe, one CPU), %u rounds in turns\n", rounds);
	row("no meter", v[NONE], NULL, rounds);
	row("no meter, again", again, v[NONE], rounds);
	row("one empty program", v[FLOOR_SWITCH], v[NONE], rounds);
	row("two empty programs", v[FLOOR], v[NONE], rounds);
	row("meter, outside", v[OUTSIDE], v[NONE], rounds);
	row("meter, inside", v[INSIDE], v[NONE], rounds);
}

/* ns for the cheapest system call, of a process that nobody traces. */
static double call_ns(void)
{
	double ns = cpu_ns();

	for (int i = 0; i < TURNS; i++)
		(void)syscall(SYS_getppid);
	return (cpu_ns() - ns) / TURNS;
}

static void bench_tracing(unsigned rounds)
{
	static double v[4][ROUNDS_MAX];
	struct cloche_err err = { 0 };
	struct meter m = METER_INIT;

	if (meter_open(&m, NAME, &err))
		fail("open", &err);
	for (unsigned i = 0; i < rounds; i++) {
		int64_t t;
		int lock;

		v[0][i] = call_ns();
		t = clock_now_ns();
		lock = meter_trace_on(&m, &err);
		v[2][i] = (double)(clock_now_ns() - t);
		if (lock < 0)
			fail("trace", &err);
		v[1][i] = call_ns();
		t = clock_now_ns();
		meter_trace_off(&m, &lock);
		v[3][i] = (double)(clock_now_ns() - t);
	}
	meter_close(&m);
	printf("system call (getppid) outside any context\n");
	row("nobody traces", v[0], NULL, rounds);
	row("somebody traces", v[1], v[0], rounds);
	row("beginning to trace", v[2], NULL, rounds);
	row("ending it", v[3], NULL, rounds);
}

static void bench_calls(uint64_t id)
{
	static double v[5][ROUNDS_MAX];
	struct cloche_err err = { 0 };
	struct meter_context c;
	struct meter_usage u;
	struct meter keep = METER_INIT;
	unsigned n = 200;
	int64_t load = clock_now_ns();

	if (meter_open(&keep, NAME, &err))
		fail("open", &err);
	load = clock_now_ns() - load;
	for (unsigned i = 0; i < n; i++) {
		struct meter m = METER_INIT;
		int64_t t[6];

		t[0] = clock_now_ns();
		if (meter_open(&m, NAME, &err))
			fail("open", &err);
		t[1] = clock_now_ns();
		if (meter_arm(&c, &m, SLOT, id, &err))
			fail("arm", &err);
		t[2] = clock_now_ns();
		if (meter_begin(&c, true, false, &err))
			fail("begin", &err);
		t[3] = clock_now_ns();
		if (meter_end(&c, &u, &err))
			fail("end", &err);
		t[4] = clock_now_ns();
		if (meter_disarm(&c, &err))
			fail("disarm", &err);
		t[5] = clock_now_ns();
		meter_close(&m);
		for (int k = 0; k < 5; k++)
			v[k][i] = (double)(t[k + 1] - t[k]);
	}
	meter_close(&keep);
	printf("once: load, verify, attach, pin %lld ms; then, median of %u\n",
	       (long long)(load / NSEC_PER_MSEC), n);
	row("open (found)", v[0], NULL, n);
	row("arm", v[1], NULL, n);
	row("begin", v[2], NULL, n);
	row("end", v[3], NULL, n);
	row("disarm", v[4], NULL, n);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 30;
	char path[128];
	uint64_t id;
	int leaf;

	if (rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "bench meter: rounds: 1 to %d\n", ROUNDS_MAX);
		return 2;
	}
	leaf = make_leaf(path, &id);
	remove_meter();
	warn_of_others();
	bench_switches(rounds, leaf, id);
	bench_calls(id);
	bench_tracing(rounds);
	remove_meter();
	close(leaf);
	return rmdir(path) ? 1 : 0;
}
