/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POOL_SUPPLY_H
#define CLOCHE_POOL_SUPPLY_H

#include <stdint.h>

/*
 * How many blanks are kept ready: one more each time that a new context was asked for, up to a
 * bound, and none any more when nobody has asked for some time. Pure. All zeroes: none.
 */
#define SUPPLY_MAX     8
#define SUPPLY_IDLE_NS (10 * 1000000000LL)

struct supply {
	unsigned want;
	int64_t asked_ns; /* last */
};

void supply_asked(struct supply *s, int64_t now_ns);
unsigned supply_want(const struct supply *s, int64_t now_ns);

/* When that will change by itself; INT64_MAX: it will not. */
int64_t supply_due(const struct supply *s, int64_t now_ns);

#endif
