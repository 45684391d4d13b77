/* SPDX-License-Identifier: MIT */
/* Bills against sums made straight from the ledger, and the index's ways of coming back. */
#include "base/err.h"
#include "ledger/bill.h"
#include "ledger/ledger_head.h"
#include "ledger/ledger_index.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_NS                                                                        \
	1767225600000000000LL /* ledgers_record(0) starts here, one follows each second \
			       */
#define SEC 1000000000LL

static struct bill make_bill(const char *dir, const struct bill_query *query)
{
	cleanup_ledger_index struct ledger_index index = { 0 };
	struct cloche_err err = { 0 };
	struct bill bill = { 0 };

	cr_assert_eq(ledger_index_open(dir, false, &index, &err), 0, "%s", err.text);
	cr_assert_eq(bill_make(&index, query, &bill, &err), 0, "%s", err.text);
	return bill;
}

/* The sum by another way: the records themselves, one by one. */
struct direct {
	const struct bill_query *query;
	struct bill_row sum;
};

static int direct_add(const struct ledger_entry *entry, void *arg)
{
	const struct ledger_record *r = entry->record;
	struct direct *d = arg;
	const struct bill_query *q = d->query;

	if (!r || r->started_ns < q->since_ns || r->started_ns >= q->until_ns ||
	    (q->owner_uid >= 0 && r->owner_uid != q->owner_uid) ||
	    (q->function && strcmp(q->function, r->function) != 0) ||
	    (q->verdict && strcmp(q->verdict, r->verdict) != 0))
		return 0;
	d->sum.invocations++;
	d->sum.cold += r->cold;
	d->sum.billed_ms += (int64_t)r->billed_ms;
	d->sum.duration_ns += r->duration_ns;
	d->sum.contention_ns += r->contention_ns == LEDGER_NULL ? 0 : r->contention_ns;
	d->sum.unmeasured += r->contention_ns == LEDGER_NULL;
	d->sum.gbs_nano += r->gbs_nano;
	d->sum.charge += r->charge;
	d->sum.request += r->request;
	d->sum.total += r->charge + r->request;
	d->sum.fair += r->fair + r->request;
	/* As these records are, quotas take no part in it. */
	d->sum.alone_ns += r->duration_ns - (r->contention_ns > 0 ? r->contention_ns : 0);
	d->sum.alone += (r->contention_ns > 0 ? r->fair : r->charge) + r->request;
	return 0;
}

static bool is_same(const struct bill_row *a, const struct bill_row *b)
{
	return strcmp(a->key, b->key) == 0 && a->invocations == b->invocations &&
	       a->cold == b->cold && a->billed_ms == b->billed_ms &&
	       a->duration_ns == b->duration_ns && a->contention_ns == b->contention_ns &&
	       a->unmeasured == b->unmeasured && a->gbs_nano == b->gbs_nano &&
	       a->charge == b->charge && a->request == b->request && a->total == b->total &&
	       a->fair == b->fair && a->alone_ns == b->alone_ns && a->alone == b->alone;
}

static void expect_sum(const char *dir, const struct bill_query *query, int64_t invocations)
{
	struct direct d = { .query = query };
	struct ledger_finding f;
	struct bill bill = make_bill(dir, query);
	struct bill_row rows = { 0 };

	cr_assert_eq(ledger_verify(dir, &(struct ledger_walk){ .each = direct_add, .arg = &d }, &f,
				   NULL),
		     0);
	cr_assert(is_same(&bill.sum, &d.sum));
	cr_assert_eq(bill.sum.invocations, invocations, "%" PRId64 " instead of %" PRId64,
		     bill.sum.invocations, invocations);
	for (size_t i = 0; i < bill.n; i++) {
		rows.total += bill.rows[i].total;
		rows.gbs_nano += bill.rows[i].gbs_nano;
	}
	cr_assert_eq(rows.total, bill.sum.total);
	cr_assert_eq(rows.gbs_nano, bill.sum.gbs_nano);
	bill_free(&bill);
}

static struct bill_query all(enum bill_by by)
{
	return (struct bill_query){ .by = by, .until_ns = INT64_MAX, .owner_uid = BILL_ANY_OWNER };
}

static void append(const char *dir, uint64_t from, uint64_t to)
{
	cleanup_ledger struct ledger *l = ledgers_open(dir, 100000, false);

	ledgers_append(l, from, to);
}

Test(bill, every_way_of_cutting_it_adds_up_to_the_ledger)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct bill_query q;

	append(dir, 0, 9000); /* two hours and a half */
	for (int by = BILL_BY_FUNCTION; by <= BILL_BY_PRICES; by++) {
		q = all((enum bill_by)by);
		expect_sum(dir, &q, 9000);
		q.owner_uid = 1001;
		expect_sum(dir, &q, 3000);
		q.function = "function-3";
		expect_sum(dir, &q, 429);
		q.function = NULL;
		q.verdict = "timeout";
		expect_sum(dir, &q, 600);
	}
}

static const struct {
	int64_t since, until, expect; /* in records, that is seconds */
} windows[] = {
	{ 0, 9000, 9000 },     { 1, 9000, 8999 },   { 3600, 7200, 3600 }, { 3599, 7201, 3602 },
	{ 100, 200, 100 },     { 3500, 3700, 200 }, { 7200, 9000, 1800 }, { 3600, 3600, 0 },
	{ 200, 100, 0 },       { 9000, 10000, 0 },  { 3600, 3601, 1 },	  { 3599, 3600, 1 },
	{ 7199, 20000, 1801 }, { 0, 1, 1 },
};

Test(bill, since_and_until_are_exact)
{
	cleanup_tmpdir char *dir = tmpdir_make();

	append(dir, 0, 9000);
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		struct bill_query q = all(BILL_BY_DAY);

		q.since_ns = FIRST_NS + windows[i].since * SEC;
		q.until_ns = FIRST_NS + windows[i].until * SEC;
		expect_sum(dir, &q, windows[i].expect);
	}
}

Test(bill, keys_and_order)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct bill_query q = all(BILL_BY_FUNCTION);
	struct bill bill;

	append(dir, 0, 2100);
	bill = make_bill(dir, &q);
	cr_assert_eq(bill.n, 21);
	cr_assert(strstr(bill.rows[0].key, "owner") && strstr(bill.rows[0].key, "/function-"));
	for (size_t i = 1; i < bill.n; i++)
		cr_assert_geq((int64_t)(bill.rows[i - 1].total / MONEY_PICO / 1000000),
			      (int64_t)(bill.rows[i].total / MONEY_PICO / 1000000) - 1);
	bill_free(&bill);
	q.owner_uid = 1000;
	bill = make_bill(dir, &q);
	cr_assert_eq(bill.n, 7);
	cr_assert_eq(strncmp(bill.rows[0].key, "function-", 9), 0);
	bill_free(&bill);
	q.by = BILL_BY_DAY;
	bill = make_bill(dir, &q);
	cr_assert_eq(bill.n, 1);
	cr_assert_str_eq(bill.rows[0].key, "2026-01-01");
	bill_free(&bill);
}

Test(bill, the_index_follows_the_ledger)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	const struct bill_query q = all(BILL_BY_OWNER);
	struct ledger_index index;
	struct cloche_err err = { 0 };

	for (uint64_t n = 0; n < 5000; n += 500) {
		append(dir, n, n + 500);
		expect_sum(dir, &q, (int64_t)n + 500);
	}
	cr_assert_eq(ledger_index_open(dir, false, &index, &err), 0, "%s", err.text);
	cr_assert(!index.rebuilt);
	ledger_index_close(&index);
}

/* Whatever happened to it, the bill is right. */
Test(bill, a_lost_damaged_old_or_foreign_index_is_built_anew)
{
	cleanup_tmpdir char *dir = tmpdir_make(), *other = tmpdir_make();
	const struct bill_query q = all(BILL_BY_OWNER);
	char path[512], head[512], command[1200];

	(void)snprintf(path, sizeof(path), "%s/" LEDGER_INDEX_NAME, dir);
	(void)snprintf(head, sizeof(head), "%s/" LEDGER_INDEX_NAME, other);
	append(dir, 0, 500);
	append(other, 1000, 1700);
	expect_sum(dir, &q, 500);
	expect_sum(other, &q, 700);

	cr_assert_eq(unlink(path), 0);
	expect_sum(dir, &q, 500);
	cr_assert_eq(truncate(path, 10000), 0);
	expect_sum(dir, &q, 500);
	cr_assert_eq(truncate(path, 100), 0);
	expect_sum(dir, &q, 500);
	(void)snprintf(command, sizeof(command), "head -c 20000 /dev/urandom > '%s'", path);
	cr_assert_eq(system(command), 0);
	expect_sum(dir, &q, 500);
	/* Another ledger's, which is further on. */
	cr_assert_eq(rename(head, path), 0);
	expect_sum(dir, &q, 500);
}

static void copy_ledger(const char *from, const char *to)
{
	char command[1200];

	(void)snprintf(command, sizeof(command), "cp '%s/head' '%s/'*.seg '%s'", from, from, to);
	cr_assert_eq(system(command), 0);
}

static void expect_no_bill(const char *dir, int code, const char *says)
{
	struct ledger_index index = { 0 };
	struct cloche_err err = { 0 };

	/* Not the second time either. */
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(ledger_index_open(dir, false, &index, &err), -code, "%s", err.text);
		cr_assert(strstr(err.text, says), "'%s' lacks '%s'", err.text, says);
		cr_assert(!index.db);
	}
}

/* Which the index knows, even where nothing else does. */
Test(bill, a_ledger_that_was_put_back_is_told_of)
{
	cleanup_tmpdir char *dir = tmpdir_make(), *old = tmpdir_make();
	const struct bill_query q = all(BILL_BY_OWNER);
	struct ledger_index index;
	struct cloche_err err = { 0 };

	append(dir, 0, 500);
	copy_ledger(dir, old);
	append(dir, 500, 600);
	expect_sum(dir, &q, 600);
	copy_ledger(old, dir);
	expect_no_bill(dir, ESTALE, "lacks records that its index has taken in, up to record");
	/* By order it is taken as it is. */
	cr_assert_eq(ledger_index_open(dir, true, &index, &err), 0, "%s", err.text);
	ledger_index_close(&index);
	expect_sum(dir, &q, 500);
}

static char *segment_path(char buf[static 512], const char *dir, uint64_t segment)
{
	char name[SEGMENT_NAME_LEN];

	ledger_segment_name(segment, name);
	(void)snprintf(buf, 512, "%s/%s", dir, name);
	return buf;
}

/* Any segment: gone, shorter, longer. 500 records in segments of 100,000 bytes are three. */
Test(bill, a_segment_that_is_not_as_it_was_is_noticed)
{
	const struct bill_query q = all(BILL_BY_OWNER);

	for (uint64_t n = 1; n <= 3; n++)
		for (int how = 0; how < 3; how++) {
			cleanup_tmpdir char *dir = tmpdir_make();
			char path[512], head[512];
			struct stat st;

			append(dir, 0, 500);
			expect_sum(dir, &q, 500);
			cr_assert_eq(ledgers_verify(dir).segments, 3);
			cr_assert_eq(stat(segment_path(path, dir, n), &st), 0);
			/* The witness that the ledger itself has, removed too. */
			(void)snprintf(head, sizeof(head), "%s/head", dir);
			cr_assert_eq(unlink(head), 0);
			if (how == 0)
				cr_assert_eq(unlink(path), 0);
			else
				cr_assert_eq(truncate(path, st.st_size + (how == 1 ? -1 : 1)), 0);
			/* Behind the end of the open one, it is a torn write. */
			if (n == 3 && how == 2)
				expect_sum(dir, &q, 500);
			else if (n == 3)
				expect_no_bill(dir, ESTALE, how ? "shorter" : "is missing");
			else
				expect_no_bill(dir, EBADMSG, "is broken at record");
		}
}

/* A loss that the ledger tells of itself is no reason to refuse: the sum says what it lacks. */
Test(bill, records_that_the_chain_says_are_lost_are_counted)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	const struct bill_query q = all(BILL_BY_OWNER);
	cleanup_ledger_index struct ledger_index index = { 0 };
	struct cloche_err err = { 0 };
	char path[512];
	struct stat st;

	append(dir, 0, 50);
	expect_sum(dir, &q, 50);
	cr_assert_eq(stat(segment_path(path, dir, 1), &st), 0);
	cr_assert_eq(truncate(path, st.st_size - 1), 0);
	expect_no_bill(dir, EBADMSG, "removed, or lost with the power");
	append(dir, 50, 60);
	expect_sum(dir, &q, 59);
	append(dir, 60, 61);
	cr_assert_eq(ledger_index_open(dir, false, &index, &err), 0, "%s", err.text);
	cr_assert(!index.rebuilt);
	cr_assert_eq(index.lost, 1);
}

Test(bill, there_is_no_bill_of_a_broken_ledger)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct cloche_err err = { 0 };
	struct ledger_index index;
	char path[512];

	append(dir, 0, 10);
	file_flip(tmpdir_path(path, dir, "000000000001.seg"), 1000);
	cr_assert_eq(ledger_index_open(dir, false, &index, &err), -EBADMSG);
	cr_assert(strstr(err.text, "broken at record 3"), "%s", err.text);
	cr_assert_eq(ledger_index_open("/nonexistent", false, &index, &err), -ENOENT);
}

Test(bill, a_ledger_that_cannot_be_written_is_read_all_the_same)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger_index struct ledger_index index = { 0 };
	struct cloche_err err = { 0 };
	struct bill bill;
	const struct bill_query q = all(BILL_BY_OWNER);

	append(dir, 0, 100);
	/* Somebody else's, as far as the index is concerned. */
	if (geteuid() == 0)
		cr_assert_eq(chown(dir, 65534, 65534), 0);
	else
		cr_assert_eq(chmod(dir, 0500), 0);
	cr_assert_eq(ledger_index_open(dir, false, &index, &err), 0, "%s", err.text);
	cr_assert(index.in_memory);
	cr_assert_eq(bill_make(&index, &q, &bill, &err), 0, "%s", err.text);
	cr_assert_eq(bill.sum.invocations, 100);
	bill_free(&bill);
	if (geteuid() != 0)
		cr_assert_eq(chmod(dir, 0700), 0);
}
