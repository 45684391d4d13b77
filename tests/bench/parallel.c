/* SPDX-License-Identifier: MIT */
/*
 * What a start costs when many start at once and when the host has many mounts. Each turn is a
 * child with a private mount namespace of its own, also the one without extra mounts, so that the
 * two differ in nothing else; the mounts go when the child does. Cost per core is wall-clock time
 * times the cores that could be busy (never more than there are starts at a time), so that one at
 * a time is not charged for cores that it cannot use.
 */
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "run.h"
#include "sample.h"

#define EXTRA_MOUNTS 500

static const enum subject_id ids[] = { SUBJECT_BARE, SUBJECT_BWRAP, SUBJECT_CLOCHE };
static const unsigned widths[] = { 1, 10, 100 };
static const unsigned mounts[] = { 0, EXTRA_MOUNTS };

#define N_IDS	 (sizeof(ids) / sizeof(*ids))
#define N_WIDTHS (sizeof(widths) / sizeof(*widths))
#define N_MOUNTS (sizeof(mounts) / sizeof(*mounts))

/* What a child says of one subject at one width; fixed size, one write. */
struct cell {
	int64_t wall_ns, cpu_ns; /* per start */
};

struct answer {
	struct cloche_err err;
	struct cell cells[N_IDS][N_WIDTHS];
};

static unsigned starts_at(unsigned width, bool quick)
{
	if (quick)
		return width < 50 ? 50 : width;
	return width < 100 ? 100 : 2 * width;
}

static int host_crowd(const struct stage *stage, unsigned n, struct cloche_err *err)
{
	char path[128];

	if (unshare(CLONE_NEWNS) < 0)
		return cloche_err_sys(err, errno, "unshare the mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return cloche_err_sys(err, errno, "make the mounts private");
	snprintf(path, sizeof(path), "%s/crowd", stage->dir);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return cloche_err_sys(err, errno, "mkdir '%s'", path);
	if (mount("cloche-bench", path, "tmpfs", 0, NULL) < 0)
		return cloche_err_sys(err, errno, "mount a tmpfs on '%s'", path);
	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/crowd/%u", stage->dir, i);
		if (mkdir(path, 0755) < 0)
			return cloche_err_sys(err, errno, "mkdir '%s'", path);
		if (mount("cloche-bench", path, "tmpfs", 0, NULL) < 0)
			return cloche_err_sys(err, errno, "mount %u of %u", i + 1, n);
	}
	return 0;
}

static int64_t children_cpu_ns(void)
{
	struct rusage use;

	(void)getrusage(RUSAGE_CHILDREN, &use);
	return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * NSEC_PER_SEC +
	       (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * NSEC_PER_USEC;
}

static int cells_measure(struct bench *bench, struct answer *answer)
{
	for (size_t w = 0; w < N_WIDTHS; w++) {
		for (size_t i = 0; i < N_IDS; i++) {
			cleanup_command struct command command = { 0 };
			unsigned total = starts_at(widths[w], bench->quick);
			int64_t wall_ns = 0, cpu_ns;
			int r;

			if (subject_missing(ids[i], &bench->stage))
				continue;
			r = command_make(ids[i], WORK_NOOP, &bench->stage, &command, &answer->err);
			/* Once uncounted: what is made once for this mount namespace. */
			if (r == 0)
				r = run_once(&command, &bench->stage, &wall_ns, &answer->err);
			cpu_ns = children_cpu_ns();
			if (r == 0)
				r = run_many(&command, &bench->stage, total, widths[w], &wall_ns,
					     &answer->err);
			if (r < 0)
				return r;
			answer->cells[i][w].wall_ns = wall_ns / total;
			answer->cells[i][w].cpu_ns = (children_cpu_ns() - cpu_ns) / total;
		}
	}
	return 0;
}

static int turn_run(struct bench *bench, unsigned n_mounts, struct answer *ret,
		    struct cloche_err *err)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(ends) < 0)
		return cloche_err_sys(err, errno, "make a pipe");
	cleanup_fd int from = ends[0];
	cleanup_fd int to = ends[1];

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return cloche_err_sys(err, errno, "fork");
	if (pid == 0) {
		struct answer answer = { 0 };

		if (host_crowd(&bench->stage, n_mounts, &answer.err) == 0)
			(void)cells_measure(bench, &answer);
		_exit(write(to, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1);
	}
	fd_close(&to);
	n = read(from, ret, sizeof(*ret));
	if (waitpid(pid, &status, 0) < 0 || n != sizeof(*ret))
		return cloche_err_set(err, EIO, "the child that measures ended early");
	*err = ret->err;
	return -err->code;
}

/* Cores that this many starts at a time can keep busy. */
static int64_t cores_of(unsigned width)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores > (long)width ? (long)width : cores;
}

struct series {
	struct sample core, cpu; /* per start */
};

static void row_print(struct bench *bench, json_t *rows, size_t i, size_t w, size_t m,
		      struct series (*all)[N_WIDTHS][N_MOUNTS], struct figures *figures)
{
	struct series *s = &all[i][w][m];
	double ratio = (double)sample_median(&s->core) / (double)sample_median(&all[i][0][0].core);

	printf("  %-16s%10u%8u%14.3f%14.3f%9.2f\n", subject_name(ids[i]), widths[w], mounts[m],
	       (double)sample_median(&s->core) / 1e6, (double)sample_median(&s->cpu) / 1e6, ratio);
	json_array_append_new(rows,
			      json_pack("{s:s, s:i, s:i, s:I, s:I, s:f}", "subject",
					subject_name(ids[i]), "at_a_time", (int)widths[w],
					"extra_mounts", (int)mounts[m], "core_ns_per_start",
					(json_int_t)sample_median(&s->core), "cpu_ns_per_start",
					(json_int_t)sample_median(&s->cpu), "ratio", ratio));
	if (ids[i] == SUBJECT_CLOCHE && w == N_WIDTHS - 1 && m == N_MOUNTS - 1)
		figures->parallel_ratio = ratio;
}

static void rows_print(struct bench *bench, struct series (*all)[N_WIDTHS][N_MOUNTS],
		       struct figures *figures)
{
	json_t *rows = json_array();

	printf("\nMany at a time, crowded host (no-op; ms per start, medians of rounds)\n"
	       "  %-16s%10s%8s%14s%14s%9s\n",
	       "", "at a time", "mounts", "wall x cores", "CPU", "x 1st");
	for (size_t i = 0; i < N_IDS; i++) {
		if (subject_missing(ids[i], &bench->stage)) {
			printf("  %-16s  not measured: %s\n", subject_name(ids[i]),
			       subject_missing(ids[i], &bench->stage));
			continue;
		}
		for (size_t m = 0; m < N_MOUNTS; m++) {
			for (size_t w = 0; w < N_WIDTHS; w++)
				row_print(bench, rows, i, w, m, all, figures);
		}
	}
	json_object_set_new(bench->root, "parallel", rows);
	fflush(stdout);
}

static int rounds_run(struct bench *bench, struct series (*all)[N_WIDTHS][N_MOUNTS],
		      struct cloche_err *err)
{
	unsigned rounds = bench->quick ? 1 : 5;

	for (unsigned round = 0; round < rounds; round++) {
		for (size_t m = 0; m < N_MOUNTS; m++) {
			struct answer answer = { 0 };
			int r = turn_run(bench, mounts[m], &answer, err);

			for (size_t k = 0; k < N_IDS * N_WIDTHS && r == 0; k++) {
				size_t i = k / N_WIDTHS, w = k % N_WIDTHS;
				struct cell *cell = &answer.cells[i][w];

				r = sample_add(&all[i][w][m].core,
					       cell->wall_ns * cores_of(widths[w]), err);
				if (r == 0)
					r = sample_add(&all[i][w][m].cpu, cell->cpu_ns, err);
			}
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int parallel_measure(struct bench *bench, struct figures *figures, struct cloche_err *err)
{
	struct series all[N_IDS][N_WIDTHS][N_MOUNTS] = { 0 };
	int r = rounds_run(bench, all, err);

	if (r == 0)
		rows_print(bench, all, figures);
	for (size_t k = 0; k < N_IDS * N_WIDTHS * N_MOUNTS; k++) {
		struct series *s = &all[0][0][0] + k;

		sample_free(&s->core);
		sample_free(&s->cpu);
	}
	return r;
}
