/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_LEDGER_INDEX_H
#define CLOCHE_METER_LEDGER_INDEX_H

#include <stdbool.h>

struct cloche_err;
struct sqlite3;

/*
 * The index of a ledger: an SQLite database beside it (index.db) that holds nothing of its own. It
 * is brought up to date when it is opened, by walking and proving what the ledger has beyond it,
 * and built anew when it is missing, damaged, of another version or of another ledger. Where it
 * cannot be written (a ledger that is somebody else's, a read-only disk) it is built in memory.
 *
 *	raw	one row per invocation, by hour
 *	rollup	their sums by hour, owner, function, verdict, memory and price list
 *
 * Amounts are two integers, x_hi × 10⁹ + x_lo, so that SQLite's 64-bit sums stay exact (it refuses
 * to wrap); GB-seconds the same.
 */
#define LEDGER_INDEX_NAME "index.db"

struct ledger_index {
	struct sqlite3 *db;
	bool in_memory;
	bool rebuilt;
};

/* -EBADMSG when the ledger is broken: there is no bill of what cannot be proven. rebuild: throws
 * away what is there first. */
int ledger_index_open(const char *dir, bool rebuild, struct ledger_index *ret,
		      struct cloche_err *err);
void ledger_index_close(struct ledger_index *index);
#define cleanup_ledger_index __attribute__((cleanup(ledger_index_close)))

#endif
