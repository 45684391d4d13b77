/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_DEADLINE_H
#define CLOCHE_LAUNCH_DEADLINE_H

struct function;

/*
 * The wall-clock limit of a function process, kept by the warden: a timer that ends some time
 * before it, for the warden to be awake and to go before all others, and then at it. It counts from
 * the first instruction (plan_clock), as far as anybody knows that, else from the call of execve.
 */

/* When it is known where it counts from: f->deadline_ns. 0 or -errno. */
int deadline_set(struct function *f);

/* The timer has ended: kills all that runs, or sets it again. */
void deadline_step(struct function *f);

/* Ends all that runs, whatever for; without cgroup.kill (before 5.14) the warden with it. */
void deadline_kill(const struct function *f);

#endif
