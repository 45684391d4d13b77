/* SPDX-License-Identifier: MIT */
/*
 * `cloche run` where its ledger cannot take a record: disks that are full or read-only, which are
 * real ones (a small tmpfs), and limits on file sizes. Needs root.
 */
#include "base/err.h"
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/records.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char *disk;

/* A disk of so many bytes, gone with the test however that ends. */
static void disk_mount(const char *size)
{
	char options[64];

	if (geteuid() != 0)
		test_skip("needs root, to mount a small tmpfs");
	disk = tmpdir_make();
	(void)snprintf(options, sizeof(options), "mode=0700,size=%s", size);
	cr_assert_eq(mount("cloche-money", disk, "tmpfs", MS_NOSUID | MS_NODEV, options), 0,
		     "mount: %m");
}

static void disk_unmount(void)
{
	if (!disk)
		return;
	(void)umount2(disk, MNT_DETACH);
	tmpdir_free(&disk);
}

/* Until not another byte goes in. */
static void disk_fill(void)
{
	static const char zeroes[4096];
	char path[512];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/filler", disk);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	cr_assert(fd >= 0);
	do
		n = write(fd, zeroes, sizeof(zeroes));
	while (n > 0);
	cr_assert(n < 0 && errno == ENOSPC, "%m");
	(void)close(fd);
}

static void disk_free(void)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/filler", disk);
	cr_assert_eq(unlink(path), 0);
}

static char *disk_ledger(void)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/ledger", disk);
	return path;
}

Test(ledger_run, a_full_disk_refuses_work_and_harms_nothing, .fini = disk_unmount)
{
	cleanup_run struct run run = { 0 };
	char *ledger;

	disk_mount("2m");
	ledger = disk_ledger();
	/* No room from the beginning. */
	disk_fill();
	RUN_CLOCHE(&run, "--ledger", ledger, "--", "sh", "-c", "echo ran");
	cr_assert_eq(run.status, 125, "%s", run.err);
	cr_assert_str_eq(run.out, "");
	cr_assert_eq(count_lines(run.err), 1, "%s", run.err);
	expect_has(run.err, "refused, nothing was run");
	expect_has(run.err, "--ledger-full");
	cr_assert_str_eq(report_text(&run, "verdict"), "launch_error");
	run_free(&run);
	disk_free();

	RUN_CLOCHE(&run, "-q", "--ledger", ledger, "--repeat", "3", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	ledgers_expect_whole(ledger, 3);
	disk_fill();
	/* What was reserved is still there; it is used up first. */
	{
		cleanup_ledger struct ledger *l = ledgers_open(ledger, 0, false);
		struct cloche_err err = { 0 };
		struct ledger_record record;
		uint64_t n = 3;

		for (;; n++) {
			ledgers_record(n, &record);
			if (ledger_append(l, &record, NULL, &err) < 0)
				break;
		}
		cr_assert_eq(err.code, ENOSPC, "%s", err.text);
		cr_assert_gt(n, 600, "%lu", n);
		cr_assert_eq(ledger_ready(l, &err), -ENOSPC);
		ledgers_expect_whole(ledger, n);
		(void)ledger_close(TAKE_PTR(l));

		RUN_CLOCHE(&run, "--ledger", ledger, "--", "sh", "-c", "echo ran");
		cr_assert_eq(run.status, 125);
		cr_assert_str_eq(run.out, "");
		expect_has(run.err, "no space left on device");
		run_free(&run);
		CLOCHE(&run, "bill", "--json", "--ledger", ledger);
		cr_assert_eq(run.status, 0, "%s", run.err);
		run_free(&run);
		ledgers_expect_whole(ledger, n);
		disk_free();
		RUN_CLOCHE(&run, "-q", "--ledger", ledger, "--", "true");
		cr_assert_eq(run.status, 0, "%s", run.err);
		ledgers_expect_whole(ledger, n + 1);
	}
}

static bool degraded_ledger(const struct run *run)
{
	json_t *one;
	size_t i;

	json_array_foreach (report_get(run, "degraded"), i, one)
		if (strcmp(record_text(one, "what"), "ledger") == 0)
			return true;
	return false;
}

/* The disk fills up while the function runs; its record, and those of many after it, had been
 * given room before. More than one page's worth: a file's last page is room anyway. */
Test(ledger_run, a_disk_that_fills_up_meanwhile_costs_no_record, .fini = disk_unmount)
{
	cleanup_run struct run run = { 0 };
	char room[512], bind[600];

	disk_mount("2m");
	(void)snprintf(room, sizeof(room), "%s/room", disk);
	(void)snprintf(bind, sizeof(bind), "%s:/room:rw", room);
	cr_assert_eq(mkdir(room, 0777), 0);
	cr_assert_eq(chmod(room, 0777), 0);
	RUN_CLOCHE(&run, "--ledger", disk_ledger(), "-t", "20s", "--repeat", "20", "-b", bind, "--",
		   "sh", "-c", "cat /dev/zero >/room/f; echo 1 >/room/g || exit 9");
	cr_assert_eq(run.status, 9, "%s", run.err);
	ledgers_expect_whole(disk_ledger(), 20);
	cr_assert(!degraded_ledger(&run));
}

Test(ledger_run, continue_goes_on_and_says_so, .fini = disk_unmount)
{
	cleanup_run struct run run = { 0 };

	disk_mount("1m");
	disk_fill();
	RUN_CLOCHE(&run, "-q", "--ledger", disk_ledger(), "--ledger-full", "continue", "--repeat",
		   "3", "--", "sh", "-c", "echo ran");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_str_eq(run.out, "ran\nran\nran\n");
	expect_has(run.err, "no safe record of this invocation");
	cr_assert_eq(count_lines(run.err), 1, "said once: %s", run.err);
	cr_assert(degraded_ledger(&run));
	run_free(&run);
	disk_free();
	RUN_CLOCHE(&run, "-q", "--ledger", disk_ledger(), "--ledger-full", "continue", "--",
		   "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_str_eq(run.err, "");
	cr_assert(!degraded_ledger(&run));
	ledgers_expect_whole(disk_ledger(), 1);
}

/* A limit on file sizes that the caller set is no room either. */
Test(ledger_run, a_limit_on_file_sizes_refuses_work)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char command[2048];

	for (int blocks = 1; blocks >= 0; blocks--) {
		run_free(&run);
		(void)snprintf(command, sizeof(command),
			       "'%s' run -q --ledger '%s' -- true || exit 1; ulimit -f %d; "
			       "'%s' run -q --ledger '%s' -- echo ran",
			       env_need("CLOCHE"), dir, blocks, env_need("CLOCHE"), dir);
		RUN(&run, "sh", "-c", command);
		cr_assert_eq(run.status, 125, "%s", run.err);
		cr_assert_str_eq(run.out, "");
		expect_has(run.err, "refused, nothing was run");
		expect_has(run.err, "the limit on file sizes");
		cr_assert_eq(count_lines(run.err), 1, "%s", run.err);
	}
	run_free(&run);
	ledgers_expect_whole(dir, 2);
	(void)snprintf(command, sizeof(command),
		       "ulimit -f 1; '%s' run -q --ledger '%s' --ledger-full continue -- sh -c "
		       "'echo ran'",
		       env_need("CLOCHE"), dir);
	RUN(&run, "sh", "-c", command);
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_str_eq(run.out, "ran\n");
	expect_has(run.err, "no safe record of this invocation");
	cr_assert_eq(count_lines(run.err), 1, "%s", run.err);
	ledgers_expect_whole(dir, 2);
}

Test(ledger_run, a_read_only_ledger_refuses_work_and_can_be_read, .fini = disk_unmount,
     .timeout = 60)
{
	cleanup_run struct run run = { 0 };
	char *ledger;

	disk_mount("2m");
	ledger = disk_ledger();
	RUN_CLOCHE(&run, "-q", "--ledger", ledger, "--repeat", "2", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	/* What a context leaves behind may still be ending, with descriptors of its supervisor's.
	 */
	while (mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0) {
		cr_assert_eq(errno, EBUSY, "remount: %m");
		(void)sched_yield();
	}
	RUN_CLOCHE(&run, "--ledger", ledger, "--", "sh", "-c", "echo ran");
	cr_assert_eq(run.status, 125);
	cr_assert_str_eq(run.out, "");
	expect_has(run.err, "read-only file system");
	cr_assert_eq(count_lines(run.err), 1, "%s", run.err);
	run_free(&run);
	RUN_CLOCHE(&run, "-q", "--ledger", ledger, "--ledger-full", "continue", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert(degraded_ledger(&run));
	run_free(&run);
	CLOCHE(&run, "audit", "verify", "--ledger", ledger);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "(2 invocations)");
	run_free(&run);
	CLOCHE(&run, "bill", "--json", "--ledger", ledger);
	expect_has(run.out, "\"total\":{\"invocations\":2,");
	run_free(&run);
	CLOCHE(&run, "audit", "seal", "--ledger", ledger);
	cr_assert_eq(run.status, 1);
	expect_has(run.err, "read-only file system");
}

/* With the disk full after ready: an append by the library finds its room. */
Test(ledger_run, room_that_was_promised_is_there, .fini = disk_unmount)
{
	struct cloche_err err = { 0 };
	cleanup_ledger struct ledger *l = NULL;

	disk_mount("2m");
	l = ledgers_open(disk_ledger(), 0, true);
	cr_assert_eq(ledger_ready(l, &err), 0, "%s", err.text);
	disk_fill();
	ledgers_append(l, 0, 600);
	cr_assert_eq(ledger_ready(l, &err), -ENOSPC);
	ledgers_expect_whole(disk_ledger(), 600);
}
