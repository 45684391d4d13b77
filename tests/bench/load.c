/* SPDX-License-Identifier: MIT */
/* Many clients at a time: see load.h. */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "caller.h"

#define CLIENTS_MAX 64
#define SAMPLES_MAX 65536 /* of each; more are answered, and not looked at */

/* What one client leaves; the pages that it does not touch are none. */
struct share {
	unsigned done;
	struct cloche_err err;
	int64_t ns[SAMPLES_MAX];
};

/* xorshift64*, Vigna 2016: the same at every call of the bench, another for each client. */
static double between_0_and_2(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (double)((*state * 0x2545f4914f6cdd1du) >> 11) / (double)(1ULL << 52);
}

static void wait_until(int64_t ns)
{
	struct timespec at = ns_timespec(ns);

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static int ask_on_and_on(const struct load *load, unsigned i, int64_t start_ns, struct share *ret)
{
	uint64_t state = 0x9e3779b97f4a7c15u * (i + 1);
	double each_ns = load->rate > 0 ? 1e9 * load->clients / load->rate : 0;
	int64_t due_ns = start_ns, ns, own;
	struct caller c;
	int r = caller_open(load->control, load->function, &c, &ret->err);

	while (r == 0 && clock_now_ns() < start_ns + load->for_ns) {
		due_ns += (int64_t)(each_ns * between_0_and_2(&state));
		if (due_ns > start_ns + load->for_ns)
			break;
		if (load->rate > 0)
			wait_until(due_ns);
		r = caller_call(&c, "{}", &ns, &own, &ret->err);
		if (load->rate > 0)
			ns = clock_now_ns() - due_ns;
		if (r == 0 && ret->done < SAMPLES_MAX)
			ret->ns[ret->done] = ns;
		ret->done += r == 0;
	}
	caller_close(&c);
	return r;
}

static int add_up(const struct share *shares, unsigned clients, double *ret_rate, int64_t took_ns,
		  struct quantiles *ret, struct cloche_err *err)
{
	cleanup_sample struct sample all = { 0 };
	unsigned done = 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < clients; i++) {
		const struct share *s = &shares[i];

		if (s->err.code)
			return (*err = s->err, -s->err.code);
		done += s->done;
		for (unsigned k = 0; r == 0 && k < s->done && k < SAMPLES_MAX; k++)
			r = sample_add(&all, s->ns[k], err);
	}
	*ret_rate = (double)done * 1e9 / (double)took_ns;
	*ret = sample_quantiles(&all);
	return r;
}

int load_run(const struct load *load, double *ret_rate, struct quantiles *ret,
	     struct cloche_err *err)
{
	size_t size = CLIENTS_MAX * sizeof(struct share);
	struct share *shares = mmap(NULL, size, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int64_t start = clock_now_ns();
	unsigned begun = 0;
	int r = 0;

	if (shares == MAP_FAILED)
		return cloche_err_sys(err, errno, "map pages for figures");
	(void)fflush(stdout);
	for (; begun < load->clients && begun < CLIENTS_MAX; begun++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(ask_on_and_on(load, begun, start, &shares[begun]) < 0);
		if (pid < 0)
			break;
	}
	for (unsigned i = 0; i < begun; i++)
		(void)wait(NULL);
	if (begun < load->clients)
		r = cloche_err_set(err, EAGAIN, "only %u of %u clients could be started", begun,
				   load->clients);
	if (r == 0)
		r = add_up(shares, begun, ret_rate, clock_now_ns() - start, ret, err);
	(void)munmap(shares, size);
	return r;
}
