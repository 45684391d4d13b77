/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_ALLOWANCES_H
#define CLOCHE_SERVE_ALLOWANCES_H

#include <stdint.h>

/*
 * How many records each owner may still add to the ledger, which all share: so many in a day, and
 * as many at once. What was used comes back bit by bit, all that there may be within a day. Pure:
 * of a clock it is told. Where there are more owners than places, who has used least has it back
 * at once. Start from zeros.
 */
#define ALLOWANCES_MAX 1024

struct allowances {
	struct allowance {
		uint32_t uid;
		uint32_t most; /* when one was used last; 0: nobody's */
		double used;   /* then */
		int64_t at_ns;
	} of[ALLOWANCES_MAX];
};

/* Of `most` in a day, at least 1: 0, or how many ns until there is one. */
int64_t allowances_due(const struct allowances *a, uint32_t uid, uint32_t most, int64_t now_ns);

/* One is used, whether there was one or not. */
void allowances_use(struct allowances *a, uint32_t uid, uint32_t most, int64_t now_ns);

#endif
