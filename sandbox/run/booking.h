/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_BOOKING_H
#define CLOCHE_RUN_BOOKING_H

#include "base/err.h"
#include "ledger/ledger.h"

#include <stdbool.h>
#include <stdint.h>

struct outcome;
struct prices;
struct rights;

/*
 * Between invocations and the ledger. The order is what counts: whether there is room is asked
 * before anything runs (booking_ready), and the record is there before anybody is told of the
 * outcome (booking_enter), so that what was answered for is never lost, whoever is killed then.
 * Start from { .dir = … }; booking_close at the end.
 */
struct booking {
	const char *dir;	 /* of the ledger; NULL: none is kept */
	bool sync;		 /* records survive power loss */
	bool go_on;		 /* also when it can take no record */
	const struct rights *as; /* whose it is: all of it is opened by them; NULL: us */
	struct ledger *ledger;
	bool refused;
	uint64_t told_lost, told_findings; /* of what was found in it */
	struct cloche_err err;
};

/* *err says why nothing may be run. 0 also where it cannot take a record and go_on is set.
 * *ret_found: what was found to be missing or not in order, of which nobody was told yet. */
int booking_ready(struct booking *b, struct ledger_repair *ret_found, struct cloche_err *err);

/* Where the ledger ends now, for who reads it; -ENOENT where none is kept. */
struct ledger_head;
int booking_end(struct booking *b, struct ledger_head *ret, struct cloche_err *err);

/* Fills in the charge of what ran. */
void booking_charge(const struct prices *prices, struct outcome *out);

/* Writes the record; out->unrecorded says that there is no safe one. */
void booking_enter(struct booking *b, struct outcome *out, struct ledger_repair *ret_found);

void booking_close(struct booking *b);

#endif
