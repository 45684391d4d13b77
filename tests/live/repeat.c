/* SPDX-License-Identifier: MIT */
/*
 * `cloche run --repeat`: a context is kept where it is proved clean and replaced where it is not,
 * and each invocation's counters are its own. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *context_text(const struct run *run, size_t i, const char *key)
{
	json_t *context = json_object_get(json_array_get(run->reports, i), "context");

	return json_string_value(json_object_get(context, key));
}

Test(run_repeat, a_clean_context_is_kept)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--repeat", "3", INSIDE, "leave", "nothing");
	expect_end(&run, 0, "ok");
	cr_assert_eq(json_array_size(run.reports), 3);
	cr_expect_str_eq(context_text(&run, 0, "start"), "cold");
	for (size_t i = 1; i < 3; i++) {
		json_t *context = json_object_get(json_array_get(run.reports, i), "context");

		cr_expect_str_eq(context_text(&run, i, "id"), context_text(&run, 0, "id"));
		cr_expect_str_eq(context_text(&run, i, "start"), "warm");
		cr_expect_str_eq(context_text(&run, i, "reuse"), "context");
		cr_expect_eq(json_integer_value(json_object_get(context, "invocation")),
			     (json_int_t)i + 1);
		cr_expect_str_neq(json_string_value(json_object_get(json_array_get(run.reports, i),
								    "request_id")),
				  report_text(&run, "request_id"));
	}
}

/* Counters begin anew: the second of two equal invocations must not hold the sum. */
Test(run_repeat, counters_are_of_one_invocation)
{
	cleanup_run struct run run = { 0 };
	json_t *cpu;

	RUN_INSIDE(&run, "-m", "16M", ROOMY, "--repeat", "2", "--", "sh", "-c",
		   "/opt/inside eat 64; exit 0");
	cr_assert_eq(json_array_size(run.reports), 2);
	cr_expect_str_eq(context_text(&run, 1, "start"), "warm");
	cr_expect_eq(report_int(&run, "memory.oom_kills"), 1);
	cpu = json_object_get(json_array_get(run.reports, 1), "memory");
	cr_expect_eq(json_integer_value(json_object_get(cpu, "oom_kills")), 1);
}

/* The kernel's clock of the cgroup goes on where that stays; what is reported is of one. */
Test(run_repeat, the_clocks_agree_in_each)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, ROOMY, "--cpu", "shared", "-t", "60s", "--repeat", "20", "--", "sh", "-c",
		   "i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done");
	expect_end(&run, 0, "ok");
	cr_assert_eq(json_array_size(run.reports), 20);
	for (size_t i = 0; i < 20; i++) {
		json_t *cpu = json_object_get(json_array_get(run.reports, i), "cpu");
		json_t *clocks = json_object_get(cpu, "clocks");
		json_int_t cgroup = json_integer_value(json_object_get(clocks, "cgroup_ns"));
		json_int_t rusage = json_integer_value(json_object_get(clocks, "rusage_ns"));
		json_int_t user = json_integer_value(json_object_get(cpu, "user_ns"));
		json_int_t system = json_integer_value(json_object_get(cpu, "system_ns"));

		cr_expect_gt(cgroup, rusage / 2, "invocation %zu", i + 1);
		cr_expect_lt(cgroup, rusage + rusage / 2, "invocation %zu", i + 1);
		cr_expect_leq(user + system, rusage + rusage / 2, "invocation %zu", i + 1);
	}
}

static void expect_replaced(const char *what, const char *why)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--repeat", "2", INSIDE, "leave", what);
	/* Not "error": the second invocation did not find what the first one left. */
	expect_end(&run, 0, "ok");
	cr_assert_eq(json_array_size(run.reports), 2);
	cr_expect_str_eq(context_text(&run, 1, "start"), "cold", "%s", what);
	cr_expect_str_neq(context_text(&run, 1, "id"), context_text(&run, 0, "id"), "%s", what);
	cr_expect_null(context_text(&run, 0, "replaced"));
	cr_assert_not_null(context_text(&run, 1, "replaced"), "%s", what);
	cr_expect(strstr(context_text(&run, 1, "replaced"), why) != NULL, "%s: %s", what,
		  context_text(&run, 1, "replaced"));
}

Test(run_repeat, a_file_in_tmp_costs_the_context)
{
	expect_replaced("file", "/tmp");
	expect_replaced("hidden", "/tmp");
}

/* What the launch itself made there for a bind is no dirt; what lies beside it is. */
Test(run_repeat, a_bind_below_tmp_costs_nothing)
{
	cleanup_free char *bind = NULL;
	cleanup_run struct run clean = { 0 }, dirty = { 0 };

	cr_assert(asprintf(&bind, "%s:/tmp/a/b", env_need("HELPERS")) > 0);
	RUN_CLOCHE(&clean, "-b", bind, "--repeat", "2", "--", "/tmp/a/b/inside", "exit", "0");
	expect_end(&clean, 0, "ok");
	cr_expect_str_eq(context_text(&clean, 1, "start"), "warm");
	RUN_CLOCHE(&dirty, "-b", bind, "--repeat", "2", "--", "/tmp/a/b/inside", "leave", "file");
	expect_end(&dirty, 0, "ok");
	cr_expect_str_eq(context_text(&dirty, 1, "start"), "cold");
}

Test(run_repeat, shared_memory_costs_the_context)
{
	test_needs("system-v-ipc");
	expect_replaced("shm", "/dev/shm");
	expect_replaced("sysv", "System V");
}

Test(run_repeat, a_message_queue_costs_the_context)
{
	test_needs("posix-mqueue");
	expect_replaced("mqueue", "message queue");
}

/* It stands in the next one's /proc/net/tcp, and holds its port. */
Test(run_repeat, a_connection_costs_the_context)
{
	static const char *const leaves[] = { "connection", "nothing" };

	for (int i = 0; i < 2; i++) {
		cleanup_run struct run run = { 0 };

		RUN_INSIDE(&run, "--net", "loopback", "--repeat", "2", INSIDE, "leave", leaves[i]);
		expect_end(&run, 0, "ok");
		cr_expect_str_eq(context_text(&run, 1, "start"), i ? "warm" : "cold");
		cr_expect(i || strstr(context_text(&run, 1, "replaced"), "TCP connection"));
	}
}

Test(run_repeat, a_process_costs_the_context)
{
	expect_replaced("process", "process");
}

Test(run_repeat, a_killed_invocation_costs_the_context)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--repeat", "2", "-t", "100ms", "--", "sleep", "9");
	expect_end(&run, 124, "timeout");
	cr_assert_eq(json_array_size(run.reports), 2);
	cr_expect_str_eq(
		json_string_value(json_object_get(json_array_get(run.reports, 1), "verdict")),
		"timeout");
	cr_assert_not_null(context_text(&run, 1, "replaced"));
	cr_expect(strstr(context_text(&run, 1, "replaced"), "killed") != NULL);
}
