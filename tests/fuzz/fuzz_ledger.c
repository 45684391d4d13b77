/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a record's body and as a segment. Beyond not crashing: a body that is taken encodes
 * to the same bytes again (one record, one form), and a segment is never both whole and not as
 * long as its frames.
 */
#include "ledger/ledger_record.h"
#include "ledger/ledger_verify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void body_check(const uint8_t *data, size_t size)
{
	unsigned char again[LEDGER_BODY_MAX];
	struct ledger_record record;
	int len;

	if (ledger_record_decode(data, size, &record) < 0)
		return;
	len = ledger_record_encode(&record, again, NULL);
	if (len < 0 || (size_t)len != size || memcmp(again, data, size) != 0)
		abort();
}

/* As an attacker would who knows the format: the bytes inside a frame with a right hash. */
static void framed_check(const uint8_t *data, size_t size)
{
	static const unsigned char zeros[FRAME_HASH];
	unsigned char *buf;
	size_t len;

	if (size < 1 || size - 1 > FRAME_BODY_MAX)
		return;
	buf = malloc(FRAME_MAX);
	if (!buf)
		abort();
	memcpy(buf + FRAME_HEAD, data + 1, size - 1);
	len = frame_finish(buf, (enum frame_type)(data[0] % 6), 1, zeros, size - 1);
	for (int last = 0; last < 2; last++) {
		struct ledger_head head = { .segment = 1 };
		struct ledger_finding f = { 0 };

		if (ledger_verify_bytes(buf, len, last, &(struct ledger_walk){ 0 }, &head, &f) < 0)
			abort();
		if (!f.broken && (f.torn_bytes || head.end != len))
			abort();
	}
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ledger_head head = { .segment = 1 };
	struct ledger_finding f = { 0 };
	/* Of the exact size, so that the sanitizer sees a read behind the end. */
	uint8_t *copy = malloc(size + !size);

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	body_check(copy, size);
	framed_check(copy, size);
	if (ledger_verify_bytes(copy, size, true, &(struct ledger_walk){ 0 }, &head, &f) < 0)
		abort();
	if (!f.broken && head.end + f.torn_bytes != size)
		abort();
	free(copy);
	return 0;
}
