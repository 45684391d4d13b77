/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CALLS_ABI_H
#define CLOCHE_CALLS_ABI_H

/*
 * What bpf/calls.bpf.c counts and sandbox/trace/calls.c reads. Fixed width, no padding. Needs the
 * kernel's types (__u32…) before it: linux/types.h or vmlinux.h.
 */
#define CALLS_NR    512	  /* numbers from here on have no arguments kept */
#define CALLS_KINDS 16384 /* different keys; what has no room is counted as lost */

enum calls_fate {
	CALLS_PASSED = 0,
	CALLS_FAILED = 1, /* in the kernel, or refused by a filter */
};

struct calls_key {
	__s32 nr;
	__u16 fate;   /* CALLS_* */
	__u16 compat; /* 1: by the 32-bit gate; nr is of its table */
	char comm[16];
	__u64 args[6]; /* those that were asked for; else 0 */
	/* Where a group is watched, else 0: its own cgroup; and how many filters it is under. */
	__u64 cgroup;
	__u32 filters;
	__u32 reserved; /* 0 */
};

_Static_assert(sizeof(struct calls_key) == 88, "no padding: it is compared as bytes");

#endif
