/* SPDX-License-Identifier: MIT */
/*
 * File locks, which no limit of the kernel's counts: a context holds so many and no more, of
 * whatever kind and however they came to be; and whoever lets go of them never meets the bound.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "host/bounds.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/scene.h"
#include "tests/lib/tmpdir.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

/* Makes n locks by so many processes (0: by the command itself), more room than it needs. */
static void hoard(struct run *run, const char *kind, const char *policy, unsigned n,
		  unsigned processes)
{
	char count[16], by[16];

	(void)snprintf(count, sizeof(count), "%u", n);
	(void)snprintf(by, sizeof(by), "%u", processes);
	RUN_INSIDE(run, "-m", "256M", ROOMY, "--nofile", "1000", "--read-locks", "--policy", policy,
		   "/opt/hoard", kind, count, by);
}

static void expect_said(const struct run *run, const char *kind, const char *want)
{
	cr_expect_str_eq(run->out, want, "%s: %s%s", kind, run->out, run->err);
}

/* By one process: it is the command, and dies. */
static void expect_bound(const char *kind, const char *policy)
{
	cleanup_run struct run most = { 0 }, more = { 0 };

	hoard(&most, kind, policy, LOCKS_MAX, 0);
	expect_end(&most, 0, "ok");
	hoard(&more, kind, policy, LOCKS_MAX + 900, 0);
	expect_end(&more, 128 + SIGSYS, "denied");
	cr_expect_str_eq(report_text(&more, "message"), "it held more than 4096 file locks");
	cr_expect_str_eq(more.out, "");
}

/* By several, each of which has less: the one that is one too many dies. */
static void expect_sum(const char *kind, unsigned processes)
{
	cleanup_run struct run run = { 0 };

	hoard(&run, kind, "default", LOCKS_MAX + 900, processes);
	expect_end(&run, 0, "ok");
	expect_said(&run, kind, "4096 killed\n");
}

Test(escape_locks, of_one_process)
{
	expect_bound("lock-ofd-all", "default");
}

Test(escape_locks, on_what_is_read_only)
{
	expect_bound("lock-read-only-all", "strict");
}

Test(escape_locks, of_several_processes)
{
	expect_sum("lock-posix", 8);
	expect_sum("lock-spread", 4);
	expect_sum("lock-read-only", 30);
	expect_sum("lock-flock", 8);
}

Test(escape_locks, by_unlocking)
{
	cleanup_run struct run run = { 0 };

	/* The first one is there before the first cut. */
	hoard(&run, "lock-split", "default", LOCKS_MAX + 900, 8);
	expect_end(&run, 0, "ok");
	cr_expect(strstr(run.out, "killed"), "%s", run.out);
	cr_expect_leq(atoi(run.out), LOCKS_MAX);
}

/* Opened by somebody else: counted by itself. */
Test(escape_locks, on_a_standard_stream)
{
	cleanup_run struct run run = { .input = "x" };

	hoard(&run, "lock-stream", "default", LOCKS_MAX + 900, 0);
	expect_end(&run, 128 + SIGSYS, "denied");
}

static void make_file(const char *path)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0);
}

/* Those of the host would wait for it. */
static void expect_no_flock(const char *how, const char *file, const char *bind)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-b", bind, "--", "flock", how, file, "echo", "locked");
	expect_end(&run, 128 + SIGSYS, "denied");
	cr_expect(strstr(report_text(&run, "message"), "of a read-only mount"), "%s",
		  report_text(&run, "message"));
	cr_expect_str_eq(run.out, "");
}

Test(escape_locks, none_by_flock_on_a_read_only_mount)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char file[512], one[600], all[600];

	make_file(tmpdir_path(file, dir, "file"));
	(void)snprintf(one, sizeof(one), "%s:/mnt/file", file);
	(void)snprintf(all, sizeof(all), "%s:/mnt", dir);
	expect_no_flock("-x", "/usr/bin/env", one);
	expect_no_flock("-s", "/usr/bin/env", one);
	expect_no_flock("-xn", "/mnt/file", one);
	expect_no_flock("-x", "/mnt/file", all);
	expect_no_flock("-s", "/mnt/file", all);
}

/* Nor by what else there is, unless the caller has said so. */
Test(escape_locks, none_by_fcntl_on_a_read_only_mount)
{
	static const char *const policies[] = { "default", "strict" };

	for (size_t i = 0; i < 2; i++) {
		cleanup_run struct run none = { 0 }, one = { 0 };

		RUN_INSIDE(&none, "-m", "256M", ROOMY, "--policy", policies[i], "/opt/hoard",
			   "lock-read-only-all", "1", "0");
		expect_end(&none, 128 + SIGSYS, "denied");
		cr_expect(strstr(report_text(&none, "message"), "--read-locks"), "%s",
			  report_text(&none, "message"));
		cr_expect_str_eq(none.out, "");
		hoard(&one, "lock-read-only-all", policies[i], 1, 0);
		expect_end(&one, 0, "ok");
	}
}

Test(escape_locks, by_flock_where_it_may_write)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 }, tmp = { 0 };
	char file[512], bind[600];

	make_file(tmpdir_path(file, dir, "file"));
	(void)snprintf(bind, sizeof(bind), "%s:/mnt:rw", dir);
	RUN_INSIDE(&run, "-b", bind, "--", "flock", "-x", "/mnt/file", "echo", "locked");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "locked\n");
	RUN_INSIDE(&tmp, "--", "flock", "-x", "/tmp/file", "echo", "locked");
	expect_end(&tmp, 0, "ok");
}

Test(escape_locks, nothing_is_left_for_the_next)
{
	for (int i = 0; i < 2; i++) {
		cleanup_run struct run run = { 0 };

		hoard(&run, "lock-ofd", "default", LOCKS_MAX, 8);
		expect_said(&run, "lock-ofd", "4096 enough\n");
	}
}

Test(escape_locks, whoever_lets_go_goes_on)
{
	cleanup_run struct run run = { 0 };

	hoard(&run, "lock-let-go", "default", 2 * LOCKS_MAX, 0);
	expect_end(&run, 0, "ok");
	expect_said(&run, "lock-let-go", "8192 enough\n");
}

Test(escape_locks, a_crowd_on_the_same_files)
{
	cleanup_run struct run run = { 0 };

	hoard(&run, "lock-crowd", "default", 3, 0);
	expect_end(&run, 0, "ok");
	expect_said(&run, "lock-crowd", "3 enough\n");
}

/* Its own, by the same hand, on the host: nobody is counted there. */
Test(escape_locks, the_host_is_not_counted)
{
	cleanup_free char *helper = env_helper("hoard");
	cleanup_run struct run run = { 0 };

	RUN(&run, helper, "lock-posix-all", "5000");
	cr_expect_str_eq(run.out, "5000 enough\n", "%s", run.err);
}

static void connect_many(struct run *run, const char *how, const char *n)
{
	RUN_INSIDE(run, "-m", "64M", ROOMY, "--net", "loopback", "/opt/hoard", how, n);
}

/* Nobody accepts them, and the end that connected is closed: no descriptor is left. */
Test(escape_connections, that_nobody_accepts)
{
	cleanup_run struct run run = { 0 }, few = { 0 };

	connect_many(&few, "tcp-backlog", "200");
	expect_end(&few, 0, "ok");
	cr_expect_str_eq(few.out, "200 enough\n");
	connect_many(&run, "tcp-backlog", "2000");
	expect_end(&run, 128 + SIGSYS, "denied");
	cr_expect_str_eq(report_text(&run, "message"), "it held more than 512 TCP connections");
}

Test(escape_connections, whoever_closes_goes_on)
{
	cleanup_run struct run run = { 0 };

	connect_many(&run, "tcp-time-wait", "1500");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "1500 enough\n");
}

/* ---- other versions ---- */

/* What runs next in its slot may be another version's: with its own rules, and programs. The test's
 * own ones here, as nothing can be pinned. */
Test(escape_bounds, are_over_with_their_context)
{
	struct bounds_slot slot = { .connections_max = 0 };
	struct cloche_err err = { 0 };
	struct scene s;
	unsigned n;

	cr_assert_eq(unshare(CLONE_NEWNS), 0, "%m");
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0, "%m");
	cr_assert_eq(mount("none", "/sys/fs/bpf", "tmpfs", 0, NULL), 0, "%m");
	scene_ask(&s, "exec sleep 0.1", 300 * NSEC_PER_SEC);
	scene_begin(&s, &(struct context_options){ .clock.fd = -1 });
	n = s.ctx.slot.n;
	cr_assert_eq(bpf_map_lookup_elem(s.launcher.bounds.slots, &n, &slot), 0, "%m");
	cr_expect_gt(slot.connections_max, 0);
	scene_hear_end(&s);
	cr_assert_eq(context_destroy(&s.launcher, &s.ctx, &err), 0, "%s", err.text);
	cr_assert_eq(bpf_map_lookup_elem(s.launcher.bounds.slots, &n, &slot), 0, "%m");
	cr_expect_eq(slot.connections_max, 0);
	launcher_close(&s.launcher);
}
