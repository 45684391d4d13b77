/* SPDX-License-Identifier: MIT */
/* Any bytes as a message of records from the daemon: what is told of them lies
 * in them, and a record is one. */
#include "base/err.h"
#include "ledger/ledger_record.h"
#include "serve/records.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *at;
	size_t len;
};

static int see(const struct ledger_entry *e, void *arg)
{
	const struct bytes *all = arg;
	const struct frame *f = e->frame;
	unsigned char body[LEDGER_BODY_MAX];

	if (f->body < all->at || f->body + f->body_len > all->at + all->len ||
	    (f->type == FRAME_RECORD) != (e->record != NULL))
		abort();
	if (e->record && ledger_record_encode(e->record, body, NULL) != (int)f->body_len)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + !size);
	struct bytes all = { .at = copy, .len = size };
	const struct ledger_walk walk = { .each = see, .arg = &all };
	struct ledger_finding f = { 0 };
	struct cloche_err err = { 0 };
	int r;

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	r = records_tell(copy, size, &walk, &f, &err);
	if ((r < 0) != (err.code != 0) || f.records > f.frames)
		abort();
	free(copy);
	return 0;
}
