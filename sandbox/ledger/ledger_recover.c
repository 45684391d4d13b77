/* SPDX-License-Identifier: MIT */
/*
 * Where the chain ends, for its writer: found from head, or from the segments where head is not as
 * a writer leaves it; mended, and noted in the chain where a death does not explain it. The order
 * of the writes is what counts here: see ledger_witness.h.
 */
#include "ledger/ledger_writer.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Before the first segment is made. From then on head is never empty, whatever is lost with the
 * power: an empty one beside segments is one that somebody emptied. */
static int head_begin(struct ledger *l, struct cloche_err *err)
{
	const struct ledger_head first = { .segment = 1, .number = 1 };
	int r = ledger_part_write(l, &first, HEAD_NEXT_AT, err);

	if (r < 0)
		return r;
	if (l->io->fdatasync(l->headfd) < 0 || l->io->fdatasync(l->dirfd) < 0)
		return cloche_err_sys(err, errno, "sync ledger '%.200s'", l->dir);
	return 0;
}

/* Without a head to believe: begins with the last segment that has an opening. */
static int head_guess(struct ledger *l, bool *ret_fresh, struct cloche_err *err)
{
	cleanup_free unsigned char *buf = NULL;
	uint64_t first, last;
	struct frame frame;
	const char *why;
	size_t len;
	int r;

	r = ledger_segment_range(l->dirfd, &first, &last);
	if (r < 0)
		return cloche_err_sys(err, -r, "read ledger '%.200s'", l->dir);
	memset(&l->head, 0, sizeof(l->head));
	if (last > 1) {
		r = ledger_segment_load(l->dirfd, last, 0, &buf, &len);
		/* It has none: its maker died. The seal before it, if there is one, leads back. */
		if (r == 0 && (!len || frame_check(buf, len, 0, NULL, &frame, &why) == FRAME_TORN))
			last--;
	}
	l->head.segment = last ? last : 1;
	randombytes_buf(l->head.ledger_id, sizeof(l->head.ledger_id));
	*ret_fresh = !last;
	r = last ? 0 : head_begin(l, err);
	return r == 0 ? ledger_segment_use(l, l->head.segment, last ? 0 : O_CREAT, err) : r;
}

/* From where l->head is on to the end of the chain, through all segments that have an opening. */
static int chain_follow(struct ledger *l, struct ledger_witness *w, uint64_t *cut,
			struct cloche_err *err)
{
	struct ledger_head sealed;
	struct cloche_err e;
	int r;

	ledger_witness_see(w, &l->head);
	r = ledger_segment_scan(l, w, cut, err);
	while (r == 0 && l->head.sealed) {
		sealed = l->head;
		r = ledger_segment_enter(l, 0, &e);
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return cloche_err_set(err, -r, "%s", e.text);
		r = ledger_segment_scan(l, w, cut, err);
		if (r < 0 || l->head.end)
			continue;
		l->head = sealed;
		return 0;
	}
	return r;
}

static int note_repair(struct ledger *l, const struct ledger_repair *repair, uint64_t knew,
		       struct cloche_err *err)
{
	struct frame_repair note = {
		.cut_bytes = repair->cut_bytes,
		.lost_frames = repair->lost_frames,
		.time_ns = clock_real_ns(),
		.head = repair->head,
		.head_number = knew,
	};
	int r;

	memcpy(l->buf + FRAME_HEAD, &note, sizeof(note));
	r = ledger_frame_put(l, FRAME_REPAIR, sizeof(note), err);
	if (r < 0)
		return r;
	l->repaired.cut_bytes += repair->cut_bytes;
	l->repaired.lost_frames += repair->lost_frames;
	if (ledger_head_finding(repair->head)) {
		l->repaired.head = repair->head;
		l->repaired.findings++;
	}
	return 0;
}

/* Both parts say what l->head does. A part that the other one is needed beside is written last. */
static int head_rewrite(struct ledger *l, const struct ledger_witness *w, struct cloche_err *err)
{
	bool done_holds =
		w->legacy || (w->done_part == PART_WHOLE && w->done.number == l->head.number);
	int r;

	r = ledger_part_write(l, &l->head, done_holds ? HEAD_NEXT_AT : 0, err);
	return r == 0 ? ledger_part_write(l, &l->head, done_holds ? 0 : HEAD_NEXT_AT, err) : r;
}

/*
 * What is to be told is told in the chain before head is mended: whoever dies between the two
 * leaves a head that the next one finds as this one did.
 */
static int head_mend(struct ledger *l, const struct ledger_witness *w,
		     const struct ledger_repair *repair, struct cloche_err *err)
{
	int r = 0;

	l->quiet = repair->head != LEDGER_HEAD_OK;
	if (!l->quiet && l->head.number)
		r = head_rewrite(l, w, err);
	if (r == 0 && l->head.end && l->head.sealed)
		r = ledger_segment_enter(l, O_CREAT, err);
	if (r == 0 && l->head.end == 0)
		r = ledger_segment_start(l, err);
	if (r == 0 && (repair->cut_bytes || repair->lost_frames || l->quiet))
		r = note_repair(l, repair, w->done_part == PART_WHOLE ? w->done.number : 0, err);
	if (r == 0 && l->quiet)
		r = head_rewrite(l, w, err);
	l->quiet = false;
	return r;
}

/* Whether the segment holds the frame that ends there. Its file is l->segfd then. */
static bool chain_has(struct ledger *l, const struct ledger_head *at)
{
	unsigned char hash[FRAME_HASH];

	return ledger_segment_use(l, at->segment, 0, NULL) == 0 && at->end > FRAME_HASH &&
	       pread(l->segfd, hash, FRAME_HASH, (off_t)(at->end - FRAME_HASH)) == FRAME_HASH &&
	       memcmp(hash, at->hash, FRAME_HASH) == 0;
}

/* head is not what a writer leaves that came to its end: finds where the chain ends, and whether a
 * death, the power or a hand did this; mends it and says so. */
static int head_recover(struct ledger *l, struct ledger_witness *w, struct cloche_err *err)
{
	struct ledger_repair repair = { 0 };
	bool fresh = false;
	int r = 0;

	if (w->done_part == PART_WHOLE && chain_has(l, &w->done))
		l->head = w->done;
	else if (w->done_part == PART_TORN && w->next_part == PART_WHOLE && chain_has(l, &w->next))
		l->head = w->next;
	else
		r = head_guess(l, &fresh, err);
	if (r == 0)
		r = chain_follow(l, w, &repair.cut_bytes, err);
	if (r < 0)
		return r;
	if (l->head.end == 0 && l->head.segment > 1 && !l->head.number)
		return ledger_broken(l, l->head.number + 1, "the segment is empty", err);
	repair.head = ledger_witness_judge(w, &l->head, l->boot);
	repair.lost_frames = ledger_witness_lost(w, &l->head);
	/* Nothing was ever there; a death may have left as much as an announcement. */
	if (fresh && w->done_part == PART_ABSENT && w->next_part != PART_DAMAGED)
		repair.head = LEDGER_HEAD_OK;
	return head_mend(l, w, &repair, err);
}

/* Under the lock: brings l->head and l->segfd up to what is on the disk. */
int ledger_head_refresh(struct ledger *l, struct cloche_err *err)
{
	struct ledger_witness w;
	struct stat st = { 0 };
	int r;

	if (fstat(l->headfd, &st) < 0 || ledger_witness_read(l->headfd, &w) < 0)
		return cloche_err_sys(err, errno, "read ledger '%.200s'", l->dir);
	if (!st.st_nlink)
		return cloche_err_set(err, ESTALE,
				      "ledger '%.200s': its file '" HEAD_NAME "' was removed while "
				      "it was in use; start again",
				      l->dir);
	if (w.done_part == PART_WHOLE) {
		r = ledger_segment_use(l, w.done.segment, 0, err);
		if (r < 0)
			return r;
		if (fstat(l->segfd, &st) < 0)
			return cloche_err_sys(err, errno, "read ledger '%.200s'", l->dir);
		if (!st.st_nlink)
			return ledger_broken(l, w.done.number, "its segment was removed", err);
		l->head = w.done;
		if (!w.legacy && w.next_part == PART_WHOLE && ledger_head_same(&w.done, &w.next) &&
		    (uint64_t)st.st_size == w.done.end && !w.done.sealed && chain_has(l, &w.done))
			return 0;
	}
	return head_recover(l, &w, err);
}
