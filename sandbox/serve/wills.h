/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_WILLS_H
#define CLOCHE_SERVE_WILLS_H

#include <stdbool.h>
#include <stdint.h>

struct booking;
struct cloche_err;
struct counted;
struct ledger_record;
struct will;

/*
 * What is to be in the ledger of an invocation that ends with the front that drives it. Before a
 * function is started its record, as one of a cancelled invocation, is written down in a file of
 * the front's directory, by writing memory: that stays, whoever is killed. It is struck out when
 * the true record is in the ledger. A front that begins finds what those before it left, and when
 * the launcher says that nothing of theirs runs any more (REPLY_ALONE), it writes those records;
 * but not those that are there already, which it sees from the place in the chain where the will
 * was made. So an invocation that was begun has one record, wherever a kill comes; and the
 * launcher, where that lives, has counted what it used until then (REPLY_LEFT). It is not charged.
 *
 * The file is the front's own and nobody else reads it. What is not whole in it is not believed.
 * Its form does not change with the program, and a will is the record as the ledger has it: so that
 * another version writes it, too, or knows how many it cannot read.
 */
#define WILLS_NAME "wills"
#define WILLS_MAX  512 /* invocations at a time */

struct wills {
	struct will *all;	 /* mapped */
	unsigned unread;	 /* so many were left by another version, and stay */
	bool left[WILLS_MAX];	 /* by another front */
	bool written[WILLS_MAX]; /* ... and found in the ledger */
	struct {
		int64_t on_cpu_ns, memory_peak_bytes; /* LEDGER_NULL */
	} counted[WILLS_MAX];			      /* of what was left */
};

/* In the working directory, with room on the disk. */
int wills_open(struct wills *ret, struct cloche_err *err);
void wills_close(struct wills *w);

/* Its number, for wills_strike(); -1: there is no more room, or the ledger has no place for it.
 * context: the number of that in which it runs. */
int wills_make(struct wills *w, const struct booking *b, const struct ledger_record *record,
	       uint64_t context);
void wills_strike(struct wills *w, int will);

/* What one that was left has used, in that context. */
void wills_count(struct wills *w, uint64_t context, const struct counted *counted);

/* Writes the records of those that were left. *ret_n: how many it wrote. -errno: one could not be
 * written, and stays for another time. */
int wills_execute(struct wills *w, struct booking *b, unsigned *ret_n, struct cloche_err *err);

#endif
