/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_LEDGER_H
#define CLOCHE_CLI_RUN_LEDGER_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger;
struct report;
struct run_options;

/*
 * The ledger as `cloche run` uses it: run_ledger_ready → the invocation → run_ledger_append, as
 * often as there are invocations, then run_ledger_close. Start from zeroes.
 */
struct run_ledger {
	struct ledger *ledger; /* opened when it is first asked for */
	bool refused;
	bool said;
	uint64_t lost_said;	/* records found missing that were told of */
	uint64_t findings_said; /* and heads that no death leaves */
	struct cloche_err err;	/* why there is no safe record; code 0: there is */
};

/* Before an invocation: *err says why it must not be. 0 also when no ledger is kept, or when the
 * ledger cannot take a record and the options say to go on. */
int run_ledger_ready(struct run_ledger *run, const struct run_options *opt, struct cloche_err *err);

/* After it, before anybody is told of it. NULL, or why there is no safe record; that is also said
 * on standard error, once. */
const char *run_ledger_append(struct run_ledger *run, const struct run_options *opt,
			      const struct report *report);

void run_ledger_close(struct run_ledger *run);

#endif
