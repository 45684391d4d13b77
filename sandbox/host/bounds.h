/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_BOUNDS_H
#define CLOCHE_HOST_BOUNDS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/bounds_abi.h"

struct cloche_err;

/*
 * Bounds on what the kernel has none for: the file locks and the TCP connections of a context (see
 * bpf/bounds.bpf.c). The programs are attached once for the whole host and stay, pinned below
 * /sys/fs/bpf; where nothing can be pinned they are this process's own and last as long.
 */
#define BOUNDS_LINKS 3

struct bounds {
	int slots;		 /* what each context holds */
	int links[BOUNDS_LINKS]; /* as long as one of them is open, its program counts */
};

#define BOUNDS_NONE                                  \
	{                                            \
		.slots = -1, .links = { -1, -1, -1 } \
	}

int bounds_open(struct bounds *ret, struct cloche_err *err);
void bounds_close(struct bounds *bounds);

/* Whether this kernel takes the programs; nothing stays. */
int bounds_try(struct cloche_err *err);

/* An end of a connection is up to 6 KiB of nobody's memory where the other is gone. */
static inline uint64_t bounds_connections(uint64_t memory_bytes)
{
	uint64_t n = memory_bytes >> 17;

	return n < 64 ? 64 : n;
}

/* A new context: nothing that the last one of this slot did counts for it. read_locks: POSIX read
 * locks may be held on read-only mounts. */
int bounds_begin(const struct bounds *bounds, unsigned slot, uint64_t memory_bytes, bool read_locks,
		 struct cloche_err *err);

/* No process of it is left, and its slot is still its own. What is next in it may be another
 * version's, whose bounds are not ours to keep; so may it be after a launcher that was killed,
 * which says nothing. */
void bounds_end(const struct bounds *bounds, unsigned slot);

/* How many of the context's processes were killed for one too many; for a lock on what is there for
 * reading only. */
struct bounds_refused {
	uint64_t locks, connections, read_only;
};

static inline uint64_t bounds_refused_all(const struct bounds_refused *refused)
{
	return refused->locks + refused->connections + refused->read_only;
}

struct bounds_refused bounds_refused(const struct bounds *bounds, unsigned slot);

#endif
