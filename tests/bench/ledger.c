/* SPDX-License-Identifier: MIT */
/*
 * What an append costs its caller: median and 99th percentile, alone and with other writers at the
 * same time, with and without power-loss safety; and what a new process pays to open the ledger.
 *	ledger [DIR]	(default: a new directory under /var/tmp, removed at the end)
 */
#include "base/clock.h"
#include "base/err.h"
#include "ledger/ledger.h"
#include "ledger/ledger_record.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_SAMPLES 200000

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void show(const char *what, int64_t *ns, size_t n)
{
	const size_t middle = n / 2, late = n * 99 / 100;

	qsort(ns, n, sizeof(*ns), by_value);
	printf("%-44s %8zu  %7.2f  %7.2f  %9.2f\n", what, n, (double)ns[middle] / 1e3,
	       (double)ns[late] / 1e3, (double)ns[n - 1] / 1e3);
}

static _Noreturn void fail(const struct cloche_err *err)
{
	(void)fprintf(stderr, "ledger: %s\n", err->text);
	exit(1);
}

static struct ledger *must_open(const char *dir, bool sync)
{
	struct ledger_options options = { .create = true, .sync = sync };
	struct cloche_err err = { 0 };
	struct ledger *l;

	if (ledger_open(dir, &options, &l, &err) < 0)
		fail(&err);
	return l;
}

static void record_fill(struct ledger_record *r)
{
	ledger_record_init(r);
	(void)strcpy(r->request_id, "123e4567-e89b-42d3-a456-426614174000");
	(void)strcpy(r->function, "thumbnail");
	(void)strcpy(r->owner_name, "ann");
	(void)strcpy(r->verdict, "ok");
	(void)strcpy(r->reuse, "process");
	(void)strcpy(r->prices, "lambda");
	memset(r->policy_sha256, 'a', 64);
	memset(r->code_sha256, 'b', 64);
	memset(r->prices_sha256, 'c', 64);
	r->started_ns = clock_real_ns();
	r->memory_limit_bytes = 512 << 20;
}

static void append_many(const char *dir, bool sync, size_t n, int64_t *ns)
{
	struct ledger *l = must_open(dir, sync);
	struct cloche_err err = { 0 };
	struct ledger_record record;

	record_fill(&record);
	for (size_t i = 0; i < n; i++) {
		int64_t from = clock_now_ns();

		if (ledger_append(l, &record, NULL, &err) < 0)
			fail(&err);
		ns[i] = clock_now_ns() - from;
	}
	(void)ledger_close(l);
}

static void open_many(const char *dir, size_t n, int64_t *ns)
{
	struct cloche_err err = { 0 };
	struct ledger_record record;

	record_fill(&record);
	for (size_t i = 0; i < n; i++) {
		int64_t from = clock_now_ns();
		struct ledger *l = must_open(dir, false);

		if (ledger_ready(l, &err) < 0 || ledger_append(l, &record, NULL, &err) < 0)
			fail(&err);
		(void)ledger_close(l);
		ns[i] = clock_now_ns() - from;
	}
}

static void append_together(const char *dir, unsigned writers, bool sync, size_t each, int64_t *ns)
{
	for (unsigned w = 0; w < writers; w++) {
		pid_t pid = fork();

		if (pid == 0) {
			append_many(dir, sync, each, ns + w * each);
			_exit(0);
		}
		if (pid < 0)
			exit(1);
	}
	for (unsigned w = 0; w < writers; w++) {
		int status;

		if (wait(&status) < 0 || status)
			exit(1);
	}
}

int main(int argc, char **argv)
{
	char made[] = "/var/tmp/cloche-bench-ledger-XXXXXX";
	const char *dir = argc > 1 ? argv[1] : mkdtemp(made);
	int64_t *ns = mmap(NULL, MAX_SAMPLES * sizeof(*ns), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char command[256];

	if (!dir || ns == MAP_FAILED)
		return 1;
	printf("%-44s %8s  %7s  %7s  %9s\n", "ledger, microseconds", "n", "p50", "p99", "max");
	append_many(dir, false, 100000, ns);
	show("append, one writer", ns, 100000);
	open_many(dir, 10000, ns);
	show("open, ready, append, close", ns, 10000);
	append_together(dir, 8, false, 10000, ns);
	show("append, 8 processes at a time", ns, 80000);
	append_many(dir, true, 200, ns);
	show("append, power-loss safe, one writer", ns, 200);
	append_together(dir, 8, true, 100, ns);
	show("append, power-loss safe, 8 processes", ns, 800);
	if (dir == made) {
		(void)snprintf(command, sizeof(command), "rm -rf '%s'", made);
		return system(command) != 0;
	}
	return 0;
}
