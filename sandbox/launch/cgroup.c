/* SPDX-License-Identifier: MIT */
/*
 * The hot knobs of a context's leaf cgroups: plain directory fds and one write each. What
 * controllers there are and where is hierarchy.c's business.
 */
#include "launch/cgroup.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "launch/cgroup_counts.h"
#include "launch/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static int dir_of(const struct cgroup *cg, enum controller c)
{
	return cg->ctl[c] >= 0 ? cg->ctl[c] : cg->v2;
}

static bool has_leaf(const struct hierarchy *h, int controller)
{
	return h->ctl[controller] >= 0 && controller != CONTROLLER_CPUSET;
}

static bool on_v1(const struct cgroup *cg, enum controller c)
{
	return cg->ctl[c] >= 0;
}

static const char *quota_file(bool v1)
{
	return v1 ? "cpu.cfs_quota_us" : "cpu.max";
}

/* Whether the leaf that the controller is of is one of these. */
static bool is_of(const struct cgroup *cg, enum controller c, uint32_t which)
{
	return which & (on_v1(cg, c) ? 1U << c : CGROUP_V2);
}

/* Pid 1 has no directory there, and a sweep no "tasks". */
static bool quota_on_v1(const struct cgroup *cg)
{
	return cg->tasks[CONTROLLER_CPU] >= 0 || on_v1(cg, CONTROLLER_CPU);
}

static void close_leaves(struct cgroup *cg, uint32_t which)
{
	cgroup_counts_close(cg, which);
	if (which & (quota_on_v1(cg) ? 1U << CONTROLLER_CPU : CGROUP_V2))
		fd_close(&cg->quota);
	if (is_of(cg, CONTROLLER_MEMORY, which))
		fd_close(&cg->peak);
	if (which & CGROUP_V2) {
		fd_close(&cg->v2);
		fd_close(&cg->events);
		fd_close(&cg->used);
		fd_close(&cg->kill);
	}
	for (int i = 0; i < CONTROLLER_N; i++)
		if (which & 1U << i) {
			fd_close(&cg->ctl[i]);
			fd_close(&cg->tasks[i]);
		}
}

void cgroup_close(struct cgroup *cg)
{
	close_leaves(cg, CGROUP_ALL);
}

static int make_dir(int parent, const char *where, const char *name, struct cloche_err *err)
{
	int fd;

	if (mkdirat(parent, name, 0755) < 0)
		return cloche_err_sys(err, errno, "make the %s cgroup 'cloche/%s'", where, name);
	fd = openat(parent, name, DIR_FLAGS);
	if (fd < 0)
		return cloche_err_sys(err, errno, "open the %s cgroup 'cloche/%s'", where, name);
	return fd;
}

/* What is written to when there is no time to look for it. */
static int open_identity_knobs(struct cgroup *cg, struct cloche_err *err)
{
	cg->events = openat(cg->v2, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (cg->events < 0)
		return cloche_err_sys(err, errno, "open cgroup.events");
	cg->used = openat(cg->v2, "cpu.stat", O_RDONLY | O_CLOEXEC);
	if (cg->used < 0)
		return cloche_err_sys(err, errno, "open cpu.stat");
	cg->kill = openat(cg->v2, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	return cg->kill < 0 && errno != ENOENT ? cloche_err_sys(err, errno, "open cgroup.kill") : 0;
}

static int open_knobs(struct cgroup *cg, uint32_t which, struct cloche_err *err)
{
	bool v1 = on_v1(cg, CONTROLLER_CPU);
	int r = which & CGROUP_V2 ? open_identity_knobs(cg, err) : 0;

	if (r < 0 || !is_of(cg, CONTROLLER_CPU, which))
		return r;
	cg->quota = openat(dir_of(cg, CONTROLLER_CPU), quota_file(v1), O_WRONLY | O_CLOEXEC);
	return cg->quota < 0 && errno != ENOENT
		       ? cloche_err_sys(err, errno, "open '%s'", quota_file(v1))
		       : 0;
}

/* Made by the first run that wants it, with all CPUs, as the parent has it, and open to all,
 * whatever that run's umask is. */
static int open_cpuset(int parent)
{
	int fd = openat(parent, CGROUP_CPUSET "/tasks", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if ((mkdirat(parent, CGROUP_CPUSET, 0755) < 0 && errno != EEXIST) ||
	    fchmodat(parent, CGROUP_CPUSET, 0755, 0) < 0)
		return -1;
	return openat(parent, CGROUP_CPUSET "/tasks", O_WRONLY | O_CLOEXEC);
}

static int make_dirs(const struct hierarchy *h, struct cgroup *cg, uint32_t which,
		     struct cloche_err *err)
{
	if (which & CGROUP_V2) {
		cg->v2 = make_dir(h->v2, "unified", cg->name, err);
		if (cg->v2 < 0)
			return cg->v2;
	}
	for (int i = 0; i < CONTROLLER_N; i++) {
		if (h->ctl[i] < 0 || !(which & 1U << i))
			continue;
		if (has_leaf(h, i)) {
			cg->ctl[i] = make_dir(h->ctl[i], controller_names[i], cg->name, err);
			if (cg->ctl[i] < 0)
				return cg->ctl[i];
		}
		cg->tasks[i] = has_leaf(h, i) ? openat(cg->ctl[i], "tasks", O_WRONLY | O_CLOEXEC)
					      : open_cpuset(h->ctl[i]);
		if (cg->tasks[i] < 0)
			return cloche_err_sys(err, errno, "open the %s cgroup's tasks",
					      controller_names[i]);
	}
	return 0;
}

/* Of the memory limit, on top of it. */
#define SOCKETS_SHARE 8

/* Memory without swap. Absent files mean a kernel without swap accounting; then swapping is off. */
static int limit_memory(const struct cgroup *cg, uint64_t bytes, bool sockets,
			struct cloche_err *err)
{
	int dir = dir_of(cg, CONTROLLER_MEMORY);
	int r;

	if (!on_v1(cg, CONTROLLER_MEMORY)) {
		r = file_write_u64(dir, "memory.max", bytes, err);
		if (r < 0)
			return r;
		r = file_write_text(dir, "memory.swap.max", "0", NULL);
		return r == 0 || r == -ENOENT ? 0 : cloche_err_sys(err, -r, "forbid swapping");
	}
	r = file_write_u64(dir, "memory.limit_in_bytes", bytes, err);
	if (r < 0)
		return r;
	/* On v1 what waits in sockets is counted beside the rest, and only where it has a limit of
	 * its own (cgroup-v1/memory.rst, 2.7.2). */
	if (sockets) {
		r = file_write_u64(dir, "memory.kmem.tcp.limit_in_bytes", bytes / SOCKETS_SHARE,
				   NULL);
		if (r < 0 && r != -ENOENT)
			return cloche_err_sys(err, -r, "limit the memory of sockets");
	}
	r = file_write_u64(dir, "memory.memsw.limit_in_bytes", bytes, NULL);
	if (r == -ENOENT)
		return file_write_text(dir, "memory.swappiness", "0", err);
	return r < 0 ? cloche_err_sys(err, -r, "limit memory and swap") : 0;
}

static int limit_all(const struct cgroup *cg, const struct cgroup_limits *limits, uint32_t which,
		     struct cloche_err *err)
{
	const struct cpu_limits *cpu = limits->cpu;
	bool v1 = on_v1(cg, CONTROLLER_CPU);
	int r = 0;

	if (is_of(cg, CONTROLLER_MEMORY, which))
		r = limit_memory(cg, limits->memory_bytes, limits->sockets, err);
	if (r == 0 && is_of(cg, CONTROLLER_PIDS, which))
		r = file_write_u64(dir_of(cg, CONTROLLER_PIDS), "pids.max", limits->pids, err);
	if (r < 0 || !is_of(cg, CONTROLLER_CPU, which))
		return r;
	r = file_write_u64(dir_of(cg, CONTROLLER_CPU), v1 ? "cpu.shares" : "cpu.weight",
			   v1 ? cpu->shares : cpu->weight, err);
	if (r < 0 || !v1 || cpu->quota_us == 0)
		return r;
	return file_write_u64(cg->ctl[CONTROLLER_CPU], "cpu.cfs_period_us", cpu->period_us, err);
}

int cgroup_create(const struct hierarchy *hierarchy, unsigned slot,
		  const struct cgroup_limits *limits, uint32_t which, struct cgroup *cg,
		  struct cloche_err *err)
{
	int r;

	(void)snprintf(cg->name, sizeof(cg->name), "%u", slot);
	r = make_dirs(hierarchy, cg, which, err);
	if (r == 0)
		r = open_knobs(cg, which, err);
	if (r == 0 && cg->quota < 0 && limits->cpu->quota_us)
		r = cloche_err_set(err, ENOENT,
				   "the kernel has no CPU quotas; use " CLOCHE_FIELD "cpu shared");
	if (r == 0)
		r = limit_all(cg, limits, which, err);
	if (r < 0)
		(void)cgroup_destroy(hierarchy, cg, NULL);
	return r;
}

/* What not every kernel has. */
#define WITH_KILL  (1U << 0)
#define WITH_QUOTA (1U << 1)

/* Which leaf the CPU quota is of. */
static uint32_t quota_leaf(const struct hierarchy *h)
{
	return h->ctl[CONTROLLER_CPU] >= 0 ? 1U << CONTROLLER_CPU : CGROUP_V2;
}

unsigned cgroup_list(const struct cgroup *cg, uint32_t which, int ret[CGROUP_FDS],
		     uint32_t *ret_has)
{
	unsigned n = 0;

	*ret_has = (cg->kill >= 0 ? WITH_KILL : 0) | (cg->quota >= 0 ? WITH_QUOTA : 0);
	if (which & CGROUP_V2) {
		ret[n++] = cg->v2;
		ret[n++] = cg->events;
		ret[n++] = cg->used;
		if (cg->kill >= 0)
			ret[n++] = cg->kill;
	}
	if (cg->quota >= 0 && is_of(cg, CONTROLLER_CPU, which))
		ret[n++] = cg->quota;
	for (int i = 0; i < CONTROLLER_N; i++)
		if (cg->tasks[i] >= 0 && which & 1U << i)
			ret[n++] = cg->tasks[i];
	return n;
}

unsigned cgroup_fds(const struct hierarchy *hierarchy, uint32_t which, uint32_t has)
{
	unsigned n = which & CGROUP_V2 ? 3 + !!(has & WITH_KILL) : 0;

	n += has & WITH_QUOTA && which & quota_leaf(hierarchy);
	for (int i = 0; i < CONTROLLER_N; i++)
		n += hierarchy->ctl[i] >= 0 && which & 1U << i;
	return n;
}

void cgroup_take(const struct hierarchy *hierarchy, unsigned slot, uint32_t which, uint32_t has,
		 const int *fds, struct cgroup *cg)
{
	close_leaves(cg, which);
	(void)snprintf(cg->name, sizeof(cg->name), "%u", slot);
	if (which & CGROUP_V2) {
		cg->v2 = *fds++;
		cg->events = *fds++;
		cg->used = *fds++;
		if (has & WITH_KILL)
			cg->kill = *fds++;
	}
	if (has & WITH_QUOTA && which & quota_leaf(hierarchy))
		cg->quota = *fds++;
	for (int i = 0; i < CONTROLLER_N; i++)
		if (hierarchy->ctl[i] >= 0 && which & 1U << i)
			cg->tasks[i] = *fds++;
}

int cgroup_set_quota(const struct cgroup *cg, const struct cpu_limits *cpu, struct cloche_err *err)
{
	bool v1 = quota_on_v1(cg);
	char text[48];
	int n;

	if (cpu->quota_us == 0)
		return 0;
	n = v1 ? snprintf(text, sizeof(text), "%" PRIu64, cpu->quota_us)
	       : snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, cpu->quota_us,
			  cpu->period_us);
	return write(cg->quota, text, (size_t)n) < 0
		       ? cloche_err_sys(err, errno, "write '%s' to '%s'", text, quota_file(v1))
		       : 0;
}

/* The n-th of a set, from 0. */
static int cpu_of(const cpu_set_t *set, unsigned n)
{
	int cpu = 0;

	while (!CPU_ISSET(cpu, set) || n-- > 0)
		cpu++;
	return cpu;
}

/*
 * Dying takes a process 40 us of CPU time, and a function of one CPU's share has one CPU to do it
 * on: 64 of a fork bomb would be late by 2.5 ms. So those that are dying are dealt out to all CPUs
 * of ours. Their numbers are a moment old; a number that was given to another in that moment costs
 * that one a migration and nothing else.
 */
static void try_deal_out(const struct cgroup *cg)
{
	cleanup_fd int fd = openat(cg->v2, "cgroup.threads", O_RDONLY | O_CLOEXEC);
	cpu_set_t all, home, others, one;
	char text[4096], *at = text, *end;
	unsigned i = 0, n_others;
	ssize_t n;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	/* Of very many, the first: the others follow their quota's end. */
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return;
	text[n] = '\0';
	if (sched_getaffinity((pid_t)strtol(text, NULL, 10), sizeof(home), &home) < 0)
		return;
	/* The caller may keep off the function's CPUs itself. */
	CPU_OR(&all, &all, &home);
	CPU_XOR(&others, &all, &home);
	n_others = (unsigned)CPU_COUNT(&others);
	if (n_others == 0)
		return;
	/* Of each so many one stays. Whole lines only: the last number may be cut. */
	for (long pid; (pid = strtol(at, &end, 10)) > 0 && *end == '\n'; at = end, i++) {
		if (i % (n_others + 1) == 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu_of(&others, i % (n_others + 1) - 1), &one);
		(void)sched_setaffinity((pid_t)pid, sizeof(one), &one);
	}
}

int cgroup_kill(const struct cgroup *cg)
{
	const char *none = quota_on_v1(cg) ? "-1" : "max";
	int r = cg->kill < 0 ? -ENOENT : write(cg->kill, "1", 1) < 0 ? -errno : 0;

	/* The dead need time to die: what the quota holds, holds the end. */
	if (cg->quota >= 0 && write(cg->quota, none, strlen(none)) < 0)
		r = r < 0 ? r : -errno;
	try_deal_out(cg);
	return r;
}

int cgroup_freeze(const struct cgroup *cg, bool freeze)
{
	return file_write_text(cg->v2, "cgroup.freeze", freeze ? "1" : "0", NULL);
}

/* What cgroup.events says; to read it is to take notice of the last event. */
static int event_says(const struct cgroup *cg, const char *what)
{
	char text[128];
	ssize_t n = pread(cg->events, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return strstr(text, what) != NULL;
}

int cgroup_populated(const struct cgroup *cg)
{
	return event_says(cg, "populated 1");
}

int cgroup_frozen(const struct cgroup *cg)
{
	return event_says(cg, "frozen 1");
}

static uint64_t scaled(uint64_t v, uint64_t by)
{
	return v == UINT64_MAX ? v : v * by;
}

static uint64_t read_number(int dir, const char *file)
{
	uint64_t v;

	return file_read_u64(dir, file, &v, NULL) < 0 ? UINT64_MAX : v;
}

uint64_t cgroup_cpu_ns(const struct cgroup *cg)
{
	char text[2048];
	ssize_t n = pread(cg->used, text, sizeof(text) - 1, 0);
	uint64_t us;

	text[n > 0 ? n : 0] = '\0';
	us = cgroup_keyed(text, "usage_usec");
	return us == UINT64_MAX ? 0 : us * 1000;
}

uint64_t cgroup_memory(const struct cgroup *cg)
{
	return read_number(dir_of(cg, CONTROLLER_MEMORY), on_v1(cg, CONTROLLER_MEMORY)
								  ? "memory.usage_in_bytes"
								  : "memory.current");
}

void cgroup_read_throttled(const struct cgroup *cg, struct cgroup_usage *ret)
{
	bool v1 = on_v1(cg, CONTROLLER_CPU);
	char text[2048];

	if (cgroup_count_read(cg, CGROUP_CPU_STAT, text, sizeof(text)) < 0)
		text[0] = '\0';
	ret->throttled_ns = v1 ? cgroup_keyed(text, "throttled_time")
			       : scaled(cgroup_keyed(text, "throttled_usec"), 1000);
	ret->throttled_periods = cgroup_keyed(text, "nr_throttled");
}

void cgroup_read_cpu(const struct cgroup *cg, struct cgroup_usage *ret)
{
	char text[2048];
	ssize_t n = pread(cg->used, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	ret->cpu_ns = scaled(cgroup_keyed(text, "usage_usec"), 1000);
	ret->user_ns = scaled(cgroup_keyed(text, "user_usec"), 1000);
	ret->system_ns = scaled(cgroup_keyed(text, "system_usec"), 1000);
}

static const char *peak_file(bool v1)
{
	return v1 ? "memory.max_usage_in_bytes" : "memory.peak";
}

static uint64_t reread_number(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return UINT64_MAX;
	text[n] = '\0';
	return strtoull(text, NULL, 10);
}

/* On cgroup2 it is that of who has written to this open file. */
bool cgroup_new_peak(struct cgroup *cg)
{
	if (cg->peak < 0)
		cg->peak = openat(dir_of(cg, CONTROLLER_MEMORY),
				  peak_file(on_v1(cg, CONTROLLER_MEMORY)), O_RDWR | O_CLOEXEC);
	if (cg->peak >= 0 && pwrite(cg->peak, "0", 1, 0) == 1)
		return true;
	fd_close(&cg->peak);
	return false;
}

void cgroup_read(const struct cgroup *cg, struct cgroup_usage *ret)
{
	int memory = dir_of(cg, CONTROLLER_MEMORY);
	bool v1 = on_v1(cg, CONTROLLER_MEMORY);

	cgroup_read_cpu(cg, ret);
	cgroup_read_throttled(cg, ret);
	ret->memory_peak =
		cg->peak >= 0 ? reread_number(cg->peak) : read_number(memory, peak_file(v1));
	ret->oom_kills = cgroup_oom_kills(cg);
	ret->pids_denied = cgroup_pids_denied(cg);
	ret->pids_peak = cgroup_count_of(cg, CGROUP_PIDS_PEAK);
}

/* ---- what stays ------------------------------------------------------------------------------ */

/* As a new one's: no digit but 0 where a number is, which names of counters have none of. */
static bool all_zero(const struct cgroup *cg, enum cgroup_count what)
{
	char text[2048];

	if (cgroup_count_read(cg, what, text, sizeof(text)) < 0)
		return false;
	for (const char *at = strchr(text, ' '); at; at = strchr(at + 1, ' '))
		if (strtoull(at + 1, NULL, 10) != 0)
			return false;
	return true;
}

/* Nobody is in it, nobody was refused, and of the most that were in it at a time the function
 * itself is as many. Kernels before 6.12 have no such peak. */
static bool pids_as_new(const struct cgroup *cg)
{
	uint64_t peak = cgroup_count_of(cg, CGROUP_PIDS_PEAK);

	return cgroup_count_of(cg, CGROUP_PIDS_CURRENT) == 0 && (peak == UINT64_MAX || peak <= 1) &&
	       cgroup_pids_denied(cg) == 0;
}

/* Without a quota no period is counted. */
static bool cpu_as_new(const struct cgroup *cg)
{
	return (cg->quota < 0 || write(cg->quota, "-1", 2) == 2) && all_zero(cg, CGROUP_CPU_STAT);
}

/* Kernels before 5.17 leave the second. */
static bool cpuacct_as_new(const struct cgroup *cg)
{
	return write(cg->counts[CGROUP_CPUACCT_USAGE], "0", 1) == 1 &&
	       all_zero(cg, CGROUP_CPUACCT_STAT);
}

uint32_t cgroup_keep(const struct hierarchy *hierarchy, struct cgroup *cg, bool settled)
{
	uint32_t kept = CGROUP_V2;

	/* Without that of cgroup2 no sweep finds the others. */
	if (!settled || !on_v1(cg, CONTROLLER_MEMORY) || !on_v1(cg, CONTROLLER_CPU) ||
	    !on_v1(cg, CONTROLLER_PIDS))
		return 0;
	cgroup_counts_open(cg);
	if (hierarchy->ctl[CONTROLLER_CPUSET] >= 0)
		kept |= 1U << CONTROLLER_CPUSET;
	if (cpu_as_new(cg))
		kept |= 1U << CONTROLLER_CPU;
	if (pids_as_new(cg))
		kept |= 1U << CONTROLLER_PIDS;
	if (on_v1(cg, CONTROLLER_CPUACCT) && cpuacct_as_new(cg))
		kept |= 1U << CONTROLLER_CPUACCT;
	return kept;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* rmdir says EBUSY for a moment after the last exit: wait on the event, not on the clock. */
static int remove_leaf(int parent, const struct cgroup *cg)
{
	int64_t end = clock_now_ns() + NSEC_PER_SEC;

	while (unlinkat(parent, cg->name, AT_REMOVEDIR) < 0) {
		struct pollfd p = { .fd = cg->events, .events = POLLPRI };

		if (errno == ENOENT)
			return 0;
		if (errno != EBUSY || clock_now_ns() > end)
			return -errno;
		(void)poll(&p, 1, 1);
		if (cg->v2 >= 0)
			(void)cgroup_populated(cg); /* consumes the event */
	}
	return 0;
}

/* These leaves, each as remove says; the last error. That on cgroup2 goes last, when no other is
 * left: by it a sweep finds the rest. */
static int remove_leaves(const struct hierarchy *hierarchy, const struct cgroup *cg, uint32_t which,
			 int (*remove)(int parent, const struct cgroup *cg), struct cloche_err *err)
{
	int r = 0;

	for (int i = 0; i < CONTROLLER_N; i++)
		if (has_leaf(hierarchy, i) && which & 1U << i) {
			int r1 = remove(hierarchy->ctl[i], cg);

			r = r1 < 0 ? r1 : r;
		}
	if (r == 0 && cg->name[0] && which & CGROUP_V2)
		r = remove(hierarchy->v2, cg);
	return r < 0 ? cloche_err_sys(err, -r, "remove the cgroup 'cloche/%s'", cg->name) : 0;
}

/* Without cgroup.kill: the warden is dead or told to die, and all of its namespace with it. */
static void kill_rest(const struct cgroup *cg)
{
	if (cg->v2 >= 0 && cg->events >= 0 && cgroup_populated(cg) != 0)
		(void)cgroup_kill(cg);
}

int cgroup_destroy(const struct hierarchy *hierarchy, struct cgroup *cg, struct cloche_err *err)
{
	int r;

	kill_rest(cg);
	r = remove_leaves(hierarchy, cg, CGROUP_ALL, remove_leaf, err);
	cgroup_close(cg);
	return r;
}

static int try_remove_leaf(int parent, const struct cgroup *cg)
{
	return unlinkat(parent, cg->name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(const struct hierarchy *hierarchy, struct cgroup *cg, uint32_t which,
		  struct cloche_err *err)
{
	int r;

	kill_rest(cg);
	r = remove_leaves(hierarchy, cg, which, try_remove_leaf, err);
	if (r == 0)
		close_leaves(cg, which);
	return r;
}

int cgroup_sweep(const struct hierarchy *hierarchy, unsigned slot, struct cloche_err *err)
{
	struct cgroup cg = CGROUP_NONE;
	int r;

	(void)snprintf(cg.name, sizeof(cg.name), "%u", slot);
	cg.v2 = openat(hierarchy->v2, cg.name, DIR_FLAGS);
	for (int i = 0; i < CONTROLLER_N; i++)
		if (hierarchy->ctl[i] >= 0)
			cg.ctl[i] = openat(hierarchy->ctl[i], cg.name, DIR_FLAGS);
	if (cg.v2 >= 0)
		(void)open_knobs(&cg, CGROUP_ALL, NULL);
	r = cgroup_destroy(hierarchy, &cg, err);
	/* Versions before this one made a leaf there, too. */
	if (hierarchy->ctl[CONTROLLER_CPUSET] >= 0)
		(void)unlinkat(hierarchy->ctl[CONTROLLER_CPUSET], cg.name, AT_REMOVEDIR);
	return r;
}
