/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_CGROUP_H
#define CLOCHE_LAUNCH_CGROUP_H

#include "host/hierarchy.h"
#include "launch/cgroup_counts.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct cpu_limits;

/*
 * The leaf cgroups of one context, under the parent of every hierarchy. Only the function's
 * processes are ever in them: the warden and the launcher stay outside, so that they are neither
 * throttled nor counted nor killed with it.
 */
struct cgroup {
	char name[16];		 /* the slot's number */
	int v2;			 /* the leaf's directory on cgroup2 */
	int ctl[CONTROLLER_N];	 /* the leaf's directory on v1; -1: on v2, none, or "cpuset" */
	int tasks[CONTROLLER_N]; /* v1 "tasks", for a process to write "0" to; -1: none */
	int events;		 /* cgroup.events, for POLLPRI */
	int used;		 /* cpu.stat of cgroup2, which has the CPU time on every kernel */
	int kill;		 /* cgroup.kill; -1: the kernel has none */
	int quota;		 /* cpu.max, on v1 cpu.cfs_quota_us; -1: the kernel has none */
	int peak; /* of the memory, as cgroup_new_peak() left it; -1: since the leaf was made */
	int counts[CGROUP_COUNTS]; /* of leaves that have stayed; -1: not opened */
};

#define CGROUP_NONE                                                                       \
	{                                                                                 \
		.v2 = -1, .ctl = { -1, -1, -1, -1, -1 }, .tasks = { -1, -1, -1, -1, -1 }, \
		.events = -1, .used = -1, .kill = -1, .quota = -1, .peak = -1,            \
		.counts = CGROUP_NO_COUNTS                                                \
	}

/* A cpuset of v1 limits nothing here and counts nothing: all contexts are in this one, below the
 * parent, and see of it who is theirs. */
#define CGROUP_CPUSET "all"

/* What the kernel has counted for the leaves since they were made. UINT64_MAX: it does not say. */
struct cgroup_usage {
	uint64_t cpu_ns, user_ns, system_ns;
	uint64_t throttled_ns, throttled_periods;
	uint64_t memory_peak, oom_kills, pids_denied, pids_peak;
};

/* What the context gets, but for its CPU quota. */
struct cgroup_limits {
	uint64_t memory_bytes;
	uint64_t pids;
	bool sockets; /* it can send itself something over IP */
	const struct cpu_limits *cpu;
};

/* Some of the leaves, as bits: on v1 by their controller, then that of cgroup2. */
#define CGROUP_V2  (1U << CONTROLLER_N)
#define CGROUP_ALL (CGROUP_V2 | (CGROUP_V2 - 1))

/* Makes these leaves and sets all their limits but the CPU quota; CGROUP_ALL: *cg is nothing yet.
 * On failure none is left, whichever was there. */
int cgroup_create(const struct hierarchy *hierarchy, unsigned slot,
		  const struct cgroup_limits *limits, uint32_t which, struct cgroup *cg,
		  struct cloche_err *err);

/*
 * Which leaves may stay for the next invocation, when all of this one is dead and counted: those
 * that show the function nothing of it, because they are not shown, could be set back, or still
 * read as a new one does. On a hybrid host, if settled: all CPU time is booked in that of cgroup2,
 * so that what the next one uses is a difference; else none. Never that of the memory: what it is
 * charged for outlives processes, its peak cannot be set back on every kernel, and its statistics
 * on none. On unified v2, where it is the only one: nothing. The quota of what stays is lifted.
 */
uint32_t cgroup_keep(const struct hierarchy *hierarchy, struct cgroup *cg, bool settled);

/*
 * What of these leaves goes to pid 1, which has processes join, kills and removes: all but the
 * directories on v1, already open, as pid 1 may not open what the caller's umask shuts. list: fills
 * in what there is and says how many and, by bits, what not every kernel has; take: the same on the
 * other side, for as many as cgroup_fds(), in the place of what was there.
 */
#define CGROUP_FDS (5 + CONTROLLER_N)

unsigned cgroup_list(const struct cgroup *cg, uint32_t which, int ret[CGROUP_FDS],
		     uint32_t *ret_has);
unsigned cgroup_fds(const struct hierarchy *hierarchy, uint32_t which, uint32_t has);
void cgroup_take(const struct hierarchy *hierarchy, unsigned slot, uint32_t which, uint32_t has,
		 const int *fds, struct cgroup *cg);

/* Sets the quota: once, right before the function starts. Writing it again would refill it. */
int cgroup_set_quota(const struct cgroup *cg, const struct cpu_limits *cpu, struct cloche_err *err);

/* Ends every process of the leaf. The quota goes first: until 6.18 a throttled task does not run,
 * and so not die, before its next period. An
 * error, -ENOENT before 5.14, means that it has no cgroup.kill and nothing was ended. */
int cgroup_kill(const struct cgroup *cg);

/* The two of cgroup_read that its quota causes. */
void cgroup_read_throttled(const struct cgroup *cg, struct cgroup_usage *ret);

/* Whether any process is in the leaf: 1, 0, or a negative errno. */
int cgroup_populated(const struct cgroup *cg);

void cgroup_read(const struct cgroup *cg, struct cgroup_usage *ret);

/* From here on the peak of the memory is counted anew. False: this kernel cannot (on cgroup2
 * before 6.12); it goes on. */
bool cgroup_new_peak(struct cgroup *cg);

/* The three of it that are times on a CPU. */
void cgroup_read_cpu(const struct cgroup *cg, struct cgroup_usage *ret);

/* CPU time used so far, ns; 0 when it cannot be read. */
uint64_t cgroup_cpu_ns(const struct cgroup *cg);

/* What is charged to it now; UINT64_MAX when it cannot be read. */
uint64_t cgroup_memory(const struct cgroup *cg);

/* Removes the leaves, killing what is in them, and closes the fds. -EBUSY when the last processes
 * do not end within a second. */
int cgroup_destroy(const struct hierarchy *hierarchy, struct cgroup *cg, struct cloche_err *err);

/* The same of these leaves without waiting; on failure they stay open, for another time: -EBUSY
 * while the last processes end. */
int cgroup_remove(const struct hierarchy *hierarchy, struct cgroup *cg, uint32_t which,
		  struct cloche_err *err);

/* Stops or lets run what is in the leaf on cgroup2; without processes it is as good as done. */
int cgroup_freeze(const struct cgroup *cg, bool freeze);

/* Whether all that is in the leaf on cgroup2 is frozen: 1, 0, or a negative errno. */
int cgroup_frozen(const struct cgroup *cg);

/* Closes the fds and leaves the leaves. */
void cgroup_close(struct cgroup *cg);

/* The same for what a dead owner of the slot left. */
int cgroup_sweep(const struct hierarchy *hierarchy, unsigned slot, struct cloche_err *err);

#endif
