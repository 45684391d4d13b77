/* SPDX-License-Identifier: MIT */
/* The chain's links: making one and judging one. Pure; see ledger_frame.h for the layout. */
#include "ledger/ledger_frame.h"

#include "base/hash.h"

#include <string.h>

static const unsigned char magic[4] = { 'C', 'L', 'F', '1' };

const char frame_newer[] = "a newer version has written it, in a form that this one does not know";

static uint64_t u64_at(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

size_t frame_finish(unsigned char *buf, enum frame_type type, uint64_t number,
		    const unsigned char prev[static FRAME_HASH], size_t body_len)
{
	uint16_t len = (uint16_t)body_len;
	uint64_t check;

	memcpy(buf, magic, sizeof(magic));
	buf[4] = (unsigned char)type;
	buf[5] = LEDGER_VERSION;
	memcpy(buf + 6, &len, sizeof(len));
	memcpy(buf + 8, &number, sizeof(number));
	check = hash_fnv(HASH_FNV_START, buf, 16);
	memcpy(buf + 16, &check, sizeof(check));
	memcpy(buf + 24, prev, FRAME_HASH);
	hash_sha256(buf, FRAME_HEAD + body_len, buf + FRAME_HEAD + body_len);
	return FRAME_HEAD + body_len + FRAME_HASH;
}

static int all_zero(const unsigned char *p, size_t len)
{
	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

static enum frame_state broken(const char **ret_why, const char *why)
{
	*ret_why = why;
	return FRAME_BROKEN;
}

/* Fewer bytes than a head: torn if they are how a head begins. */
static enum frame_state check_stub(const unsigned char *p, size_t avail, const char **ret_why)
{
	if (memcmp(p, magic, avail < 4 ? avail : 4) != 0)
		return broken(ret_why, "these are not the first bytes of a record");
	if (avail >= 24 && hash_fnv(HASH_FNV_START, p, 16) != u64_at(p + 16))
		return broken(ret_why, "its head was changed");
	return FRAME_TORN;
}

static enum frame_state check_head(const unsigned char *p, uint64_t number,
				   const unsigned char *prev, const char **ret_why)
{
	if (memcmp(p, magic, 4) != 0 || hash_fnv(HASH_FNV_START, p, 16) != u64_at(p + 16))
		return broken(ret_why, "its head was changed");
	if (p[5] > LEDGER_VERSION)
		return broken(ret_why, frame_newer);
	if (p[5] != LEDGER_VERSION || p[4] < FRAME_OPEN || p[4] > FRAME_SEAL)
		return broken(ret_why, "it is of a kind that this version does not know");
	if (p[6] + 256u * p[7] > FRAME_BODY_MAX)
		return broken(ret_why, "it is longer than any record");
	if (number && u64_at(p + 8) != number)
		return broken(ret_why, "it has another record's number: records were removed, "
				       "inserted or moved");
	if (number && memcmp(p + 24, prev, FRAME_HASH) != 0)
		return broken(ret_why, "it does not carry the hash of the record before it");
	return FRAME_OK;
}

enum frame_state frame_check(const unsigned char *p, size_t avail, uint64_t number,
			     const unsigned char *prev, struct frame *ret, const char **ret_why)
{
	unsigned char hash[HASH_LEN];
	enum frame_state state;
	size_t len;

	/* After a power failure a file may have grown without its data: zeros up to the end. */
	if (!p[0] && all_zero(p, avail))
		return FRAME_TORN;
	if (avail < FRAME_HEAD)
		return check_stub(p, avail, ret_why);
	state = check_head(p, number, prev, ret_why);
	if (state != FRAME_OK)
		return state;
	len = p[6] + 256u * p[7];
	if (avail < FRAME_HEAD + len + FRAME_HASH)
		return FRAME_TORN;
	hash_sha256(p, FRAME_HEAD + len, hash);
	if (memcmp(hash, p + FRAME_HEAD + len, FRAME_HASH) != 0) {
		if (all_zero(p + FRAME_HEAD + len, avail - FRAME_HEAD - len))
			return FRAME_TORN;
		return broken(ret_why, "its content does not match its hash");
	}
	*ret = (struct frame){
		.type = p[4],
		.number = u64_at(p + 8),
		.prev = p + 24,
		.body = p + FRAME_HEAD,
		.body_len = len,
		.hash = p + FRAME_HEAD + len,
		.size = FRAME_HEAD + len + FRAME_HASH,
	};
	return FRAME_OK;
}

bool frame_repair_read(const struct frame *frame, struct frame_repair *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (frame->body_len != sizeof(*ret) && frame->body_len != FRAME_REPAIR_OLD)
		return false;
	memcpy(ret, frame->body, frame->body_len);
	return true;
}

const char *frame_type_text(enum frame_type type)
{
	static const char *const texts[] = {
		[FRAME_OPEN] = "open",
		[FRAME_RECORD] = "record",
		[FRAME_REPAIR] = "repair",
		[FRAME_SEAL] = "seal",
	};

	return type >= FRAME_OPEN && type <= FRAME_SEAL ? texts[type] : "unknown";
}
