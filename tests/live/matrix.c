/* SPDX-License-Identifier: MIT */
/*
 * Every feature of tests/lib/features.h is taken away once: `cloche run` then refuses by its name,
 * or runs and owns up to what it did without, as the table says; `cloche doctor` names the feature
 * and its exit status is what run then does; nothing is left behind in either case.
 */
#include "tests/lib/features.h"

#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"
#include "tests/lib/turn.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One parameter for each feature: its index. */
static struct criterion_test_params all_features(void)
{
	static size_t index[N_FEATURES];

	for (size_t i = 0; i < N_FEATURES; i++)
		index[i] = i;
	return cr_make_param_array(size_t, index, turn_take(index, N_FEATURES, sizeof(index[0])));
}

/* ---- what run does ---- */

static bool degraded(const struct run *run, const char *what)
{
	json_t *entry;
	size_t i;

	json_array_foreach (report_get(run, "degraded"), i, entry)
		if (strcmp(json_string_value(json_object_get(entry, "what")), what) == 0)
			return true;
	return false;
}

static void expect_refused(const struct feature *f, const struct run *run)
{
	const char *end;

	cr_assert_not_null(run->err);
	end = strchr(run->err, '\n');
	cr_expect_eq(run->status, 125, "%s: status %d: %s", f->name, run->status, run->err);
	cr_expect_eq(run->out_len, 0, "%s: the command was started: %s", f->name, run->out);
	cr_expect(end && end == run->err + run->err_len - 1, "%s: not one line: %s", f->name,
		  run->err);
	cr_expect(strstr(run->err, f->what), "%s: '%s' is not named: %s", f->name, f->what,
		  run->err);
}

/* Nothing is missing in the report but what the table says and what this kernel never had. */
static void expect_owns_up(const struct feature *f, const struct run *run)
{
	cleanup_run struct run whole = { 0 };
	json_t *entry;
	size_t i;

	RUN_CLOCHE(&whole, "-b", env_need("HELPERS"), "--meter", f->no_meter ? "off" : "auto", "--",
		   "true");
	cr_assert_eq(whole.status, 0, "%s", whole.err);
	if (f->kind == FEATURE_DEGRADES)
		cr_expect(degraded(run, f->what), "%s: degraded does not name %s", f->name,
			  f->what);
	json_array_foreach (report_get(run, "degraded"), i, entry) {
		const char *what = json_string_value(json_object_get(entry, "what"));

		cr_expect((f->what && strncmp(f->what, what, strlen(f->what)) == 0) ||
				  degraded(&whole, what),
			  "%s: degraded also names %s", f->name, what);
	}
}

static void expect_reuse(const struct feature *f, const struct run *run)
{
	json_t *context = json_object_get(json_array_get(run->reports, 1), "context");
	const char *start = json_string_value(json_object_get(context, "start"));

	cr_assert(start, "%s: no second report: %s", f->name, run->err);
	cr_expect_str_eq(start, "warm", "%s", f->name);
}

/* A crowd at its deadline, and one that a function leaves behind: both are ended to the last. */
static void expect_ends_all(const struct feature *f, const char *mark)
{
	cleanup_run struct run late = { .without = f->name }, left = { .without = f->name };

	RUN_CLOCHE(&late, "-q", "-t", "300ms", "-e", mark, "--", "sh", "-c",
		   "for i in 1 2 3 4 5 6 7 8; do sleep 100 & done; wait");
	cr_expect_eq(late.status, 124, "%s: status %d: %s", f->name, late.status, late.err);
	cr_expect_str_eq(report_text(&late, "verdict"), "timeout", "%s", f->name);
	cr_expect_str_eq(report_text(&late, "signal"), "SIGKILL", "%s", f->name);
	if (f->killed) {
		cr_expect(degraded(&late, f->killed), "%s: degraded does not name %s", f->name,
			  f->killed);
		cr_expect(json_is_null(report_get(&late, f->killed)), "%s: %s", f->name, f->killed);
	}
	cr_expect_eq(leftover_processes(mark), 0, "%s: outlived the deadline", f->name);
	RUN_CLOCHE(&left, "-q", "-e", mark, "--", "sh", "-c", "sleep 100 & exit 3");
	cr_expect_eq(left.status, 3, "%s: status %d: %s", f->name, left.status, left.err);
	cr_expect_str_eq(report_text(&left, "verdict"), "error", "%s", f->name);
	cr_expect_eq(leftover_processes(mark), 0, "%s: outlived the function", f->name);
}

ParameterizedTestParameters(matrix, run_does_what_the_table_says)
{
	return all_features();
}

ParameterizedTest(const size_t *i, matrix, run_does_what_the_table_says, .timeout = 120)
{
	const struct feature *f = &features[*i];
	cleanup_run struct run run = { .without = f->name };
	cleanup_free char *before = NULL, *after = NULL;
	size_t was = leftover_cgroups(&before);
	char mark[64];

	(void)snprintf(mark, sizeof(mark), "CLOCHE_TEST_MARK=%d", (int)getpid());
	RUN_CLOCHE(&run, "-q", "--repeat", "2", "-e", mark, "-b", env_need("HELPERS"), "--", "sh",
		   "-c", "echo hi");
	if (f->kind == FEATURE_NEEDED) {
		expect_refused(f, &run);
	} else {
		cr_assert_eq(run.status, 0, "%s: status %d: %s", f->name, run.status, run.err);
		cr_expect_str_eq(run.out, "hi\nhi\n", "%s", f->name);
		cr_expect_str_eq(run.err, "", "%s: %s", f->name, run.err);
		expect_owns_up(f, &run);
		expect_reuse(f, &run);
		expect_ends_all(f, mark);
	}
	cr_expect_eq(leftover_processes(mark), 0, "%s: a process is left", f->name);
	cr_expect_leq(leftover_cgroups(&after), was, "%s: %s is left", f->name, after);
}

/* ---- what the doctor says ---- */

static bool check_ok(const json_t *top, const char *name)
{
	json_t *check;
	size_t i;

	json_array_foreach (json_object_get(top, "checks"), i, check)
		if (strcmp(json_string_value(json_object_get(check, "name")), name) == 0)
			return json_is_true(json_object_get(check, "ok"));
	cr_assert_fail("no check '%s'", name);
	return false;
}

ParameterizedTestParameters(matrix, the_doctor_agrees)
{
	return all_features();
}

ParameterizedTest(const size_t *i, matrix, the_doctor_agrees, .timeout = 120)
{
	const struct feature *f = &features[*i];
	cleanup_free char *without = env_helper("without");
	cleanup_run struct run run = { 0 };
	json_error_t e;
	json_t *top;

	RUN(&run, without, f->name, "--", env_need("CLOCHE"), "doctor", "--json");
	top = json_loads(run.out, JSON_REJECT_DUPLICATES, &e);
	cr_assert(top, "%s: no JSON: %s%s", f->name, run.out, run.err);
	cr_expect_eq(run.status, f->kind == FEATURE_NEEDED ? 1 : 0, "%s: status %d: %s", f->name,
		     run.status, run.out);
	cr_expect_eq(json_is_true(json_object_get(top, "ok")), run.status == 0, "%s", f->name);
	if (f->doctor)
		cr_expect_not(check_ok(top, f->doctor), "%s: '%s' is called ok", f->name,
			      f->doctor);
	else
		cr_expect(f->kind != FEATURE_NEEDED, "%s: the doctor must know it", f->name);
	json_decref(top);
}

/* ---- that it is really taken away ---- */

static void expect_call(const char *feature, const char *want, const char *const args[4])
{
	cleanup_free char *without = env_helper("without"), *call = env_helper("try-syscall");
	const char *argv[9] = { without, feature, "--", call };
	cleanup_run struct run run = { 0 };

	for (size_t i = 0; i < 4 && args[i]; i++)
		argv[4 + i] = args[i];
	run_argv(&run, argv);
	cr_expect_str_eq(run.out, want, "%s, call %s: %s%s", feature, args[0], run.out, run.err);
}

static void expect_file_gone(const char *feature, const char *name)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *without = env_helper("without"), *path = NULL;
	cleanup_run struct run with = { 0 }, run = { 0 };

	cr_assert(asprintf(&path, "%s/%s", dir, name) > 0);
	fd_close(&(int){ open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) });
	RUN(&with, without, "clone3", "--", "cat", path);
	cr_expect_eq(with.status, 0, "%s", with.err);
	RUN(&run, without, feature, "--", "cat", path);
	cr_expect_eq(run.status, 1, "%s: %s is there", feature, name);
	cr_expect(strstr(run.err, "No such file"), "%s: %s", feature, run.err);
}

Test(matrix, what_is_taken_away_is_gone, .timeout = 120)
{
	cleanup_free char *without = env_helper("without");
	cleanup_run struct run run = { 0 };
	char nr[24], want[32];

	for (size_t i = 0; i < N_FEATURES; i++)
		for (size_t k = 0; k < CUTS_MAX && features[i].cuts[k].how; k++) {
			const struct cut *c = &features[i].cuts[k];

			(void)snprintf(nr, sizeof(nr), "%ld", c->nr);
			(void)snprintf(want, sizeof(want), "%s\n", strerrorname_np(c->error));
			if (c->how == CUT_CALL)
				expect_call(features[i].name, want, (const char *[4]){ nr });
			else if (c->how == CUT_NAME && c->nr == SYS_openat)
				expect_file_gone(features[i].name, c->name);
		}
	/* A bit makes the difference: the filter that is no address comes to the kernel's eyes. */
	(void)snprintf(nr, sizeof(nr), "%d", SYS_seccomp);
	expect_call("seccomp-wait-killable", "EFAULT\n", (const char *[4]){ nr, "1", "0x8" });
	expect_call("seccomp-wait-killable", "EINVAL\n", (const char *[4]){ nr, "1", "0x28" });
	/* And a name: where it cannot be read, the call goes on. */
	(void)snprintf(nr, sizeof(nr), "%d", SYS_fsopen);
	expect_call("posix-mqueue", "EFAULT\n", (const char *[4]){ nr, "1", "0" });
	RUN(&run, without, "posix-mqueue", "--", env_need("CLOCHE"), "doctor");
	cr_expect(strstr(run.out, "this kernel has no message queues"), "%s", run.out);
}

/* An unknown name must not make a test of nothing. */
Test(matrix, an_unknown_feature_is_refused)
{
	cleanup_free char *without = env_helper("without");
	cleanup_run struct run run = { 0 };

	RUN(&run, without, "clone3,clone4", "--", "true");
	cr_expect_eq(run.status, 125);
	cr_expect(strstr(run.err, "'clone4'"), "%s", run.err);
}
