/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LOCKS_ABI_H
#define CLOCHE_LOCKS_ABI_H

/* Between locks.bpf.c and launch/locks.c. Needs the kernel's types before it: linux/bpf.h or
 * vmlinux.h. */

#define LOCKS_SLOTS    4096	   /* SLOT_MAX */
#define LOCKS_UID_BASE 1900000000u /* SLOT_UID_BASE */
/* What one context may hold at a time, POSIX, open-file-description and flock(2) locks together:
 * 0.8 MiB of the kernel's memory. */
#define LOCKS_MAX  4096
#define LOCKS_NEAR 4

/* How many locks of the context one list has, and when they were counted. */
struct locks_list {
	__u64 list; /* which: see locks.bpf.c; 0: none */
	__u64 dated;
	__s64 count;
};

/* One context. */
struct locks_slot {
	struct bpf_spin_lock lock; /* all but refused and far */
	__u32 far;		   /* lists that had no place in near */
	__s64 live; /* what it holds: never less than the truth, and put right before anybody dies
		     */
	__u64 refused; /* how often a process was killed for one more */
	struct locks_list near[LOCKS_NEAR];
};

#endif
