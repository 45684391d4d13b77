/* SPDX-License-Identifier: MIT */
/* The folder of kept traces: names, bounds, what a crashed writer leaves, what is refused. */
#include "trace/trace_store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "tests/lib/tmpdir.h"
#include "trace/trace.h"
#include "trace/trace_json.h"

static int store(const char *dir)
{
	struct cloche_err err = { 0 };
	int fd = trace_store_open(dir, true, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	return fd;
}

/* A file that was last written so many seconds ago. */
static void make(int dir, const char *name, size_t bytes, long age_s)
{
	cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct timespec at[2] = { { .tv_sec = time(NULL) - age_s }, { 0 } };

	at[1] = at[0];
	cr_assert(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 && futimens(fd, at) == 0);
}

static bool there(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, 0) == 0;
}

static void keep(int dir, const char *id, const char *text)
{
	struct trace_store_file file = { 0 };
	struct cloche_err err = { 0 };

	cr_assert_eq(trace_store_begin(dir, &file, &err), 0, "%s", err.text);
	(void)fputs(text, file.f);
	cr_assert_eq(trace_store_keep(dir, &file, id, &trace_store_limits, &err), 0, "%s",
		     err.text);
	cr_assert_null(file.f);
}

Test(trace_store, kept_under_its_id_and_not_before)
{
	cleanup_tmpdir char *tmp = tmpdir_make();
	cleanup_free struct trace_store_entry *list = NULL;
	struct trace_store_file file = { 0 };
	struct cloche_err err = { 0 };
	char path[300], line[16] = "";
	cleanup_fd int dir = -1;
	cleanup_file FILE *f = NULL;
	struct stat st;
	size_t n;

	/* Made with its parent. */
	(void)snprintf(path, sizeof(path), "%s/a/b", tmp);
	dir = store(path);
	cr_assert_eq(fstat(dir, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	cr_assert_eq(trace_store_begin(dir, &file, &err), 0);
	(void)fputs("text\n", file.f);
	(void)fflush(file.f);
	cr_assert_eq(trace_store_list(dir, &list, &n, &err), 0);
	cr_assert_eq(n, 0);
	cr_assert_eq(trace_store_keep(dir, &file, "abcd-1", &trace_store_limits, &err), 0);
	free(list);
	cr_assert_eq(trace_store_list(dir, &list, &n, &err), 0);
	cr_assert_eq(n, 1);
	cr_assert_str_eq(list[0].id, "abcd-1");
	cr_assert_eq(list[0].bytes, 5);
	f = trace_store_read(dir, "abcd-1", &err);
	cr_assert(f && fgets(line, sizeof(line), f));
	cr_assert_str_eq(line, "text\n");
	cr_assert_eq(fstatat(dir, "abcd-1.jsonl", &st, 0), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(trace_store, dropped_leaves_nothing)
{
	cleanup_tmpdir char *tmp = tmpdir_make();
	cleanup_fd int dir = store(tmp);
	struct trace_store_file file = { 0 };
	char name[sizeof(file.name)];

	cr_assert_eq(trace_store_begin(dir, &file, NULL), 0);
	memcpy(name, file.name, sizeof(name));
	cr_assert(there(dir, name));
	trace_store_drop(dir, &file);
	cr_assert_not(there(dir, name));
}

Test(trace_store, bounded_by_number_the_oldest_go)
{
	static const struct trace_store_limits three = { 3, 1 << 20, 0 };
	cleanup_tmpdir char *tmp = tmpdir_make();
	cleanup_fd int dir = store(tmp);

	make(dir, "aaaa.jsonl", 10, 300);
	make(dir, "bbbb.jsonl", 10, 500);
	make(dir, "cccc.jsonl", 10, 100);
	make(dir, "dddd.jsonl", 10, 200);
	make(dir, "eeee.jsonl", 10, 400);
	make(dir, "other.txt", 10, 900);
	trace_store_prune(dir, &three);
	cr_assert_not(there(dir, "bbbb.jsonl"));
	cr_assert_not(there(dir, "eeee.jsonl"));
	cr_assert(there(dir, "aaaa.jsonl") && there(dir, "cccc.jsonl") && there(dir, "dddd.jsonl"));
	cr_assert(there(dir, "other.txt"), "it is none of its own");
	trace_store_prune(dir, &three);
	cr_assert(there(dir, "aaaa.jsonl"));
}

Test(trace_store, bounded_by_bytes_but_never_the_newest)
{
	static const struct trace_store_limits kib = { 100, 1024, 0 };
	cleanup_tmpdir char *tmp = tmpdir_make();
	cleanup_fd int dir = store(tmp);

	make(dir, "aaaa.jsonl", 600, 300);
	make(dir, "bbbb.jsonl", 600, 200);
	make(dir, "cccc.jsonl", 424, 100);
	trace_store_prune(dir, &kib);
	cr_assert_not(there(dir, "aaaa.jsonl"));
	cr_assert(there(dir, "bbbb.jsonl") && there(dir, "cccc.jsonl"));
	make(dir, "dddd.jsonl", 1, 50);
	trace_store_prune(dir, &kib);
	cr_assert_not(there(dir, "bbbb.jsonl"));
	cr_assert(there(dir, "cccc.jsonl") && there(dir, "dddd.jsonl"));
	make(dir, "eeee.jsonl", 5000, 10);
	trace_store_prune(dir, &kib);
	cr_assert_not(there(dir, "cccc.jsonl") || there(dir, "dddd.jsonl"));
	cr_assert(there(dir, "eeee.jsonl"));
}

/* What is kept prunes, by the limits that ship. */
Test(trace_store, keeping_prunes)
{
	cleanup_tmpdir char *tmp = tmpdir_make();
	cleanup_fd int dir = store(tmp);
	char name[32];

	for (int i = 0; i < TRACE_STORE_FILES; i++) {
		(void)snprintf(name, sizeof(name), "%08x.jsonl", i);
		make(dir, name, 1, 5000 - i);
	}
	keep(dir, "ffff0000", "x");
	cr_assert(there(dir, "ffff0000.jsonl"));
	cr_assert_not(there(dir, "00000000.jsonl"));
	cr_assert(there(dir, "00000001.jsonl"));
}

Test(trace_store, leftovers_go_but_not_what_is_being_written)
{
	static const struct trace_store_limits none = { 10, 1 << 20, 0 };
	cleanup_tmpdir char *tmp = tmpdir_make();
	cleanup_fd int dir = store(tmp);
	cleanup_fd int held = -1;

	make(dir, ".new-1-1", 10, 3600);
	make(dir, ".new-2-2", 10, 3600);
	make(dir, ".new-3-3", 10, 1);
	held = openat(dir, ".new-2-2", O_RDONLY | O_CLOEXEC);
	cr_assert_eq(flock(held, LOCK_EX | LOCK_NB), 0);
	trace_store_prune(dir, &none);
	cr_assert_not(there(dir, ".new-1-1"));
	cr_assert(there(dir, ".new-2-2"), "a writer holds it");
	cr_assert(there(dir, ".new-3-3"), "its writer may not have come to locking it");
}

Test(trace_store, found_by_what_is_unambiguous)
{
	static const struct {
		const char *prefix;
		int result;
		const char *id;
	} rows[] = {
		{ "1234aaaa-1", 0, "1234aaaa-1" },
		{ "1234a", 0, "1234aaaa-1" },
		{ "5678", 0, "5678" }, /* whole, although it also begins another */
		{ "1234", -EEXIST, NULL },
		{ "123", -EINVAL, NULL },
		{ "", -EINVAL, NULL },
		{ "../../x", -EINVAL, NULL },
		{ "abcdef", -ENOENT, NULL },
		{ "1234aaaa-12", -ENOENT, NULL },
	};
	cleanup_tmpdir char *tmp = tmpdir_make();
	cleanup_fd int dir = store(tmp);

	keep(dir, "1234aaaa-1", "");
	keep(dir, "1234bbbb-1", "");
	keep(dir, "5678", "");
	keep(dir, "5678-9", "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char id[TRACE_STORE_ID_LEN] = "";
		struct cloche_err err = { 0 };

		cr_expect_eq(trace_store_find(dir, rows[i].prefix, id, &err), rows[i].result,
			     "'%s': %s", rows[i].prefix, err.text);
		if (rows[i].id)
			cr_expect_str_eq(id, rows[i].id);
	}
}

Test(trace_store, a_folder_for_others_to_write_is_refused)
{
	cleanup_tmpdir char *tmp = tmpdir_make();
	struct cloche_err err = { 0 };

	cr_assert_eq(chmod(tmp, 0770), 0);
	cr_assert_eq(trace_store_open(tmp, true, &err), -EPERM);
	cr_assert(strstr(err.text, tmp) && strstr(err.text, "770"), "%s", err.text);
}

/* Head and end of files of any length, with and without an end. */
Test(trace_store, summary)
{
	static const char head[] = "{\"schema\":\"cloche.trace/1\",\"request_id\":\"1-2\","
				   "\"started_at\":\"now\"}\n";
	static const char event[] = "{\"at_ns\":1,\"event\":\"exit\",\"pid\":7,\"tid\":7,"
				    "\"cpu\":0,\"comm\":\"x\",\"status\":0}\n";
	static const char end[] =
		"{\"event\":\"end\",\"begin_ns\":10,\"end_ns\":40,\"busy_ns\":30,\"quota_ns\":0,"
		"\"contention_ns\":0,\"idle_ns\":0,\"on_cpu_ns\":30,\"events\":7,\"lost\":2,"
		"\"complete\":false,\"function\":\"words\",\"verdict\":\"oom\"}\n";
	static const int events[] = { 0, 1, 30, 60, 200 };

	for (size_t i = 0; i < 2 * sizeof(events) / sizeof(events[0]); i++) {
		cleanup_file FILE *f = tmpfile();
		cleanup_trace struct trace t = { 0 };
		struct cloche_err err = { 0 };
		bool ended = i % 2;

		(void)fputs(head, f);
		for (int j = 0; j < events[i / 2]; j++)
			(void)fputs(event, f);
		(void)fputs(ended ? end : "{\"event\":\"end\",", f);
		rewind(f);
		cr_assert_eq(trace_json_summary(f, "f", &t, &err), 0, "%s", err.text);
		cr_assert_str_eq(t.request_id, "1-2");
		cr_assert_eq(t.ended, ended);
		cr_assert_str_eq(t.function, ended ? "words" : "");
		cr_assert_str_eq(t.verdict, ended ? "oom" : "");
		cr_assert_eq(t.n_written, ended ? 7 : 0);
		cr_assert_eq(t.end_ns - t.begin_ns, ended ? 30 : 0);
	}
}
