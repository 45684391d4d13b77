/* SPDX-License-Identifier: MIT */
/* Traces that are kept by request id. Needs root, CLOCHE and HELPERS. */
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/spawn.h"
#include "tests/lib/stdio.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

/* What is seen of all this: an exec, a denied call, a fork, an exit. */
#define BUSY "sh", "-c", "unshare -U true 2>/dev/null; exit 0"

static char *store_make(void)
{
	char *dir = tmpdir_make();

	cr_assert_eq(setenv("CLOCHE_TRACES", dir, 1), 0);
	return dir;
}

static size_t count_in(const char *dir, const char *part)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	cr_assert_not_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += strstr(e->d_name, part) != NULL;
	(void)closedir(d);
	return n;
}

Test(trace_kept, by_id_by_prefix_and_in_the_list)
{
	cleanup_tmpdir char *dir = store_make();
	cleanup_run struct run run = { 0 }, shown = { 0 };
	char id[40], prefix[9], events[32];
	struct stat st;

	RUN_CLOCHE(&run, "-q", "--keep-trace", "--name", "busy", "--", BUSY);
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(run.err_len, 0, "%s", run.err);
	(void)snprintf(id, sizeof(id), "%s", report_text(&run, "request_id"));
	(void)snprintf(prefix, sizeof(prefix), "%.8s", id);
	(void)snprintf(events, sizeof(events), " %lld\n",
		       (long long)report_int(&run, "trace.events"));
	CLOCHE(&shown, "trace", id);
	cr_assert_eq(shown.status, 0, "%s", shown.err);
	expect_has(shown.out, id);
	expect_has(shown.out, "denied unshare(");
	expect_has(shown.out, "\nwall ");
	run_free(&shown);
	CLOCHE(&shown, "trace", "--format", "perfetto", prefix);
	cr_assert_eq(shown.status, 0, "%s", shown.err);
	expect_has(shown.out, "traceEvents");
	run_free(&shown);
	CLOCHE(&shown, "trace", "--list");
	cr_assert_eq(shown.status, 0, "%s", shown.err);
	expect_has(shown.out, id);
	expect_has(shown.out, " busy ");
	expect_has(shown.out, " ok ");
	expect_has(shown.out, events);
	run_free(&shown);
	CLOCHE(&shown, "trace", "--list", "--format", "json");
	expect_has(shown.out, "\"verdict\":\"ok\"");
	cr_assert_eq(stat(dir, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	cr_assert_eq(count_in(dir, ".new-"), 0);
}

/* A file of that name comes first, as it did before there was a folder. */
Test(trace_kept, a_file_stays_a_file)
{
	cleanup_tmpdir char *dir = store_make(), *here = tmpdir_make();
	cleanup_run struct run run = { 0 }, shown = { 0 };
	char prefix[9], path[600];

	RUN_CLOCHE(&run, "-q", "--keep-trace", "--", "true");
	(void)snprintf(prefix, sizeof(prefix), "%.8s", report_text(&run, "request_id"));
	(void)snprintf(path, sizeof(path), "%s/%s", here, prefix);
	cr_assert_eq(count_in(dir, prefix), 1);
	cr_assert_eq(chdir(here), 0);
	CLOCHE(&shown, "trace", prefix);
	cr_assert_eq(shown.status, 0, "%s", shown.err);
	run_free(&shown);
	RUN_CLOCHE(&shown, "-q", "--trace", path, "--", "uname", "-v");
	run_free(&shown);
	CLOCHE(&shown, "trace", prefix);
	expect_has(shown.out, "uname -v");
}

Test(trace_kept, each_of_many_beside_the_files)
{
	cleanup_tmpdir char *dir = store_make(), *files = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/t", files);
	RUN_CLOCHE(&run, "-q", "--keep-trace", "--trace", path, "--repeat", "3", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(count_in(dir, ".jsonl"), 3, "%s", run.err);
	for (unsigned i = 0; i < 3; i++) {
		json_t *o = json_array_get(run.reports, i);
		const char *id = json_string_value(json_object_get(o, "request_id"));
		cleanup_free char *kept = NULL, *file = NULL;

		(void)snprintf(path, sizeof(path), "%s/%s.jsonl", dir, id);
		kept = contents(path);
		(void)snprintf(path, sizeof(path), "%s/t.%u", files, i + 1);
		file = contents(path);
		cr_assert_str_eq(kept, file);
		expect_has(kept, id);
		expect_has(kept, "\"verdict\":\"ok\"}\n");
	}
}

/* The verdict is that of the report, whatever it is. */
Test(trace_kept, the_verdict_of_what_was_killed)
{
	cleanup_tmpdir char *dir = store_make();
	cleanup_run struct run run = { 0 }, shown = { 0 };

	RUN_CLOCHE(&run, "-q", "--keep-trace", "-t", "100ms", "--", "sleep", "10");
	cr_assert_str_eq(report_text(&run, "verdict"), "timeout");
	CLOCHE(&shown, "trace", "--list");
	expect_has(shown.out, " timeout ");
}

/* One line each, and the run as if nothing had been. */
Test(trace_kept, a_store_that_takes_nothing_loses_the_trace_only)
{
	static const char *const stores[][2] = {
		{ "ro,size=1m", "Read-only" },
		{ "size=4k", "No space" },
		{ "size=1m,nr_inodes=1", "No space" },
	};
	cleanup_tmpdir char *dir = store_make();
	char script[900];

	/* The second has room for no more than the folder and a page. */
	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
		cleanup_run struct run run = { 0 };

		(void)snprintf(script, sizeof(script),
			       "mount -t tmpfs -o mode=700,%s none '%s' && exec '%s' run -q "
			       "--keep-trace --repeat 2 -b '%s' -- '%s/meter_work' mount 200",
			       stores[i][0], dir, env_need("CLOCHE"), env_need("HELPERS"),
			       env_need("HELPERS"));
		RUN(&run, "unshare", "-m", "sh", "-c", script);
		cr_assert_eq(run.status, 0, "%s: %s", stores[i][0], run.err);
		expect_has(run.err, "cloche run: no trace is kept: ");
		cr_assert(strcasestr(run.err, stores[i][1]), "%s: %s", stores[i][0], run.err);
		cr_assert_eq(strchr(run.err, '\n'), run.err + run.err_len - 1, "%s", run.err);
	}
}

Test(trace_kept, without_a_meter_none_is)
{
	cleanup_tmpdir char *dir = store_make();
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--keep-trace", "--meter", "off", "--", "true");
	cr_assert_eq(run.status, 0);
	cr_assert_str_eq(run.err, "cloche run: no trace is kept: --meter off\n");
	cr_assert_eq(count_in(dir, ".jsonl"), 0);
	cr_assert_eq(count_in(dir, ".new-"), 0);
}

/* What has an id is whole, whenever its run was killed. */
Test(trace_kept, a_crash_leaves_no_half, .timeout = 120)
{
	cleanup_tmpdir char *dir = store_make();
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char bind[600], work[600], path[700];
	const char *const argv[] = { env_need("CLOCHE"),
				     "run",
				     "-q",
				     "--keep-trace",
				     "-t",
				     "30s",
				     "-b",
				     bind,
				     "--",
				     work,
				     "burn",
				     "5",
				     "mount",
				     "4000",
				     "burn",
				     "5",
				     NULL };
	unsigned seed = (unsigned)getpid();
	int64_t whole_ns = -clock_now_ns();
	DIR *d;

	(void)snprintf(bind, sizeof(bind), "%s", env_need("HELPERS"));
	(void)snprintf(work, sizeof(work), "%s/meter_work", env_need("HELPERS"));
	cr_assert_eq(end_of(spawn_argv(argv, null, null)), 0);
	whole_ns += clock_now_ns();
	/* Until it came in the middle of a recording several times. */
	for (int i = 0; i < 300 && count_in(dir, ".new-") < 5; i++) {
		pid_t pid = spawn_argv(argv, null, null);
		struct timespec t = ns_timespec(rand_r(&seed) % whole_ns);

		(void)nanosleep(&t, NULL);
		(void)kill(pid, SIGKILL);
		(void)end_of(pid);
	}
	cr_assert_geq(count_in(dir, ".new-"), 5);
	d = opendir(dir);
	for (const struct dirent *e; (e = readdir(d));) {
		cleanup_free char *text = NULL;

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		text = contents(path);
		cr_assert(strstr(text, "\"event\":\"end\""), "%s is half a trace", path);
	}
	(void)closedir(d);
}
