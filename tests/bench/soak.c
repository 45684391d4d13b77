/* SPDX-License-Identifier: MIT */
/*
 * What stays behind: after very many runs, and after supervisors that were killed at any moment.
 * The first run makes things for all later ones (under /run/cloche), so the census before is taken
 * behind it. Nothing here is a figure of speed; what is left over fails the bench.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/process.h"
#include "census.h"
#include "run.h"

#define KILL_WITHIN_NS (4 * NSEC_PER_MSEC)
#define SETTLE_NS      (2 * NSEC_PER_SEC)
#define OTHERS_FILES   500

static int cloche_needed(struct bench *bench, struct cloche_err *err)
{
	const char *why = subject_missing(SUBJECT_CLOCHE, &bench->stage);

	return why ? cloche_err_set(err, ENOENT, "%s: build it, or name it in $CLOCHE", why) : 0;
}

static size_t census_size(const struct census *census, enum census_kind kind)
{
	return census->lists[kind].len;
}

/* Processes that were sent SIGKILL are gone when the kernel is done with them, not when the call
 * returns: looks again for a bounded time, and says how long it took. */
static int census_settle(const struct census *before, struct census *ret, struct cloche_err *err)
{
	const struct timespec pause = ns_timespec(10 * NSEC_PER_MSEC);
	int64_t start = clock_now_ns();
	int r;

	for (;;) {
		r = census_take(ret, err);
		if (r < 0)
			return r;
		/* By their names: what an earlier bench left to the kernel may be gone by now. */
		if (census_new(before, ret) == 0)
			break;
		if (clock_now_ns() - start > SETTLE_NS)
			break;
		census_free(ret);
		(void)nanosleep(&pause, NULL);
	}
	printf("  looked after %.0f ms\n", (double)(clock_now_ns() - start) / 1e6);
	return 0;
}

static int leak_judge(struct bench *bench, const char *key, const struct census *before,
		      unsigned runs, struct cloche_err *err)
{
	cleanup_census struct census after = { 0 };
	size_t fresh;
	int r = census_settle(before, &after, err);

	if (r < 0)
		return r;
	fresh = census_compare(before, &after);
	/* Others open files too; what every run leaves behind is more than they do. */
	if (after.open_files - before->open_files > OTHERS_FILES + (long)runs / 4) {
		printf("  left over (open files): %ld more than before\n",
		       after.open_files - before->open_files);
		fresh++;
	}
	printf("  %s\n", fresh ? "LEAKED" : "nothing left over");
	json_object_set_new(
		bench->root, key,
		json_pack("{s:i, s:I}", "runs", (int)runs, "left_over", (json_int_t)fresh));
	if (fresh)
		bench->leaked = true;
	return 0;
}

int soak_measure(struct bench *bench, unsigned runs, unsigned width, struct cloche_err *err)
{
	cleanup_command struct command command = { 0 };
	cleanup_census struct census before = { 0 };
	int64_t ns = 0;
	int r = cloche_needed(bench, err);

	if (r == 0)
		r = command_make(SUBJECT_CLOCHE, WORK_NOOP, &bench->stage, &command, err);
	if (r == 0)
		/* What is kept for the runs after it, also for so many at a time (pinned id maps).
		 */
		r = run_many(&command, &bench->stage, 2 * width, width, &ns, err);
	if (r == 0)
		r = census_take(&before, err);
	if (r < 0)
		return r;
	printf("\n%u runs, %u at a time\n", runs, width);
	fflush(stdout);
	r = run_many(&command, &bench->stage, runs, width, &ns, err);
	if (r < 0)
		return r;
	printf("  %.1f s, %.2f ms a run\n", (double)ns / 1e9, (double)ns / 1e6 / runs);
	return leak_judge(bench, "soak", &before, runs, err);
}

/* Starts a run, kills its supervisor within the first milliseconds; *ret_hit: it was alive. */
static int kill_once(struct bench *bench, struct command *command, bool *ret_hit,
		     struct cloche_err *err)
{
	struct timespec wait = ns_timespec(bench_random((uint32_t)KILL_WITHIN_NS));
	int r, status = 0;
	pid_t pid;

	if (ftruncate(bench->stage.errors_fd, 0) < 0)
		return cloche_err_sys(err, errno, "empty the file of errors");
	r = run_start(command, &bench->stage, &pid, err);
	if (r < 0)
		return r;
	struct process run = process_open(pid);
	(void)nanosleep(&wait, NULL);
	process_kill(&run);
	r = process_reap(&run, &status);
	if (r < 0)
		return cloche_err_sys(err, -r, "wait for '%s'", command->argv[0]);
	*ret_hit = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	return *ret_hit ? 0 : run_judge(command, &bench->stage, status, err);
}

int kill_measure(struct bench *bench, unsigned kills, struct cloche_err *err)
{
	struct command commands[2] = { 0 };
	cleanup_census struct census before = { 0 }, between = { 0 };
	unsigned hits = 0;
	bool hit = false;
	int64_t ns = 0;
	int r = cloche_needed(bench, err);

	/* A no-op is met at any moment of its launch and its end, or missed; a function that runs
	 * for a second is always met. */
	if (r == 0)
		r = command_make(SUBJECT_CLOCHE, WORK_NOOP, &bench->stage, &commands[0], err);
	if (r == 0)
		r = command_make(SUBJECT_CLOCHE_1S, WORK_BURN, &bench->stage, &commands[1], err);
	if (r == 0)
		r = run_once(&commands[0], &bench->stage, &ns, err);
	if (r == 0)
		r = census_take(&before, err);
	for (unsigned i = 0; i < kills && r == 0; i++) {
		r = kill_once(bench, &commands[i % 2], &hit, err);
		hits += hit;
	}
	if (r == 0)
		r = census_take(&between, err);
	if (r == 0)
		r = run_once(&commands[0], &bench->stage, &ns, err);
	for (int i = 0; i < 2; i++)
		command_free(&commands[i]);
	if (r < 0)
		return r;
	printf("\n%u supervisors killed within %d ms of their start (%u were alive)\n", kills,
	       (int)(KILL_WITHIN_NS / NSEC_PER_MSEC), hits);
	printf("  before the next run: %zu cgroups and %zu processes more than at rest\n",
	       census_size(&between, CENSUS_CGROUP) - census_size(&before, CENSUS_CGROUP),
	       census_size(&between, CENSUS_PROCESS) - census_size(&before, CENSUS_PROCESS));
	return leak_judge(bench, "kill", &before, kills, err);
}
