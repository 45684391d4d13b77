/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_INDEX_H
#define CLOCHE_LEDGER_LEDGER_INDEX_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct ledger_finding;
struct ledger_walk;
struct sqlite3;

/*
 * The index of a ledger: an SQLite database beside it (index.db) that holds nothing of its own. It
 * is brought up to date when it is opened, by walking and proving what the ledger has beyond it,
 * and built anew when it is missing, damaged, of another version or of another ledger. Where it
 * cannot be written (a ledger that is somebody else's, a read-only disk) it is built in memory.
 *
 * It is also a witness: what it has taken in must still be there. Each time, the size of every
 * segment is compared with what it was. Where one is gone or differs, all of the ledger is proven
 * anew, and nothing is answered from one that lacks records without saying so itself: that is an
 * error until the index is built anew by order (`rebuild`).
 *
 *	raw		one row per invocation, by hour
 *	rollup		their sums by hour, owner, function, verdict, memory and price list
 *	segments	the sealed ones and their sizes
 *	meta		how far it has come
 *
 * Amounts are two integers, x_hi × 10⁹ + x_lo, so that SQLite's 64-bit sums stay exact (it refuses
 * to wrap); GB-seconds the same.
 */
#define LEDGER_INDEX_NAME "index.db"

struct ledger_index {
	struct sqlite3 *db;
	bool in_memory;
	bool rebuilt;
	uint64_t lost; /* records that the ledger itself says are missing from it */
	bool unsure;   /* more may be, for all that it can tell: see ledger_witness.h */
};

/* -EBADMSG when the ledger is broken: there is no bill of what cannot be proven. -ESTALE when it
 * has less than the index had taken in. rebuild: throws away what is there first. */
int ledger_index_open(const char *dir, bool rebuild, struct ledger_index *ret,
		      struct cloche_err *err);

/* Records from elsewhere than a directory: walks as ledger_verify() does. */
struct ledger_source {
	int (*walk)(void *arg, const struct ledger_walk *walk, struct ledger_finding *ret,
		    struct cloche_err *err);
	void *arg;
};

/* The same in memory, of all that a source has. It says itself when that is broken. */
int ledger_index_gather(const struct ledger_source *source, struct ledger_index *ret,
			struct cloche_err *err);
void ledger_index_close(struct ledger_index *index);
#define cleanup_ledger_index __attribute__((cleanup(ledger_index_close)))

#endif
