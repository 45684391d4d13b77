/* SPDX-License-Identifier: MIT */
/*
 * The ledger under everything that can befall it: deaths at every write, full disks, and writers at
 * the same time.
 */
#include "base/err.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

Test(ledger, records_come_back_in_order_over_segments_and_reopening)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct ledger_finding f;

	for (uint64_t n = 0; n < 100; n += 10) {
		cleanup_ledger struct ledger *l = ledgers_open(dir, 4096, false);

		ledgers_append(l, n, n + 10);
	}
	ledgers_expect_whole(dir, 100);
	f = ledgers_verify(dir);
	cr_assert_gt(f.segments, 5);
	cr_assert_eq(f.sealed, f.segments - 1);
	cr_assert_eq(f.repairs, 0);
}

static int expect_equal(const struct ledger_entry *entry, void *arg)
{
	unsigned char a[LEDGER_BODY_MAX], b[LEDGER_BODY_MAX];
	uint64_t *n = arg;
	struct ledger_record want;
	int len;

	if (!entry->record)
		return 0;
	/* Everything that a record says is in its bytes. */
	ledgers_record((*n)++, &want);
	len = ledger_record_encode(&want, a, NULL);
	cr_assert_eq(ledger_record_encode(entry->record, b, NULL), len);
	cr_assert_eq(memcmp(a, b, (size_t)len), 0, "record %" PRIu64, *n);
	cr_assert_str_eq(entry->record->verdict, want.verdict);
	cr_assert_eq(entry->record->charge, want.charge);
	cr_assert_eq(entry->record->contention_ns, want.contention_ns);
	return 0;
}

Test(ledger, every_field_comes_back)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *l = ledgers_open(dir, 0, false);
	struct ledger_finding f;
	uint64_t n = 0;

	ledgers_append(l, 0, 50);
	cr_assert_eq(ledger_verify(dir, &(struct ledger_walk){ .each = expect_equal, .arg = &n },
				   &f, NULL),
		     0);
	cr_assert_eq(n, 50);
}

Test(ledger, a_record_as_json)
{
	struct ledger_record record;
	json_t *json;

	ledgers_record(2, &record);
	record.charge = 2083000;
	record.gbs_nano = 125000;
	json = ledger_record_json(&record);
	cr_assert_str_eq(json_string_value(json_object_get(json, "usd")), "0.000000002083");
	cr_assert_str_eq(json_string_value(json_object_get(json, "gb_seconds")), "0.000125000");
	cr_assert_str_eq(json_string_value(json_object_get(json, "request_usd")), "0.000000200000");
	cr_assert_str_eq(json_string_value(json_object_get(json, "started_at")),
			 "2026-01-01T00:00:02.000000Z");
	cr_assert(json_is_null(json_object_get(json, "contention_ns")));
	cr_assert(json_is_null(json_object_get(json, "code_sha256")));
	cr_assert(json_is_false(json_object_get(json, "cold")));
	json_decref(json);
}

Test(ledger, malformed_records_are_refused_and_not_written)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *l = ledgers_open(dir, 0, false);
	struct cloche_err err = { 0 };
	struct ledger_record record;

	ledgers_record(1, &record);
	memcpy(record.function, "\xff\xfe", 3);
	cr_assert_eq(ledger_append(l, &record, NULL, &err), -EINVAL);
	cr_assert(strstr(err.text, "'function'"), "%s", err.text);
	ledgers_record(1, &record);
	memset(record.verdict, 'x', sizeof(record.verdict));
	cr_assert_eq(ledger_append(l, &record, NULL, &err), -EINVAL);
	ledgers_record(1, &record);
	record.policy_sha256[5] = 'g';
	cr_assert_eq(ledger_append(l, &record, NULL, &err), -EINVAL);
	ledgers_record(1, &record);
	record.charge++;
	cr_assert_eq(ledger_append(l, &record, NULL, &err), -EINVAL);
	record.charge = -MONEY_USD;
	cr_assert_eq(ledger_append(l, &record, NULL, &err), -EINVAL);
	ledgers_expect_whole(dir, 0);
}

Test(ledger, every_truncation_of_a_record_is_refused)
{
	unsigned char body[LEDGER_BODY_MAX];
	struct ledger_record record;
	int len;

	ledgers_record(3, &record);
	len = ledger_record_encode(&record, body, NULL);
	cr_assert_gt(len, 300);
	for (int n = 0; n < len; n++) {
		/* Exact allocations: a sanitizer build sees every byte that is read beyond. */
		unsigned char *copy = malloc((size_t)n + 1);

		memcpy(copy, body, (size_t)n);
		cr_assert_eq(ledger_record_decode(copy, (size_t)n, &record), -EBADMSG, "%d", n);
		free(copy);
	}
	body[len] = 0;
	cr_assert_eq(ledger_record_decode(body, (size_t)len + 1, &record), -EBADMSG);
	cr_assert_eq(ledger_record_decode(body, (size_t)len, &record), 0);
}

/* ---- deaths: the process dies by SIGKILL in its k-th change of the disk ---- */

static struct {
	unsigned left;	   /* changes until death */
	unsigned part_256; /* how much of a dying write is done, in 256ths */
} doom;

static bool doomed(void)
{
	return doom.left && --doom.left == 0;
}

static ssize_t doom_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	if (doomed()) {
		size_t part = len * doom.part_256 / 256;

		/* An aligned word is not written in pieces: see ledger_witness.h. */
		if (len == sizeof(struct ledger_head))
			part &= ~(size_t)7;
		if (part)
			(void)!pwrite(fd, buf, part, at);
		(void)raise(SIGKILL);
	}
	return pwrite(fd, buf, len, at);
}

static int doom_ftruncate(int fd, off_t size)
{
	if (doomed())
		(void)raise(SIGKILL);
	return ftruncate(fd, size);
}

static int doom_fallocate(int fd, int mode, off_t at, off_t len)
{
	if (doomed())
		(void)raise(SIGKILL);
	return fallocate(fd, mode, at, len);
}

static int doom_fdatasync(int fd)
{
	if (doomed())
		(void)raise(SIGKILL);
	return 0;
}

static int doom_openat(int dirfd, const char *name, int flags, ...)
{
	int fd;
	va_list ap;

	va_start(ap, flags);
	fd = openat(dirfd, name, flags, va_arg(ap, mode_t));
	va_end(ap);
	/* Dies behind it: the file is there, nothing is in it. */
	if ((flags & O_CREAT) && doomed())
		(void)raise(SIGKILL);
	return fd;
}

static const struct ledger_io doom_io = {
	.pwrite = doom_pwrite,
	.ftruncate = doom_ftruncate,
	.fdatasync = doom_fdatasync,
	.fallocate = doom_fallocate,
	.openat = doom_openat,
};

/* What is answered for lies in memory that survives the death. */
struct answered {
	uint64_t count;
	uint64_t ids[4096];
};

static _Noreturn void doomed_writer(const char *dir, unsigned death, unsigned part, uint64_t from,
				    uint64_t n, struct answered *answered)
{
	struct ledger_options options = {
		.segment_bytes = 1500,
		.create = true,
		.sync = death % 2,
		.io = &doom_io,
	};
	struct ledger_record record;
	struct ledger *l;

	doom.left = death;
	doom.part_256 = part;
	if (ledger_open(dir, &options, &l, NULL) < 0)
		_exit(1);
	for (uint64_t i = from; i < from + n; i++) {
		ledgers_record(i, &record);
		if (i % 3 == 0 && ledger_ready(l, NULL) < 0)
			_exit(2);
		if (ledger_append(l, &record, NULL, NULL) < 0)
			_exit(3);
		answered->ids[answered->count++] = i;
	}
	_exit(0);
}

struct seen {
	uint64_t count;
	uint64_t ids[8192];
};

static int collect(const struct ledger_entry *entry, void *arg)
{
	struct seen *seen = arg;

	if (entry->record && seen->count < 8192)
		seen->ids[seen->count++] = ledgers_number(entry->record);
	return 0;
}

/* Each answered record is there once, in order; what else is there was at least asked for. */
static void expect_answered(const char *dir, const struct answered *answered)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct ledger_finding f;
	struct cloche_err err = { 0 };
	uint64_t k = 0;

	cr_assert_eq(
		ledger_verify(dir, &(struct ledger_walk){ .each = collect, .arg = seen }, &f, &err),
		0, "%s", err.text);
	cr_assert(!f.broken, "record %" PRIu64 ": %s", f.number, f.text);
	cr_assert(!ledger_is_doubtful(&f),
		  "a false alarm: %s (%d), %" PRIu64 " lost, %" PRIu64 " notes", f.head_text,
		  f.head, f.lost_frames, f.head_notes);
	for (uint64_t i = 0; i < seen->count; i++) {
		cr_assert(!i || seen->ids[i] > seen->ids[i - 1], "twice or out of order");
		k += k < answered->count && answered->ids[k] == seen->ids[i];
	}
	cr_assert_eq(k, answered->count, "record %" PRIu64 " was answered for and is lost",
		     answered->ids[k]);
	free(seen);
}

static int run_writer(const char *dir, unsigned death, unsigned part, uint64_t from, uint64_t n,
		      struct answered *answered)
{
	pid_t pid = fork();
	int status;

	cr_assert_geq(pid, 0);
	if (pid == 0)
		doomed_writer(dir, death, part, from, n, answered);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) ? !WEXITSTATUS(status) : WTERMSIG(status) == SIGKILL,
		  "death %u, part %u: status 0x%x", death, part, (unsigned)status);
	return WIFSIGNALED(status);
}

static struct answered *answered_new(void)
{
	void *p = mmap(NULL, sizeof(struct answered), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static bool has_segment(const char *dir)
{
	char path[512];

	return access(tmpdir_path(path, dir, "000000000001.seg"), F_OK) == 0;
}

/* One ledger for each change of the disk and for five lengths of the write that is cut short. */
Test(ledger, a_death_at_every_write_loses_nothing)
{
	static const unsigned parts[] = { 0, 8, 100, 200, 255, 256 };
	struct answered *answered = answered_new();
	unsigned deaths = 0;

	for (unsigned death = 1, died = 1; died; death++) {
		died = 0;
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			cleanup_tmpdir char *dir = tmpdir_make();

			answered->count = 0;
			if (run_writer(dir, death, parts[i], 0, 8, answered))
				died++;
			if (has_segment(dir))
				expect_answered(dir, answered);
			/* The next one comes, mends and goes on. */
			cr_assert_eq(run_writer(dir, 0, 0, 100, 8, answered), 0);
			expect_answered(dir, answered);
			cr_assert_eq(ledgers_verify(dir).torn_bytes, 0);
		}
		deaths += died;
	}
	cr_assert_gt(deaths, 150, "only %u deaths: the writes are not counted any more", deaths);
}

/* Deaths on deaths, in one ledger: also while mending what the death before left. */
Test(ledger, any_sequence_of_deaths_and_reopenings_verifies)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct answered *answered = answered_new();
	unsigned state = 12345;
	uint64_t next = 1;

	for (int round = 0; round < 300; round++) {
		state = state * 1103515245 + 12345;
		unsigned death = 1 + (state >> 16) % 25;
		unsigned part = (state >> 8) % 257;

		(void)run_writer(dir, death, part, next, 5, answered);
		next += 5;
		if (round % 10 == 9 && answered->count)
			expect_answered(dir, answered);
	}
	cr_assert_eq(run_writer(dir, 0, 0, next, 5, answered), 0);
	expect_answered(dir, answered);
	cr_assert_gt(ledgers_verify(dir).repairs, 5);
}

Test(ledger, a_torn_end_is_named_then_cut_off_and_noted)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct ledger *l = ledgers_open(dir, 0, false);
	char path[512];
	struct ledger_finding f;
	struct stat st;
	off_t whole;
	int fd;

	ledgers_append(l, 0, 3);
	(void)ledger_close(l);
	fd = open(tmpdir_path(path, dir, "000000000001.seg"), O_RDWR | O_CLOEXEC);
	cr_assert_eq(fstat(fd, &st), 0);
	whole = st.st_size;
	/* The first 77 bytes of the next record, as a writer would have begun it. */
	{
		unsigned char *seg = malloc((size_t)whole);
		unsigned char buf[FRAME_MAX];

		cr_assert_eq(pread(fd, seg, (size_t)whole, 0), whole);
		memset(buf, 7, sizeof(buf));
		(void)frame_finish(buf, FRAME_RECORD, 5, seg + whole - FRAME_HASH, 300);
		cr_assert_eq(pwrite(fd, buf, 77, whole), 77);
		free(seg);
	}
	f = ledgers_verify(dir);
	cr_assert(!f.broken, "%s", f.text);
	cr_assert_eq(f.torn_bytes, 77);
	cr_assert_eq(f.records, 3);
	cr_assert(strstr(f.text, "77 bytes"), "%s", f.text);

	l = ledgers_open(dir, 0, false);
	cr_assert_eq(ledger_repaired(l).cut_bytes, 77);
	cr_assert_eq(ledger_repaired(l).lost_frames, 0);
	ledgers_append(l, 3, 4);
	(void)ledger_close(l);
	ledgers_expect_whole(dir, 4);
	cr_assert_eq(ledgers_verify(dir).repairs, 1);
	(void)close(fd);
}

/* ---- a disk that is full, or gone ---- */

static int full_after; /* bytes that still go in; -1: any number */

static ssize_t full_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	size_t room = len;
	ssize_t n;

	if (full_after == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (full_after > 0 && len > (size_t)full_after)
		room = len == sizeof(struct ledger_head) ? (size_t)full_after & ~(size_t)7
							 : (size_t)full_after;
	n = pwrite(fd, buf, room, at);
	if (n > 0 && full_after > 0)
		full_after -= (int)n;
	return n;
}

static int full_fallocate(int fd, int mode, off_t at, off_t len)
{
	errno = ENOSPC;
	return full_after >= 0 ? -1 : fallocate(fd, mode, at, len);
}

Test(ledger, a_full_disk_harms_nothing_and_is_refused_beforehand)
{
	cleanup_tmpdir char *dir = tmpdir_make(), *other = tmpdir_make();
	const struct ledger_io io = { full_pwrite, ftruncate, fdatasync, full_fallocate, openat };
	const struct ledger_options options = { .create = true, .io = &io, .segment_bytes = 9000 };
	struct cloche_err err = { 0 };
	struct ledger_record record;
	struct ledger *l;

	full_after = -1;
	cr_assert_eq(ledger_open(dir, &options, &l, &err), 0, "%s", err.text);
	cr_assert_eq(ledger_ready(l, &err), 0, "%s", err.text);
	ledgers_append(l, 0, 5);
	for (int room = 0; room < 460; room += 23) {
		full_after = room;
		ledgers_record(5, &record);
		cr_assert_lt(ledger_append(l, &record, NULL, &err), 0, "%d bytes", room);
		cr_assert(strstr(err.text, "disk"), "%s", err.text);
		ledgers_expect_whole(dir, 5);
	}
	full_after = -1;
	ledgers_append(l, 5, 6);
	full_after = 0;
	/* Room was reserved before: that lasts; a ledger without any is refused. */
	(void)ledger_close(l);
	full_after = -1;
	cr_assert_eq(ledger_open(other, &options, &l, &err), 0, "%s", err.text);
	full_after = 0;
	cr_assert_eq(ledger_ready(l, &err), -ENOSPC);
	cr_assert(strstr(err.text, "no room"), "%s", err.text);
	full_after = -1;
	cr_assert_eq(ledger_ready(l, &err), 0, "%s", err.text);
	(void)ledger_close(l);
	ledgers_expect_whole(dir, 6);
}

/* As the caller's shell may have set it: the write is refused then, whatever was reserved. */
Test(ledger, a_limit_on_file_sizes_is_met_beforehand)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_ledger struct ledger *l = ledgers_open(dir, 0, false);
	const struct rlimit tight = { .rlim_cur = 1024, .rlim_max = RLIM_INFINITY };
	const struct rlimit roomy = { .rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY };
	struct cloche_err err = { 0 };
	struct ledger_finding f;

	cr_assert_eq(ledger_ready(l, &err), 0, "%s", err.text);
	ledgers_append(l, 0, 1);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0, "%m");
	/* What is reserved already does not count. */
	cr_assert_eq(ledger_ready(l, &err), -EFBIG);
	cr_assert(strstr(err.text, "file sizes (ulimit -f) is 1024 bytes"), "%s", err.text);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &roomy), 0, "%m");
	/* Whatever ready lets pass can be written. */
	for (uint64_t n = 1; ledger_ready(l, &err) == 0; n++)
		ledgers_append(l, n, n + 1);
	cr_assert_eq(err.code, EFBIG, "%s", err.text);
	f = ledgers_verify(dir);
	cr_assert_gt(f.records, 1000);
	ledgers_expect_whole(dir, f.records);
}

/* ---- many at a time ---- */

static void *append_some(void *arg)
{
	struct ledger *l = arg;

	ledgers_append(l, 0, 50);
	return NULL;
}

Test(ledger, processes_and_threads_append_at_the_same_time, .timeout = 30)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	pid_t pids[6];
	int status;

	for (size_t i = 0; i < 6; i++) {
		pids[i] = fork();
		cr_assert_geq(pids[i], 0);
		if (pids[i] == 0) {
			struct ledger *l = ledgers_open(dir, 20000, i == 0);
			pthread_t threads[3];

			for (int t = 0; t < 3; t++)
				if (pthread_create(&threads[t], NULL, append_some, l))
					_exit(1);
			for (int t = 0; t < 3; t++)
				(void)pthread_join(threads[t], NULL);
			(void)ledger_close(l);
			_exit(0);
		}
	}
	for (size_t i = 0; i < 6; i++) {
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert_eq(status, 0);
	}
	ledgers_expect_whole(dir, 6 * 3 * 50);
	cr_assert_eq(ledgers_verify(dir).repairs, 0);
}

Test(ledger, what_is_no_ledger_is_refused)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct ledger_options options = { 0 };
	struct cloche_err err = { 0 };
	struct ledger_finding f;
	struct ledger *l;
	char path[512];

	cr_assert_eq(ledger_open(dir, &options, &l, &err), -ENOENT);
	cr_assert_eq(ledger_verify(dir, &(struct ledger_walk){ 0 }, &f, &err), -ENOENT);
	cr_assert(strstr(err.text, "no segments"), "%s", err.text);
	cr_assert_eq(ledger_verify("/nonexistent", &(struct ledger_walk){ 0 }, &f, &err), -ENOENT);
	options.create = true;
	cr_assert_eq(chmod(dir, 0777), 0);
	cr_assert_eq(ledger_open(dir, &options, &l, &err), -EPERM);
	cr_assert(strstr(err.text, "other users"), "%s", err.text);
	cr_assert_eq(ledger_open(tmpdir_path(path, dir, "a/b/c"), &options, &l, &err), -ENOENT);
}
