/* SPDX-License-Identifier: MIT */
/* Ledgers for tests; see ledgers.h. */
#include "tests/lib/ledgers.h"

#include "base/err.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ledgers_record(uint64_t n, struct ledger_record *r)
{
	static const char *const verdicts[] = { "ok", "error", "timeout", "oom", "denied" };
	static const char *const reuses[] = { "none", "context", "fork", "process" };

	ledger_record_init(r);
	(void)snprintf(r->request_id, sizeof(r->request_id), "00000000-0000-4000-8000-%012" PRIu64,
		       n % 1000000000000u);
	(void)snprintf(r->function, sizeof(r->function), "function-%" PRIu64, n % 7);
	(void)snprintf(r->owner_name, sizeof(r->owner_name), "owner%" PRIu64, n % 3);
	(void)snprintf(r->verdict, sizeof(r->verdict), "%s", verdicts[n % 5]);
	(void)snprintf(r->reuse, sizeof(r->reuse), "%s", reuses[n % 4]);
	(void)snprintf(r->prices, sizeof(r->prices), "lambda");
	(void)snprintf(r->policy, sizeof(r->policy), "policy%" PRIu64, n % 6);
	r->owner_uid = 1000 + (uint32_t)(n % 3);
	r->cold = n % 4 == 0;
	r->exit_code = n % 5 ? LEDGER_NULL : 0;
	/* One a second from 2026-01-01T00:00:00Z. */
	r->started_ns = (1767225600 + (int64_t)n) * 1000000000;
	r->launch_ns = 700000 + (int64_t)n;
	r->init_ns = n % 4 ? 0 : 80000000;
	r->wall_ns = 1000000 * (1 + (int64_t)(n % 100)) - 1;
	r->busy_ns = r->wall_ns / 2;
	r->waiting_ns = r->wall_ns / 4;
	r->idle_ns = r->wall_ns - r->busy_ns - r->waiting_ns;
	r->contention_ns = n % 2 ? r->wall_ns / 10 : LEDGER_NULL;
	r->memory_limit_bytes = (int64_t)(128 + 64 * (n % 4)) << 20;
	r->memory_peak_bytes = r->memory_limit_bytes / 3;
	r->duration_ns = r->wall_ns + r->init_ns;
	r->billed_ms = (uint64_t)(r->duration_ns + 999999) / 1000000;
	r->gbs_nano = r->billed_ms * (uint64_t)(r->memory_limit_bytes >> 20) * 1000000 / 1024;
	r->charge = (money_t)r->gbs_nano / 60 * MONEY_PICO;
	r->request = MONEY_USD / 5000000;
	r->fair = r->charge - r->charge / 10 / MONEY_PICO * MONEY_PICO;
	memset(r->policy_sha256, 'a' + (int)(n % 6), 64);
	memset(r->prices_sha256, 'b', 64);
}

uint64_t ledgers_number(const struct ledger_record *record)
{
	return strtoull(record->request_id + 24, NULL, 10);
}

struct ledger *ledgers_open(const char *dir, uint64_t segment_bytes, bool sync)
{
	struct ledger_options options = {
		.segment_bytes = segment_bytes,
		.sync = sync,
		.create = true,
	};
	struct cloche_err err = { 0 };
	struct ledger *ledger = NULL;

	cr_assert_eq(ledger_open(dir, &options, &ledger, &err), 0, "%s", err.text);
	return ledger;
}

void ledgers_append(struct ledger *ledger, uint64_t from, uint64_t to)
{
	struct cloche_err err = { 0 };
	struct ledger_record record;

	for (uint64_t n = from; n < to; n++) {
		ledgers_record(n, &record);
		cr_assert_eq(ledger_append(ledger, &record, NULL, &err), 0, "%s", err.text);
	}
}

struct ledger_finding ledgers_verify(const char *dir)
{
	struct cloche_err err = { 0 };
	struct ledger_finding f;

	cr_assert_eq(ledger_verify(dir, &(struct ledger_walk){ 0 }, &f, &err), 0, "%s", err.text);
	return f;
}

void ledgers_expect_whole(const char *dir, uint64_t records)
{
	struct ledger_finding f = ledgers_verify(dir);

	cr_assert(!f.broken, "record %" PRIu64 ": %s", f.number, f.text);
	cr_assert_eq(f.torn_bytes, 0);
	cr_assert(!ledger_is_doubtful(&f), "%s; %" PRIu64 " lost, %" PRIu64 " notes of head",
		  f.head_text, f.lost_frames, f.head_notes);
	cr_assert_eq(f.records, records, "%" PRIu64 " instead of %" PRIu64, f.records, records);
}
