/* SPDX-License-Identifier: MIT */
/*
 * Bills from the index. Whole hours come from the rollup, the hours that the query cuts through
 * from the single rows; SQLite adds up 64-bit integers (and fails rather than wraps), the rest is
 * 128-bit arithmetic here.
 */
#include "ledger/bill.h"

#include "base/clock.h"
#include "base/err.h"
#include "ledger/ledger_index.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS (3600 * NSEC_PER_SEC)

#define COLUMNS                                                                                  \
	"hour, uid, owner, function, verdict, memory, prices, n, cold, billed_ms, duration_ns, " \
	"contention_ns, unmeasured, gbs_hi, gbs_lo, charge_hi, charge_lo, request_hi, "          \
	"request_lo, "                                                                           \
	"fair_hi, fair_lo, alone_ns, alone_hi, alone_lo"

#define OWNER "CASE owner WHEN '' THEN 'uid ' || uid ELSE owner END"

static const struct {
	const char *name;
	const char *key;   /* SQL */
	const char *order; /* SQL */
} kinds[] = {
	[BILL_BY_FUNCTION] = { "function",
			       "CASE WHEN ?5 >= 0 THEN '' ELSE " OWNER " || '/' END || "
			       "CASE function WHEN '' THEN '-' ELSE function END",
			       "sum(charge_hi) + sum(request_hi) DESC, k" },
	[BILL_BY_OWNER] = { "owner", OWNER, "sum(charge_hi) + sum(request_hi) DESC, k" },
	[BILL_BY_DAY] = { "day", "date(hour * 3600, 'unixepoch')", "k" },
	[BILL_BY_VERDICT] = { "verdict", "verdict", "sum(n) DESC, k" },
	[BILL_BY_MEMORY] = { "memory", "(memory + 1048575) / 1048576", "k" },
	[BILL_BY_PRICES] = { "prices", "prices", "sum(n) DESC, k" },
};

int bill_by_parse(const char *text, enum bill_by *ret, struct cloche_err *err)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(text, kinds[i].name) != 0)
			continue;
		*ret = (enum bill_by)i;
		return 0;
	}
	return cloche_err_set(err, EINVAL,
			      "'%.60s' is none of function, owner, day, verdict, memory, prices",
			      text);
}

const char *bill_by_text(enum bill_by by)
{
	return kinds[by].name;
}

/* ?1 and ?2: the first hour that is whole and the first after it that is not; ?3 and ?4: the
 * instants; ?5 owner or -1; ?6 function or NULL; ?7 verdict or NULL. */
static int query_prepare(sqlite3 *db, const struct bill_query *q, sqlite3_stmt **ret,
			 struct cloche_err *err)
{
	char sql[3072];
	int64_t from = q->since_ns / HOUR_NS + (q->since_ns % HOUR_NS != 0);
	int64_t to = q->until_ns / HOUR_NS;
	sqlite3_stmt *s = NULL;

	(void)snprintf(sql, sizeof(sql),
		       "SELECT %s AS k, sum(n), sum(cold), sum(billed_ms), sum(duration_ns),"
		       " sum(contention_ns), sum(unmeasured), sum(gbs_hi), sum(gbs_lo),"
		       " sum(charge_hi), sum(charge_lo), sum(request_hi), sum(request_lo),"
		       " sum(fair_hi), sum(fair_lo), sum(alone_ns), sum(alone_hi), sum(alone_lo)"
		       " FROM ("
		       "SELECT " COLUMNS " FROM rollup WHERE hour >= ?1 AND hour < ?2"
		       " UNION ALL "
		       "SELECT " COLUMNS " FROM raw WHERE hour IN (?1 - 1, ?2)"
		       " AND started_ns >= ?3 AND started_ns < ?4)"
		       " WHERE (?5 < 0 OR uid = ?5) AND (?6 IS NULL OR function = ?6)"
		       " AND (?7 IS NULL OR verdict = ?7) GROUP BY k ORDER BY %s",
		       kinds[q->by].key, kinds[q->by].order);
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		return cloche_err_set(err, EIO, "ledger index: %s", sqlite3_errmsg(db));
	(void)sqlite3_bind_int64(s, 1, from);
	(void)sqlite3_bind_int64(s, 2, to);
	(void)sqlite3_bind_int64(s, 3, q->since_ns);
	(void)sqlite3_bind_int64(s, 4, q->until_ns);
	(void)sqlite3_bind_int64(s, 5, q->owner_uid);
	if (q->function)
		(void)sqlite3_bind_text(s, 6, q->function, -1, SQLITE_STATIC);
	if (q->verdict)
		(void)sqlite3_bind_text(s, 7, q->verdict, -1, SQLITE_STATIC);
	*ret = s;
	return 0;
}

static money_t money_column(sqlite3_stmt *s, int at)
{
	return (money_t)sqlite3_column_int64(s, at) * 1000000000 + sqlite3_column_int64(s, at + 1);
}

static void row_read(sqlite3_stmt *s, struct bill_row *row)
{
	memset(row, 0, sizeof(*row));
	(void)snprintf(row->key, sizeof(row->key), "%s", (const char *)sqlite3_column_text(s, 0));
	row->invocations = sqlite3_column_int64(s, 1);
	row->cold = sqlite3_column_int64(s, 2);
	row->billed_ms = sqlite3_column_int64(s, 3);
	row->duration_ns = sqlite3_column_int64(s, 4);
	row->contention_ns = sqlite3_column_int64(s, 5);
	row->unmeasured = sqlite3_column_int64(s, 6);
	row->gbs_nano = (unsigned __int128)money_column(s, 7);
	row->charge = money_column(s, 9);
	row->request = money_column(s, 11);
	row->total = row->charge + row->request;
	row->fair = money_column(s, 13) + row->request;
	row->alone_ns = sqlite3_column_int64(s, 15);
	row->alone = money_column(s, 16) + row->request;
}

static void row_add(struct bill_row *sum, const struct bill_row *row)
{
	sum->invocations += row->invocations;
	sum->cold += row->cold;
	sum->billed_ms += row->billed_ms;
	sum->duration_ns += row->duration_ns;
	sum->contention_ns += row->contention_ns;
	sum->unmeasured += row->unmeasured;
	sum->gbs_nano += row->gbs_nano;
	sum->charge += row->charge;
	sum->request += row->request;
	sum->total += row->total;
	sum->fair += row->fair;
	sum->alone_ns += row->alone_ns;
	sum->alone += row->alone;
}

int bill_make(struct ledger_index *index, const struct bill_query *query, struct bill *ret,
	      struct cloche_err *err)
{
	struct bill bill = { 0 };
	sqlite3_stmt *s = NULL;
	size_t room = 0;
	int r, step;

	r = query_prepare(index->db, query, &s, err);
	if (r < 0)
		return r;
	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		if (bill.n == room) {
			struct bill_row *rows;

			room = room ? room * 2 : 64;
			rows = reallocarray(bill.rows, room, sizeof(*rows));
			if (!rows)
				break;
			bill.rows = rows;
		}
		row_read(s, &bill.rows[bill.n]);
		row_add(&bill.sum, &bill.rows[bill.n++]);
	}
	if (step != SQLITE_DONE) {
		r = step == SQLITE_ROW ? cloche_err_sys(err, ENOMEM, "make the bill")
				       : cloche_err_set(err, EIO, "ledger index: %s",
							sqlite3_errmsg(index->db));
		bill_free(&bill);
	} else {
		*ret = bill;
	}
	(void)sqlite3_finalize(s);
	return r;
}

void bill_free(struct bill *bill)
{
	free(bill->rows);
	memset(bill, 0, sizeof(*bill));
}
