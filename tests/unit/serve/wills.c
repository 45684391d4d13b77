/* SPDX-License-Identifier: MIT */
/*
 * What is written down of invocations that have not ended: it is in the ledger once, whoever dies;
 * and what another version has left is written, or counted, and never gone without a word.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "ledger/ledger_frame.h"
#include "run/booking.h"
#include "serve/wills.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/tmpdir.h"

/* Where a will has what; the same in every version. */
enum { SIZE = 1360, AT_VERSION = 64, AT_HEAD_LEN = 72, AT_RECORD = 80 };

static char *dir;
static struct booking booking = { .dir = "ledger" };

static void begin(void)
{
	struct ledger_repair none;
	struct cloche_err err = { 0 };

	dir = tmpdir_make();
	cr_assert_eq(chdir(dir), 0);
	cr_assert_eq(booking_ready(&booking, &none, &err), 0, "%s", err.text);
}

static void end(void)
{
	booking_close(&booking);
	cr_assert_eq(chdir("/"), 0);
	tmpdir_free(&dir);
}

TestSuite(wills, .init = begin, .fini = end);

static int make(struct wills *w, uint64_t n)
{
	struct ledger_record r;
	int will;

	ledgers_record(n, &r);
	will = wills_make(w, &booking, &r, 100 + n);
	cr_assert_geq(will, 0);
	return will;
}

static void open_wills(struct wills *ret, unsigned unread)
{
	struct cloche_err err = { 0 };

	cr_assert_eq(wills_open(ret, &err), 0, "%s", err.text);
	cr_expect_eq(ret->unread, unread, "%u", ret->unread);
}

/* The next front. */
static void execute(unsigned written, unsigned unread)
{
	struct cloche_err err = { 0 };
	struct wills w;
	unsigned n = 7;

	open_wills(&w, unread);
	cr_assert_eq(wills_execute(&w, &booking, &n, &err), 0, "%s", err.text);
	cr_expect_eq(n, written, "%u", n);
	wills_close(&w);
}

static void expect_records(uint64_t n)
{
	booking_close(&booking);
	ledgers_expect_whole("ledger", n);
}

/* Of the will in the first place. */
static void overwrite(off_t at, const void *bytes, size_t len)
{
	cleanup_fd int fd = open("wills", O_WRONLY | O_CLOEXEC);

	cr_assert_eq(pwrite(fd, bytes, len, at), (ssize_t)len);
}

Test(wills, what_was_not_struck_is_written_once)
{
	struct wills w;

	open_wills(&w, 0);
	wills_strike(&w, make(&w, 1));
	(void)make(&w, 2);
	(void)make(&w, 3);
	ledgers_append(booking.ledger, 3, 4);
	wills_close(&w);
	execute(1, 0);
	execute(0, 0);
	expect_records(2);
}

Test(wills, what_is_not_whole_is_none)
{
	struct wills w;

	open_wills(&w, 0);
	(void)make(&w, 1);
	(void)make(&w, 2);
	wills_close(&w);
	overwrite(AT_RECORD + 5, "x", 1);
	execute(1, 0);
	expect_records(1);
}

/* A version whose records are other ones; it stays for that, and has its place. */
Test(wills, of_another_version_in_this_form)
{
	const uint32_t version = LEDGER_VERSION + 1;
	struct wills w;

	open_wills(&w, 0);
	(void)make(&w, 1);
	(void)make(&w, 2);
	wills_close(&w);
	overwrite(AT_VERSION, &version, sizeof(version));
	execute(1, 1);
	open_wills(&w, 1);
	cr_expect_eq(make(&w, 3), 1);
	wills_close(&w);
	execute(1, 1);
	expect_records(2);
}

/* As those before left it: other sizes, and the word elsewhere. */
Test(wills, of_another_form)
{
	static const uint64_t old = 0x32736c6c69770000ULL + 1000;
	char zeros[900] = "";
	struct wills w;
	FILE *f = fopen("wills", "we");

	cr_assert_not_null(f);
	for (int i = 0; i < 100; i++) {
		const uint64_t valid = i % 40 == 1 ? old : 0;

		(void)fwrite(&valid, sizeof(valid), 1, f);
		(void)fwrite(zeros, 1, 896, f);
	}
	cr_assert_eq(fclose(f), 0);
	open_wills(&w, 3);
	(void)make(&w, 1);
	wills_close(&w);
	cr_expect_eq(access("wills.other", R_OK), 0);
	/* Said once; it is not there any more. */
	execute(1, 0);
	expect_records(1);
}
