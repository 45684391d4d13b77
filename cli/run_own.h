/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_OWN_H
#define CLOCHE_CLI_RUN_OWN_H

#include "run/booking.h"

struct cloche_err;
struct ledger_repair;
struct outcome;
struct run_options;

/*
 * What of an invocation that the daemon runs is its client's own: a ledger that the client names,
 * beside the daemon's; the price list by which it is told what it cost; whether it wants to see the
 * meter's figures. All of it is made of the outcome, with the client's rights; what the daemon
 * writes down is as it is without.
 *
 *	run_own_begin → { run_own_ready → (the invocation) → run_own_settle }* → run_own_end
 */
struct run_own {
	const struct run_options *opt; /* borrowed */
	struct booking booking;
};

/* *err: options that are of no ledger. */
int run_own_begin(struct run_own *ret, const struct run_options *opt, struct cloche_err *err);

/* Why nothing may be run: the own ledger could not take the record. */
int run_own_ready(struct run_own *own, struct ledger_repair *ret_found, struct cloche_err *err);

/* Before anybody is told of the outcome. */
void run_own_settle(struct run_own *own, struct outcome *out, struct ledger_repair *ret_found);

void run_own_end(struct run_own *own);

#endif
