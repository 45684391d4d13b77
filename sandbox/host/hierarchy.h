/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_HIERARCHY_H
#define CLOCHE_HOST_HIERARCHY_H

#include <stdbool.h>

struct cloche_err;

/*
 * Where this host keeps its cgroup controllers, and Cloche's parent cgroup ("cloche", at the root
 * of each hierarchy) there. libcgroup finds and makes it all, once after a boot: that costs 2.5 ms
 * (cgroup_init 0.55, create 1.3, delete 0.5; measured), so the result is kept in
 * /run/cloche/hierarchies and a run only opens directories.
 */
enum controller {
	CONTROLLER_CPU,
	CONTROLLER_MEMORY,
	CONTROLLER_PIDS,
	CONTROLLER_NEEDED,
	/* On v1 only, and not where they come with another one: they limit nothing, but a Java that
	 * finds one of them missing takes all of the host for its own. */
	CONTROLLER_CPUACCT = CONTROLLER_NEEDED,
	CONTROLLER_CPUSET,
	CONTROLLER_N
};

extern const char *const controller_names[CONTROLLER_N];

struct hierarchy {
	int v2;		       /* the parent on the cgroup2 tree: identity, kill, events */
	int ctl[CONTROLLER_N]; /* the parent where the controller is; -1: on v2, or none */
};

#define HIERARCHY_NONE                                  \
	{                                               \
		.v2 = -1, .ctl = { -1, -1, -1, -1, -1 } \
	}

/* Opens the parents, made when absent, with the device filter attached above all contexts. */
int hierarchy_open(int run_fd, struct hierarchy *ret, struct cloche_err *err);
void hierarchy_close(struct hierarchy *hierarchy);

/* The cgroups of that name in these, but for the cpuset, which is the same. */
int hierarchy_below(const struct hierarchy *of, const char *name, struct hierarchy *ret,
		    struct cloche_err *err);

#endif
