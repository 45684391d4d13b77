/* SPDX-License-Identifier: MIT */
/* Records in messages: see records.h. */
#include "serve/records.h"

#include "ledger/ledger_record.h"
#include "serve/request.h"

#include <errno.h>
#include <string.h>

void records_begin(struct records *r)
{
	memset(&r->head, 0, sizeof(r->head));
	request_version(r->head.version);
	r->head.kind = ANSWER_RECORDS;
}

void records_add(struct records *r, const struct ledger_entry *entry, uint64_t number,
		 uint64_t segment)
{
	const struct frame *f = entry->frame;
	const struct records_item item = {
		.number = number, .segment = segment, .len = (uint32_t)f->body_len, .type = f->type
	};
	unsigned char *to = r->bytes + r->head.len;

	memcpy(to, &item, sizeof(item));
	memcpy(to + sizeof(item), f->body, f->body_len);
	r->head.len += (uint32_t)(sizeof(item) + f->body_len);
}

static int bad(struct cloche_err *err)
{
	return cloche_err_set(err, EBADMSG, "what the daemon sent are no records");
}

/* What is not a record is shown by its type alone, but for what a writer noted. */
static bool is_frame(const struct frame *frame)
{
	struct frame_repair repair;

	if (frame->type == FRAME_REPAIR)
		return frame_repair_read(frame, &repair);
	return (frame->type == FRAME_OPEN && frame->body_len == sizeof(struct frame_open)) ||
	       (frame->type == FRAME_SEAL && frame->body_len == sizeof(struct frame_seal)) ||
	       frame->type == FRAME_RECORD;
}

static int read_one(const struct records_item *item, const unsigned char *body,
		    const struct ledger_walk *walk, struct ledger_finding *f,
		    struct cloche_err *err)
{
	const struct frame frame = {
		.type = item->type, .number = item->number, .body = body, .body_len = item->len
	};
	struct ledger_entry entry = { .frame = &frame, .segment = item->segment };
	struct ledger_record record;

	if (item->type > FRAME_SEAL || !is_frame(&frame))
		return bad(err);
	if (frame.type == FRAME_RECORD) {
		if (ledger_record_decode(body, item->len, &record) < 0)
			return bad(err);
		entry.record = &record;
		f->records++;
	}
	f->frames++;
	entry.records = f->records;
	return walk->each ? walk->each(&entry, walk->arg) : 0;
}

int records_tell(const unsigned char *bytes, size_t len, const struct ledger_walk *walk,
		 struct ledger_finding *f, struct cloche_err *err)
{
	struct records_item item;
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		if (len - at < sizeof(item))
			return bad(err);
		memcpy(&item, bytes + at, sizeof(item));
		at += sizeof(item);
		if (item.len > len - at)
			return bad(err);
		r = read_one(&item, bytes + at, walk, f, err);
		at += item.len;
	}
	return r;
}
