/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_ATTRIBUTES_H
#define CLOCHE_LAUNCH_ATTRIBUTES_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

struct cloche_err;
struct plan;

/*
 * What clone(2) and execve(2) hand on from a process to its child (execve(2) "Effect on process
 * attributes", clone(2), prctl(2)): who calls Cloche may be a real-time process, an exempt from the
 * OOM killer, one that debuggers hold. The function has none of that. Each attribute is set, not
 * inherited, by one row of the tables in attributes.c; identity, capabilities, securebits and
 * no_new_privs are steps of their own in child.c, and the CPUs a matter of function.c's.
 *
 * Called between clone and exec, as root of the host with what the warden keeps of its
 * capabilities. What takes a privilege that the caller of Cloche does not have either (to lower a
 * nice value, to raise a hard limit) stays tighter than it should be and is a lack.
 */
int attributes_set(const struct plan *plan, struct cloche_err *err);

/* In pid 1, once for all that it starts, while nobody waits for it: what signals do, 64 calls, and
 * what comes to a child as its parent has it. */
int attributes_reset_signals(struct cloche_err *err);
int attributes_pass_on(const struct plan *plan, struct cloche_err *err);

/* One limit, soft and hard, as far down as it is now at most: for what comes later in the launch.
 */
int attributes_lower(int resource, unsigned long want, const char *name, struct cloche_err *err);

/* What a process of the same user can change of another, and what that would hand on; but for the
 * limits, which take CAP_SYS_RESOURCE to be read. Compared byte by byte. */
struct attributes_seen {
	unsigned char scheduling[64]; /* struct sched_attr */
	cpu_set_t affinity;
	long io_priority;
	pid_t session, group;
};

/* Of one that does not run. -errno. */
int attributes_read(pid_t pid, struct attributes_seen *ret);

/* The OOM killer takes this process late: it holds others' contexts. False: it stays more likely a
 * victim than usual, since its caller is and it may not change that. */
bool attributes_try_outlive(int proc);

/* Whether that is so of this process by now. */
bool attributes_outlives(int proc);

/* Of pid 1's capabilities those that the steps of child.c and what the spec asks for need, as far
 * as the caller has them; effective and permitted only. A blank has what any spec may need. */
int attributes_keep_capabilities(const struct plan *plan, struct cloche_err *err);

/* What to limit core files to so that none is made: 0, but 1 where they go to a program, which 0
 * does not keep from being run, as root of the host (core(5), "Piping core dumps to a program"). */
unsigned long attributes_core_limit(void);

#endif
