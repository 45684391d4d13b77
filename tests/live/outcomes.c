/* SPDX-License-Identifier: MIT */
/*
 * Every way in which a run can end, as a table: command line, exit status, verdict. Small memories
 * come with --cpu shared where the CPU share is not the matter: an emulated guest is slow enough.
 */
#include "lib/env.h"
#include "lib/run.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define OPT_HELPERS "-b", env_helpers(), "--"
#define ARGS	    10

static const char *env_helpers(void)
{
	static char bind[4200];

	(void)snprintf(bind, sizeof(bind), "%s:/opt", getenv("HELPERS"));
	return bind;
}

static const struct outcome {
	const char *what;
	const char *args[ARGS];
	int status;
	const char *verdict;
} outcomes[] = {
	{ "success", { "--", "true" }, 0, "ok" },
	{ "own status", { "--", "sh", "-c", "exit 7" }, 7, "error" },
	{ "own signal", { "--", "sh", "-c", "kill -TERM $$" }, 143, "signal" },
	{ "own SIGKILL is no oom", { "--", "sh", "-c", "kill -KILL $$" }, 137, "signal" },
	{ "timeout", { "-t", "100ms", "--", "sh", "-c", "while :; do :; done" }, 124, "timeout" },
	{ "timeout asleep", { "-t", "50ms", "--", "sleep", "60" }, 124, "timeout" },
	{ "throttled timeout",
	  { "-m", "4M", "-t", "50ms", "-b", "@", "--", "/opt/burn", "10000" },
	  124,
	  "timeout" },
	{ "cpu time",
	  { "--cpu-time", "30ms", "--", "sh", "-c", "while :; do :; done" },
	  124,
	  "cpu_timeout" },
	{ "fork bomb",
	  { "-t", "300ms", "--pids", "16", "-b", "@", "--", "/opt/forkbomb" },
	  124,
	  "timeout" },
	{ "4 MB is enough for a static program",
	  { "-m", "4M", "--cpu", "shared", "-b", "@", "--", "/opt/noop" },
	  0,
	  "ok" },
	{ "output limit", { "--output-limit", "64K", "--", "yes" }, 153, "output_limit" },
	{ "not found", { "--", "no-such-command" }, 127, "launch_error" },
	{ "not executable", { "--", "/etc/passwd" }, 126, "launch_error" },
	{ "no such directory", { "-w", "/nowhere", "--", "true" }, 125, "launch_error" },
	{ "no such bind", { "-b", "/no/such", "--", "true" }, 2, NULL },
	{ "no such bind with a target",
	  { "-b", "/no/such:/x", "--", "true" },
	  125,
	  "launch_error" },
	{ "the whole host", { "-b", "/:/host", "--", "true" }, 125, "launch_error" },
	{ "unknown policy", { "--policy", "nonesuch", "--", "true" }, 125, "launch_error" },
	{ "too little memory", { "-m", "3M", "--", "true" }, 2, NULL },
	{ "a /tmp larger than the memory",
	  { "-m", "64M", "--tmp-size", "64M", "--", "true" },
	  2,
	  NULL },
	{ "no number", { "-t", "soon", "--", "true" }, 2, NULL },
	{ "no command", { "-q" }, 2, NULL },
};

Test(outcomes, every_end_has_its_status_and_verdict, .timeout = 60)
{
	env_need("CLOCHE");
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		const struct outcome *o = &outcomes[i];
		const char *args[ARGS + 1] = { NULL };
		cleanup_run struct run run = { 0 };

		for (int k = 0; k < ARGS && o->args[k]; k++)
			args[k] = strcmp(o->args[k], "@") == 0 ? env_helpers() : o->args[k];
		run_cloche(&run, args);
		cr_expect_eq(run.status, o->status, "%s: status %d, not %d: %s", o->what,
			     run.status, o->status, run.err);
		if (o->verdict)
			cr_expect_str_eq(report_text(&run, "verdict"), o->verdict, "%s", o->what);
		if (o->status == 2 || o->status == 125)
			cr_expect_eq(strchr(run.err, '\n'), run.err + run.err_len - 1,
				     "%s: one line: %s", o->what, run.err);
	}
}

Test(outcomes, oom_is_told_from_the_kernels_count, .timeout = 60)
{
	cleanup_run struct run first = { 0 }, second = { 0 };

	env_need("CLOCHE");
	RUN_CLOCHE(&first, "-m", "32M", "--cpu", "shared", "-t", "25s", "--", "python3", "-c",
		   "b'x' * (1 << 30)");
	cr_expect_eq(first.status, 137);
	cr_expect_str_eq(report_text(&first, "verdict"), "oom");
	cr_expect_gt(report_int(&first, "memory.oom_kills"), 0);
	/* The killed process is not the function's own: that lives on, notices, and ends by itself.
	 */
	RUN_CLOCHE(&second, "-m", "32M", "--cpu", "shared", "-t", "25s", "--", "sh", "-c",
		   "python3 -c \"b'x' * (1 << 30)\"; exit 3");
	cr_expect_eq(second.status, 3);
	cr_expect_str_eq(report_text(&second, "verdict"), "error");
	cr_expect_gt(report_int(&second, "memory.oom_kills"), 0);
}

Test(outcomes, a_full_tmp_is_enospc)
{
	cleanup_run struct run run = { 0 };

	env_need("CLOCHE");
	RUN_CLOCHE(&run, "-m", "32M", "--cpu", "shared", "-t", "25s", "--", "sh", "-c",
		   "head -c 30000000 /dev/zero >/tmp/x");
	cr_expect_str_eq(report_text(&run, "verdict"), "error");
	cr_expect(strstr(run.err, "No space left") != NULL, "%s", run.err);
	cr_expect_eq(report_int(&run, "memory.oom_kills"), 0);
}

Test(outcomes, input_output_and_environment)
{
	cleanup_run struct run cat = { .input = "hello" }, env = { 0 };

	env_need("CLOCHE");
	RUN_CLOCHE(&cat, "--", "cat");
	cr_expect_str_eq(cat.out, "hello");
	cr_expect(strstr(cat.err, "REPORT RequestId: ") != NULL, "%s", cat.err);
	RUN_CLOCHE(&env, "-q", "-e", "STAGE=dev", "--", "env");
	cr_expect_str_eq(env.out,
			 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
			 "HOME=/tmp\nLANG=C.UTF-8\nTZ=UTC\nSTAGE=dev\n");
	cr_expect_eq(env.err_len, 0);
}

static const char *context_of(const struct run *run, size_t i, const char *member)
{
	json_t *context = json_object_get(json_array_get(run->reports, i), "context");

	return json_string_value(json_object_get(context, member));
}

Test(outcomes, a_clean_context_is_reused_and_a_dirty_one_replaced, .timeout = 60)
{
	static const char *const dirty[] = { "echo >/tmp/x", "echo >/dev/shm/x", "sleep 100 &" };
	cleanup_run struct run clean = { 0 };

	env_need("CLOCHE");
	RUN_CLOCHE(&clean, "--repeat", "3", "--", "true");
	cr_assert_eq(json_array_size(clean.reports), 3);
	cr_expect_str_eq(context_of(&clean, 2, "id"), context_of(&clean, 0, "id"));
	cr_expect_str_eq(context_of(&clean, 2, "start"), "warm");
	for (size_t i = 0; i < sizeof(dirty) / sizeof(dirty[0]); i++) {
		cleanup_run struct run run = { 0 };

		RUN_CLOCHE(&run, "--repeat", "2", "--", "sh", "-c", dirty[i]);
		cr_assert_eq(json_array_size(run.reports), 2, "%s", dirty[i]);
		cr_expect_str_neq(context_of(&run, 1, "id"), context_of(&run, 0, "id"), "%s",
				  dirty[i]);
		cr_expect_str_eq(context_of(&run, 1, "start"), "cold", "%s", dirty[i]);
		cr_expect_not_null(context_of(&run, 1, "replaced"), "%s", dirty[i]);
	}
}

Test(outcomes, the_function_is_alone_and_powerless)
{
	cleanup_run struct run run = { 0 };

	env_need("CLOCHE");
	RUN_CLOCHE(
		&run, "-q", "--", "sh", "-c",
		"id -u; id -g; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status |"
		"tr -d '\\t'; ls -d /proc/[0-9]* | grep -c /proc/1$; ls /proc/self/fd | wc -l;"
		"tr -s ' ' </proc/self/uid_map | cut -d' ' -f2,4;"
		"echo x 2>/dev/null >/usr/x || echo ro; head -c1 /proc/kcore | wc -c;"
		"unshare -U true 2>/dev/null || echo refused");
	cr_expect_str_eq(run.out,
			 "1000\n1000\nCapEff:0000000000000000\n"
			 "CapBnd:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n"
			 "0\n4\n1000 1\nro\n0\nrefused\n",
			 "%s", run.out);
}
