/* SPDX-License-Identifier: MIT */
/* The supply of blanks: see supply.h. */
#include "pool/supply.h"

unsigned supply_want(const struct supply *s, int64_t now_ns)
{
	return now_ns - s->asked_ns < SUPPLY_IDLE_NS ? s->want : 0;
}

void supply_asked(struct supply *s, int64_t now_ns)
{
	unsigned want = supply_want(s, now_ns);

	*s = (struct supply){ .want = want < SUPPLY_MAX ? want + 1 : SUPPLY_MAX,
			      .asked_ns = now_ns };
}

int64_t supply_due(const struct supply *s, int64_t now_ns)
{
	return supply_want(s, now_ns) ? s->asked_ns + SUPPLY_IDLE_NS : INT64_MAX;
}
