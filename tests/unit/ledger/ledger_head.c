/* SPDX-License-Identifier: MIT */
/*
 * Ledgers that were cut short at the end of a record, where nothing in the chain shows it, with the
 * file `head` removed, changed or put back; and lines kept elsewhere, for what nothing in the
 * ledger shows. Each ledger is taken back to each record that it had.
 */
#include "base/err.h"
#include "base/file.h"
#include "ledger/ledger_anchor.h"
#include "ledger/ledger_key.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_FRAMES 64
#define HEAD_BYTES  (HEAD_NEXT_AT + sizeof(struct ledger_head))

/* What a ledger was behind each of its frames. */
struct history {
	char *dir;
	uint64_t frames;
	struct ledger_anchor at[MOST_FRAMES];	     /* at[n]: behind frame n */
	unsigned char head[MOST_FRAMES][HEAD_BYTES]; /* as the writer left it with n frames */
	size_t head_len[MOST_FRAMES];		     /* 0: no writer ended there */
};

static size_t head_save(const char *dir, unsigned char *ret)
{
	char path[512];
	int fd = open(tmpdir_path(path, dir, HEAD_NAME), O_RDONLY | O_CLOEXEC);
	ssize_t n = pread(fd, ret, HEAD_BYTES, 0);

	cr_assert(fd >= 0 && n > 0, "%s: %m", path);
	(void)close(fd);
	return (size_t)n;
}

static void head_put(const char *dir, const unsigned char *head, size_t len)
{
	char path[512];
	int fd = open(tmpdir_path(path, dir, HEAD_NAME), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && pwrite(fd, head, len, 0) == (ssize_t)len, "%s: %m", path);
	cr_assert_eq(ftruncate(fd, (off_t)len), 0);
	(void)close(fd);
}

static int place_take(const struct ledger_entry *e, void *arg)
{
	struct history *h = arg;

	cr_assert_lt(e->frame->number, MOST_FRAMES);
	ledger_anchor_take(e, &h->at[e->frame->number]);
	h->frames = e->frame->number;
	return 0;
}

static struct history *history_make(uint64_t segment_bytes, uint64_t records)
{
	struct history *h = calloc(1, sizeof(*h));
	struct ledger_finding f;
	struct ledger *l;

	cr_assert(h);
	h->dir = tmpdir_make();
	for (uint64_t n = 0; n < records; n++) {
		l = ledgers_open(h->dir, segment_bytes, false);
		ledgers_append(l, n, n + 1);
		(void)ledger_close(l);
		f = ledgers_verify(h->dir);
		h->head_len[f.end.number] = head_save(h->dir, h->head[f.end.number]);
		cr_assert_eq(h->head_len[f.end.number], HEAD_BYTES);
	}
	cr_assert_eq(ledger_verify(h->dir, &(struct ledger_walk){ .each = place_take, .arg = h },
				   &f, NULL),
		     0);
	cr_assert(!ledger_is_doubtful(&f), "%s", f.head_text);
	return h;
}

static void history_free(struct history **h)
{
	tmpdir_free(&(*h)->dir);
	free(*h);
}
#define cleanup_history __attribute__((cleanup(history_free)))

/* A copy with the chain as it was behind frame n (0: nothing in its first segment), its head as it
 * is now. */
static char *history_cut(const struct history *h, uint64_t n)
{
	uint64_t last = n ? h->at[n].segment : 1;
	char *dir = tmpdir_make();
	char from[512], to[512], name[SEGMENT_NAME_LEN];
	char *buf;
	size_t len;
	int fd;

	for (uint64_t s = 1; s <= last; s++) {
		ledger_segment_name(s, name);
		cr_assert_eq(file_load(AT_FDCWD, tmpdir_path(from, h->dir, name), 1 << 20, &buf,
				       &len, NULL),
			     0);
		if (s == last)
			len = n ? h->at[n].end : 0;
		fd = open(tmpdir_path(to, dir, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		cr_assert(fd >= 0 && write(fd, buf, len) == (ssize_t)len, "%s: %m", to);
		(void)close(fd);
		free(buf);
	}
	head_put(dir, h->head[h->frames], h->head_len[h->frames]);
	return dir;
}

/* A writer goes on where it can, and says so; from then on the chain does. */
static void expect_noted(const char *dir, const char *what)
{
	const struct ledger_options options = { .create = true, .segment_bytes = 2000 };
	struct cloche_err err = { 0 };
	struct ledger_finding f;
	struct ledger *l;

	if (ledger_open(dir, &options, &l, &err) < 0) {
		cr_assert(strstr(err.text, "missing") || strstr(err.text, "broken"), "%s: %s", what,
			  err.text);
		return;
	}
	cr_assert(ledger_repaired(l).findings || ledger_repaired(l).lost_frames, "%s", what);
	ledgers_append(l, 100, 102);
	(void)ledger_close(l);
	l = ledgers_open(dir, 2000, false);
	cr_assert_eq(ledger_repaired(l).findings, 0, "%s: told twice", what);
	ledgers_append(l, 102, 104);
	(void)ledger_close(l);
	f = ledgers_verify(dir);
	cr_assert(!f.broken, "%s: %s", what, f.text);
	cr_assert_eq(f.head, LEDGER_HEAD_OK, "%s", f.head_text);
	cr_assert(f.head_notes || f.lost_frames, "%s: forgotten", what);
}

static void expect_found(const char *dir, const char *what, uint64_t n, uint64_t of)
{
	struct ledger_finding f = ledgers_verify(dir);

	cr_assert(ledger_is_doubtful(&f), "%s, cut to %" PRIu64 " of %" PRIu64 ": intact", what, n,
		  of);
	cr_assert(f.broken ? *f.text : *f.head_text, "%s: no word of it", what);
}

/* One segment, and segments of two records: cuts in the middle, before and behind each border. */
static const struct {
	uint64_t segment_bytes, records;
} sizes[] = { { 0, 1 }, { 0, 2 }, { 0, 9 }, { 2000, 5 }, { 1500, 7 }, { 1000, 4 } };
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

Test(ledger_head, a_cut_with_head_removed_or_emptied_is_found)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		cleanup_history struct history *h =
			history_make(sizes[i].segment_bytes, sizes[i].records);

		for (uint64_t n = 0; n <= h->frames; n++)
			for (int how = 0; how < 4; how++) {
				static const size_t lens[] = { 0, 0, 100, HEAD_NEXT_AT };
				cleanup_tmpdir char *dir = history_cut(h, n);
				char path[512];

				(void)tmpdir_path(path, dir, HEAD_NAME);
				cr_assert_eq(how ? truncate(path, (off_t)lens[how]) : unlink(path),
					     0);
				expect_found(dir, "no head", n, h->frames);
				expect_noted(dir, "no head");
			}
	}
}

Test(ledger_head, a_cut_with_any_byte_of_head_changed_is_found)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		cleanup_history struct history *h =
			history_make(sizes[i].segment_bytes, sizes[i].records);

		for (uint64_t n = 0; n <= h->frames; n++) {
			cleanup_tmpdir char *dir = history_cut(h, n);
			unsigned char head[HEAD_BYTES];
			unsigned bit = 0;

			memcpy(head, h->head[h->frames], sizeof(head));
			for (size_t at = 0; at < sizeof(head); at++) {
				/* The hint of what was synced is nobody's witness. */
				bool hint = at >= HEAD_SYNCED_AT &&
					    at < HEAD_SYNCED_AT + sizeof(struct ledger_synced);

				if (hint && n == h->frames)
					continue;
				head[at] ^= (unsigned char)(1 << (bit++ % 8));
				head_put(dir, head, sizeof(head));
				expect_found(dir, "a changed byte", n, h->frames);
				head[at] = h->head[h->frames][at];
			}
			head[n % 2 ? 50 : HEAD_NEXT_AT + 50] ^= 0x10;
			head_put(dir, head, sizeof(head));
			expect_noted(dir, "a changed byte");
		}
	}
}

/* Every head that there ever was with every length that the chain ever had. Only where the two fit
 * nothing tells, and a line that was kept does. */
Test(ledger_head, an_older_head_is_found_unless_the_chain_fits_it)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		cleanup_history struct history *h =
			history_make(sizes[i].segment_bytes, sizes[i].records);

		for (uint64_t n = 0; n <= h->frames; n++)
			for (uint64_t old = 1; old <= h->frames; old++) {
				cleanup_tmpdir char *dir = history_cut(h, n);
				struct ledger_finding f;

				if (!h->head_len[old])
					continue;
				head_put(dir, h->head[old], h->head_len[old]);
				f = ledgers_verify(dir);
				cr_assert_eq(ledger_is_doubtful(&f), n != old,
					     "head of %" PRIu64 ", chain of %" PRIu64 ": %s%s", old,
					     n, f.text, f.head_text);
				if (n > old)
					cr_assert(strstr(f.head_text, "older"), "%s", f.head_text);
				if (n != old)
					expect_noted(dir, "another head");
			}
	}
}

static int compare(const struct ledger_entry *e, void *arg)
{
	struct ledger_anchor *a = arg;

	if (a->number == e->frame->number)
		ledger_anchor_compare(a, e);
	return 0;
}

Test(ledger_head, a_line_kept_elsewhere_tells_a_rollback_of_everything)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		cleanup_history struct history *h =
			history_make(sizes[i].segment_bytes, sizes[i].records);

		for (uint64_t n = 1; n <= h->frames; n++)
			for (uint64_t kept = 1; kept <= h->frames; kept++) {
				cleanup_tmpdir char *dir = history_cut(h, n);
				char line[LEDGER_ANCHOR_LEN];
				struct ledger_anchor a;
				struct ledger_finding f;

				ledger_anchor_format(&h->at[kept], line);
				cr_assert_eq(ledger_anchor_parse(line, &a, NULL), 0, "%s", line);
				(void)ledger_verify(
					dir, &(struct ledger_walk){ .each = compare, .arg = &a },
					&f, NULL);
				cr_assert_eq(a.met, kept <= n, "%" PRIu64 " of %" PRIu64, kept, n);
				cr_assert(!a.differs, "%s", a.differs);
			}
	}
}

/* Cut and written on: longer than the line, and with another record where it stands. */
Test(ledger_head, a_line_tells_another_record_in_its_place)
{
	cleanup_history struct history *h = history_make(2000, 7);
	struct ledger_finding f;

	for (uint64_t n = 2; n < h->frames; n++) {
		cleanup_tmpdir char *dir = history_cut(h, n);
		struct ledger *l;

		if (!h->head_len[n])
			continue;
		head_put(dir, h->head[n], h->head_len[n]);
		l = ledgers_open(dir, 2000, false);
		ledgers_append(l, 200, 210);
		(void)ledger_close(l);
		f = ledgers_verify(dir);
		cr_assert(!ledger_is_doubtful(&f), "%s", f.head_text);
		for (uint64_t kept = 1; kept <= h->frames; kept++) {
			struct ledger_anchor a = h->at[kept];

			(void)ledger_verify(
				dir, &(struct ledger_walk){ .each = compare, .arg = &a }, &f, NULL);
			cr_assert(a.met);
			cr_assert_eq(a.differs != NULL, kept > n, "kept %" PRIu64 ", cut %" PRIu64,
				     kept, n);
		}
	}
}

Test(ledger_head, lines_have_one_form)
{
	cleanup_history struct history *h = history_make(0, 3);
	char line[LEDGER_ANCHOR_LEN], other[LEDGER_ANCHOR_LEN + 2];
	struct ledger_anchor a;

	ledger_anchor_format(&h->at[h->frames], line);
	cr_assert_eq(ledger_anchor_parse(line, &a, NULL), 0);
	for (size_t n = 0; n < strlen(line); n++) {
		(void)snprintf(other, sizeof(other), "%.*s", (int)n, line);
		cr_assert_lt(ledger_anchor_parse(other, &a, NULL), 0, "%s", other);
	}
	for (size_t n = 0; n < strlen(line); n++) {
		static const char instead[] = " =\nA-\x1b";

		for (size_t k = 0; k < sizeof(instead) - 1; k++) {
			(void)snprintf(other, sizeof(other), "%s", line);
			if (other[n] == instead[k])
				continue;
			other[n] = instead[k];
			cr_assert_lt(ledger_anchor_parse(other, &a, NULL), 0, "%s", other);
		}
	}
	(void)snprintf(other, sizeof(other), "%s ", line);
	cr_assert_lt(ledger_anchor_parse(other, &a, NULL), 0);
}

Test(ledger_head, the_signature_of_a_line_covers_it_all)
{
	cleanup_history struct history *h = history_make(0, 2);
	struct ledger_anchor a = h->at[3], b;
	char line[LEDGER_ANCHOR_LEN], path[512];
	struct cloche_err err = { 0 };

	cr_assert_eq(ledger_key_make(tmpdir_path(path, h->dir, "k"), &err), 0, "%s", err.text);
	cr_assert_eq(ledger_anchor_sign(&a, AT_FDCWD, path, &err), 0, "%s", err.text);
	ledger_anchor_format(&a, line);
	cr_assert_eq(ledger_anchor_parse(line, &b, NULL), 0);
	cr_assert(ledger_anchor_signed(&b));
	for (size_t n = 0; n < strlen(line); n++) {
		char was = line[n];

		line[n] = was == '1' ? '2' : '1';
		cr_assert(ledger_anchor_parse(line, &b, NULL) < 0 || !ledger_anchor_signed(&b),
			  "%zu: %s", n, line);
		line[n] = was;
	}
	cr_assert(!ledger_anchor_signed(&h->at[3]));
}

/* ---- what a power failure and older versions leave ---- */

static void part_at(unsigned char *head, size_t at, struct ledger_head *ret)
{
	memcpy(ret, head + at, sizeof(*ret));
}

/* head's page did not reach the disk, the segment's did, and the machine was started again. */
Test(ledger_head, a_head_left_behind_by_a_restart_is_no_finding)
{
	cleanup_history struct history *h = history_make(2000, 7);

	for (uint64_t old = 1; old <= h->frames; old++)
		for (uint64_t n = old; n <= h->frames; n++) {
			cleanup_tmpdir char *dir = history_cut(h, n);
			unsigned char head[HEAD_BYTES];
			struct ledger_finding f;
			struct ledger_head p;
			struct ledger *l;

			if (!h->head_len[old])
				continue;
			memcpy(head, h->head[old], sizeof(head));
			for (size_t at = 0; at <= HEAD_NEXT_AT; at += HEAD_NEXT_AT) {
				part_at(head, at, &p);
				p.boot[3] ^= 0x55;
				ledger_head_finish(&p);
				memcpy(head + at, &p, sizeof(p));
			}
			head_put(dir, head, sizeof(head));
			f = ledgers_verify(dir);
			cr_assert(!ledger_is_doubtful(&f), "%s%s", f.text, f.head_text);
			cr_assert_eq(f.head, old == n ? LEDGER_HEAD_OK : LEDGER_HEAD_BEHIND);
			l = ledgers_open(dir, 2000, false);
			cr_assert_eq(ledger_repaired(l).findings, 0);
			ledgers_append(l, 50, 55);
			(void)ledger_close(l);
			f = ledgers_verify(dir);
			cr_assert(!ledger_is_doubtful(&f), "%s%s", f.text, f.head_text);
			cr_assert_eq(f.head, LEDGER_HEAD_OK);
		}
}

/* The form before there were two parts: 120 bytes, written after the frame. */
static void legacy_put(const char *dir, const unsigned char *head)
{
	struct {
		unsigned char magic[8], id[16];
		uint64_t figures[7];
		unsigned char hash[32];
		uint64_t check;
	} old = { .magic = "CLHEAD1\n" };
	unsigned char bytes[HEAD_BYTES];
	struct ledger_head p;

	memcpy(bytes, head, sizeof(bytes));
	part_at(bytes, 0, &p);
	memcpy(old.id, p.ledger_id, sizeof(old.id));
	memcpy(old.figures, &p.segment, sizeof(old.figures));
	memcpy(old.hash, p.hash, sizeof(old.hash));
	old.check = ledger_check(&old, sizeof(old) - sizeof(old.check));
	head_put(dir, (const unsigned char *)&old, sizeof(old));
}

Test(ledger_head, a_ledger_of_an_older_version_is_read_and_written_on)
{
	cleanup_history struct history *h = history_make(0, 6);

	for (uint64_t behind = 0; behind < 4; behind++) {
		cleanup_tmpdir char *dir = history_cut(h, h->frames);
		struct ledger_finding f;
		struct ledger *l;

		legacy_put(dir, h->head[h->frames - behind]);
		f = ledgers_verify(dir);
		/* That version may have died between the frame and head, no more. */
		cr_assert_eq(ledger_is_doubtful(&f), behind > 1, "%s", f.head_text);
		if (behind > 1) {
			expect_noted(dir, "an older head");
			continue;
		}
		l = ledgers_open(dir, 0, false);
		ledgers_append(l, 6, 9);
		(void)ledger_close(l);
		ledgers_expect_whole(dir, 9);
	}
	/* And cut: that version's head knew as well. */
	{
		cleanup_tmpdir char *dir = history_cut(h, 4);

		legacy_put(dir, h->head[h->frames]);
		expect_found(dir, "an old head", 4, h->frames);
		expect_noted(dir, "an old head");
	}
}

Test(ledger_head, a_head_without_segments_or_of_another_ledger_is_found)
{
	cleanup_history struct history *h = history_make(0, 4);
	cleanup_history struct history *other = history_make(0, 4);
	cleanup_tmpdir char *dir = history_cut(h, h->frames), *none = tmpdir_make();
	cleanup_tmpdir char *fresh = tmpdir_make();
	struct ledger_finding f;
	struct ledger *l;

	head_put(dir, other->head[h->frames], HEAD_BYTES);
	expect_found(dir, "another's head", h->frames, h->frames);
	expect_noted(dir, "another's head");
	head_put(none, h->head[h->frames], HEAD_BYTES);
	expect_found(none, "no segments", 0, h->frames);
	cr_assert_lt(ledger_open(none, &(struct ledger_options){ .create = true }, &l, NULL), 0);
	/* One that has no record yet is whole. */
	(void)ledger_close(ledgers_open(fresh, 0, false));
	f = ledgers_verify(fresh);
	cr_assert(!ledger_is_doubtful(&f) && f.records == 0 && f.head == LEDGER_HEAD_OK);
}
