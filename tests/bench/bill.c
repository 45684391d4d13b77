/* SPDX-License-Identifier: MIT */
/*
 * A bill over a million records of one month: 20 functions of 5 owners. Prints what it takes to
 * build the index and, with the index there, to make the bill.
 *	bill [RECORDS]
 */
#include "base/clock.h"
#include "base/err.h"
#include "ledger/bill.h"
#include "ledger/ledger.h"
#include "ledger/ledger_index.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void fail(const struct cloche_err *err)
{
	(void)fprintf(stderr, "bill: %s\n", err->text);
	exit(1);
}

static void fill(const char *dir, uint64_t n)
{
	struct ledger_options options = { .create = true };
	struct cloche_err err = { 0 };
	struct ledger_record r;
	struct ledger *l;

	if (ledger_open(dir, &options, &l, &err) < 0)
		fail(&err);
	for (uint64_t i = 0; i < n; i++) {
		ledger_record_init(&r);
		(void)snprintf(r.request_id, sizeof(r.request_id),
			       "123e4567-e89b-42d3-a456-%012" PRIu64, i % 1000000000000u);
		(void)snprintf(r.function, sizeof(r.function), "function-%u",
			       (unsigned)(i * 7919 % 20));
		(void)snprintf(r.owner_name, sizeof(r.owner_name), "owner-%u", (unsigned)(i % 5));
		(void)snprintf(r.verdict, sizeof(r.verdict), "%s", i % 50 ? "ok" : "error");
		(void)strcpy(r.prices, "lambda");
		r.owner_uid = 1000 + (uint32_t)(i % 5);
		r.started_ns = (1767225600 + (int64_t)(i * 31 * 86400 / n)) * NSEC_PER_SEC;
		r.memory_limit_bytes = 512 << 20;
		r.duration_ns = 10000000 + (int64_t)(i % 1000000);
		r.billed_ms = 11;
		r.gbs_nano = 5500000;
		r.charge = r.fair = 91667 * MONEY_PICO;
		r.request = MONEY_USD / 5000000;
		if (ledger_append(l, &r, NULL, &err) < 0)
			fail(&err);
	}
	(void)ledger_close(l);
}

static void show(const char *what, int64_t from)
{
	printf("%-34s %9.3f s\n", what, (double)(clock_now_ns() - from) / 1e9);
}

static void bill_once(const char *dir, const char *what, int64_t since_ns)
{
	int64_t from = clock_now_ns();
	cleanup_ledger_index struct ledger_index index = { 0 };
	struct bill_query q = {
		.since_ns = since_ns,
		.until_ns = INT64_MAX,
		.owner_uid = BILL_ANY_OWNER,
	};
	struct cloche_err err = { 0 };
	struct bill bill;

	if (ledger_index_open(dir, false, &index, &err) < 0 ||
	    bill_make(&index, &q, &bill, &err) < 0)
		fail(&err);
	show(what, from);
	bill_free(&bill);
}

int main(int argc, char **argv)
{
	char dir[] = "/var/tmp/cloche-bench-bill-XXXXXX";
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	struct cloche_err err = { 0 };
	struct ledger_finding f;
	char command[256];
	int64_t from;

	if (!mkdtemp(dir))
		return 1;
	from = clock_now_ns();
	fill(dir, n);
	show("append all", from);
	from = clock_now_ns();
	if (ledger_verify(dir, &(struct ledger_walk){ 0 }, &f, &err) < 0 || f.broken)
		fail(&err);
	show("verify all", from);
	bill_once(dir, "first bill (builds the index)", 0);
	bill_once(dir, "bill of the month", 0);
	bill_once(dir, "bill since an odd second", (1767225600LL + 86400 * 15 + 17) * NSEC_PER_SEC);
	(void)snprintf(command, sizeof(command), "du -sh '%s'; rm -rf '%s'", dir, dir);
	return system(command) != 0;
}
