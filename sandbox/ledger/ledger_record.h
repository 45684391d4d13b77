/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_RECORD_H
#define CLOCHE_LEDGER_LEDGER_RECORD_H

#include "ledger/money.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct json_t;

/*
 * What the ledger says of one finished invocation. Plain values, nothing owned. Times are in ns;
 * LEDGER_NULL stands for a figure that was not measured, an empty text for "none". The bytes in the
 * ledger, the JSON of `cloche audit show` and this struct follow from one table in
 * ledger_record.c; a field is only ever added at its end, with a new LEDGER_VERSION.
 */
#define LEDGER_NULL INT64_MIN

struct ledger_record {
	char request_id[37];
	char function[65]; /* "": it has no name */
	char owner_name[33];
	char verdict[16];
	char reuse[8];
	char prices[64];
	char policy[64]; /* its name */
	uint32_t owner_uid;
	bool cold;
	int64_t exit_code;  /* LEDGER_NULL when it did not exit */
	int64_t started_ns; /* since 1970 */
	int64_t launch_ns, init_ns, wall_ns;
	int64_t busy_ns, waiting_ns, idle_ns;
	int64_t on_cpu_ns, user_ns, system_ns, throttled_ns;
	int64_t contention_ns;
	int64_t memory_limit_bytes, memory_peak_bytes;
	int64_t duration_ns; /* as billed: with init where the price list bills it */
	uint64_t billed_ms;
	uint64_t gbs_nano;
	money_t charge, request, fair;				    /* see prices.h */
	char policy_sha256[65], code_sha256[65], prices_sha256[65]; /* hex, or "" */
};

/* The longest body that ledger_record_encode makes. */
#define LEDGER_BODY_MAX 768

/* All measured figures LEDGER_NULL, all else empty or 0. */
void ledger_record_init(struct ledger_record *record);

/* The canonical bytes: little-endian, texts with their length before them. Returns the length.
 * -EINVAL for a text that is not terminated or not UTF-8, a hash that is not 64 hex digits, an
 * amount below 0 or finer than MONEY_PICO. */
int ledger_record_encode(const struct ledger_record *record,
			 unsigned char buf[static LEDGER_BODY_MAX], struct cloche_err *err);

/* -EBADMSG unless the bytes are exactly one record in canonical form. */
int ledger_record_decode(const unsigned char *body, size_t len, struct ledger_record *ret);

/* A new reference; NULL when out of memory. Amounts and GB-seconds are texts, to the last digit. */
struct json_t *ledger_record_json(const struct ledger_record *record);

#endif
