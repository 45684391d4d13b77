/* SPDX-License-Identifier: MIT */
/* The chain in slices is the chain: the same frames, the same findings, and an
 * end where a writer says; whatever is done to it meanwhile. */
#include "ledger/ledger_slices.h"
#include "base/err.h"
#include "base/fd.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL 100000 /* bytes of a segment: three slices and more */

struct seen {
	uint64_t frames, records, next; /* next: the number that the next record must have */
	uint64_t in_step, most;
};

static int see(const struct ledger_entry *e, void *arg)
{
	struct seen *s = arg;

	cr_assert_eq(e->frame->number, ++s->frames);
	s->most = ++s->in_step > s->most ? s->in_step : s->most;
	if (e->record) {
		cr_assert_eq(ledgers_number(e->record), s->next);
		s->next++;
		s->records++;
	}
	return 0;
}

static struct ledger_head end_of(struct ledger *l)
{
	struct cloche_err err = { 0 };
	struct ledger_head end;

	cr_assert_eq(ledger_end(l, &end, &err), 0, "%s", err.text);
	return end;
}

/* To its end, in however many steps; between two of them something may be done.
 */
static struct ledger_finding walk(const char *dir, const struct ledger_head *end, struct seen *seen,
				  void (*meanwhile)(void *arg), void *arg)
{
	static unsigned char buf[LEDGER_SLICE];
	const struct ledger_walk w = { .each = see, .arg = seen };
	struct cloche_err err = { 0 };
	struct ledger_slices s;
	struct ledger_finding f;
	int r;

	cr_assert_eq(ledger_slices_open(dir, end, &s, &err), 0, "%s", err.text);
	while ((r = ledger_slices_next(&s, buf, &w, &err)) > 0) {
		seen->in_step = 0;
		if (meanwhile)
			meanwhile(arg);
	}
	cr_assert_eq(r, 0, "%s", err.text);
	/* And says so again. */
	cr_assert_eq(ledger_slices_next(&s, buf, &w, &err), 0);
	f = s.finding;
	ledger_slices_close(&s);
	return f;
}

Test(ledger_slices, all_of_it_in_order)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *l = ledgers_open(dir, SMALL, false);
	struct ledger_finding f, whole;
	struct ledger_head end;
	struct seen seen = { 0 };

	ledgers_append(l, 0, 1000);
	end = end_of(l);
	cr_assert_gt(end.segment, 3);
	whole = ledgers_verify(dir);
	f = walk(dir, &end, &seen, NULL, NULL);
	cr_expect(!f.broken, "%s", f.text);
	cr_expect_eq(seen.frames, whole.frames);
	cr_expect_eq(seen.records, 1000);
	cr_expect(f.frames == whole.frames && f.records == whole.records &&
		  f.segments == whole.segments && f.sealed == whole.sealed);
	cr_expect_eq(f.end.number, end.number);
	/* A step is a slice, not a segment. */
	cr_expect_leq(seen.most, LEDGER_SLICE / 300, "%" PRIu64, seen.most);
}

Test(ledger_slices, one_that_has_no_record_yet)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *l = ledgers_open(dir, 0, false);
	struct ledger_head end = end_of(l);
	struct seen seen = { 0 };
	struct ledger_finding f = walk(dir, &end, &seen, NULL, NULL);

	cr_expect(!f.broken && seen.records == 0 && seen.frames == end.number);
}

static void append_some(void *arg)
{
	static uint64_t n = 450;

	ledgers_append(arg, n, n + 50);
	n += 50;
}

/* What is written while it is read is for the next time, also where that made
 * new segments. */
Test(ledger_slices, its_end_is_where_it_was)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *l = ledgers_open(dir, SMALL, false);
	struct ledger_finding f;
	struct ledger_head end;
	struct seen seen = { 0 };

	ledgers_append(l, 0, 450);
	end = end_of(l);
	/* Well within a slice. */
	cr_assert(end.end > FRAME_MAX && end.end < LEDGER_SLICE / 2);
	f = walk(dir, &end, &seen, append_some, l);
	cr_expect(!f.broken, "%s", f.text);
	cr_expect_eq(seen.records, 450);
	end = end_of(l);
	seen = (struct seen){ 0 };
	f = walk(dir, &end, &seen, NULL, NULL);
	cr_expect(!f.broken && seen.records > 600, "%" PRIu64, seen.records);
}

/* The end is asked for, not remembered: another process may have written it. */
Test(ledger_slices, another_writer_s_records_are_there)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *mine = ledgers_open(dir, SMALL, false);
	cleanup_ledger struct ledger *others = NULL;
	struct ledger_head end;
	struct seen seen = { 0 };

	ledgers_append(mine, 0, 1);
	others = ledgers_open(dir, SMALL, false);
	ledgers_append(others, 1, 400);
	end = end_of(mine);
	cr_expect(!walk(dir, &end, &seen, NULL, NULL).broken);
	cr_expect_eq(seen.records, 400);
}

/* Found at the record at which ledger_verify() finds it, and nothing is told
 * from there on. */
Test(ledger_slices, a_change_anywhere)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *l = ledgers_open(dir, SMALL, false);
	struct ledger_head end;
	char path[512];

	ledgers_append(l, 0, 600);
	end = end_of(l);
	for (int segment = 1; segment <= 2; segment++) {
		(void)snprintf(path, sizeof(path), "%s/%012d.seg", dir, segment);
		for (off_t at = 0; at < SMALL; at += 997) {
			struct ledger_finding f, whole;
			struct seen seen = { 0 };

			file_flip(path, at);
			whole = ledgers_verify(dir);
			f = walk(dir, &end, &seen, NULL, NULL);
			cr_assert(whole.broken && f.broken, "byte %ld", (long)at);
			cr_assert_eq(f.number, whole.number);
			cr_assert(f.segment == whole.segment && f.offset == whole.offset);
			cr_assert_eq(seen.frames, f.number - 1);
			file_flip(path, at);
		}
	}
}

/* Shorter by any length; without a segment; with another record at its end. */
Test(ledger_slices, what_is_gone_is_missed)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *l = ledgers_open(dir, SMALL, false);
	struct ledger_head end, other;
	struct seen seen = { 0 };
	struct ledger_finding f;
	char path[512];

	ledgers_append(l, 0, 600);
	end = other = end_of(l);
	other.hash[0] ^= 1;
	f = walk(dir, &other, &seen, NULL, NULL);
	cr_expect(f.broken && strstr(f.text, "replaced"), "%s", f.text);
	(void)snprintf(path, sizeof(path), "%s/%012" PRIu64 ".seg", dir, end.segment);
	for (uint64_t len = end.end - 1; len > end.end - 1000; len -= 37) {
		seen = (struct seen){ 0 };
		cr_assert_eq(truncate(path, (off_t)len), 0);
		f = walk(dir, &end, &seen, NULL, NULL);
		cr_assert(f.broken, "%" PRIu64 " bytes", len);
	}
	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", dir);
	seen = (struct seen){ 0 };
	cr_assert_eq(truncate(path, SMALL / 2), 0);
	f = walk(dir, &end, &seen, NULL, NULL);
	cr_expect(f.broken && f.segment == 1, "%s", f.text);
	seen = (struct seen){ 0 };
	cr_assert_eq(unlink(path), 0);
	f = walk(dir, &end, &seen, NULL, NULL);
	cr_expect(f.broken && strstr(f.text, "missing") && seen.frames == 0, "%s", f.text);
}

static int refuse(const struct ledger_entry *e, void *arg)
{
	return e->frame->number == 5 ? -EXFULL : 0;
}

Test(ledger_slices, who_is_told_may_end_it)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *l = ledgers_open(dir, 0, false);
	static unsigned char buf[LEDGER_SLICE];
	struct ledger_head end;
	struct ledger_slices s;

	ledgers_append(l, 0, 10);
	end = end_of(l);
	cr_assert_eq(ledger_slices_open(dir, &end, &s, NULL), 0);
	cr_expect_eq(ledger_slices_next(&s, buf, &(struct ledger_walk){ .each = refuse }, NULL),
		     -EXFULL);
	ledger_slices_close(&s);
}
