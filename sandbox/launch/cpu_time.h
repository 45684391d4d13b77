/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_CPU_TIME_H
#define CLOCHE_LAUNCH_CPU_TIME_H

struct function;

/*
 * The limit on the CPU time of a function process and all that it makes, kept by the warden, as the
 * deadline is: looked at when it could be over at the earliest, and a little later. What was used
 * until the call of execve does not count. It is counted by the meter (plan_clock), as far as
 * anybody knows that, else by the cgroup.
 */

/* When the call of execve is done, and when the warden is not prompt any more. 0 or -errno. */
int cpu_time_set(struct function *f);

/* The timer has ended: kills all that runs, or sets it again. */
void cpu_time_step(struct function *f);

#endif
