/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_BLANKS_H
#define CLOCHE_SERVE_BLANKS_H

#include "launch/launcher.h"
#include "launch/spec.h"
#include "pool/supply.h"
#include "run/metering.h"

#include <stdbool.h>
#include <stdint.h>

/* Contexts that are made ahead of need and nobody's: as many as the supply (pool/supply.h) wants.
 */
struct blanks {
	struct launcher *launcher; /* borrowed */
	struct context held[SUPPLY_MAX];
	unsigned n;
	struct supply supply;
	struct spec spec;      /* of all */
	struct metering clock; /* of all */
};

/* In place: contexts point into it. */
void blanks_open(struct blanks *b, struct launcher *launcher);
void blanks_close(struct blanks *b);

/* One that lives, into *ret, the caller's from then on; false: there is none for such a spec. */
bool blanks_take(struct blanks *b, const struct spec *spec, struct context *ret);

/* A context was asked for: more will be. */
void blanks_asked(struct blanks *b);

/* None is wanted until the next is asked for. */
void blanks_forgo(struct blanks *b);

/* Makes or ends one at most; busy: none is made now. */
void blanks_step(struct blanks *b, bool busy);

/* When that is worth it again (CLOCK_MONOTONIC). */
int64_t blanks_due(const struct blanks *b);

#endif
