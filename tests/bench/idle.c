/* SPDX-License-Identifier: MIT */
/*
 * Contexts that are kept and idle: what one takes of memory, the kernel's share of it by kind, and
 * whether the next one, or a call that finds its own, takes longer with many of them than with ten.
 * What is counted is all of the machine's, so the quieter it is the truer; a thousand are for a
 * virtual machine.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon.h"
#include "launch/spec.h"
#include "memory.h"
#include "sample.h"

#define FEW	  10
#define LOOKED_AT 20
#define USUAL	  60 /* of a host's own */
#define QUICK	  40

/* ---- time ------------------------------------------------------------------------------------ */

struct idle_times {
	struct cloche_err err;
	int64_t next, warm;   /* a call that has a context made; one that finds its own */
	int64_t cpu[PARTIES]; /* of such a one, with its proof */
};

/* Each number is another kind, so that each has a context of its own, which stays; all so small
 * that their limits do not come to more than the host has. */
static int call(const struct bench *bench, const struct daemon *d, const struct spec *spec,
		unsigned i, struct sample *s, struct cloche_err *err)
{
	struct spec one = *spec;
	int64_t start = clock_now_ns();
	int r;

	one.memory_bytes = 4 << 20;
	one.tmp_bytes = (1 << 20) + (uint64_t)(i / 32) * 4096;
	one.cpu_mode = CPU_FIXED;
	one.cpu_milli = 1000;
	one.shm_bytes = (1 << 20) + (uint64_t)(i % 32) * 4096;
	r = daemon_call(d, &one, bench->stage.null_fd, err);
	return r == 0 && s ? sample_add(s, clock_now_ns() - start, err) : r;
}

static int make_as_user(const struct bench *bench, struct daemon *d, unsigned from, unsigned to,
			unsigned look_from, struct idle_times *ret)
{
	cleanup_sample struct sample next = { 0 }, warm = { 0 };
	const struct timespec settle = { .tv_nsec = 100 * NSEC_PER_MSEC };
	uint64_t before[PARTIES], after[PARTIES];
	unsigned children;
	struct spec spec;
	char *argv[2];
	int r = daemon_become(DAEMON_USER, &ret->err);

	if (r == 0)
		r = daemon_spec(d, argv, &spec, &ret->err);
	for (unsigned i = from; r == 0 && i < to; i++) {
		/* Alone: what is done after the answer to the one before is no part of it. */
		if (i >= look_from)
			(void)nanosleep(&settle, NULL);
		r = call(bench, d, &spec, i, i < look_from ? NULL : &next, &ret->err);
	}
	(void)nanosleep(&settle, NULL);
	daemon_schedstats(d->pid, 0, before, &children);
	for (unsigned i = 0; r == 0 && i < LOOKED_AT; i++) {
		r = call(bench, d, &spec, i % FEW, &warm, &ret->err);
		(void)nanosleep(&settle, NULL);
	}
	daemon_schedstats(d->pid, 0, after, &children);
	for (int i = 0; i < PARTIES; i++)
		ret->cpu[i] = ((int64_t)after[i] - (int64_t)before[i]) / LOOKED_AT;
	ret->next = sample_median(&next);
	ret->warm = sample_median(&warm);
	return r;
}

/* By a child, as there is no way back from being the user. */
static int make(const struct bench *bench, struct daemon *d, unsigned from, unsigned to,
		unsigned look_from, struct idle_times *shared, struct cloche_err *err)
{
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)make_as_user(bench, d, from, to, look_from, shared);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) < 0)
		return cloche_err_sys(err, errno, "fork");
	if (shared->err.code)
		*err = shared->err;
	return -shared->err.code;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void tell_time(json_t *rows, const char *what, const char *key, int64_t few, int64_t many)
{
	printf("  %-42s%9.3f%9.3f\n", what, (double)few / 1e6, (double)many / 1e6);
	json_object_set_new(
		rows, key,
		json_pack("{s:I, s:I}", "few_ns", (json_int_t)few, "many_ns", (json_int_t)many));
}

static void tell(struct bench *bench, unsigned n, const struct idle_times t[static 2],
		 const struct context_memory *m)
{
	json_t *rows = json_object();

	printf("\nIdle contexts: %u\n", n);
	memory_tell(rows, m);
	printf("  %-42s%9u%9u\n", "ms, with so many of them", FEW, n);
	tell_time(rows, "a call that has its context made", "next", t[0].next, t[1].next);
	tell_time(rows, "a call that finds its own", "warm", t[0].warm, t[1].warm);
	for (int i = 0; i < PARTIES; i++) {
		char what[64];

		(void)snprintf(what, sizeof(what), "... of that CPU time of the %s",
			       daemon_parties[i]);
		tell_time(rows, what, daemon_parties[i], t[0].cpu[i], t[1].cpu[i]);
	}
	json_object_set_new(rows, "contexts", json_integer(n));
	json_object_set_new(bench->root, "idle", rows);
	(void)fflush(stdout);
}

static int hold(struct bench *bench, struct daemon *d, unsigned n, struct idle_times *shared,
		struct cloche_err *err)
{
	const unsigned first = FEW + LOOKED_AT;
	struct memory few, many;
	struct context_memory each;
	struct idle_times t[2];
	int r = make(bench, d, 0, first, FEW, shared, err);

	if (r < 0)
		return r;
	t[0] = *shared;
	memory_read(&few);
	r = make(bench, d, first, n, n - LOOKED_AT, shared, err);
	if (r < 0)
		return r;
	t[1] = *shared;
	memory_read(&many);
	memory_compare(&few, &many, n - first, &each);
	tell(bench, n, t, &each);
	return 0;
}

int idle_measure(struct bench *bench, unsigned n, struct cloche_err *err)
{
	struct idle_times *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct daemon d;
	int r;

	if (shared == MAP_FAILED)
		return cloche_err_sys(err, errno, "map a page");
	if (n < 2 * LOOKED_AT + FEW)
		n = 2 * LOOKED_AT + FEW;
	r = daemon_begin(&bench->stage, &d, err);
	if (r == 0)
		r = hold(bench, &d, n, shared, err);
	daemon_end(&d);
	(void)munmap(shared, sizeof(*shared));
	return r;
}

int idle_usual(struct bench *bench, struct figures *figures, struct cloche_err *err)
{
	(void)figures;
	return idle_measure(bench, bench->quick ? QUICK : USUAL, err);
}
