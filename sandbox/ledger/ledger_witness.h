/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_WITNESS_H
#define CLOCHE_LEDGER_LEDGER_WITNESS_H

#include "ledger/ledger_head.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What the file `head` witnesses: that the chain ended where it says. It has two parts of one form,
 * each in a disk sector of its own. At 0 `done`, where the chain ends; at HEAD_NEXT_AT `next`,
 *where it will end. A writer, under the lock on byte 0,
 *
 *	writes next (number N) → appends frame N → writes done (number N)
 *
 * so that whatever instant it dies at, one of the two is whole and says exactly where the chain is:
 *
 *	next is torn                  done is N-1, and so is the chain
 *	next is N, done is N-1        the chain is N-1, perhaps with a piece of N, or it is N
 *	done is torn                  next is N, and so is the chain
 *	both are N                    so is the chain
 *
 * Before there is a segment, next says that there will be a first frame, and not which: `done` is
 * absent until that is there.
 *
 * Anything else was not left by a death: the end of the ledger was cut off, or head was removed,
 * changed or put back. Only a restart of the machine in between explains a head that is behind (its
 * page had not reached the disk); so each part says during which boot it was written. That head and
 * ledger were put back together nothing in here can tell: see ledger_anchor.h.
 *
 * A part begins and ends with its check. A write that did not end leaves two different ones, no
 * word of 8 bytes being written in pieces and no check the same as another; a byte that was changed
 *leaves equal ones, or two that differ in one byte. Older versions wrote `done` alone, in another
 *form, after the frame.
 */
enum ledger_part { PART_ABSENT, PART_WHOLE, PART_TORN, PART_DAMAGED };

enum ledger_head_state {
	LEDGER_HEAD_OK,
	LEDGER_HEAD_MISSING, /* not there, or empty, beside segments */
	LEDGER_HEAD_DAMAGED,
	LEDGER_HEAD_OLDER, /* the chain goes on behind it */
	LEDGER_HEAD_NEWER, /* the chain ends before it: records are gone */
	LEDGER_HEAD_OTHER, /* it knows another record there, or is another ledger's */
	LEDGER_HEAD_BEHIND /* as OLDER, but the machine was restarted meanwhile: no finding */
};

struct ledger_witness {
	bool there;  /* there is a file */
	bool legacy; /* done is of the older form, next means nothing */
	enum ledger_part done_part, next_part;
	struct ledger_head done, next;
	bool done_differs, next_differs; /* the chain has another frame of that number */
};

/* fd may be -1: there is no file. -errno when it cannot be read. */
int ledger_witness_read(int fd, struct ledger_witness *ret);

/* To be told each position that the chain has, or all behind which `done` stands. */
void ledger_witness_see(struct ledger_witness *witness, const struct ledger_head *at);

/* The verdict on head when the chain ends at `end`. boot: see ledger_boot_id. */
enum ledger_head_state ledger_witness_judge(const struct ledger_witness *witness,
					    const struct ledger_head *end,
					    const unsigned char boot[static 16]);

/* How many frames behind `end` it knows of. */
uint64_t ledger_witness_lost(const struct ledger_witness *witness, const struct ledger_head *end);

/* Whether this is what must be told: all but OK and BEHIND. */
bool ledger_head_finding(enum ledger_head_state state);

/* "missing", "damaged" and so on. */
const char *ledger_head_state_text(enum ledger_head_state state);

/* Fills in what surrounds the content, before it is written. */
void ledger_head_finish(struct ledger_head *head);

/* Two parts that say the same of the chain. */
bool ledger_head_same(const struct ledger_head *a, const struct ledger_head *b);

/* Which boot of the machine this is (random(4)); zeros when that cannot be known. */
void ledger_boot_id(unsigned char ret[static 16]);

#endif
