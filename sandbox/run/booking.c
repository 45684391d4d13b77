/* SPDX-License-Identifier: MIT */
/* From outcomes to charges and records: see booking.h. */
#include "run/booking.h"

#include "launch/rights.h"
#include "ledger/ledger_record.h"
#include "ledger/prices.h"
#include "run/outcome.h"
#include "run/record.h"

#include <errno.h>
#include <stdio.h>

/* Each is told of once. */
static struct ledger_repair found_since(struct booking *b)
{
	struct ledger_repair found = { 0 }, all;

	if (b->ledger)
		found = ledger_repaired(b->ledger);
	all = found;
	found.lost_frames -= b->told_lost;
	found.findings -= b->told_findings;
	b->told_lost = all.lost_frames;
	b->told_findings = all.findings;
	return found;
}

static int open_ledger(struct booking *b, struct cloche_err *err)
{
	const struct ledger_options options = { .create = true,
						.sync = b->sync,
						.owner = b->as ? &b->as->uid : NULL };

	return b->ledger ? 0 : ledger_open(b->dir, &options, &b->ledger, err);
}

/* What fails without a word of its own is the taking of rights. */
static int as_its_owner(struct booking *b, int (*job)(void *arg), void *arg)
{
	int r;

	b->err = (struct cloche_err){ 0 };
	r = rights_do(b->as, job, arg);
	return r < 0 && !b->err.code
		       ? cloche_err_sys(&b->err, -r, "ledger '%.200s': whose it is", b->dir)
		       : r;
}

static int make_ready(void *arg)
{
	struct booking *b = arg;
	int r = open_ledger(b, &b->err);

	return r == 0 ? ledger_ready(b->ledger, &b->err) : r;
}

int booking_ready(struct booking *b, struct ledger_repair *ret_found, struct cloche_err *err)
{
	int r;

	*ret_found = (struct ledger_repair){ 0 };
	if (!b->dir)
		return 0;
	r = as_its_owner(b, make_ready, b);
	*ret_found = found_since(b);
	if (r == 0 || b->go_on)
		return 0;
	b->refused = true;
	*err = b->err;
	return r;
}

int booking_end(struct booking *b, struct ledger_head *ret, struct cloche_err *err)
{
	int r;

	if (!b->dir)
		return cloche_err_set(err, ENOENT, "no ledger is kept");
	r = open_ledger(b, err);
	return r == 0 ? ledger_end(b->ledger, ret, err) : r;
}

void booking_charge(const struct prices *prices, struct outcome *out)
{
	struct prices_use use = { .memory_bytes = out->limits.memory_bytes,
				  .wall_ns = out->wall_ns,
				  .init_ns = out->init_ns,
				  .contention_ns = -1 };
	const struct meter_usage *m = outcome_metered(out);

	(void)snprintf(out->prices, sizeof(out->prices), "%s", prices->name);
	(void)snprintf(out->prices_sha256, sizeof(out->prices_sha256), "%s", prices->sha256);
	if (m)
		use.contention_ns = (int64_t)m->contention_ns;
	if (out->verdict == VERDICT_TIMEOUT || out->verdict == VERDICT_INIT_TIMEOUT)
		use.timeout_ns = out->limits.timeout_ns;
	out->charged = out->ran && prices_charge(prices, &use, &out->charge, NULL) == 0;
}

struct entry {
	struct booking *booking;
	struct ledger_record record;
};

static int enter(void *arg)
{
	struct entry *e = arg;

	return ledger_append(e->booking->ledger, &e->record, NULL, &e->booking->err);
}

void booking_enter(struct booking *b, struct outcome *out, struct ledger_repair *ret_found)
{
	struct entry entry = { .booking = b };

	*ret_found = (struct ledger_repair){ 0 };
	if (!b->dir || b->refused)
		return;
	if (b->ledger) {
		int r;

		record_make(out, &entry.record);
		/* Also when there seemed to be no room: there may be by now. */
		r = as_its_owner(b, enter, &entry);
		*ret_found = found_since(b);
		if (r == 0)
			return;
	}
	out->unrecorded = true;
	(void)snprintf(out->unrecorded_why, sizeof(out->unrecorded_why), "%s", b->err.text);
}

static int do_close(void *arg)
{
	struct booking *b = arg;

	b->ledger = ledger_close(b->ledger);
	return 0;
}

void booking_close(struct booking *b)
{
	(void)rights_do(b->as, do_close, b);
}
