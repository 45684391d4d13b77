/* SPDX-License-Identifier: MIT */
/*
 * Native functions that are warm and idle, each in a context of its own: what one takes of memory,
 * and whether an event of one of them, or the start of the next, takes longer with many than with
 * ten. As with idle contexts (idle.c) a thousand are for a virtual machine.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "caller.h"
#include "daemon.h"
#include "memory.h"
#include "project.h"
#include "sample.h"

#define FEW	  10
#define LOOKED_AT 20
#define LIMITS	  ", functions: 1000"

struct warm_times {
	struct cloche_err err;
	struct quantiles next, warm; /* an event that has a context started; one that finds it */
};

static int call(const struct daemon *d, unsigned i, struct sample *s, struct cloche_err *err)
{
	char name[16];
	struct caller c;
	int64_t ns = 0, own;
	int r;

	(void)snprintf(name, sizeof(name), "n%u", i);
	r = caller_open(d->control, name, &c, err);
	if (r == 0)
		r = caller_call(&c, "{}", &ns, &own, err);
	caller_close(&c);
	return r == 0 && s ? sample_add(s, ns, err) : r;
}

static int start_as_user(struct daemon *d, struct project *p, unsigned from, unsigned to,
			 struct warm_times *ret)
{
	cleanup_sample struct sample next = { 0 }, warm = { 0 };
	/* What is done after the answer to the one before is no part of the next. */
	const struct timespec settle = { .tv_nsec = 50 * NSEC_PER_MSEC };
	int r = daemon_become(DAEMON_USER, &ret->err);

	if (r == 0)
		r = project_deploy_many(p, from, to, &ret->err);
	for (unsigned i = from; r == 0 && i < to; i++) {
		bool looked_at = i + LOOKED_AT >= to;

		if (looked_at)
			(void)nanosleep(&settle, NULL);
		r = call(d, i, looked_at ? &next : NULL, &ret->err);
	}
	for (unsigned i = 0; r == 0 && i < 20 * LOOKED_AT; i++)
		r = call(d, i % FEW, &warm, &ret->err);
	ret->next = sample_quantiles(&next);
	ret->warm = sample_quantiles(&warm);
	return r;
}

/* By a child, as there is no way back from being the user. */
static int start(struct daemon *d, struct project *p, unsigned from, unsigned to,
		 struct warm_times *shared, struct cloche_err *err)
{
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)start_as_user(d, p, from, to, shared);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) < 0)
		return cloche_err_sys(err, errno, "fork");
	if (shared->err.code)
		*err = shared->err;
	return -shared->err.code;
}

static void tell_times(json_t *rows, const char *what, const char *key, const struct quantiles *few,
		       const struct quantiles *many)
{
	printf("  %-42s%9.3f%9.3f\n", what, (double)few->p50 / 1e6, (double)many->p50 / 1e6);
	json_object_set_new(rows, key,
			    json_pack("{s:I, s:I}", "few_ns", (json_int_t)few->p50, "many_ns",
				      (json_int_t)many->p50));
}

static void tell(struct bench *bench, unsigned n, const struct warm_times t[static 2],
		 const struct context_memory *m)
{
	json_t *rows = json_object();

	printf("\nWarm native functions, idle: %u\n", n);
	memory_tell(rows, m);
	printf("  %-42s%9u%9u\n", "ms, with so many of them", FEW + LOOKED_AT, n);
	tell_times(rows, "an event that has its context started", "next", &t[0].next, &t[1].next);
	tell_times(rows, "an event that finds it", "warm", &t[0].warm, &t[1].warm);
	json_object_set_new(rows, "contexts", json_integer(n));
	json_object_set_new(bench->root, "warm", rows);
	(void)fflush(stdout);
}

static int hold(struct bench *bench, struct daemon *d, struct project *p, unsigned n,
		struct warm_times *shared, struct cloche_err *err)
{
	const unsigned first = FEW + LOOKED_AT;
	struct memory few, many;
	struct context_memory each;
	struct warm_times t[2];
	int r = start(d, p, 0, first, shared, err);

	if (r < 0)
		return r;
	t[0] = *shared;
	memory_read(&few);
	r = start(d, p, first, n, shared, err);
	if (r < 0)
		return r;
	t[1] = *shared;
	memory_read(&many);
	memory_compare(&few, &many, n - first, &each);
	tell(bench, n, t, &each);
	return 0;
}

int warm_measure(struct bench *bench, unsigned n, struct cloche_err *err)
{
	struct warm_times *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct project p;
	struct daemon d;
	int r;

	if (shared == MAP_FAILED)
		return cloche_err_sys(err, errno, "map a page");
	if (n < 2 * LOOKED_AT + FEW)
		n = 2 * LOOKED_AT + FEW;
	r = daemon_begin_with(&bench->stage, LIMITS, &d, err);
	if (r == 0)
		r = project_make(&bench->stage, d.client, &p, err);
	if (r == 0)
		r = hold(bench, &d, &p, n, shared, err);
	daemon_end(&d);
	(void)munmap(shared, sizeof(*shared));
	return r;
}
