/* SPDX-License-Identifier: MIT */
/*
 * What the bill rounds, all of it: from what an invocation used to what it costs, by the rules in
 * prices.h. Sums of charges (bill.c) are exact. Pure: no system calls.
 */
#include "ledger/prices.h"

#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define GIB 1073741824u
#define MIB 1048576u

/* The memory that is charged for: the limit, moved up to the list's next step. */
static int memory_charged(const struct prices *p, uint64_t bytes, uint64_t *ret,
			  struct cloche_err *err)
{
	uint64_t mib, above;

	if (!p->memory_step_mib) {
		*ret = bytes;
		return 0;
	}
	if (bytes > (uint64_t)p->memory_max_mib * MIB)
		return cloche_err_set(err, ERANGE,
				      "price list '%s' ends at %" PRIu32 " MB; memory is %" PRIu64
				      " MB: choose another list or less memory",
				      p->name, p->memory_max_mib, (bytes + MIB - 1) / MIB);
	mib = (bytes + MIB - 1) / MIB;
	if (mib < p->memory_min_mib)
		mib = p->memory_min_mib;
	above = (mib - p->memory_min_mib) % p->memory_step_mib;
	if (above)
		mib += p->memory_step_mib - above;
	*ret = mib * MIB;
	return 0;
}

int prices_check_memory(const struct prices *prices, uint64_t memory_bytes, struct cloche_err *err)
{
	uint64_t charged;

	return memory_charged(prices, memory_bytes, &charged, err);
}

/* gb_second for `ms` at `bytes`, rounded to quantum. */
static int price_of(const struct prices *p, uint64_t bytes, uint64_t ms, money_t quantum,
		    money_t *ret)
{
	return money_mul_div(p->gb_second, (unsigned __int128)bytes * ms,
			     (unsigned __int128)GIB * 1000, quantum, ret);
}

static money_t unit_quantum(const struct prices *p)
{
	money_t quantum = MONEY_USD;

	if (!p->unit_decimals)
		return 1;
	for (uint32_t i = 0; i < p->unit_decimals; i++)
		quantum /= 10;
	return quantum;
}

int prices_unit(const struct prices *p, uint64_t memory_bytes, money_t *ret, struct cloche_err *err)
{
	uint64_t bytes = 0;
	int r;

	r = memory_charged(p, memory_bytes, &bytes, err);
	if (r < 0)
		return r;
	r = price_of(p, bytes, p->round_ms, unit_quantum(p), ret);
	if (r < 0)
		return cloche_err_set(
			err, -r, "price list '%s': the price of %" PRIu32 " ms is beyond all range",
			p->name, p->round_ms);
	return 0;
}

static uint64_t billed_ms_of(const struct prices *p, int64_t duration_ns)
{
	uint64_t unit_ns = (uint64_t)p->round_ms * NSEC_PER_MSEC;
	uint64_t units = ((uint64_t)duration_ns + unit_ns - 1) / unit_ns;
	uint64_t least = ((uint64_t)p->min_ms + p->round_ms - 1) / p->round_ms;

	return (units > least ? units : least) * p->round_ms;
}

/* Charges billed_ms at bytes, by the unit where the list prices units. */
static int charge_of(const struct prices *p, uint64_t bytes, uint64_t billed_ms, money_t *ret)
{
	money_t unit = 0;
	int r;

	if (!p->unit_decimals)
		return price_of(p, bytes, billed_ms, MONEY_PICO, ret);
	r = price_of(p, bytes, p->round_ms, unit_quantum(p), &unit);
	if (r < 0)
		return r;
	return money_mul_div(unit, billed_ms / p->round_ms, 1, MONEY_PICO, ret);
}

static int duration_of(const struct prices *p, const struct prices_use *use, int64_t *ret)
{
	int64_t wall = use->timeout_ns > 0 ? use->timeout_ns : use->wall_ns;
	int64_t init = p->init_billed ? use->init_ns : 0;

	if (wall < 0 || use->init_ns < 0)
		return -EINVAL;
	/* Far above any timeout; keeps all that follows within its types. */
	if (wall > INT64_MAX / 4 || init > INT64_MAX / 4)
		return -ERANGE;
	*ret = wall + init;
	return 0;
}

int prices_charge(const struct prices *p, const struct prices_use *use, struct prices_charge *ret,
		  struct cloche_err *err)
{
	struct prices_charge c = { .request = p->request };
	unsigned __int128 nano;
	uint64_t bytes = 0;
	int64_t fair_ns;
	int r;

	r = memory_charged(p, use->memory_bytes, &bytes, err);
	if (r < 0)
		return r;
	r = duration_of(p, use, &c.duration_ns);
	if (r < 0)
		return cloche_err_set(err, -r,
				      "a duration of %" PRId64 " ns (init %" PRId64
				      " ns) cannot be billed",
				      use->wall_ns, use->init_ns);
	c.billed_ms = billed_ms_of(p, c.duration_ns);

	/* bytes × ms × 10⁹ / (2³⁰ × 1000), half up. */
	nano = ((unsigned __int128)bytes * c.billed_ms * 1000000 + GIB / 2) / GIB;
	r = charge_of(p, bytes, c.billed_ms, &c.charge);
	fair_ns = use->contention_ns > 0 ? c.duration_ns - use->contention_ns : c.duration_ns;
	if (r == 0)
		r = charge_of(p, bytes, billed_ms_of(p, fair_ns > 0 ? fair_ns : 0), &c.fair);
	if (r < 0 || nano > UINT64_MAX)
		return cloche_err_set(err, ERANGE,
				      "%" PRIu64 " bytes for %" PRIu64
				      " ms by price list '%s' is beyond all range",
				      bytes, c.billed_ms, p->name);
	c.gbs_nano = (uint64_t)nano;
	(void)snprintf(c.gb_seconds, sizeof(c.gb_seconds), "%" PRIu64 ".%09" PRIu64,
		       c.gbs_nano / 1000000000, c.gbs_nano % 1000000000);
	money_format_fixed(c.charge, 12, c.usd);
	*ret = c;
	return 0;
}

int prices_volume(const struct prices *p, unsigned __int128 gbs_nano, money_t *ret)
{
	const unsigned __int128 nano = 1000000000;
	unsigned __int128 from = 0;
	money_t sum = 0, part;
	int r;

	if (!p->n_tiers)
		return money_mul_div(p->gb_second, gbs_nano, nano, MONEY_PICO, ret);
	for (unsigned i = 0; i < p->n_tiers && gbs_nano > from; i++) {
		const struct prices_tier *t = &p->tiers[i];
		unsigned __int128 to = t->up_to ? t->up_to * nano : gbs_nano;

		if (to > gbs_nano)
			to = gbs_nano;
		r = money_mul_div(t->gb_second, to - from, nano, MONEY_PICO, &part);
		if (r == 0)
			r = money_add(&sum, part);
		if (r < 0)
			return r;
		from = to;
	}
	*ret = sum;
	return 0;
}

void prices_format_nano(unsigned __int128 nano, char buf[static PRICES_SUM_LEN])
{
	/* 10⁻⁹ is 10⁻¹⁵ × 10⁶; a sum too large for that cannot come from 64-bit records. */
	money_format_fixed((money_t)(nano * 1000000), 9, buf);
}
