/* SPDX-License-Identifier: MIT */
/*
 * `cloche policy learn`: what a command is seen to call is enough for it to run again, and not
 * more; what the base denies is named; the file, the output and the exit status are where a user
 * looks for them.
 */
#include "lib/env.h"
#include "lib/roots.h"
#include "lib/run.h"
#include "lib/tmpdir.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ARGS 24

/* `cloche policy learn -o FILE OPTIONS… -- COMMAND…`; rest is NULL-terminated. */
static void learn(struct run *run, const char *file, const char *const rest[])
{
	const char *argv[MAX_ARGS] = {
		env_need("CLOCHE"), "policy", "learn", "--no-ledger", "-o", file, "-b",
		helpers_bind()
	};
	size_t n = 8;

	while (*rest && n + 1 < MAX_ARGS)
		argv[n++] = *rest++;
	run_argv(run, argv);
}
#define LEARN(run, file, ...) learn((run), (file), (const char *const[]){ __VA_ARGS__, NULL })

/* The same command under the profile. */
static void enforce(struct run *run, const char *file, const char *const command[])
{
	const char *argv[MAX_ARGS] = {
		"--no-ledger", "--policy", file, "-b", helpers_bind(), "--"
	};
	size_t n = 6;

	while (*command && n + 1 < MAX_ARGS)
		argv[n++] = *command++;
	run_cloche(run, argv);
}
#define ENFORCE(run, file, ...) enforce((run), (file), (const char *const[]){ __VA_ARGS__, NULL })

static json_t *profile_read(const char *path)
{
	json_error_t err;
	json_t *profile = json_load_file(path, 0, &err);

	cr_assert_not_null(profile, "%s:%d: %s", path, err.line, err.text);
	return profile;
}

/* The rule that names the call and no other; NULL: there is none. */
static json_t *profile_rule(json_t *profile, const char *call, size_t *ret_at)
{
	json_t *rule, *rules = json_object_get(profile, "syscalls");
	size_t i;

	json_array_foreach (rules, i, rule) {
		json_t *names = json_object_get(rule, "names");

		if (json_array_size(names) == 1 &&
		    strcmp(json_string_value(json_array_get(names, 0)), call) == 0) {
			if (ret_at)
				*ret_at = i;
			return rule;
		}
	}
	return NULL;
}

static const char *rule_comment(json_t *profile, const char *call)
{
	json_t *rule = profile_rule(profile, call, NULL);

	cr_assert_not_null(rule, "no rule for %s", call);
	return json_string_value(json_object_get(rule, "comment"));
}

/* ---- what is learned is enough ---- */

static const char python_text[] =
	"import subprocess, threading\n"
	"go, out = threading.Event(), []\n"
	"def work(i):\n"
	"    go.wait()\n"
	"    out.append(i)\n"
	"threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]\n"
	"[t.start() for t in threads]\n"
	"go.set()\n"
	"[t.join() for t in threads]\n"
	"print(sorted(out), subprocess.run(['sh', '-c', 'exit 3']).returncode)\n";

static const struct {
	const char *what, *command[6], *out;
} commands[] = {
	{ "a static program", { "/opt/inside", "eat", "4" }, "eaten\n" },
	{ "a pipeline",
	  { "sh", "-c", "printf 'b\\na\\n' | sort | tr a-z A-Z; cat /etc/hostname | wc -l" },
	  "A\nB\n1\n" },
	{ "signals",
	  { "sh", "-c", "trap 'echo got' USR1; kill -USR1 $$; echo end" },
	  "got\nend\n" },
	{ "threads and a process", { "python3", "-c", python_text }, "[0, 1, 2] 3\n" },
};

Test(learn, what_was_seen_is_enough_to_run_again)
{
	cleanup_tmpdir char *dir = tmpdir_make();

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		cleanup_run struct run first = { 0 }, again = { 0 }, check = { 0 };
		cleanup_run struct run diff = { 0 };
		char *file = path_in(dir, "p.json");

		learn(&first, file, commands[i].command);
		cr_assert_eq(first.status, 0, "%s: %d\n%s", commands[i].what, first.status,
			     first.err);
		cr_expect_str_eq(first.out, commands[i].out, "%s", commands[i].what);
		cr_expect_not_null(strstr(first.err, " 0 would be denied\n"), "%s: %s",
				   commands[i].what, first.err);
		RUN(&check, env_need("CLOCHE"), "policy", "check", file);
		cr_expect_eq(check.status, 0, "%s", check.err);

		enforce(&again, file, commands[i].command);
		cr_expect_eq(again.status, 0, "%s: %s", commands[i].what, again.err);
		cr_expect_str_eq(report_text(&again, "verdict"), "ok", "%s", commands[i].what);
		cr_expect_str_eq(again.out, commands[i].out, "%s", commands[i].what);
		cr_expect_eq(json_array_size(report_get(&again, "denied")), 0);

		/* Never more than the base. */
		RUN(&diff, env_need("CLOCHE"), "policy", "diff", "default", file);
		cr_expect_eq(diff.status, 1);
		cr_expect_not_null(
			strstr(diff.out,
			       ", by the second only: 0; other conditions or errors: 0\n"),
			"%s", diff.out);
		free(file);
	}
}

Test(learn, conditions_and_fallbacks_stay)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char *file = path_in(dir, "p.json");
	json_t *profile, *rule;
	size_t i;

	LEARN(&run, file, "python3", "-c", python_text);
	cr_assert_eq(run.status, 0, "%s", run.err);
	profile = profile_read(file);
	/* Threads and the process: allowed without CLONE_NEW* alone. */
	rule = profile_rule(profile, "clone", NULL);
	cr_assert_not_null(rule);
	cr_expect_eq(json_integer_value(json_object_get(
			     json_array_get(json_object_get(rule, "args"), 0), "value")),
		     2114060288);
	rule = profile_rule(profile, "clone3", NULL);
	cr_assert_not_null(rule);
	cr_expect_eq(json_integer_value(json_object_get(rule, "errnoRet")), 38);
	cr_expect_not_null(strstr(rule_comment(profile, "clone3"), "; clone3 tried by python3 (3)"),
			   "%s", rule_comment(profile, "clone3"));
	/* Not used: how the base refuses some families and protocols is all that is left. */
	cr_assert_not_null(profile_rule(profile, "socket", NULL));
	json_array_foreach (json_object_get(profile, "syscalls"), i, rule) {
		const char *name =
			json_string_value(json_array_get(json_object_get(rule, "names"), 0));
		json_int_t code = json_integer_value(json_object_get(rule, "errnoRet"));

		cr_expect(strcmp(name, "socket") != 0 || code == 93 || code == 97, "%s: %lld", name,
			  (long long)code);
	}
	json_decref(profile);
	free(file);
}

Test(learn, comments_say_who_and_how_often)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char *file = path_in(dir, "p.json");
	json_t *profile;

	LEARN(&run, file, "sh", "-c", "cd /; cd /tmp; cd /; rmdir nothing; rmdir nothing; exit 0");
	cr_assert_eq(run.status, 0, "%s", run.err);
	profile = profile_read(file);
	cr_expect_str_eq(rule_comment(profile, "chdir"), "sh (3)");
	cr_expect_str_eq(rule_comment(profile, "rmdir"), "rmdir (2)");
	json_decref(profile);
	free(file);
}

/* Children that end while their parent calls: no call of it may fail for being watched. */
Test(learn, signals_interrupt_no_call)
{
	static const char text[] = "i=0; while [ $i -lt 40 ]; do : | : | : || exit 1; "
				   "i=$((i + 1)); done; echo $i";
	cleanup_run struct run run = { 0 };

	LEARN(&run, "/dev/null", "--", "sh", "-c", text);
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "40\n");
}

/* The set-up before exec is the launcher's: none of its calls is learned. */
Test(learn, launch_is_not_in_it)
{
	static const char *const ours[] = { "setresuid", "unshare", "capset", "seccomp",    "prctl",
					    "setsid",	 "chdir",   "write",  "close_range" };
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char *file = path_in(dir, "p.json");
	json_t *profile;

	LEARN(&run, file, "/opt/noop");
	cr_assert_eq(run.status, 0, "%s", run.err);
	profile = profile_read(file);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		cr_expect_null(profile_rule(profile, ours[i], NULL), "%s", ours[i]);
	cr_expect_not_null(profile_rule(profile, "arch_prctl", NULL));
	json_decref(profile);
	free(file);
}

/* ---- and not more ---- */

Test(learn, without_one_of_its_calls_it_fails)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run first = { 0 }, again = { 0 };
	char *file = path_in(dir, "p.json");
	json_t *profile, *list;
	size_t at = 0;

	LEARN(&first, file, "/opt/inside", "eat", "4");
	cr_assert_eq(first.status, 0, "%s", first.err);
	profile = profile_read(file);
	cr_expect_str_eq(rule_comment(profile, "write"), "inside (1)");
	cr_assert_not_null(profile_rule(profile, "write", &at));
	cr_assert_eq(json_array_remove(json_object_get(profile, "syscalls"), at), 0);
	cr_assert_eq(json_dump_file(profile, file, 0), 0);

	ENFORCE(&again, file, "/opt/inside", "eat", "4");
	cr_expect_str_eq(again.out, "");
	list = report_get(&again, "denied");
	cr_assert_eq(json_array_size(list), 1);
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "syscall")),
			 "write");
	json_decref(profile);
	free(file);
}

Test(learn, another_command_is_denied)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run first = { 0 }, other = { 0 };
	char *file = path_in(dir, "p.json");
	json_t *list;

	LEARN(&first, file, "/opt/inside", "eat", "1");
	cr_assert_eq(first.status, 0, "%s", first.err);
	ENFORCE(&other, file, "/opt/inside", "fork", "1");
	cr_expect_eq(other.status, 98, "%d: it begins with a pipe", other.status);
	list = report_get(&other, "denied");
	cr_assert_eq(json_array_size(list), 1);
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "syscall")),
			 "pipe2");
	free(file);
}

/* ---- what is denied ---- */

Test(learn, denied_calls_are_named_and_not_allowed)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char *file = path_in(dir, "p.json");
	json_t *profile;

	LEARN(&run, file, "/opt/inside", "deny", "300");
	cr_expect_eq(run.status, 0);
	cr_expect_not_null(strstr(run.err, " 1 would be denied:\n"
					   "  mount answers EPERM: tried by inside (300)\n"),
			   "%s", run.err);
	profile = profile_read(file);
	cr_expect_null(profile_rule(profile, "mount", NULL));
	json_decref(profile);
	free(file);
}

Test(learn, calls_of_other_abis_are_named)
{
	static const char *const rows[][2] = {
		{ "i386:20", "  getpid of i386 answers KILL_PROCESS: tried by try-syscall (1)\n" },
		{ "x32:39", "  getpid of x32 answers KILL_PROCESS: tried by try-syscall (1)\n" },
		{ "600", "  call number 600 answers ENOSYS: tried by try-syscall (1)\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_run struct run run = { 0 };

		LEARN(&run, "/dev/null", "--", "/opt/try-syscall", rows[i][0]);
		cr_expect_not_null(strstr(run.err, rows[i][1]), "%s", run.err);
		cr_expect_not_null(strstr(run.err, " 1 would be denied:\n"), "%s", run.err);
	}
}

Test(learn, base_decides)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 }, again = { 0 }, killed = { 0 };
	char *file = path_in(dir, "p.json");
	json_t *profile;

	LEARN(&run, file, "--base", "strict", "--", "/opt/inside", "open", "2");
	cr_expect_eq(run.status, 0, "%s", run.err);
	ENFORCE(&again, file, "/opt/inside", "open", "2");
	cr_expect_str_eq(report_text(&again, "verdict"), "ok");
	cr_expect_str_eq(again.out, run.out);
	profile = profile_read(file);
	cr_expect_str_eq(json_string_value(json_object_get(profile, "defaultAction")),
			 "SCMP_ACT_KILL_PROCESS");
	json_decref(profile);

	/* What kills does so here too; what came before it is learned. */
	LEARN(&killed, file, "--base", "strict", "--", "/opt/inside", "deny", "1");
	cr_expect_eq(killed.status, 159);
	cr_expect_not_null(strstr(killed.err, "ended with the verdict 'denied'"), "%s", killed.err);
	profile = profile_read(file);
	cr_expect_null(profile_rule(profile, "mount", NULL));
	cr_expect_not_null(profile_rule(profile, "brk", NULL));
	json_decref(profile);
	free(file);
}

/* ---- where things go ---- */

Test(learn, ends_as_the_command_does)
{
	static const struct {
		const char *args[6];
		int status;
		bool profile;
	} rows[] = {
		{ { "sh", "-c", "exit 7" }, 7, true },
		{ { "sh", "-c", "kill -TERM $$" }, 143, true },
		{ { "-t", "100ms", "--", "sleep", "60" }, 124, true },
		{ { "no-such-command" }, 127, false },
		/* too few for the report to name denied calls, not for this */
		{ { "--nofile", "16", "--", "true" }, 0, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_tmpdir char *dir = tmpdir_make();
		cleanup_run struct run run = { 0 };
		char *file = path_in(dir, "p.json");

		learn(&run, file, rows[i].args);
		cr_expect_eq(run.status, rows[i].status, "row %zu: %d: %s", i, run.status, run.err);
		cr_expect_eq(access(file, F_OK) == 0, rows[i].profile, "row %zu", i);
		free(file);
	}
}

Test(learn, standard_output_is_the_profile_alone)
{
	cleanup_run struct run run = { 0 };
	json_t *profile;

	LEARN(&run, "-", "echo", "hello");
	cr_expect_eq(run.status, 0);
	profile = json_loads(run.out, 0, NULL);
	cr_assert_not_null(profile, "%s", run.out);
	cr_expect_not_null(profile_rule(profile, "write", NULL));
	cr_expect_not_null(strstr(run.err, "hello\n"));
	json_decref(profile);
}

Test(learn, a_profile_that_is_there_is_kept_unless_named)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run first = { 0 }, second = { 0 }, third = { 0 };
	const char *cloche = env_need("CLOCHE");
	struct stat before, after;

	cr_assert_eq(chdir(dir), 0);
	RUN(&first, cloche, "policy", "learn", "--no-ledger", "--", "true");
	cr_expect_eq(first.status, 0, "%s", first.err);
	cr_assert_eq(stat("policy.json", &before), 0);
	RUN(&second, cloche, "policy", "learn", "--no-ledger", "--", "true");
	cr_expect_eq(second.status, 2);
	cr_expect_not_null(strstr(second.err, "'policy.json' exists"), "%s", second.err);
	cr_assert_eq(stat("policy.json", &after), 0);
	cr_expect_eq(before.st_ino, after.st_ino);
	RUN(&third, cloche, "policy", "learn", "--no-ledger", "-o", "policy.json", "--", "true");
	cr_expect_eq(third.status, 0, "%s", third.err);
	cr_assert_eq(stat("policy.json", &after), 0);
	cr_expect_neq(before.st_ino, after.st_ino, "it is replaced, not written over");
	cr_assert_eq(chdir("/"), 0);
}

Test(learn, usage_errors_run_nothing)
{
	static const char *const rows[][5] = {
		{ "--policy", "default", "--", "true" }, { "--repeat", "2", "--", "true" },
		{ "-o", "/no/such/p.json", "true" },	 { "-o", "/tmp", "true" },
		{ "--base", "no-such-base", "true" },	 { "-o", "-" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_run struct run run = { 0 };

		learn(&run, "-", rows[i]);
		cr_expect_eq(run.status, 2, "row %zu: %d: %s", i, run.status, run.err);
		cr_expect_str_eq(run.out, "", "row %zu", i);
	}
}

/* ---- a policy under which the launch itself calls what is denied ---- */

/* Nobody listens before exec: a denied call that asked would wait for ever. */
Test(learn, a_policy_without_clock_gettime_does_not_hang)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run first = { 0 }, again = { 0 }, learned = { 0 };
	char *file = path_in(dir, "p.json"), *other = path_in(dir, "q.json");
	json_t *profile, *rule, *rules;
	size_t i;

	LEARN(&first, file, "/opt/inside", "eat", "1");
	cr_assert_eq(first.status, 0, "%s", first.err);
	profile = profile_read(file);
	rules = json_object_get(profile, "syscalls");
	json_array_foreach (rules, i, rule) {
		json_t *name = json_array_get(json_object_get(rule, "names"), 0);

		if (strcmp(json_string_value(name), "clock_gettime") == 0)
			break;
	}
	cr_assert_eq(json_array_remove(rules, i), 0, "no rule begins with clock_gettime");
	cr_assert_eq(json_dump_file(profile, file, 0), 0);
	ENFORCE(&again, file, "/opt/inside", "eat", "1");
	cr_expect_str_eq(report_text(&again, "verdict"), "ok");
	cr_expect_str_eq(again.out, "eaten\n");
	LEARN(&learned, other, "--base", file, "--", "/opt/inside", "eat", "1");
	cr_expect_eq(learned.status, 0, "%s", learned.err);
	cr_expect_str_eq(learned.out, "eaten\n");
	json_decref(profile);
	free(file);
	free(other);
}
