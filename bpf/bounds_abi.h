/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BOUNDS_ABI_H
#define CLOCHE_BOUNDS_ABI_H

/* Between bounds.bpf.c and host/bounds.c. Needs the kernel's types before it: linux/bpf.h or
 * vmlinux.h. */

#define BOUNDS_SLOTS	4096	    /* SLOT_MAX */
#define BOUNDS_UID_BASE 1900000000u /* SLOT_UID_BASE */
/* What one context may hold at a time, POSIX, open-file-description and flock(2) locks together:
 * 0.8 MiB of the kernel's memory. */
#define LOCKS_MAX  4096
#define LOCKS_NEAR 4

/* How many locks of the context one list has, and when they were counted. */
struct locks_list {
	__u64 list; /* which: see bounds_locks.h; 0: none */
	__u64 dated;
	__s64 count;
};

/* One context. */
struct bounds_slot {
	struct bpf_spin_lock lock; /* of the locks but far */
	__u32 locks_far;	   /* lists that had no place in near */
	__s64 locks;		   /* what it holds: never less than the truth, and put right before
				    * anybody dies */
	struct locks_list near[LOCKS_NEAR];
	__s64 connections, connections_max;
	/* How often a process was killed for one more. */
	__u64 locks_refused, connections_refused;
	/* How often one was killed for a lock on a read-only mount. */
	__u64 read_only_refused;
	__u64 read_locks; /* 1: those of POSIX may be held there */
};

#endif
