/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_LOCKS_H
#define CLOCHE_LAUNCH_LOCKS_H

#include <linux/bpf.h>
#include <stdint.h>

#include "bpf/locks_abi.h"

struct cloche_err;

/*
 * A bound on the file locks of a context, which the kernel has none for (see bpf/locks.bpf.c). The
 * programs are attached once for the whole host and stay, pinned below /sys/fs/bpf; where nothing
 * can be pinned they are this process's own and last as long.
 */
struct locks {
	int slots;    /* what each context holds */
	int links[2]; /* -1: pinned */
};

#define LOCKS_NONE                               \
	{                                        \
		.slots = -1, .links = { -1, -1 } \
	}

int locks_open(struct locks *ret, struct cloche_err *err);
void locks_close(struct locks *locks);

/* Whether this kernel takes the programs; nothing stays. */
int locks_try(struct cloche_err *err);

/* A new context: nothing that the last one of this slot did counts for it. */
int locks_begin(const struct locks *locks, unsigned slot, struct cloche_err *err);

/* How many of the context's processes were killed for one lock too many. */
uint64_t locks_refused(const struct locks *locks, unsigned slot);

#endif
