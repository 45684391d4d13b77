/* SPDX-License-Identifier: MIT */
/*
 * Price lists, built in or of a file that the caller named: see prices.h. What is computed by them
 * is in rounding.c.
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
