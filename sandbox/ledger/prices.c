/* SPDX-License-Identifier: MIT */
/*
 * Price lists and the arithmetic of one charge: see prices.h for the rules. Pure: the only thing
 * read is a price file that the caller named.
 */
#include "ledger/prices.h"

#include "base/clock.h"
#include "base/err.h"
#include "ledger/prices_file.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define GIB 1073741824u
#define MIB 1048576u

/* AWS Lambda's prices in us-east-1, x86, as published; the names are the contract's. */
static const struct prices builtins[] = {
	{
		.name = "lambda",
		.gb_second = 16666700000, /* $0.0000166667 */
		.request = 200000000,	  /* $0.20 per million */
		.round_ms = 1,
		.init_billed = true, /* since 2025-08-01 */
	},
	{
		/* The table of 2018-2020: every row is round(MB/1024 × 0.00001667 × 0.1 s, 9). It
		 * holds durations only; requests were priced beside it. */
		.name = "lambda-2019",
		.gb_second = 16670000000,
		.round_ms = 100,
		.unit_decimals = 9,
		.memory_min_mib = 128,
		.memory_step_mib = 64,
		.memory_max_mib = 3008,
	},
};

bool prices_is_path(const char *text)
{
	size_t len = strlen(text);

	return strchr(text, '/') || (len > 5 && !strcmp(text + len - 5, ".yaml")) ||
	       (len > 4 && !strcmp(text + len - 4, ".yml"));
}

int prices_find_by(const char *name_or_file, prices_load_fn *load, const void *arg,
		   struct prices *ret, struct cloche_err *err)
{
	char path[512];
	int len, r;

	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
		if (strcmp(name_or_file, builtins[i].name) != 0)
			continue;
		*ret = builtins[i];
		prices_seal(ret);
		return 0;
	}
	if (prices_is_path(name_or_file))
		return load(name_or_file, arg, ret, err);
	len = snprintf(path, sizeof(path), PRICES_DIR "/%s.yaml", name_or_file);
	r = len < (int)sizeof(path) && *name_or_file ? load(path, arg, ret, err) : -ENOENT;
	if (r == -ENOENT)
		return cloche_err_set(err, ENOENT,
				      "no price list '%.60s': built in are lambda and lambda-2019; "
				      "others are %s/NAME.yaml or a file with a '/' in its name",
				      name_or_file, PRICES_DIR);
	return r;
}

static int load_here(const char *path, const void *arg, struct prices *ret, struct cloche_err *err)
{
	(void)arg;
	return prices_file_load(path, ret, err);
}

int prices_find(const char *name_or_file, struct prices *ret, struct cloche_err *err)
{
	return prices_find_by(name_or_file, load_here, NULL, ret, err);
}

void prices_seal(struct prices *p)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char text[2048], usd[MONEY_LEN], request[MONEY_LEN];
	int len;

	money_format(p->gb_second, usd);
	money_format(p->request, request);
	len = snprintf(text, sizeof(text),
		       "cloche.prices/1\ngb_second %s\nrequest %s\nround_ms %" PRIu32
		       "\nmin_ms %" PRIu32 "\nunit_decimals %" PRIu32 "\nmemory_mib %" PRIu32
		       " %" PRIu32 " %" PRIu32 "\ninit_billed %d\n",
		       usd, request, p->round_ms, p->min_ms, p->unit_decimals, p->memory_min_mib,
		       p->memory_step_mib, p->memory_max_mib, p->init_billed);
	for (unsigned i = 0; i < p->n_tiers && len < (int)sizeof(text); i++) {
		money_format(p->tiers[i].gb_second, usd);
		len += snprintf(text + len, sizeof(text) - (size_t)len, "tier %" PRIu64 " %s\n",
				p->tiers[i].up_to, usd);
	}
	(void)crypto_hash_sha256(hash, (const unsigned char *)text, (unsigned long long)len);
	(void)sodium_bin2hex(p->sha256, sizeof(p->sha256), hash, sizeof(hash));
}

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
