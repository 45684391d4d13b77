/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_PRICES_H
#define CLOCHE_LEDGER_PRICES_H

#include "ledger/money.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/*
 * A price list, and what one invocation costs by it. Plain values without pointers: copy freely,
 * nothing to free.
 *
 * How a charge comes about (the only place where anything is rounded):
 *   duration   the wall time, or the whole timeout when it timed out; plus the init phase where
 *              the list bills it
 *   billed     duration rounded up to a multiple of round_ms, at least min_ms
 *   memory     the limit, rounded up to the list's steps (lambda-2019: 128 MB and then every 64)
 *   charge     memory in GiB × billed seconds × gb_second, rounded half up, once per invocation,
 *              to 10⁻¹² dollars. Where the list has unit_decimals, the price of one round_ms at
 *              that memory is rounded half up to so many decimals first and then multiplied: that
 *              is how Lambda's table of 2018-2020 was made.
 *   request    a second amount of its own, never mixed into the charge
 *
 * The report prints the charge as "usd" with 12 decimals and gb_seconds with 9, and the ledger
 * holds just these rounded figures: whoever adds up reports by hand gets the bill, to the last
 * digit. "usd" is the duration charge alone, as in the contract's example, so that usd and
 * gb_seconds can be checked against each other; the request charge is 100 times larger than a short
 * invocation's and would hide it. The bill shows both, and their total.
 */
#define PRICES_NAME_LEN	 64
#define PRICES_TIERS_MAX 8
#define PRICES_DIR	 "/etc/cloche/prices"

/* Volume: the GB-seconds of one owner in one month up to here (0: all that follow) at this price.
 */
struct prices_tier {
	uint64_t up_to;
	money_t gb_second;
};

struct prices {
	char name[PRICES_NAME_LEN];
	char sha256[65]; /* of all that follows, in canonical text: what the ledger names */
	bool init_billed;
	uint32_t round_ms;	/* durations are rounded up to a multiple of it; at least 1 */
	uint32_t min_ms;	/* the least billed; 0: none */
	uint32_t unit_decimals; /* see above; 0: no rounding before multiplying */
	uint32_t memory_min_mib, memory_step_mib, memory_max_mib; /* 0: as the limit is */
	uint32_t n_tiers;  /* 0: gb_second whatever the volume */
	money_t gb_second; /* dollars for 1 GiB during 1 s */
	money_t request;   /* dollars for one request */
	struct prices_tier tiers[PRICES_TIERS_MAX];
};

/* What was used. */
struct prices_use {
	uint64_t memory_bytes; /* the limit */
	int64_t init_ns;       /* 0 when there was no init phase */
	int64_t wall_ns;       /* first instruction to the end, without init */
	int64_t timeout_ns; /* > 0 when it timed out: bills the full timeout, whatever wall_ns says
			     */
	int64_t contention_ns; /* waiting that was not its own quota's; -1 when it was not measured
				*/
};

#define PRICES_GBS_LEN sizeof("18446744073.709551615")

/* What it costs: the report's "bill" and the ledger's figures. */
struct prices_charge {
	int64_t duration_ns; /* what was rounded up: with init where it is billed */
	uint64_t billed_ms;
	uint64_t gbs_nano; /* GB-seconds (GiB) in 10⁻⁹, rounded half up */
	money_t charge;	   /* for the duration */
	money_t request;
	/* the charge with contention taken off the duration before rounding; equals `charge` when
	 * contention is 0 or was not measured */
	money_t fair;
	char gb_seconds[PRICES_GBS_LEN]; /* gbs_nano with 9 decimals */
	char usd[MONEY_LEN];		 /* charge with 12 decimals */
};

/*
 * "lambda" (today: 1 ms, init billed, $0.20 per million requests) and "lambda-2019" (100 ms, the
 * published table, durations only) are built in. A text with a '/' or that ends in .yaml or .yml is
 * a file (see prices_file.h); any other name is NAME.yaml in PRICES_DIR.
 * -ENOENT unknown name, -EINVAL what is wrong in the file and where.
 */
int prices_find(const char *name_or_file, struct prices *ret, struct cloche_err *err);

/* The same, and what is a file's is read by another way than prices_file_load. */
typedef int prices_load_fn(const char *path, const void *arg, struct prices *ret,
			   struct cloche_err *err);
int prices_find_by(const char *name_or_file, prices_load_fn *load, const void *arg,
		   struct prices *ret, struct cloche_err *err);

/* Whether it names a file by its path. */
bool prices_is_path(const char *name_or_file);

/* Fills in prices->sha256. */
void prices_seal(struct prices *prices);

/* -ERANGE when the list has no price for that memory. To be asked before anything runs. */
int prices_check_memory(const struct prices *prices, uint64_t memory_bytes, struct cloche_err *err);

/* -ERANGE for memory without a price or an amount beyond all range, -EINVAL for negative times. */
int prices_charge(const struct prices *prices, const struct prices_use *use,
		  struct prices_charge *ret, struct cloche_err *err);

/* The price of one round_ms at that memory: the figure of Lambda's published tables. */
int prices_unit(const struct prices *prices, uint64_t memory_bytes, money_t *ret,
		struct cloche_err *err);

/* What so many GB-seconds (in 10⁻⁹) in a month cost by the tiers, rounded half up to 10⁻¹² dollars.
 * Without tiers: at gb_second. */
int prices_volume(const struct prices *prices, unsigned __int128 gbs_nano, money_t *ret);

/* "0.000128000" from 10⁻⁹ GB-seconds; sums may pass 64 bits. */
#define PRICES_SUM_LEN 48
void prices_format_nano(unsigned __int128 nano, char buf[static PRICES_SUM_LEN]);

#endif
