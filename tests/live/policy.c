/* SPDX-License-Identifier: MIT */
/*
 * The tables beside the profiles against the running kernel: every row is one run of try-syscall
 * under the real filter, as nobody. A call that should be refused must be refused with exactly the
 * errno or the death of its row; a call that should pass must not get EPERM or ENOSYS unless the
 * kernel says the same to nobody without a filter.
 */
#include "base/err.h"
#include "base/fd.h"
#include "policy/policy.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"
#include "tests/lib/verdict_table.h"

#include <criterion/criterion.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static void file_make(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
}

/* build/tests/live/policy → build/helpers/try-syscall, opened before rights are dropped. */
static void helper_path(char path[static PATH_MAX])
{
	char self[PATH_MAX] = { 0 };

	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	cr_assert_lt(snprintf(path, PATH_MAX, "%s/../../helpers/try-syscall", dirname(self)),
		     PATH_MAX);
	cr_assert_eq(access(path, X_OK), 0, "%s is missing: make tests", path);
}

/* Where arguments matter in some row of a call, a row without them means zeroes. */
static bool arguments_matter(const struct policy_expects *table, int nr)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->rows[i].data.nr == nr && strchr(table->rows[i].call, '('))
			return true;
	return false;
}

static void child_run(const struct policy *policy, const char *helper,
		      const struct policy_expect *row, int n, int out)
{
	char words[7][32], *argv[9] = { (char *)helper };

	(void)snprintf(words[0], sizeof(words[0]), "%s%d",
		       row->data.arch == AUDIT_ARCH_I386 ? "i386:" : "", row->data.nr);
	for (int i = 0; i < n; i++)
		(void)snprintf(words[i + 1], sizeof(words[0]), "%#llx", row->data.args[i]);
	for (int i = 0; i <= n; i++)
		argv[i + 1] = words[i];
	if (dup2(out, STDOUT_FILENO) < 0 || setsid() < 0 || chdir("/") < 0 ||
	    (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
				setresuid(NOBODY, NOBODY, NOBODY) < 0)) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(99);
	if (policy &&
	    syscall(SYS_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, policy->flags, &policy->prog) < 0)
		_exit(99);
	(void)execve(helper, argv, (char *[]){ NULL });
	_exit(98);
}

/* The helper's word, or "signal N" when the call killed the helper itself. */
static void try_row(const struct policy *policy, const char *helper,
		    const struct policy_expect *row, int n_args, char word[static 32])
{
	int out[2], status;
	ssize_t n;
	pid_t pid;

	cr_assert_eq(pipe(out), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		child_run(policy, helper, row, n_args, out[1]);
	(void)close(out[1]);
	n = read(out[0], word, 31);
	(void)close(out[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(!WIFEXITED(status) || (WEXITSTATUS(status) != 98 && WEXITSTATUS(status) != 99),
		  "%s: cannot run the helper", row->call);
	word[n > 0 ? n : 0] = '\0';
	word[strcspn(word, "\n")] = '\0';
	if (!word[0] && WIFSIGNALED(status))
		(void)snprintf(word, 32, "signal %d", WTERMSIG(status));
	else if (!word[0])
		(void)snprintf(word, 32, "exit");
}

static bool is_refusal(const char *word)
{
	return strcmp(word, "EPERM") == 0 || strcmp(word, "ENOSYS") == 0;
}

static void expect_table(const char *name)
{
	static const struct policy_dirs dirs = { "/nonexistent", NULL };
	struct cloche_err err = { 0 };
	struct policy policy;
	struct policy_expects table;
	char path[64], helper[PATH_MAX], want[32], found[32], bare[32];

	helper_path(helper);
	(void)snprintf(path, sizeof(path), "policies/%s.table", name);
	cr_assert_eq(policy_load_from(&dirs, name, POLICY_WALLS_ONLINE, &policy, &err), 0, "%s",
		     err.text);
	table = verdict_table_read(path);
	for (size_t i = 0; i < table.n; i++) {
		const struct policy_expect *row = &table.rows[i];
		int n_args = arguments_matter(&table, row->data.nr) ? 6 : 0;

		(void)snprintf(want, sizeof(want), "%s", verdict_name(row->action));
		if (row->action == SECCOMP_RET_KILL_PROCESS)
			(void)snprintf(want, sizeof(want), "signal %d", SIGSYS);
		try_row(&policy, helper, row, n_args, found);
		if (row->action != SECCOMP_RET_ALLOW) {
			cr_expect_str_eq(found, want, "%s:%u: %s: expected %s, found %s", path,
					 row->line, row->call, want, found);
			continue;
		}
		if (!is_refusal(found))
			continue;
		try_row(NULL, helper, row, n_args, bare);
		cr_expect_str_eq(found, bare, "%s:%u: %s: %s, but %s without the filter", path,
				 row->line, row->call, found, bare);
	}
	policy_expects_free(&table);
	policy_free(&policy);
}

Test(policy_live, default_is_what_the_kernel_does)
{
	expect_table("default");
}

Test(policy_live, strict_is_what_the_kernel_does)
{
	expect_table("strict");
}

/* In the report of a run, without a trace too. */
Test(policy_live, the_call_that_killed_is_named)
{
	static const char profile[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mount\"],"
		"\"action\":\"SCMP_ACT_KILL_PROCESS\"}]}";
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 }, traced = { 0 };
	char policy[300], bind[4200], trace[300];

	(void)snprintf(policy, sizeof(policy), "%s/p.json", dir);
	(void)snprintf(trace, sizeof(trace), "%s/t.jsonl", dir);
	(void)snprintf(bind, sizeof(bind), "%s:/opt", env_need("HELPERS"));
	file_make(policy, profile);
	RUN_CLOCHE(&run, "--policy", policy, "-b", bind, "--", "/opt/meter_work", "mount", "1");
	cr_assert_eq(run.status, 159, "%s", run.err);
	cr_assert_str_eq(report_text(&run, "verdict"), "denied");
	cr_assert_str_eq(report_text(&run, "message"), "the policy killed it for calling mount");
	RUN_CLOCHE(&traced, "--policy", policy, "--trace", trace, "-b", bind, "--",
		   "/opt/meter_work", "mount", "1");
	run_free(&run);
	RUN(&run, env_need("CLOCHE"), "trace", trace);
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert(strstr(run.out, "denied mount(0x1, 0x2, 0x3, 0x4, 0x5"), "%s", run.out);
	cr_assert(strstr(run.out, "with SIGSYS"), "%s", run.out);
}

/* By the table that it is of: number 20 is getpid there and writev in x86-64's. */
Test(policy_live, a_denied_call_is_named_by_its_own_table)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char bind[4200], trace[300];

	(void)snprintf(trace, sizeof(trace), "%s/t.jsonl", dir);
	(void)snprintf(bind, sizeof(bind), "%s:/opt", env_need("HELPERS"));
	RUN_CLOCHE(&run, "--trace", trace, "-b", bind, "--", "/opt/try-syscall", "i386:20", "1",
		   "2");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_str_eq(run.out, "signal 31\n");
	run_free(&run);
	RUN(&run, env_need("CLOCHE"), "trace", trace);
	cr_assert(strstr(run.out, "denied i386 getpid(0x1, 0x2, "), "%s", run.out);
	run_free(&run);
	RUN(&run, env_need("CLOCHE"), "trace", "--format", "json", trace);
	cr_assert(strstr(run.out, "\"syscall\":\"getpid\",\"arch\":\"i386\",\"number\":20,"), "%s",
		  run.out);
}
