/* SPDX-License-Identifier: MIT */
/* What `cloche run` says of a run: the REPORT line and the JSON report. Needs root. */
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Lambda's line: fields between tabs, a tab at the end. */
Test(run_report, line)
{
	cleanup_run struct run run = { 0 };
	char id[40] = { 0 };
	double ms;
	unsigned long long billed, memory, peak;

	test_needs("bpf-pins");
	RUN_INSIDE(&run, "-m", "128M", INSIDE, "exit", "0");
	cr_assert_eq(sscanf(run.err,
			    "REPORT RequestId: %36s\tDuration: %lf ms\tBilled Duration: %llu ms\t"
			    "Memory Size: %llu MB\tMax Memory Used: %llu MB",
			    id, &ms, &billed, &memory, &peak),
		     5, "%s", run.err);
	cr_expect(run.err_len > 5 && strcmp(run.err + run.err_len - 5, " MB\t\n") == 0);
	cr_expect(strstr(run.err, "\tDuration: ") && strstr(run.err, " ms\tBilled Duration: ") &&
		  strstr(run.err, " ms\tMemory Size: 128 MB\tMax Memory Used: "));
	cr_expect_str_eq(id, report_text(&run, "request_id"));
	cr_expect_eq(memory, 128);
	cr_expect_eq((int64_t)billed, report_int(&run, "bill.billed_ms"));
	cr_expect_eq((int64_t)peak,
		     (report_int(&run, "memory.peak_bytes") + (1 << 20) - 1) / (1 << 20));
}

Test(run_report, defaults)
{
	cleanup_run struct run run = { 0 };

	CLOCHE(&run, "run", "-q", "--report", "-", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "\"limits\":{\"memory_bytes\":1854930944,\"vcpus\":1.0,"
			    "\"timeout_ns\":3000000000,\"pids\":64}");
}

Test(run_report, bare_numbers_are_mib_and_seconds)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-m", "64", "-t", "2", INSIDE, "exit", "0");
	cr_expect_eq(report_int(&run, "limits.memory_bytes"), 64 << 20);
	cr_expect_eq(report_int(&run, "limits.timeout_ns"), 2000000000);
}

static bool named_in_degraded(const struct run *run, const char *path)
{
	json_t *entry;
	size_t i;

	json_array_foreach (report_get(run, "degraded"), i, entry) {
		const char *what = json_string_value(json_object_get(entry, "what"));
		const char *reason = json_string_value(json_object_get(entry, "reason"));

		if (what && reason && *reason && strncmp(path, what, strlen(what)) == 0 &&
		    strchr(".", path[strlen(what)]))
			return true;
	}
	return false;
}

/* A figure is there, or it is null and named: never zero in its place. */
Test(run_report, a_null_figure_is_named)
{
	static const char *const figures[] = {
		"time.launch_ns",	"time.wall_ns",
		"time.busy_ns",		"time.waiting_ns",
		"time.idle_ns",		"cpu.on_cpu_ns",
		"cpu.user_ns",		"cpu.system_ns",
		"cpu.throttled_ns",	"cpu.runnable_ns",
		"cpu.clocks.bpf_ns",	"memory.peak_bytes",
		"io.read_bytes",	"io.write_bytes",
		"network.rx_bytes",	"network.tx_bytes",
		"processes.started",	"processes.peak",
		"cpu.clocks.cgroup_ns", "denied",
		"denied_overtaken",	"trace",
		"bill.contention_ns",	"memory.oom_kills",
		"memory.cache_bytes",	"memory.charged_peak_bytes",
	};
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "0");
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		cr_expect(report_is_null(&run, figures[i]) == named_in_degraded(&run, figures[i]),
			  "%s is %s in degraded", figures[i],
			  report_is_null(&run, figures[i]) ? "null and not" : "known and yet");
}

/* Also of what never ran, which costs nothing. */
Test(run_report, what_never_ran_says_so)
{
	static const char *const groups[] = {
		"time.wall_ns",	      "cpu.on_cpu_ns",	  "memory.peak_bytes",
		"io.read_bytes",      "network.rx_bytes", "processes.started",
		"bill.contention_ns", "denied",		  "trace",
		"denied_overtaken"
	};
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--", "/nonexistent");
	expect_end(&run, 127, "launch_error");
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		cr_expect(report_is_null(&run, groups[i]) && named_in_degraded(&run, groups[i]),
			  "%s", groups[i]);
	cr_expect_eq(report_int(&run, "bill.billed_ms"), 0);
	cr_expect_str_eq(report_text(&run, "bill.usd"), "0.000000000000");
}

/* By name, arguments and number of times; asked of who came last in a reused context too. */
Test(run_report, denied_calls_are_named)
{
	cleanup_run struct run run = { 0 };

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, "--repeat", "2", INSIDE, "deny", "3");
	expect_end(&run, 0, "ok");
	cr_assert_eq(json_array_size(run.reports), 2);
	for (size_t i = 0; i < 2; i++) {
		json_t *list = json_object_get(json_array_get(run.reports, i), "denied");
		json_t *call = json_array_get(list, 0);

		cr_assert_eq(json_array_size(list), 1);
		cr_expect_str_eq(json_string_value(json_object_get(call, "syscall")), "mount");
		cr_expect_eq(json_integer_value(json_object_get(call, "count")), 3);
		cr_expect_str_eq(json_string_value(json_object_get(call, "errno")), "EPERM");
		cr_expect_str_eq(
			json_string_value(json_array_get(json_object_get(call, "args"), 4)), "0x5");
	}
}

/* Also of a child, where the run goes on. */
Test(run_report, a_call_that_the_policy_kills_for_is_named)
{
	cleanup_run struct run run = { 0 };
	json_t *call;

	RUN_INSIDE(&run, "--policy", "strict", INSIDE, "deny", "1");
	expect_end(&run, 159, "denied");
	call = json_array_get(report_get(&run, "denied"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(call, "syscall")), "mount");
	cr_expect_str_eq(json_string_value(json_object_get(call, "errno")), "SIGSYS");
	cr_expect_str_eq(json_string_value(json_array_get(json_object_get(call, "args"), 4)),
			 "0x5");
}

Test(run_report, rusage_that_misses_processes_is_null)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "leave", "process");
	expect_end(&run, 0, "ok");
	cr_expect(report_is_null(&run, "cpu.clocks.rusage_ns"));
	cr_expect(named_in_degraded(&run, "cpu.clocks.rusage_ns"));
	cr_expect_not(report_is_null(&run, "cpu.clocks.bpf_ns"));
}

Test(run_report, nothing_denied_is_an_empty_list)
{
	cleanup_run struct run run = { 0 };

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, INSIDE, "exit", "0");
	cr_expect(json_is_array(report_get(&run, "denied")));
	cr_expect_eq(json_array_size(report_get(&run, "denied")), 0);
}

/* Who asks for it again and again is ended: the warden has better things to do. */
Test(run_report, a_flood_of_denied_calls_ends_the_run)
{
	cleanup_run struct run run = { 0 };

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, "-t", "60s", INSIDE, "deny", "1000000");
	expect_end(&run, 159, "denied");
	cr_expect(strstr(report_text(&run, "message"), "10000") != NULL);
}

/* What a rule of the profile answers is nobody's business, however often it is called; its default
 * and the walls are noted beside it. */
Test(run_report, a_profiles_own_errno_is_quiet)
{
	static const char profile[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{"
				      "\"names\":[\"mount\",\"dup\"],"
				      "\"action\":\"SCMP_ACT_ERRNO\",\"errno\":\"EPERM\"}]}";
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run shipped = { 0 }, own = { 0 }, wall = { 0 };
	char path[4096];
	json_t *call;
	FILE *f;

	test_needs("seccomp-listener");
	RUN_INSIDE(&shipped, "-t", "60s", INSIDE, "numa", "12000");
	expect_end(&shipped, 0, "ok");
	cr_expect_eq(json_array_size(report_get(&shipped, "denied")), 0);
	(void)snprintf(path, sizeof(path), "%s/own.json", dir);
	f = fopen(path, "we");
	cr_assert_not_null(f);
	(void)fputs(profile, f);
	(void)fclose(f);
	RUN_INSIDE(&own, "-t", "60s", "--policy", path, INSIDE, "deny", "12000");
	expect_end(&own, 0, "ok");
	cr_expect(json_is_array(report_get(&own, "denied")));
	cr_expect_eq(json_array_size(report_get(&own, "denied")), 0);
	RUN_INSIDE(&wall, "/opt/try-syscall", "16", "0", "0x5412", "0");
	call = json_array_get(report_get(&wall, "denied"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(call, "syscall")), "ioctl");
}

/* A signal may end the wait for an answer before anybody has read the question: each such call is
 * counted all the same, and against the limit. */
Test(run_report, denied_calls_that_signals_interrupt_are_counted)
{
	cleanup_run struct run run = { 0 }, flood = { 0 };
	json_t *call;

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, "--meter", "required", INSIDE, "deny-signalled", "3000");
	expect_end(&run, 0, "ok");
	call = json_array_get(report_get(&run, "denied"), 0);
	cr_expect_eq(json_integer_value(json_object_get(call, "count")) +
			     report_int(&run, "denied_overtaken"),
		     3000, "%s", run.out);
	cr_expect_geq(report_int(&run, "denied_overtaken"), atol(run.out));
	RUN_INSIDE(&flood, "--meter", "required", "-t", "60s", INSIDE, "deny-signalled", "1000000");
	expect_end(&flood, 159, "denied");
}

/* No listener can be there yet when the launch itself is denied: it must not wait for one. */
Test(run_report, a_policy_that_denies_exec_is_a_launch_error)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/noexec.json", dir);
	f = fopen(path, "we");
	cr_assert_not_null(f);
	(void)fputs("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
		    "[\"execve\"],\"action\":\"SCMP_ACT_ERRNO\"}]}",
		    f);
	(void)fclose(f);
	RUN_CLOCHE(&run, "--policy", path, "--", "true");
	expect_end(&run, 126, "launch_error");
}

Test(run_report, wall_is_the_sum_of_its_parts)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "--", "/opt/burn", "20");
	cr_assert_gt(report_int(&run, "time.wall_ns"), 0);
	if (report_is_null(&run, "time.busy_ns")) {
		cr_expect(report_is_null(&run, "time.waiting_ns") &&
			  report_is_null(&run, "time.idle_ns"));
		return;
	}
	cr_expect_eq(report_int(&run, "time.wall_ns"), report_int(&run, "time.busy_ns") +
							       report_int(&run, "time.waiting_ns") +
							       report_int(&run, "time.idle_ns"));
}

Test(run_report, what_it_says_of_a_run)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, INSIDE, "exit", "0");
	cr_expect_eq(json_array_size(run.reports), 1);
	cr_expect_str_eq(report_text(&run, "schema"), "cloche.report/1");
	cr_expect_eq(strlen(report_text(&run, "request_id")), 36);
	cr_expect_eq(report_text(&run, "request_id")[14], '4');
	cr_expect_eq(report_int(&run, "owner.uid"), getuid());
	cr_expect_str_eq(report_text(&run, "context.start"), "cold");
	cr_expect_str_eq(report_text(&run, "context.reuse"), "none");
	cr_expect_str_eq(report_text(&run, "policy.name"), "default");
	cr_expect_eq(strlen(report_text(&run, "policy.sha256")), 64);
	cr_expect_str_eq(report_text(&run, "bill.prices"), "lambda");
	cr_expect_eq(report_int(&run, "bill.billed_ms"),
		     (report_int(&run, "time.wall_ns") + 999999) / 1000000);
	cr_expect_gt(report_int(&run, "time.launch_ns"), 0);
}

/* The run is not lost, and its status is its own. */
Test(run_report, that_cannot_be_written_goes_to_standard_error)
{
	cleanup_run struct run run = { .no_report = true };

	RUN_INSIDE(&run, "--report", "/no/such/report", INSIDE, "exit", "5");
	cr_expect_eq(run.status, 5);
	cr_expect(strstr(run.err, "/no/such/report") != NULL, "%s", run.err);
	cr_expect(strstr(run.err, "\n{\"schema\":\"cloche.report/1\"") != NULL, "%s", run.err);
	run_free(&run);
	RUN_INSIDE(&run, "--report", "/dev/full", INSIDE, "exit", "5");
	cr_expect_eq(run.status, 5);
	cr_expect(strstr(run.err, "{\"schema\":\"cloche.report/1\"") != NULL, "%s", run.err);
}
