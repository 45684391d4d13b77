/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_BILL_H
#define CLOCHE_LEDGER_BILL_H

#include "ledger/money.h"

#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct ledger_index;

/*
 * Sums over the ledger, through its index, exact to the last digit: a bill's total is the sum of
 * its rows, which are the sums of the records' amounts. See prices.h for what the amounts are.
 */
enum bill_by {
	BILL_BY_FUNCTION, /* "owner/function"; "function" when the bill is one owner's */
	BILL_BY_OWNER,
	BILL_BY_DAY, /* UTC, by the start of the invocation */
	BILL_BY_VERDICT,
	BILL_BY_MEMORY, /* MB */
	BILL_BY_PRICES, /* the name of the price list */
};

int bill_by_parse(const char *text, enum bill_by *ret, struct cloche_err *err);
const char *bill_by_text(enum bill_by by);

#define BILL_ANY_OWNER (-1)

struct bill_query {
	enum bill_by by;
	int64_t since_ns, until_ns; /* started in [since, until), ns since 1970 */
	int64_t owner_uid;	    /* or BILL_ANY_OWNER */
	const char *function;	    /* NULL: all */
	const char *verdict;	    /* NULL: all */
};

struct bill_row {
	char key[128];
	int64_t invocations; /* and requests: one each */
	int64_t cold;
	int64_t billed_ms;
	int64_t duration_ns; /* used, as billed but before rounding up */
	int64_t contention_ns;
	int64_t unmeasured; /* invocations whose contention is not known */
	unsigned __int128 gbs_nano;
	money_t charge, request, total; /* total = charge + request */
	money_t fair;			/* total with contention taken off */
	int64_t alone_ns; /* what duration_ns would have been with nobody beside (sizing.h) */
	money_t alone;	  /* and the total */
};

struct bill {
	struct bill_row *rows; /* the dearest first; by day and by memory in order */
	size_t n;
	struct bill_row sum;
};

int bill_make(struct ledger_index *index, const struct bill_query *query, struct bill *ret,
	      struct cloche_err *err);
void bill_free(struct bill *bill);
#define cleanup_bill __attribute__((cleanup(bill_free)))

#endif
