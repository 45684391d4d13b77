/* SPDX-License-Identifier: MIT */
/*
 * `cloche policy learn --function`: what a deployed function calls, from its init on, as root
 * learns it for whom sudo names. Needs root, a daemon and BPF.
 */
#include "base/err.h"
#include "base/fd.h"
#include "serve/remote_learn.h"
#include "tests/lib/functions.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char code[] = "import os\n"
			   "os.getsid(0)\n"
			   "def handler(event, context):\n"
			   "    if event:\n"
			   "        try:\n"
			   "            os.getpriority(os.PRIO_PROCESS, 0)\n"
			   "        except PermissionError:\n"
			   "            return 'denied'\n"
			   "    return event\n"
			   "def other(event, context):\n"
			   "    os.sched_getscheduler(0)\n";

static const char yaml[] =
	"functions:\n"
	"  f: {runtime: python3, code: ./code, handler: app.handler, timeout: 300s}\n"
	"  other: {runtime: python3, code: ./code, handler: app.other, timeout: 300s}\n"
	"  forked: {runtime: python3, code: ./code, handler: app.handler, timeout: 300s,\n"
	"           reuse: fork}\n"
	"  cmd: {runtime: exec, code: ./code, handler: [sh, -c, 'cat; nice'], timeout: 300s}\n"
	"  fails: {runtime: exec, code: ./code, handler: ['false'], timeout: 300s}\n";

static void begin(struct project *s)
{
	project_begin(s, "");
	project_dir(s, "code");
	project_put(s, "code/app.py", code);
	project_deploy(s, yaml);
}

#define LEARN(...) OWN("policy", "learn", __VA_ARGS__)

static bool allows(const struct project *s, const char *call)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "\"%s\"", call);
	return strstr(s->run.out, name) != NULL;
}

Test(learn_function, its_init_and_its_events_and_nothing_else, .timeout = 400)
{
	struct project s;
	json_t *profile;

	begin(&s);
	/* One that is warm already has had its init. */
	OWN("invoke", "f");
	OWN("invoke", "other");
	LEARN("--function", "f", "-o", "-");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	profile = json_loads(s.run.out, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(profile, "%s", s.run.out);
	json_decref(profile);
	cr_expect(strstr(s.run.err, " 0 would be denied"), "%s", s.run.err);
	cr_expect(allows(&s, "execve") && allows(&s, "getsid") && allows(&s, "recvfrom"), "%s",
		  s.run.out);
	cr_expect_not(allows(&s, "getpriority"), "%s", s.run.out);
	cr_expect_not(allows(&s, "sched_getscheduler"), "%s", s.run.out);
	/* What launches it is none of its calls. */
	cr_expect_not(allows(&s, "seccomp"), "%s", s.run.out);
	LEARN("--function", "f", "-o", "-", "{}", "1");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	cr_expect(allows(&s, "getsid") && allows(&s, "getpriority"), "%s", s.run.out);
	/* What is deployed is as warm as it was. */
	OWN("logs", "f");
	cr_expect(strstr(s.run.out, "START"), "%s", s.run.out);
	project_end(&s);
}

Test(learn_function, a_command_and_one_that_fails, .timeout = 400)
{
	struct project s;

	begin(&s);
	LEARN("--function", "cmd", "-o", "-", "a");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	cr_expect(allows(&s, "getpriority") && allows(&s, "execve"), "%s", s.run.out);
	/* A zygote and its copies. */
	LEARN("--function", "forked", "-o", "-", "{}", "1");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	cr_expect(allows(&s, "getsid") && allows(&s, "getpriority"), "%s", s.run.out);
	LEARN("--function", "fails", "-o", "-");
	cr_expect_eq(s.run.status, 1, "%s", s.run.err);
	cr_expect(strstr(s.run.err, "verdict 'error'"), "%s", s.run.err);
	cr_expect(allows(&s, "execve"), "%s", s.run.out);
	project_end(&s);
}

Test(learn_function, what_cannot_be_is_said, .timeout = 400)
{
	struct project s;

	begin(&s);
	LEARN("--function", "nowhere", "-o", "-");
	cr_expect_eq(s.run.status, 125, "%s", s.run.err);
	cr_expect(strstr(s.run.err, "nowhere"), "%s", s.run.err);
	LEARN("--function", "f", "--base", "strict", "-o", "-");
	cr_expect_eq(s.run.status, 2, "%s", s.run.err);
	LEARN("--function", "f", "-o", "-", "@nowhere.json");
	cr_expect_eq(s.run.status, 125, "%s", s.run.err);
	BY("1001", "policy", "learn", "--function", "f", "-o", "-");
	cr_expect_eq(s.run.status, 125, "%s", s.run.err);
	cr_expect_eq(s.run.out_len, 0, "%s", s.run.out);
	project_end(&s);
}

/* What was learnt is enough for what was seen, and for nothing else; what has been before counts
 * again by its name. */
Test(learn_function, what_was_learnt_can_be_deployed, .timeout = 400)
{
	static const char with[] =
		"functions:\n"
		"  f: {runtime: python3, code: ./code, handler: app.handler, timeout: 300s,\n"
		"      policy: ./learnt.json}\n";
	char path[700];
	struct project s;

	begin(&s);
	LEARN("--function", "f", "-o", "-");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	project_put(&s, "learnt.json", s.run.out);
	(void)snprintf(path, sizeof(path), "%s/learnt.json", s.project);
	OWN("policy", "diff", "default", path);
	cr_expect_eq(s.run.status, 1, "%s", s.run.err);
	cr_expect(strstr(s.run.out, ", by the second only: 0;"), "%s", s.run.out);
	project_deploy(&s, with);
	OWN("show", "f");
	cr_expect(strstr(s.run.out, "\npolicy        learnt\n"), "%s", s.run.out);
	OWN("invoke", "--report", "-", "f");
	cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	cr_expect(strstr(s.run.err, "\"policy\":{\"name\":\"learnt\""), "%s", s.run.err);
	/* What it did not call then it may not. */
	OWN("invoke", "f", "1");
	project_expect(&s, "\"denied\"");
	LEARN("--function", "f", "-o", "-");
	cr_expect_eq(s.run.status, 125, "%s", s.run.err);
	LEARN("--function", "f@1", "-o", "-", "1");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	project_put(&s, "learnt.json", s.run.out);
	project_deploy(&s, with);
	OWN("invoke", "f", "1");
	project_expect(&s, "1");
	/* What becomes of the file counts when it is deployed. */
	project_put(&s, "learnt.json", "{}");
	OWN("invoke", "f", "1");
	project_expect(&s, "1");
	OWN("tune", "--sizes", "256", "--runs", "1", "f", "1");
	cr_expect_eq(s.run.status, 0, "%s%s", s.run.out, s.run.err);
	project_end(&s);
}

/* With its functions' policies the daemon comes back; and what is no policy is not deployed. */
Test(learn_function, a_policy_of_a_file_stays, .timeout = 400)
{
	static const char *const wrong[][2] = { { "./nowhere.json", "no such file" },
						{ "./bad.json", "bad.json" } };
	struct project s;
	char yaml_text[400];

	begin(&s);
	project_put(&s, "bad.json", "{\"defaultAction\": 7}");
	project_put(&s, "own.json",
		    "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": "
		    "[\"getpriority\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 1}]}");
	for (size_t i = 0; i < 2; i++) {
		char path[700];

		(void)snprintf(yaml_text, sizeof(yaml_text),
			       "functions:\n  f:\n    runtime: python3\n    code: ./code\n"
			       "    handler: app.handler\n    policy: %s\n",
			       wrong[i][0]);
		project_put(&s, "cloche.yaml", yaml_text);
		(void)snprintf(path, sizeof(path), "%s/cloche.yaml", s.project);
		OWN("deploy", path);
		cr_expect_eq(s.run.status, 1, "%s", s.run.err);
		cr_expect(strstr(s.run.err, "functions/f") && strstr(s.run.err, "policy: "), "%s",
			  s.run.err);
		cr_expect(strstr(s.run.err, wrong[i][1]), "%s", s.run.err);
	}
	project_deploy(&s, "functions:\n"
			   "  f: {runtime: python3, code: ./code, handler: app.handler,\n"
			   "      policy: ./own.json, concurrency: {provisioned: 1}}\n");
	OWN("invoke", "f", "1");
	project_expect(&s, "\"denied\"");
	daemon_kill(&s.d);
	daemon_start(&s.d);
	OWN("invoke", "f", "1");
	project_expect(&s, "\"denied\"");
	project_end(&s);
}

/* What another owner's daemon hands him of his own contexts; he has none. */
static _Noreturn void be_another(const char *control, int say, int go)
{
	static const uint8_t wanted[CALLS_NR];
	cleanup_free struct learner_entry *entries = NULL;
	struct cloche_err err = { 0 };
	uint64_t lost = 0;
	int fd = -1, second = -1;
	size_t n = 0;
	char byte;

	if (setresgid(1001, 1001, 1001) < 0 || setresuid(1001, 1001, 1001) < 0)
		_exit(10);
	if (remote_learn_open(control, wanted, &fd, &err) < 0)
		_exit(11);
	if (remote_learn_open(control, wanted, &second, &err) == 0 || err.code != EBUSY)
		_exit(12);
	if (write(say, "r", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(13);
	if (remote_learn_read(fd, &entries, &n, &lost, &err) < 0)
		_exit(14);
	_exit(n == 0 && lost == 0 ? 0 : 15);
}

Test(learn_function, an_owner_is_told_of_nobody_else, .timeout = 400)
{
	int said[2], go[2], status;
	struct project s;
	char byte;
	pid_t pid;

	begin(&s);
	cr_assert(pipe2(said, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
	pid = fork();
	cr_assert(pid >= 0);
	if (pid == 0)
		be_another(s.d.control, said[1], go[0]);
	(void)close(said[1]);
	cr_assert_eq(read(said[0], &byte, 1), 1);
	OWN("invoke", "f", "1");
	project_expect(&s, "1");
	/* Nor is it counted for two at a time. */
	LEARN("--function", "f", "-o", "-");
	cr_expect_eq(s.run.status, 125, "%s", s.run.err);
	cr_expect(strstr(s.run.err, "counted for somebody already"), "%s", s.run.err);
	cr_assert_eq(write(go[1], "g", 1), 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
	(void)close(said[0]);
	(void)close(go[0]);
	(void)close(go[1]);
	project_end(&s);
}
