/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_CALLS_H
#define CLOCHE_TRACE_CALLS_H

#include <linux/types.h>
#include <stdint.h>

#include "bpf/calls_abi.h"

struct calls_bpf;
struct cloche_err;

/*
 * Counts the system calls of one cgroup by BPF, without touching them. Life cycle: open → arm →
 * (the processes run under a seccomp filter) → read → close. While it is open every system call of
 * the host takes the kernel's slower way; nothing is pinned and nothing stays.
 */
struct calls {
	struct calls_bpf *bpf; /* owned; NULL: closed */
};

/* wanted[nr]: one bit for each argument that is to tell calls apart. group: the id of a cgroup: all
 * below it are watched from the beginning, and the keys tell which is which; 0: one that
 * calls_arm() names. */
int calls_open(struct calls *ret, const uint8_t wanted[static CALLS_NR], uint64_t group,
	       struct cloche_err *err);

/* cgroup_id: the inode number of the cgroup2 directory. Only its processes that have loaded a
 * filter more than this process are counted: what a launch does before is not theirs. */
void calls_arm(struct calls *calls, uint64_t cgroup_id);

/* Hands out each kind with its count, in no order. Returns how many calls had no room. */
uint64_t calls_read(struct calls *calls,
		    void (*each)(const struct calls_key *key, uint64_t count, void *arg),
		    void *arg);

void calls_close(struct calls *calls);

#endif
