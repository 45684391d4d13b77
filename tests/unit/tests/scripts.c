/* SPDX-License-Identifier: MIT */
/*
 * The scripts that every test and every build goes through: counts must be right, a skip must not
 * hide, and a machine that lacks something must be told by name. The outside world (packages,
 * Criterion programs) is played by small scripts first in PATH. Runs at the top of the project.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

static void script_make(const char *dir, const char *name, const char *body)
{
	cleanup_free char *path = NULL;
	FILE *f;

	cr_assert(asprintf(&path, "%s/%s", dir, name) > 0);
	f = fopen(path, "we");
	cr_assert(f && fprintf(f, "#!/bin/sh\n%s\n", body) > 0 && fclose(f) == 0);
	cr_assert_eq(chmod(path, 0700), 0);
}

/* A Criterion program that finds what it is told to. */
#define COUNTS(passed, failed, skipped)                                                  \
	"for a; do case $a in --json=*) cat >\"${a#--json=}\" <<-END\n"                  \
	"{\n  \"passed\": " #passed ",\n  \"failed\": " #failed ",\n  \"errored\": 0,\n" \
	"  \"skipped\": " #skipped ",\n  \"test_suites\": []\n}\nEND\n"                  \
	"esac; done; echo output of $0; [ " #failed " -eq 0 ]"

static void tier_run(struct run *run, const char *dir, const char *settings, const char *programs)
{
	cleanup_free char *command = NULL;

	cr_assert(asprintf(&command,
			   "unset CLOCHE_MUST_RUN COUNTS; d='%s'; export %s; sh tests/run.sh t %s",
			   dir, settings, programs) > 0);
	RUN(run, "sh", "-c", command);
}

Test(runner, adds_up)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	script_make(dir, "good", COUNTS(3, 0, 1));
	script_make(dir, "bad", COUNTS(2, 10, 0));
	tier_run(&run, dir, "A=", "$d/good");
	cr_expect_eq(run.status, 0);
	cr_expect(strstr(run.out, "\n3 passed, 0 failed, 1 skipped\n"), "%s", run.out);
	cr_expect_null(strstr(run.out, "output of"));
	run_free(&run);
	tier_run(&run, dir, "A=", "$d/good $d/bad $d/good");
	cr_expect_eq(run.status, 1);
	cr_expect(strstr(run.out, "\n8 passed, 10 failed, 2 skipped\n"), "%s", run.out);
	cr_expect(strstr(run.out, "output of"));
}

Test(runner, lets_no_skip_pass_when_all_must_run)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	script_make(dir, "good", COUNTS(3, 0, 1));
	tier_run(&run, dir, "CLOCHE_MUST_RUN=1", "$d/good");
	cr_expect_eq(run.status, 1);
	cr_expect(strstr(run.out, "\n3 passed, 1 failed, 0 skipped\n"), "%s", run.out);
}

Test(runner, sees_programs_that_break, .timeout = 30)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	script_make(dir, "empty", COUNTS(0, 0, 0));
	script_make(dir, "dies", "kill -SEGV $$");
	script_make(dir, "lies", COUNTS(1, 0, 0) "; exit 7");
	script_make(dir, "hangs", "while :; do sleep 100; done");
	tier_run(&run, dir, "TEST_LIMIT=1", "$d/empty $d/dies $d/lies $d/hangs $d/none");
	cr_expect_eq(run.status, 1);
	cr_expect(strstr(run.out, "\n1 passed, 5 failed, 0 skipped\n"), "%s", run.out);
	cr_expect(strstr(run.out, "no test in it"));
	cr_expect(strstr(run.out, "exit status 139"));
	cr_expect(strstr(run.out, "not done after 1 s"));
	cr_expect(strstr(run.out, "\n  failed: t/dies: exit status 139\n"), "%s", run.out);
}

/* Fails only when the next test runs this program again. */
Test(fail_sample, fails)
{
	cr_assert_null(getenv("FAIL_SAMPLE"), "as asked");
}

Test(runner, names_at_the_end_what_failed)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char self[256] = { 0 }, body[400];

	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	/* With no environment: Criterion takes one from itself for a worker. */
	(void)snprintf(body, sizeof(body),
		       "exec env -i FAIL_SAMPLE=1 '%s' '--filter=fail_sample/*' \"$@\"", self);
	script_make(dir, "self", body);
	tier_run(&run, dir, "A=", "$d/self");
	cr_expect_eq(run.status, 1);
	cr_expect(strstr(run.out, "\n  failed: t/self: fail_sample::fails\n  failed:   [----] "),
		  "%s", run.out);
	cr_expect(strstr(run.out, "\n  failed:   [----]   as asked\n0 passed, 1 failed, "), "%s",
		  run.out);
}

/* Does something only when the next test runs this program again. */
Test(skip_sample, skips)
{
	if (getenv("SKIP_SAMPLE"))
		test_skip("missing %s", "thing");
}

Test(skip, is_a_failure_when_all_must_run)
{
	static const char *const lenient[] = { "SKIP_SAMPLE=1", NULL };
	static const char *const strict[] = { "SKIP_SAMPLE=1", "CLOCHE_MUST_RUN=1", NULL };
	cleanup_run struct run run = { .envp = lenient };
	char self[256] = { 0 };

	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	RUN(&run, self, "--filter=skip_sample/*", "--tap=-");
	cr_expect_eq(run.status, 0);
	cr_expect(strstr(run.out, "# SKIP missing thing"), "%s", run.out);
	run_free(&run);
	run.envp = strict;
	RUN(&run, self, "--filter=skip_sample/*", "--tap=-");
	cr_expect_eq(run.status, 1);
	cr_expect(strstr(run.out, "must run, but would be skipped: missing thing"), "%s", run.out);
}

/* deps.sh with an environment in which id, dpkg-query, apt-get and sudo are ours. */
static void deps_run(struct run *run, const char *dir, const char *group)
{
	cleanup_free char *path = NULL;

	cr_assert(asprintf(&path, "PATH=%s", dir) > 0);
	run->envp = (const char *const[]){ path, NULL };
	RUN(run, "/bin/sh", "tests/deps.sh", group);
	run->envp = NULL;
}

static char *machine_make(const char *uid, const char *installed)
{
	static const char *const tools[] = { "env", "mktemp", "rm", "tail", "cat" };
	cleanup_free char *id = NULL, *dpkg = NULL, *apt = NULL;
	char *dir = tmpdir_make();
	size_t i;

	for (i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		cleanup_free char *to = NULL, *from = NULL;

		cr_assert(asprintf(&to, "%s/%s", dir, tools[i]) > 0);
		cr_assert(asprintf(&from, "/usr/bin/%s", tools[i]) > 0);
		cr_assert_eq(symlink(from, to), 0);
	}
	cr_assert(asprintf(&id, "echo %s", uid) > 0);
	cr_assert(asprintf(&dpkg, "for p in %s; do echo -n \"installed:$p \"; done", installed) >
		  0);
	cr_assert(asprintf(&apt, "echo \"$DEBIAN_FRONTEND $@\" >>%s/log", dir) > 0);
	script_make(dir, "id", id);
	script_make(dir, "dpkg-query", dpkg);
	script_make(dir, "apt-get", apt);
	return dir;
}

static void log_expect(const char *dir, const char *want)
{
	cleanup_run struct run run = { 0 };
	cleanup_free char *path = NULL;

	cr_assert(asprintf(&path, "%s/log", dir) > 0);
	RUN(&run, "cat", path);
	if (want)
		cr_expect(run.status == 0 && strstr(run.out, want), "%s", run.out);
	else
		cr_expect_neq(run.status, 0, "apt-get was called: %s", run.out);
}

Test(deps, installs_only_what_is_missing)
{
	cleanup_tmpdir char *dir = machine_make("0", "bubblewrap crun runc");
	cleanup_run struct run run = { 0 };

	deps_run(&run, dir, "bench");
	cr_expect_eq(run.status, 0, "%s", run.err);
	log_expect(dir, "noninteractive -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "
			"install --no-install-recommends hyperfine\n");
	log_expect(dir, "update\n");
}

Test(deps, does_nothing_when_all_is_there)
{
	cleanup_tmpdir char *dir = machine_make("0", "bubblewrap crun runc hyperfine");
	cleanup_run struct run run = { 0 };

	deps_run(&run, dir, "bench");
	cr_expect_eq(run.status, 0);
	cr_expect_str_eq(run.out, "");
	log_expect(dir, NULL);
}

Test(deps, uses_sudo_or_says_what_to_do)
{
	cleanup_tmpdir char *dir = machine_make("1000", "crun runc");
	cleanup_run struct run run = { 0 };

	deps_run(&run, dir, "bench");
	cr_expect_eq(run.status, 1);
	cr_expect_str_eq(run.err, "cloche: missing packages; as root: apt-get install bubblewrap "
				  "hyperfine\n");
	log_expect(dir, NULL);
	run_free(&run);
	script_make(dir, "sudo", "AS=root exec \"$@\"");
	script_make(dir, "apt-get", "[ \"$AS\" = root ] && echo \"$@\" >>${0%/*}/log");
	deps_run(&run, dir, "bench");
	cr_expect_eq(run.status, 0);
	log_expect(dir, "install --no-install-recommends bubblewrap hyperfine\n");
}

Test(deps, names_what_another_system_needs)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	deps_run(&run, dir, "bench");
	cr_expect_eq(run.status, 1);
	cr_expect(strstr(run.err, "not a Debian machine"), "%s", run.err);
	cr_expect(strstr(run.err, "bubblewrap crun runc hyperfine"), "%s", run.err);
}

Test(deps, shows_why_an_installation_failed)
{
	cleanup_tmpdir char *dir = machine_make("0", "crun runc");
	cleanup_run struct run run = { 0 };

	script_make(dir, "apt-get", "echo E: no such mirror >&2; exit 100");
	deps_run(&run, dir, "bench");
	cr_expect_eq(run.status, 1);
	cr_expect(strstr(run.err, "E: no such mirror"), "%s", run.err);
	cr_expect(strstr(run.err, "apt-get could not install: bubblewrap hyperfine"), "%s",
		  run.err);
}
