/* SPDX-License-Identifier: MIT */
/* What may still be added to the ledger, by owner: see allowances.h. */
#include "serve/allowances.h"

#include <stddef.h>

#define DAY_NS (24LL * 3600 * 1000000000)

static double used_now(const struct allowance *one, int64_t now_ns)
{
	double back = (double)(now_ns - one->at_ns) * one->most / DAY_NS;

	return one->used > back ? one->used - back : 0;
}

static const struct allowance *find(const struct allowances *a, uint32_t uid)
{
	for (size_t i = 0; i < ALLOWANCES_MAX; i++)
		if (a->of[i].most && a->of[i].uid == uid)
			return &a->of[i];
	return NULL;
}

int64_t allowances_due(const struct allowances *a, uint32_t uid, uint32_t most, int64_t now_ns)
{
	const struct allowance *one = find(a, uid);
	double used = one ? used_now(one, now_ns) : 0;

	return used + 1 > most ? (int64_t)((used + 1 - most) * DAY_NS / most) + 1 : 0;
}

static struct allowance *place_for(struct allowances *a, uint32_t uid, int64_t now_ns)
{
	const struct allowance *own = find(a, uid);
	struct allowance *least = a->of;

	if (own)
		return &a->of[own - a->of];
	for (size_t i = 0; i < ALLOWANCES_MAX && least->most; i++)
		if (!a->of[i].most || used_now(&a->of[i], now_ns) < used_now(least, now_ns))
			least = &a->of[i];
	least->most = 0;
	return least;
}

void allowances_use(struct allowances *a, uint32_t uid, uint32_t most, int64_t now_ns)
{
	struct allowance *one = place_for(a, uid, now_ns);
	double used = one->most ? used_now(one, now_ns) : 0;

	*one = (struct allowance){ .uid = uid, .most = most, .used = used + 1, .at_ns = now_ns };
}
