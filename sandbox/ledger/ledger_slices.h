/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_SLICES_H
#define CLOCHE_LEDGER_LEDGER_SLICES_H

#include "ledger/ledger_head.h"
#include "ledger/ledger_verify.h"

#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * The ledger's reader for a process that has other things to do in between: walks and proves the
 * chain as ledger_verify() does, from the first byte to a place that a writer of this process knows
 * (ledger_end), one slice at a time, and holds no lock. It looks at no witness: that is what the
 * writer did when it opened the ledger.
 *
 *	ledger_slices_open → ledger_slices_next… → ledger_slices_close
 */
#define LEDGER_SLICE (32U << 10) /* bytes; some 60 records */

_Static_assert(LEDGER_SLICE >= 2 * FRAME_MAX, "a slice has a whole frame");

struct ledger_slices {
	int dirfd, segfd; /* segfd: of at.segment; -1: not open */
	struct ledger_head at, until;
	struct ledger_finding finding; /* so far; `head` is none of its matters */
};

/* until: where to end. -errno: the directory cannot be read. */
int ledger_slices_open(const char *dir, const struct ledger_head *until, struct ledger_slices *ret,
		       struct cloche_err *err);

/* Reads a slice at most into buf and tells walk->each of its frames; nothing else of *walk counts.
 * 1: there is more; 0: it is at its end, or the finding is that the chain is broken; negative: it
 * could not be read, or what `each` returned. */
int ledger_slices_next(struct ledger_slices *s, unsigned char buf[static LEDGER_SLICE],
		       const struct ledger_walk *walk, struct cloche_err *err);

void ledger_slices_close(struct ledger_slices *s);

#endif
