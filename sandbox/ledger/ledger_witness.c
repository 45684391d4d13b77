/* SPDX-License-Identifier: MIT */
/* Reading and judging the file `head`; see ledger_witness.h. Nothing here writes. */
#include "ledger/ledger_witness.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const unsigned char magic[8] = { 'C', 'L', 'H', 'E', 'A', 'D', '2', '\n' };
static const unsigned char legacy_magic[8] = { 'C', 'L', 'H', 'E', 'A', 'D', '1', '\n' };

/* As versions before the two parts wrote it, at 0. */
struct legacy_head {
	unsigned char magic[8];
	unsigned char ledger_id[16];
	uint64_t segment, end, number, first, records, sealed, reserved;
	unsigned char hash[FRAME_HASH];
	uint64_t check;
};

_Static_assert(sizeof(struct legacy_head) == 120, "as it was");
_Static_assert(sizeof(struct ledger_head) == 152, "no padding");
_Static_assert(sizeof(struct ledger_head) <= HEAD_SYNCED_AT, "the parts do not overlap");

static bool all_zero(const void *p, size_t len)
{
	return sodium_is_zero(p, len);
}

static uint64_t content_check(const struct ledger_head *head)
{
	const size_t from = offsetof(struct ledger_head, ledger_id);

	return ledger_check((const unsigned char *)head + from,
			    offsetof(struct ledger_head, check) - from);
}

void ledger_head_finish(struct ledger_head *head)
{
	memcpy(head->magic, magic, sizeof(magic));
	head->check = content_check(head);
	head->begin = head->check;
}

static unsigned differing_bytes(uint64_t a, uint64_t b)
{
	unsigned n = 0;

	for (uint64_t x = a ^ b; x; x >>= 8)
		n += (x & 0xff) != 0;
	return n;
}

static enum ledger_part part_judge(const struct ledger_head *part)
{
	if (all_zero(part, sizeof(*part)))
		return PART_ABSENT;
	if (memcmp(part->magic, magic, sizeof(magic)) != 0)
		return PART_DAMAGED;
	if (differing_bytes(part->begin, part->check) > 1)
		return PART_TORN;
	if (part->begin != part->check || part->check != content_check(part))
		return PART_DAMAGED;
	return PART_WHOLE;
}

static bool legacy_take(const void *at, struct ledger_head *ret)
{
	struct legacy_head old;

	memcpy(&old, at, sizeof(old));
	if (memcmp(old.magic, legacy_magic, sizeof(legacy_magic)) != 0 ||
	    old.check != ledger_check(&old, offsetof(struct legacy_head, check)))
		return false;
	*ret = (struct ledger_head){
		.segment = old.segment,
		.end = old.end,
		.number = old.number,
		.first = old.first,
		.records = old.records,
		.sealed = old.sealed,
		.reserved = old.reserved,
	};
	memcpy(ret->ledger_id, old.ledger_id, sizeof(ret->ledger_id));
	memcpy(ret->hash, old.hash, sizeof(ret->hash));
	return true;
}

/* What lies between the parts is nobody's: none of it may have changed. */
static bool gaps_clean(const unsigned char *buf, size_t size)
{
	const size_t part = sizeof(struct ledger_head);
	const size_t synced_end = HEAD_SYNCED_AT + sizeof(struct ledger_synced);

	return all_zero(buf + part, HEAD_SYNCED_AT - part) &&
	       all_zero(buf + synced_end, HEAD_NEXT_AT - synced_end) &&
	       all_zero(buf + HEAD_NEXT_AT + part, size - HEAD_NEXT_AT - part);
}

int ledger_witness_read(int fd, struct ledger_witness *ret)
{
	/* A byte more than there may be. */
	unsigned char buf[HEAD_NEXT_AT + sizeof(struct ledger_head) + 8] = { 0 };
	ssize_t n = 0;

	memset(ret, 0, sizeof(*ret));
	if (fd < 0)
		return 0;
	ret->there = true;
	do
		n = pread(fd, buf, sizeof(buf), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	ret->legacy = legacy_take(buf, &ret->done);
	if (ret->legacy) {
		ret->done_part = PART_WHOLE;
		return 0;
	}
	memcpy(&ret->done, buf, sizeof(ret->done));
	memcpy(&ret->next, buf + HEAD_NEXT_AT, sizeof(ret->next));
	ret->done_part = part_judge(&ret->done);
	ret->next_part = part_judge(&ret->next);
	if (n == (ssize_t)sizeof(buf) || !gaps_clean(buf, sizeof(buf)))
		ret->next_part = PART_DAMAGED;
	return 0;
}

bool ledger_head_same(const struct ledger_head *a, const struct ledger_head *b)
{
	return a->number == b->number && a->segment == b->segment && a->end == b->end &&
	       memcmp(a->hash, b->hash, FRAME_HASH) == 0 &&
	       memcmp(a->ledger_id, b->ledger_id, sizeof(a->ledger_id)) == 0;
}

/* What head begins with, before there is a ledger: see head_begin in ledger.c. */
static bool is_blank(const struct ledger_head *part)
{
	return part->number == 1 && all_zero(part->hash, FRAME_HASH);
}

static bool differs(enum ledger_part part, const struct ledger_head *p,
		    const struct ledger_head *at)
{
	return part == PART_WHOLE && !is_blank(p) && p->number == at->number &&
	       memcmp(p->hash, at->hash, FRAME_HASH) != 0;
}

void ledger_witness_see(struct ledger_witness *w, const struct ledger_head *at)
{
	w->done_differs = w->done_differs || differs(w->done_part, &w->done, at);
	w->next_differs = w->next_differs || differs(w->next_part, &w->next, at);
}

/* Both boots are known, and not the same. */
static bool restarted(const struct ledger_head *part, const unsigned char *boot)
{
	return !all_zero(part->boot, 16) && !all_zero(boot, 16) &&
	       memcmp(part->boot, boot, 16) != 0;
}

static bool is_foreign(const struct ledger_head *part, const struct ledger_head *end)
{
	return end->number && !is_blank(part) && memcmp(part->ledger_id, end->ledger_id, 16) != 0;
}

static enum ledger_head_state judge_legacy(const struct ledger_witness *w,
					   const struct ledger_head *end)
{
	if (is_foreign(&w->done, end) && w->done.number)
		return LEDGER_HEAD_OTHER;
	if (w->done.number > end->number)
		return LEDGER_HEAD_NEWER;
	if (w->done_differs)
		return LEDGER_HEAD_OTHER;
	/* A writer of that version may have died before it wrote head. */
	return end->number - w->done.number > 1 ? LEDGER_HEAD_OLDER : LEDGER_HEAD_OK;
}

static enum ledger_head_state judge_done(const struct ledger_witness *w,
					 const struct ledger_head *end, const unsigned char *boot)
{
	bool other_boot = restarted(&w->done, boot);
	bool pending = w->next_part == PART_WHOLE && w->next.number == w->done.number + 1;

	if (w->next_part == PART_ABSENT)
		return LEDGER_HEAD_DAMAGED;
	if (w->next_part == PART_WHOLE && !pending && !other_boot &&
	    !ledger_head_same(&w->next, &w->done) && !(is_blank(&w->next) && w->done.number == 1))
		return LEDGER_HEAD_DAMAGED;
	if (is_foreign(&w->done, end))
		return LEDGER_HEAD_OTHER;
	if (w->done.number > end->number)
		return LEDGER_HEAD_NEWER;
	if (w->done_differs)
		return LEDGER_HEAD_OTHER;
	if (w->done.number == end->number)
		return LEDGER_HEAD_OK;
	if (pending && w->next.number == end->number && !w->next_differs)
		return LEDGER_HEAD_OK;
	if (other_boot)
		return LEDGER_HEAD_BEHIND;
	return pending && w->next_differs ? LEDGER_HEAD_OTHER : LEDGER_HEAD_OLDER;
}

/* `done` was being written for the first time, or again, when the writer died. */
static enum ledger_head_state judge_next(const struct ledger_witness *w,
					 const struct ledger_head *end, const unsigned char *boot)
{
	bool first = w->done_part == PART_ABSENT;

	if (w->next_part != PART_WHOLE || (first && w->next.number != 1))
		return LEDGER_HEAD_DAMAGED;
	if (first && !end->number)
		return LEDGER_HEAD_OK;
	if (is_foreign(&w->next, end))
		return LEDGER_HEAD_OTHER;
	if (w->next.number > end->number)
		return LEDGER_HEAD_NEWER;
	if (w->next_differs)
		return LEDGER_HEAD_OTHER;
	if (w->next.number == end->number)
		return LEDGER_HEAD_OK;
	return restarted(&w->next, boot) ? LEDGER_HEAD_BEHIND : LEDGER_HEAD_OLDER;
}

enum ledger_head_state ledger_witness_judge(const struct ledger_witness *w,
					    const struct ledger_head *end,
					    const unsigned char boot[static 16])
{
	if (!w->there)
		return LEDGER_HEAD_MISSING;
	if (w->legacy)
		return judge_legacy(w, end);
	if (w->done_part == PART_ABSENT && w->next_part == PART_ABSENT)
		return LEDGER_HEAD_MISSING;
	if (w->done_part == PART_DAMAGED || w->next_part == PART_DAMAGED)
		return LEDGER_HEAD_DAMAGED;
	return w->done_part == PART_WHOLE ? judge_done(w, end, boot) : judge_next(w, end, boot);
}

uint64_t ledger_witness_lost(const struct ledger_witness *w, const struct ledger_head *end)
{
	uint64_t known = 0;

	/* What is only announced was perhaps never there. */
	if (w->done_part == PART_WHOLE)
		known = w->done.number;
	else if (w->next_part == PART_WHOLE && w->done_part != PART_ABSENT)
		known = w->next.number;
	return known > end->number ? known - end->number : 0;
}

bool ledger_head_finding(enum ledger_head_state state)
{
	return state != LEDGER_HEAD_OK && state != LEDGER_HEAD_BEHIND;
}

const char *ledger_head_state_text(enum ledger_head_state state)
{
	static const char *const texts[] = {
		[LEDGER_HEAD_OK] = "ok",	   [LEDGER_HEAD_MISSING] = "missing",
		[LEDGER_HEAD_DAMAGED] = "damaged", [LEDGER_HEAD_OLDER] = "older",
		[LEDGER_HEAD_NEWER] = "newer",	   [LEDGER_HEAD_OTHER] = "other",
		[LEDGER_HEAD_BEHIND] = "behind",
	};

	return (unsigned)state < sizeof(texts) / sizeof(texts[0]) ? texts[state] : "unknown";
}

void ledger_boot_id(unsigned char ret[static 16])
{
	char text[40];
	size_t len;

	memset(ret, 0, 16);
	if (file_read_text(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, sizeof(text), NULL) <
		    0 ||
	    sodium_hex2bin(ret, 16, text, strlen(text), "-", &len, NULL) != 0 || len != 16)
		memset(ret, 0, 16);
}
