/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_PROCESS_H
#define CLOCHE_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A child of ours that nobody has reaped yet, so that its number cannot be another's. The pidfd is
 * what it is waited for and signalled by; -1 where the kernel, or a filter around us, gives none.
 */
struct process {
	pid_t pid; /* 0: none */
	int pidfd;
};

#define PROCESS_NONE ((struct process){ .pidfd = -1 })

/* Of a child that was made without a pidfd. */
struct process process_open(pid_t child);

static inline bool process_is(const struct process *p)
{
	return p->pid > 0;
}

/* SIGKILL: by the pidfd, or by the number where the kernel does not take that. */
void process_kill(const struct process *p);

/* Waits for the end; *ret_status (may be NULL) as waitpid(2) has it. 0 or -errno; p is none then.
 */
int process_reap(struct process *p, int *ret_status);

/* Whether it has ended, and is reaped by that; p is none then, and of none it is true. */
bool process_try_reap(struct process *p);

/* Without waiting: its end is somebody else's matter, or nobody's. */
void process_close(struct process *p);

/* What this process has in memory, what it shares included: the resident set of /proc/self/statm.
 * UINT64_MAX: there is no such file. */
uint64_t process_own_memory(void);

#endif
