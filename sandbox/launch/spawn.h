/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_SPAWN_H
#define CLOCHE_LAUNCH_SPAWN_H

#include <sys/types.h>

struct plan;

/*
 * Makes the function process, born in the cgroup `cgroup2` (a directory of cgroup2), and runs
 * main(plan) in it. Returns, with its pid or -errno, when it has exec'd or ended; *ret_pidfd is the
 * caller's then.
 *
 * It shares the caller's memory and, until its exec, the table of file descriptors (CLONE_VM,
 * CLONE_VFORK, CLONE_FILES): nothing is copied, and what it opens the caller has too. main must not
 * return. The caller must have one thread.
 */
pid_t spawn(int cgroup2, int *ret_pidfd, void (*main)(const struct plan *plan),
	    const struct plan *plan);

#endif
