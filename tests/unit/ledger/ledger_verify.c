/* SPDX-License-Identifier: MIT */
/* The ledger, changed by hand: every single byte, records and segments that are gone or swapped. */
#include "base/err.h"
#include "base/file.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every byte of 1,000 records, each changed to one other value; those of the first two frames and
 * of the last to all 255, and with CLOCHE_TEST_ALL=1 (a quarter of an hour) those of all. */
Test(ledger_verify, a_change_of_any_byte_is_found_at_its_record)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct ledger *l = ledgers_open(dir, 0, false);
	const struct ledger_walk walk = { 0 };
	struct ledger_finding f = { 0 };
	struct ledger_head head = { .segment = 1 };
	char path[512];
	char *buf;
	size_t len, at = 0;
	unsigned state = 1;
	bool each = getenv("CLOCHE_TEST_ALL");

	ledgers_append(l, 0, 1000);
	(void)ledger_close(l);
	cr_assert_eq(file_load(AT_FDCWD, tmpdir_path(path, dir, "000000000001.seg"), 1 << 20, &buf,
			       &len, NULL),
		     0);
	/* Each byte in turn; the walk begins at the record that the byte is in, with what it has
	 * proven until there, as it does when it begins at the first. */
	while (at < len) {
		unsigned char *p = (unsigned char *)buf + at;
		struct ledger_head next = head;
		struct frame frame;
		const char *why;

		cr_assert_eq(frame_check(p, len - at, head.number + 1, head.hash, &frame, &why),
			     FRAME_OK);
		cr_assert_eq(ledger_head_advance(&next, &frame, &why), 0);
		for (size_t i = 0; i < frame.size; i++) {
			bool all = each || frame.number <= 2 || frame.number == 1001;
			unsigned char was = p[i];

			for (unsigned x = 1; x < (all ? 256 : 2); x++) {
				struct ledger_head from = head;

				state = state * 1103515245 + 12345;
				p[i] = (unsigned char)(was ^ (all ? x : 1 + (state >> 16) % 255));
				memset(&f, 0, sizeof(f));
				(void)ledger_verify_bytes(p, len - at, true, &walk, &from, &f);
				cr_assert(f.broken && f.number == head.number + 1 && f.offset == at,
					  "byte %zu ^ %u of record %" PRIu64
					  ": broken %d, number %" PRIu64,
					  i, p[i] ^ was, head.number + 1, f.broken, f.number);
			}
			p[i] = was;
		}
		head = next;
		at += frame.size;
	}
	cr_assert_eq(head.number, 1001);
	free(buf);
}

/* Through the files, not the buffer: every byte of an opening and two records, to 51 other values
 * at the beginning and at the end, where a change might look like a torn write, and to 5 between.
 */
Test(ledger_verify, changes_of_any_byte_of_the_files_are_found)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct ledger *l = ledgers_open(dir, 0, false);
	char path[512];
	unsigned char byte, other;
	off_t second = FRAME_HEAD + sizeof(struct frame_open) + FRAME_HASH, third;
	uint16_t body_len;
	struct stat st;
	int fd;

	ledgers_append(l, 0, 2);
	(void)ledger_close(l);
	fd = open(tmpdir_path(path, dir, "000000000001.seg"), O_RDWR | O_CLOEXEC);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(pread(fd, &body_len, 2, second + 6), 2);
	third = second + FRAME_HEAD + body_len + FRAME_HASH;
	for (off_t at = 0; at < st.st_size; at++) {
		uint64_t record = at < second ? 1 : at < third ? 2 : 3;
		int step = at > 130 && at < st.st_size - 130 ? 51 : 5;

		cr_assert_eq(pread(fd, &byte, 1, at), 1);
		for (int x = 1; x < 256; x += step) {
			struct ledger_finding f;

			other = (unsigned char)(byte ^ x);
			cr_assert_eq(pwrite(fd, &other, 1, at), 1);
			f = ledgers_verify(dir);
			cr_assert(f.broken && f.number == record,
				  "byte %ld ^ %d: broken %d at %" PRIu64 ", not %" PRIu64, (long)at,
				  x, f.broken, f.number, record);
		}
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
	}
	ledgers_expect_whole(dir, 2);
	(void)close(fd);
}

static char *make_segments(void)
{
	char *dir = tmpdir_make();
	struct ledger *l = ledgers_open(dir, 2000, false);

	ledgers_append(l, 0, 20);
	(void)ledger_close(l);
	cr_assert_geq(ledgers_verify(dir).segments, 5);
	return dir;
}

static void expect_broken(const char *dir, uint64_t segment, const char *says)
{
	struct ledger_finding f = ledgers_verify(dir);

	cr_assert(f.broken);
	cr_assert_eq(f.segment, segment, "segment %" PRIu64 ": %s", f.segment, f.text);
	cr_assert(strstr(f.text, says), "'%s' lacks '%s'", f.text, says);
}

Test(ledger_verify, deleted_segments_are_named)
{
	for (uint64_t gone = 1; gone <= 5; gone++) {
		cleanup_tmpdir char *dir = make_segments();
		struct ledger_finding f = ledgers_verify(dir);
		uint64_t n = gone < 5 ? gone : f.segments;
		char name[SEGMENT_NAME_LEN], path[512];

		ledger_segment_name(n, name);
		cr_assert_eq(unlink(tmpdir_path(path, dir, name)), 0);
		if (gone < 5)
			expect_broken(dir, n, "is missing");
		else
			expect_broken(dir, n - 1, "missing");
	}
}

Test(ledger_verify, swapped_and_foreign_segments_are_named)
{
	cleanup_tmpdir char *dir = make_segments();
	cleanup_tmpdir char *other = make_segments();
	char a[512], b[512], c[512];

	(void)tmpdir_path(a, dir, "000000000002.seg");
	(void)tmpdir_path(b, dir, "000000000003.seg");
	cr_assert_eq(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), 0);
	expect_broken(dir, 2, "another record's number");
	cr_assert_eq(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), 0);
	cr_assert(!ledgers_verify(dir).broken);
	cr_assert_eq(renameat2(AT_FDCWD, a, AT_FDCWD, tmpdir_path(c, other, "000000000002.seg"),
			       RENAME_EXCHANGE),
		     0);
	expect_broken(dir, 2, "hash of the record before");
}

Test(ledger_verify, records_cut_off_the_end_are_named_and_noted)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct ledger *l = ledgers_open(dir, 0, false);
	struct ledger_finding f;
	struct stat st;
	char path[512];

	ledgers_append(l, 0, 10);
	(void)ledger_close(l);
	cr_assert_eq(stat(tmpdir_path(path, dir, "000000000001.seg"), &st), 0);
	cr_assert_eq(truncate(path, st.st_size - 3 * (st.st_size - 120) / 10), 0);
	f = ledgers_verify(dir);
	cr_assert(f.broken);
	cr_assert_eq(f.number, 9);
	cr_assert(strstr(f.text, "3 records behind record 8"), "%s", f.text);
	/* A writer goes on, but the chain tells for ever. */
	l = ledgers_open(dir, 0, false);
	cr_assert_eq(ledger_repaired(l).lost_frames, 3);
	(void)ledger_close(l);
	f = ledgers_verify(dir);
	cr_assert(!f.broken, "%s", f.text);
	cr_assert_eq(f.lost_frames, 3);
	cr_assert_eq(f.records, 7);
}

Test(ledger_verify, a_broken_end_is_never_written_on)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct ledger *l = ledgers_open(dir, 0, false);
	struct cloche_err err = { 0 };
	char path[512];

	ledgers_append(l, 0, 3);
	(void)ledger_close(l);
	file_flip(tmpdir_path(path, dir, "000000000001.seg"), 200);
	cr_assert_eq(unlink(tmpdir_path(path, dir, "head")), 0);
	cr_assert_eq(ledger_open(dir, &(struct ledger_options){ .create = true }, &l, &err),
		     -EBADMSG);
	cr_assert(strstr(err.text, "broken at record 2"), "%s", err.text);
}
