/* SPDX-License-Identifier: MIT */
/*
 * `cloche tune` as a user sees it: real runs at several sizes, what is shown of them, and what the
 * ledger holds afterwards. Needs root. No test asserts a time: what is cheapest and fastest is
 * compared with the times and prices that tune itself reports.
 */
#include "ledger/money.h"
#include "ledger/prices.h"
#include "ledger/sizing.h"
#include "tests/lib/env.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TUNE(run, dir, ...) CLOCHE((run), "tune", "--ledger", (dir), __VA_ARGS__)
#define LOOPS_MAX	    64
#define SH_BURN		    "i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done"

static json_t *size_at(const json_t *tune, size_t i)
{
	json_t *size = json_array_get(json_object_get(tune, "sizes"), i);

	cr_assert(size, "no size %zu", i);
	return size;
}

static json_int_t number_of(const json_t *o, const char *key)
{
	cr_assert(json_is_integer(json_object_get(o, key)), "no number '%s'", key);
	return json_integer_value(json_object_get(o, key));
}

static money_t money_of(const json_t *o, const char *key)
{
	money_t amount;

	cr_assert_eq(money_parse(json_string_value(json_object_get(o, key)), &amount, NULL), 0);
	return amount;
}

static bool is_marked(const json_t *size, const char *mark)
{
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(size, "marks"), i, one)
		if (strcmp(json_string_value(one), mark) == 0)
			return true;
	return false;
}

static size_t count_text(const char *text, const char *part)
{
	size_t n = 0;

	for (text = strstr(text, part); text; text = strstr(text + 1, part))
		n++;
	return n;
}

Test(tune, marks_follow_from_the_times_and_prices)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	money_t least = -1;
	int64_t fastest = -1;
	json_t *tune;

	TUNE(&run, dir, "--sizes", "512,128,256,128", "--runs", "3", "--json", "--", "sh", "-c",
	     SH_BURN);
	cr_assert_eq(run.status, 0, "%s", run.err);
	tune = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(tune, "%s", run.out);
	cr_expect_eq(json_array_size(json_object_get(tune, "sizes")), 3);
	cr_expect_eq(number_of(tune, "runs"), 3);
	for (size_t i = 0; i < 3; i++) {
		json_t *size = size_at(tune, i), *times = json_object_get(size, "times_ns"), *one;
		int64_t median = number_of(size, "median_ns");
		size_t below = 0, above = 0, t;

		cr_expect_eq(number_of(size, "memory_bytes"), (128 << 20) << i);
		cr_expect_eq(json_array_size(times), 3);
		json_array_foreach (times, t, one) {
			below += json_integer_value(one) < median;
			above += json_integer_value(one) > median;
		}
		cr_expect(below <= 1 && above <= 1);
		cr_expect_eq(money_of(size, "usd_a_call"),
			     money_of(size, "usd") + money_of(size, "request_usd"));
		cr_expect_eq(number_of(size, "billed_ms"), (median + 999999) / 1000000);
		if (least < 0 || money_of(size, "usd_a_call") < least)
			least = money_of(size, "usd_a_call");
		if (fastest < 0 || median < fastest)
			fastest = median;
	}
	for (size_t i = 0; i < 3; i++) {
		json_t *size = size_at(tune, i);

		if (is_marked(size, "cheapest"))
			cr_expect_eq(money_of(size, "usd_a_call"), least);
		if (is_marked(size, "fastest"))
			cr_expect_eq(number_of(size, "median_ns"), fastest);
		/* Between two others, or nowhere. */
		cr_expect(i == 1 || !is_marked(size, "knee"));
	}
	cr_expect_eq(count_text(run.out, "\"cheapest\""), 1);
	cr_expect_eq(count_text(run.out, "\"fastest\""), 1);
	json_decref(tune);
	/* Nine runs, nine records. */
	cr_expect_eq(ledgers_verify(dir).records, 9);
}

/* Also in the price: that of a run that takes so long. */
Test(tune, the_median_of_two_runs_lies_between_them)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	struct prices_use use = { .memory_bytes = 128 << 20, .contention_ns = -1 };
	struct prices_charge charge;
	struct prices prices;
	json_t *tune, *size, *times;
	int64_t a, b;

	TUNE(&run, dir, "--sizes", "128", "--runs", "2", "--json", "--", "sh", "-c", SH_BURN);
	cr_assert_eq(run.status, 0, "%s", run.err);
	tune = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(tune, "%s", run.out);
	size = size_at(tune, 0);
	times = json_object_get(size, "times_ns");
	cr_assert_eq(json_array_size(times), 2);
	a = json_integer_value(json_array_get(times, 0));
	b = json_integer_value(json_array_get(times, 1));
	cr_expect_eq(number_of(size, "median_ns"), (a + b) / 2);
	use.wall_ns = (a + b) / 2;
	cr_assert_eq(prices_find("lambda", &prices, NULL), 0);
	cr_assert_eq(prices_charge(&prices, &use, &charge, NULL), 0);
	cr_expect_eq(number_of(size, "billed_ms"), charge.billed_ms);
	cr_expect_eq(money_of(size, "usd"), charge.charge);
	json_decref(tune);
}

Test(tune, the_table_is_aligned_and_without_colours_in_a_pipe)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	size_t width;

	TUNE(&run, dir, "--sizes", "128,1024", "--runs", "2", "--", "sh", "-c", SH_BURN);
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.err, "");
	cr_expect(!strchr(run.out, '\033'), "%s", run.out);
	expect_has(run.out, "  MEMORY   vCPU  MEDIAN ms     MIN ms     MAX ms  PEAK MB    OTHERS  "
			    "USD/MILLION\n");
	width = strcspn(run.out, "\n");
	expect_has(run.out, "\n  128 MB  0.072  ");
	expect_has(run.out, "\n 1024 MB  0.579  ");
	cr_expect_eq(strcspn(strstr(run.out, "\n 1024 MB") + 1, "\n"), width);
	expect_has(run.out, "####################");
	expect_has(run.out, "\ncheapest: ");
	expect_has(run.out, " a million calls (lambda)\n");
	cr_expect(!strstr(run.out, " \n"), "blanks at an end of line: %s", run.out);
}

/* For each CPU two that do nothing but have it. */
static size_t begin_loops(pid_t loops[static LOOPS_MAX])
{
	long n = 2 * sysconf(_SC_NPROCESSORS_ONLN);
	pid_t parent = getpid();
	size_t i = 0;

	for (; i < LOOPS_MAX && (long)i < n; i++) {
		loops[i] = fork();
		cr_assert(loops[i] >= 0);
		if (loops[i] > 0)
			continue;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			;
		_exit(0);
	}
	return i;
}

static void end_loops(const pid_t *loops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		(void)kill(loops[i], SIGKILL);
		(void)waitpid(loops[i], NULL, 0);
	}
}

/* Where the times come from: of each run, what the meter saw of it, and nothing of what others had.
 */
Test(tune, what_others_have_of_the_cpus_is_in_no_figure, .timeout = 120)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	int64_t contention_ns = 0;
	pid_t loops[LOOPS_MAX];
	size_t n = begin_loops(loops);
	json_t *tune;

	TUNE(&run, dir, "--sizes", "512,1769", "--runs", "3", "--json", "--", "sh", "-c", SH_BURN);
	end_loops(loops, n);
	cr_assert_eq(run.status, 0, "%s", run.err);
	tune = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(tune, "%s", run.out);
	for (size_t i = 0; i < 2; i++) {
		json_t *size = size_at(tune, i), *runs = json_object_get(size, "runs"), *one;
		int64_t times[3];
		size_t at;

		cr_assert_eq(json_array_size(runs), 3);
		json_array_foreach (runs, at, one) {
			const struct sizing_run seen = {
				.wall_ns = number_of(one, "wall_ns"),
				.contention_ns = number_of(one, "contention_ns"),
				.on_cpu_ns = number_of(one, "on_cpu_ns"),
				.vcpu_micro = sizing_vcpu_micro(
					(uint64_t)number_of(size, "memory_bytes")),
			};

			times[at] = json_integer_value(
				json_array_get(json_object_get(size, "times_ns"), at));
			cr_expect_eq(times[at], sizing_uncontended(&seen));
			cr_expect_eq(number_of(one, "init_ns"), 0);
			contention_ns += seen.contention_ns;
		}
		cr_expect_eq(number_of(size, "median_ns"), sizing_median(times, 3));
		cr_expect_eq(number_of(size, "billed_ms"),
			     (number_of(size, "median_ns") + 999999) / 1000000);
	}
	cr_expect_gt(contention_ns, 0);
	json_decref(tune);
}

/* A size at which the command dies has a verdict, not a price, and is never the cheapest. */
Test(tune, sizes_that_fail_are_shown_and_not_priced)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	json_t *tune, *size;

	TUNE(&run, dir, "--sizes", "8,512", "--runs", "2", "--cpu", "shared", "--tmp-size", "4M",
	     "--json", "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=32M", "count=1");
	cr_assert_eq(run.status, 0, "%s", run.err);
	tune = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
	size = size_at(tune, 0);
	cr_expect_str_eq(json_string_value(json_object_get(size, "verdict")), "oom");
	cr_expect(json_is_null(json_object_get(size, "usd")));
	cr_expect(json_is_null(json_object_get(size, "usd_a_call")));
	cr_expect(json_is_null(json_object_get(size, "median_ns")));
	cr_expect_eq(json_array_size(json_object_get(size, "marks")), 0);
	size = size_at(tune, 1);
	cr_expect_str_eq(json_string_value(json_object_get(size, "verdict")), "ok");
	cr_expect(is_marked(size, "cheapest") && is_marked(size, "fastest"));
	json_decref(tune);
	/* The first failure was the last run there. */
	cr_expect_eq(ledgers_verify(dir).records, 3);
	run_free(&run);
	TUNE(&run, dir, "--sizes", "8,512", "--runs", "1", "--cpu", "shared", "--tmp-size", "4M",
	     "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=32M", "count=1");
	expect_has(run.out, "\n    8 MB  0.005  oom");
	expect_has(run.out, "cheapest: 512 MB");
}

Test(tune, a_command_that_always_fails_has_no_cheapest_size)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	TUNE(&run, dir, "--sizes", "128,256", "--", "sh", "-c",
	     "echo first; echo oh no >&2; exit 3");
	cr_assert_eq(run.status, 1);
	expect_has(run.out, " 128 MB  0.072  error: exit status 3: oh no\n");
	expect_has(run.out, " 256 MB  0.145  error: exit status 3: oh no\n");
	expect_has(run.err, "succeeded at no size");
	cr_expect(!strstr(run.out, "cheapest"), "%s", run.out);
	cr_expect_eq(ledgers_verify(dir).records, 2);
}

Test(tune, what_cannot_be_launched_ends_at_once)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	TUNE(&run, dir, "--", "no-such-command");
	cr_assert_eq(run.status, 127);
	expect_has(run.err, "no-such-command");
	cr_expect_eq(ledgers_verify(dir).records, 1);
	run_free(&run);
	TUNE(&run, "/dev/null", "--", "true");
	cr_assert_eq(run.status, 125);
	expect_has(run.err, "refused, nothing was run");
	cr_expect_eq(count_text(run.err, "\n"), 1);
}

/* It is tune that speaks, also where the code of run does. */
Test(tune, another_user_is_told_by_tune)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char command[2048];

	if (geteuid() != 0)
		test_skip("needs root, to be another user");
	(void)snprintf(command, sizeof(command),
		       "cp '%s' '%s/cloche' && chmod 755 '%s' '%s/cloche' && cd '%s' && setpriv "
		       "--reuid 1001 --clear-groups ./cloche tune --no-ledger -- true",
		       env_need("CLOCHE"), dir, dir, dir, dir);
	RUN(&run, "sh", "-c", command);
	cr_assert_eq(run.status, 125, "%s", run.err);
	cr_expect_eq(strncmp(run.err, "cloche tune: ", 13), 0, "%s", run.err);
	cr_expect_eq(count_text(run.err, "\n"), 1, "%s", run.err);
	cr_expect(!strstr(run.err, "cloche run"), "%s", run.err);
}

/* Each run reads all of standard input, whether it is a file or a pipe. */
Test(tune, every_run_reads_the_same_input)
{
	static const char *const shell =
		"'%s' tune --ledger '%s' --sizes 256,512 --runs 3 --json -- sh -c "
		"'test \"$(wc -c)\" = 588895'";
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char command[4096], tune[1024];

	(void)snprintf(tune, sizeof(tune), shell, env_need("CLOCHE"), dir);
	(void)snprintf(command, sizeof(command),
		       "seq 100000 >%s/in && seq 100000 | %s && %s <%s/in", dir, tune, tune, dir);
	RUN(&run, "sh", "-c", command);
	cr_assert_eq(run.status, 0, "%s%s", run.out, run.err);
	cr_expect_eq(ledgers_verify(dir).records, 12);
}

/* The command cannot change what the next run reads. */
Test(tune, piped_input_cannot_be_changed)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char command[2048];

	(void)snprintf(command, sizeof(command),
		       "echo right | '%s' tune --ledger '%s' --sizes 256 --runs 3 -- sh -c "
		       "'read x; (echo wrong >/proc/self/fd/0) 2>/dev/null; (echo wrong >&0) "
		       "2>/dev/null; test $x = right'",
		       env_need("CLOCHE"), dir);
	RUN(&run, "sh", "-c", command);
	cr_assert_eq(run.status, 0, "%s%s", run.out, run.err);
}

Test(tune, its_runs_are_history_for_cost)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	TUNE(&run, dir, "--sizes", "128,256", "--runs", "2", "--name", "f", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	CLOCHE(&run, "cost", "--function", "f", "--memory", "128", "--rate", "5/s", "--ledger",
	       dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "mean of 2 invocations");
	expect_has(run.out, "than with 128 MB");
}

Test(tune, an_interrupt_ends_it_with_130, .timeout = 60)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char byte, bind[600], fifo[512];
	int status, go;
	pid_t pid;

	(void)snprintf(fifo, sizeof(fifo), "%s/started", dir);
	(void)snprintf(bind, sizeof(bind), "%s:/out:rw", dir);
	cr_assert_eq(chmod(dir, 0755), 0);
	cr_assert_eq(mkfifo(fifo, 0666), 0);
	cr_assert_eq(chmod(fifo, 0666), 0);
	pid = fork();
	cr_assert(pid >= 0);
	if (pid == 0) {
		/* The test's own input may be a pipe that never ends. */
		(void)dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
		(void)execl(env_need("CLOCHE"), "cloche", "tune", "--no-ledger", "--sizes", "256",
			    "-b", bind, "--", "sh", "-c", "echo >/out/started; sleep 50", NULL);
		_exit(99);
	}
	go = open(fifo, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(go, &byte, 1), 1);
	(void)close(go);
	cr_assert_eq(kill(pid, SIGINT), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 130, "%x", status);
}

static const struct {
	const char *args[6];
	const char *says;
} wrong[] = {
	{ { "--json" }, "a command is missing" },
	{ { "--sizes", "", "--", "true" }, "--sizes: ''" },
	{ { "--sizes", "128,,256", "--", "true" }, "--sizes" },
	{ { "--sizes", "1", "--", "true" }, "--sizes: --memory 1M" },
	{ { "--sizes", "9999G", "--", "true" }, "--sizes: --memory" },
	{ { "--runs", "0", "--", "true" }, "--runs" },
	{ { "--runs", "x", "--", "true" }, "--runs" },
	{ { "--memory", "128", "--", "true" }, "unknown option '--memory'" },
	{ { "--repeat", "3", "--", "true" }, "unknown option '--repeat'" },
	{ { "--timeout" }, "needs a value" },
	{ { "-t", "soon", "--", "true" }, "--timeout" },
};

Test(tune, wrong_use_is_one_clear_line)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *argv[10] = { env_need("CLOCHE"), "tune" };
		cleanup_run struct run run = { 0 };

		memcpy(argv + 2, wrong[i].args, sizeof(wrong[i].args));
		run_argv(&run, argv);
		cr_assert_eq(run.status, 2, "%s %s: %d", argv[2], argv[3], run.status);
		expect_has(run.err, wrong[i].says);
		expect_has(run.err, "see 'cloche tune --help'");
		cr_assert_eq(count_text(run.err, "\n"), 1, "%s", run.err);
		cr_assert_eq(run.out_len, 0, "%s", run.out);
	}
}

Test(tune, help_goes_to_standard_output_and_fits)
{
	cleanup_run struct run run = { 0 };
	char *save = NULL;

	CLOCHE(&run, "tune", "--help");
	cr_assert_eq(run.status, 0);
	cr_assert_eq(run.err_len, 0);
	expect_has(run.out, "Examples:");
	for (char *l = strtok_r(run.out, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		cr_assert_leq(strlen(l), 82, "%s", l); /* an ellipsis has three bytes */
}
