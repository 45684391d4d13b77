/* SPDX-License-Identifier: MIT */
/* Records on their way to a client come as they were sent, or are none. */
#include "serve/records.h"
#include "base/err.h"
#include "ledger/ledger_record.h"
#include "serve/request.h"
#include "tests/lib/guard.h"
#include "tests/lib/ledgers.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define N 40

static void add(struct records *r, uint64_t number, enum frame_type type, const void *body,
		size_t len)
{
	const struct frame frame = { .type = type, .body = body, .body_len = len };

	records_add(r, &(struct ledger_entry){ .frame = &frame }, number, 7);
}

/* N records, and before them one frame of each other type. */
static const struct records *message(void)
{
	static const struct frame_open open = { .segment = 7 };
	static const struct frame_repair repair = { .lost_frames = 3 };
	static const struct frame_seal seal = { .segment = 7 };
	static struct records r;
	unsigned char body[LEDGER_BODY_MAX];

	records_begin(&r);
	add(&r, 1, FRAME_OPEN, &open, sizeof(open));
	add(&r, 2, FRAME_REPAIR, &repair, sizeof(repair));
	add(&r, 3, FRAME_SEAL, &seal, sizeof(seal));
	for (uint64_t i = 0; i < N; i++) {
		struct ledger_record record;
		int len;

		ledgers_record(i, &record);
		len = ledger_record_encode(&record, body, NULL);
		cr_assert_gt(len, 0);
		add(&r, 4 + i, FRAME_RECORD, body, (size_t)len);
	}
	return &r;
}

static int see(const struct ledger_entry *e, void *arg)
{
	uint64_t *n = arg;
	struct ledger_record record;

	cr_assert_eq(e->frame->number, ++*n);
	cr_assert_eq(e->segment, 7);
	cr_assert_eq(e->record != NULL, *n > 3);
	if (!e->record)
		return 0;
	ledgers_record(*n - 4, &record);
	cr_assert_str_eq(e->record->request_id, record.request_id);
	cr_assert(e->record->charge == record.charge && e->record->wall_ns == record.wall_ns);
	return 0;
}

static int tell(const unsigned char *bytes, size_t len, uint64_t *ret_n)
{
	const struct ledger_walk walk = { .each = see, .arg = ret_n };
	struct ledger_finding f = { 0 };
	struct cloche_err err = { 0 };
	int r;

	*ret_n = 0;
	r = records_tell(bytes, len, &walk, &f, &err);
	cr_assert_eq(r < 0, err.code != 0);
	cr_assert_eq(f.frames, *ret_n);
	return r;
}

Test(records, come_as_they_were_sent)
{
	const struct records *r = message();
	uint64_t n;

	cr_expect_eq(r->head.kind, ANSWER_RECORDS);
	cr_assert_eq(tell(r->bytes, r->head.len, &n), 0);
	cr_expect_eq(n, N + 3);
	cr_assert_eq(tell(r->bytes, 0, &n), 0);
	cr_expect_eq(n, 0);
}

/* Cut anywhere: where an item ends it is shorter, else it is none. */
Test(records, cut_anywhere)
{
	const struct records *r = message();
	uint64_t n, whole = 0;

	for (size_t len = 0; len < r->head.len; len++) {
		char *copy = guard_copy(r->bytes, len);

		if (tell((const unsigned char *)copy, len, &n) == 0)
			cr_assert_eq(n, whole++);
		guard_free(copy, len);
	}
	cr_expect_eq(whole, N + 3);
}

/* What says that it is something else, or longer, is not taken. */
Test(records, items_that_are_none)
{
	static const uint32_t types[] = { 0, FRAME_SEAL + 1, 256, UINT32_MAX, FRAME_OPEN };
	static const uint32_t lens[] = { 0, 1, UINT32_MAX, UINT32_MAX - sizeof(struct records_item),
					 LEDGER_SLICE };
	struct records r;
	struct records_item *item = (struct records_item *)r.bytes;
	unsigned char body[LEDGER_BODY_MAX];
	struct ledger_record record;
	uint64_t n;
	int len;

	ledgers_record(1, &record);
	len = ledger_record_encode(&record, body, NULL);
	records_begin(&r);
	add(&r, 1, FRAME_RECORD, body, (size_t)len);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		item->type = types[i];
		cr_expect_eq(tell(r.bytes, r.head.len, &n), -EBADMSG, "type %u", types[i]);
	}
	item->type = FRAME_RECORD;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		item->len = lens[i];
		cr_expect_eq(tell(r.bytes, r.head.len, &n), -EBADMSG, "length %u", lens[i]);
	}
	/* A note that is shorter than its oldest form. */
	item->type = FRAME_REPAIR;
	item->len = (uint32_t)len;
	cr_expect_eq(tell(r.bytes, r.head.len, &n), -EBADMSG);
}
