/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_CGROUP_COUNTS_H
#define CLOCHE_LAUNCH_CGROUP_COUNTS_H

#include <stddef.h>
#include <stdint.h>

struct cgroup;

/*
 * What is read, or set back, of leaves that stay (cgroup_keep), several times for each invocation:
 * to open such a file takes as long as to read it ten times. Where one is not open it is found by
 * its name.
 */
enum cgroup_count {
	CGROUP_CPU_STAT,
	CGROUP_PIDS_EVENTS,
	CGROUP_PIDS_PEAK,
	CGROUP_PIDS_CURRENT,
	CGROUP_CPUACCT_USAGE, /* written only */
	CGROUP_CPUACCT_STAT,
	CGROUP_OOM_KILLS, /* in no leaf that stays (cgroup_keep) */
	CGROUP_COUNTS
};

#define CGROUP_NO_COUNTS                   \
	{                                  \
		-1, -1, -1, -1, -1, -1, -1 \
	}

/* Those of v1 that the kernel has, and that are not open yet. */
void cgroup_counts_open(struct cgroup *cg);
/* Those that are read each time for one that is kept running, of v1 or v2. */
void cgroup_counts_open_used(struct cgroup *cg);
/* Of these leaves, as cgroup.h has them. */
void cgroup_counts_close(struct cgroup *cg, uint32_t which);

/* The text; -errno. */
int cgroup_count_read(const struct cgroup *cg, enum cgroup_count what, char *text, size_t size);
/* One number; UINT64_MAX: the kernel does not have it. */
uint64_t cgroup_count_of(const struct cgroup *cg, enum cgroup_count what);
/* How often a process of it was killed for its memory; as above. */
uint64_t cgroup_oom_kills(const struct cgroup *cg);
/* How often a process was not made, for the limit. */
uint64_t cgroup_pids_denied(const struct cgroup *cg);

/* The number behind "key " in a flat keyed file; UINT64_MAX when it is not there. */
uint64_t cgroup_keyed(const char *text, const char *key);

#endif
