/* SPDX-License-Identifier: MIT */
/* Walking and proving the chain; see ledger_verify.h. Read-only by construction. */
#include "ledger/ledger_verify.h"

#include "base/err.h"
#include "base/fd.h"
#include "ledger/ledger_key.h"
#include "ledger/ledger_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static void finding_break(struct ledger_finding *f, const struct ledger_head *at, const char *fmt,
			  ...) __attribute__((format(printf, 3, 4)));
static void finding_break(struct ledger_finding *f, const struct ledger_head *at, const char *fmt,
			  ...)
{
	va_list ap;

	f->broken = true;
	f->number = at->number + 1;
	f->segment = at->segment;
	f->offset = at->end;
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

static const char *seal_check(const struct frame *frame, const struct ledger_walk *walk,
			      struct ledger_finding *f)
{
	struct frame_seal seal;

	memcpy(&seal, frame->body, sizeof(seal));
	f->sealed++;
	if (ledger_key_present(&seal)) {
		if (!ledger_key_signed(&seal, frame->prev))
			return "the signature of its seal is false";
		f->with_signature++;
	}
	if (!walk->public_key)
		return NULL;
	if (!ledger_key_present(&seal))
		return "its seal is not signed";
	if (memcmp(seal.public_key, walk->public_key, sizeof(seal.public_key)) != 0)
		return "its seal is signed by another key than the one given";
	f->signer_known++;
	return NULL;
}

/* What is inside a frame that stands rightly in the chain. */
static int entry_take(const struct frame *frame, const struct ledger_head *before,
		      const struct ledger_head *at, const struct ledger_walk *walk,
		      struct ledger_finding *f, const char **ret_why)
{
	struct ledger_entry entry = {
		.frame = frame,
		.segment = before->segment,
		.offset = before->end,
		.end = before->end + frame->size,
		.ledger_id = at->ledger_id,
	};
	struct ledger_record record;

	*ret_why = NULL;
	if (frame->type == FRAME_RECORD) {
		if (ledger_record_decode(frame->body, frame->body_len, &record) < 0)
			*ret_why = "its content is no record in canonical form";
		entry.record = &record;
		f->records++;
	} else if (frame->type == FRAME_SEAL) {
		*ret_why = seal_check(frame, walk, f);
	} else if (frame->type == FRAME_REPAIR) {
		struct frame_repair repair;

		(void)frame_repair_read(frame, &repair);
		f->repairs++;
		f->head_notes +=
			ledger_head_finding(repair.head) && repair.head != LEDGER_HEAD_NEWER;
		f->lost_frames += repair.lost_frames;
		f->cut_bytes += repair.cut_bytes;
	}
	if (*ret_why)
		return 0;
	f->frames++;
	entry.records = f->records;
	if (walk->witness)
		ledger_witness_see(walk->witness, at);
	return walk->each ? walk->each(&entry, walk->arg) : 0;
}

int ledger_verify_bytes(const unsigned char *buf, size_t len, bool last,
			const struct ledger_walk *walk, struct ledger_head *head,
			struct ledger_finding *f)
{
	size_t at = 0;
	int r;

	while (at < len) {
		const char *why = NULL;
		struct ledger_head before = *head;
		struct frame frame;
		enum frame_state state =
			frame_check(buf + at, len - at, head->number + 1, head->hash, &frame, &why);

		if (state == FRAME_TORN && last) {
			f->torn_bytes = len - at;
			return 0;
		}
		if (state == FRAME_TORN)
			why = "the segment ends in the middle of it";
		if (state == FRAME_OK && ledger_head_advance(head, &frame, &why) == 0) {
			r = entry_take(&frame, &before, head, walk, f, &why);
			if (r < 0)
				return r;
			at += frame.size;
		}
		if (why) {
			finding_break(f, &before, "%s", why);
			return 0;
		}
	}
	return 0;
}

struct snapshot {
	int dirfd, headfd;
	uint64_t first, last;
	struct ledger_witness witness; /* what the writers' head says */
	unsigned char *tail;	       /* the last segment, as of one moment */
	size_t tail_len;
};

static void snapshot_free(struct snapshot *rd)
{
	fd_close(&rd->dirfd);
	fd_close(&rd->headfd);
	free(rd->tail);
}

/* Reads the last segment and head at one moment: no writer is between its two writes then. */
static int snapshot_open(struct snapshot *rd, const char *dir, struct cloche_err *err)
{
	int r, locked = -1;

	rd->dirfd = ledger_dir_open(dir, err);
	if (rd->dirfd < 0)
		return rd->dirfd;
	rd->headfd = openat(rd->dirfd, HEAD_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (rd->headfd < 0 && errno != ENOENT)
		return cloche_err_sys(err, errno, "open '%.200s/" HEAD_NAME "'", dir);
	if (rd->headfd >= 0)
		locked = ledger_head_lock(rd->headfd, HEAD_LOCK_CHAIN, F_RDLCK);
	r = ledger_segment_range(rd->dirfd, &rd->first, &rd->last);
	if (r == 0 && rd->last)
		r = ledger_segment_load(rd->dirfd, rd->last, 0, &rd->tail, &rd->tail_len);
	/* An empty last file was made for a rotation that did not come about. */
	if (r == 0 && rd->last > 1 && !rd->tail_len) {
		free(TAKE_PTR(rd->tail));
		rd->last--;
		r = ledger_segment_load(rd->dirfd, rd->last, 0, &rd->tail, &rd->tail_len);
		r = r == -ENOENT ? 0 : r; /* the walk says which one is missing */
	}
	if (r == 0)
		r = ledger_witness_read(rd->headfd, &rd->witness);
	if (locked == 0)
		(void)ledger_head_lock(rd->headfd, HEAD_LOCK_CHAIN, F_UNLCK);
	if (r < 0)
		return cloche_err_sys(err, -r, "read ledger '%.200s'", dir);
	if (!rd->last && rd->witness.done_part == PART_ABSENT)
		return cloche_err_set(err, ENOENT, "'%.200s' is not a ledger: it has no segments",
				      dir);
	return 0;
}

static int segment_walk(struct snapshot *rd, const struct ledger_walk *walk,
			struct ledger_head *head, struct ledger_finding *f)
{
	cleanup_free unsigned char *buf = NULL;
	const unsigned char *bytes = rd->tail;
	size_t len = rd->tail_len;
	bool last = head->segment == rd->last;
	int r;

	if (!last || !bytes) {
		r = ledger_segment_load(rd->dirfd, head->segment, 0, &buf, &len);
		if (r == -ENOENT) {
			finding_break(f, head, "segment %" PRIu64 " is missing", head->segment);
			return 0;
		}
		if (r < 0)
			return r;
		bytes = buf;
	}
	f->segments++;
	if (head->end > len) {
		finding_break(f, head, "the segment is shorter than it was: records were removed");
		return 0;
	}
	r = ledger_verify_bytes(bytes + head->end, len - head->end, last, walk, head, f);
	if (r == 0 && !f->broken && !last && !head->sealed)
		finding_break(f, head, "the segment ends without its seal: records were removed");
	return r;
}

static void head_text(struct ledger_finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void head_text(struct ledger_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(f->head_text, sizeof(f->head_text), fmt, ap);
	va_end(ap);
}

/* It knows of another chain than there is. */
static void head_break(const struct ledger_witness *w, const struct ledger_head *head,
		       struct ledger_finding *f)
{
	uint64_t lost = ledger_witness_lost(w, head);

	if (lost) {
		finding_break(f, head,
			      "it is missing: %" PRIu64 " records behind record %" PRIu64
			      " were removed, or lost with the power",
			      lost, head->number);
		return;
	}
	if (memcmp(w->done.ledger_id, head->ledger_id, sizeof(head->ledger_id)) != 0)
		finding_break(f, head, "the file 'head' belongs to another ledger");
	else if (w->done.number == head->number)
		finding_break(f, head, "the last record was replaced: 'head' knows another hash");
	else
		finding_break(f, head,
			      "records were replaced: 'head' knows another record %" PRIu64,
			      w->done_differs ? w->done.number : w->next.number);
	f->number = head->number;
}

static void head_compare(const struct snapshot *rd, const struct ledger_head *head,
			 struct ledger_finding *f)
{
	const struct ledger_witness *w = &rd->witness;
	uint64_t knew = w->done_part == PART_WHOLE ? w->done.number : w->next.number;
	unsigned char boot[16];

	if (f->broken)
		return;
	ledger_boot_id(boot);
	f->head = ledger_witness_judge(w, head, boot);
	switch (f->head) {
	case LEDGER_HEAD_OK:
		break;
	case LEDGER_HEAD_MISSING:
		head_text(f,
			  "its file 'head', which knew where it ended, is %s: records behind "
			  "record %" PRIu64 " may have been removed",
			  w->there ? "empty" : "missing", head->number);
		break;
	case LEDGER_HEAD_DAMAGED:
		head_text(f,
			  "its file 'head', which knew where it ended, is damaged: records behind "
			  "record %" PRIu64 " may have been removed",
			  head->number);
		if (ledger_witness_lost(w, head))
			head_break(w, head, f);
		break;
	case LEDGER_HEAD_OLDER:
		head_text(f,
			  "its file 'head' is older than it (it knows %" PRIu64 " of %" PRIu64
			  " records): an older copy was put back, and records behind the last may "
			  "have been removed",
			  knew, head->number);
		break;
	case LEDGER_HEAD_BEHIND:
		head_text(f,
			  "its file 'head' is behind (it knows %" PRIu64 " of %" PRIu64
			  " records), as a power failure leaves it; --against tells whether "
			  "records are gone",
			  knew, head->number);
		break;
	case LEDGER_HEAD_NEWER:
	case LEDGER_HEAD_OTHER:
		head_break(w, head, f);
		break;
	}
}

static int chain_walk(struct snapshot *rd, const struct ledger_walk *given,
		      struct ledger_finding *f)
{
	struct ledger_head head = { .segment = 1 };
	struct ledger_walk with = *given;
	const struct ledger_walk *walk = &with;
	int r = 0;

	with.witness = &rd->witness;
	if (walk->from)
		head = *walk->from;
	ledger_witness_see(&rd->witness, &head);
	while (head.segment <= rd->last) {
		r = segment_walk(rd, walk, &head, f);
		if (r < 0 || f->broken || head.segment == rd->last)
			break;
		head.segment++;
		head.end = 0;
	}
	if (r == 0)
		head_compare(rd, &head, f);
	f->end = head;
	return r;
}

int ledger_verify(const char *dir, const struct ledger_walk *walk, struct ledger_finding *ret,
		  struct cloche_err *err)
{
	struct snapshot rd __attribute__((cleanup(snapshot_free))) = { .dirfd = -1, .headfd = -1 };
	struct ledger_finding f = { 0 };
	int r;

	if (err)
		err->code = 0;
	r = snapshot_open(&rd, dir, err);
	if (r < 0)
		return r;
	r = chain_walk(&rd, walk, &f);
	/* A callback that ended the walk has said why itself. */
	if (r < 0 && err && !err->code)
		return cloche_err_sys(err, -r, "read ledger '%.200s'", dir);
	if (r < 0)
		return r;
	if (!f.broken && f.torn_bytes)
		(void)snprintf(f.text, sizeof(f.text),
			       "%" PRIu64 " bytes of a record that was not finished stand behind "
			       "record %" PRIu64 "; the next append cuts them off",
			       f.torn_bytes, f.end.number);
	*ret = f;
	return 0;
}
