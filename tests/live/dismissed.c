/* SPDX-License-Identifier: MIT */
/* Function processes that are kept and not wanted any more: they are told so by SIGTERM, have a
 * time to come to their end and no more of it, and nothing of that is an invocation's. Needs root.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/functions.h"

static const char app[] = "import os, signal, sys, threading, time\n"
			  "def leave(*_):\n"
			  "    print('told to end')\n"
			  "    sys.exit(0)\n"
			  "def linger(*_):\n"
			  "    print('told to end')\n"
			  "    while True:\n"
			  "        time.sleep(0.01)\n"
			  "how = {'leave': leave, 'linger': linger, 'ignore': signal.SIG_IGN}\n"
			  "if os.environ.get('HOW'):\n"
			  "    signal.signal(signal.SIGTERM, how[os.environ['HOW']])\n"
			  "def handler(event, context):\n"
			  "    print('served')\n"
			  "    return event\n";

static const char node[] = "process.on('SIGTERM', () => {\n"
			   "  console.log('told to end');\n"
			   "  setTimeout(() => process.exit(0), 20);\n"
			   "});\n"
			   "exports.handler = async (event) => event;\n";

/* As fast as it can be: it has half a second. */
#define OF(name, more)                                                                     \
	"  " name ": {runtime: python3, code: code, handler: app.handler, timeout: 60s,\n" \
	"    memory: 1769, " more "}\n"

static void begin(struct project *s, const char *config)
{
	char lines[100];

	(void)snprintf(lines, sizeof(lines), "grace: 60s\n%s", config);
	project_begin(s, lines);
	project_put(s, "code/app.py", app);
}

/* By SIGTERM, and the next one has its state. */
static void renew_daemon(struct project *s)
{
	cr_assert_eq(kill(s->d.pid, SIGTERM), 0);
	cr_expect_eq(process_status(s->d.pid), 0);
	(void)fclose(s->d.said);
	daemon_expect_nothing(&s->d);
	daemon_start(&s->d);
}

static bool has_log(struct project *s, const char *name, const char *text)
{
	project_by(s, DAEMON_USER, (const char *const[]){ "logs", name, NULL });
	cr_assert_eq(s->run.status, 0, "%s", s->run.err);
	return strstr(s->run.out, text);
}

static void await_log(struct project *s, const char *name, const char *text)
{
	while (!has_log(s, name, text))
		(void)usleep(10000);
}

static void invoke(struct project *s, const char *name)
{
	project_by(s, DAEMON_USER, (const char *const[]){ "invoke", name, "1", NULL });
	cr_assert_eq(s->run.status, 0, "%s", s->run.err);
}

/* By all that ends one that is idle. What it writes then is in the log, of no invocation. */
Test(dismissed, whoever_is_not_wanted_any_more_is_told)
{
	static const char yaml[] = "functions:\n" OF("py", "environment: {HOW: leave}");
	struct project s;

	begin(&s, "idle_expiry: 300ms\n");
	project_deploy(&s, yaml);
	invoke(&s, "py");
	await_log(&s, "py", "told to end");
	cr_expect(strstr(s.run.out, "REPORT") < strstr(s.run.out, "told to end"), "%s", s.run.out);
	project_end(&s);

	begin(&s, "");
	project_deploy(&s, yaml);
	invoke(&s, "py");
	cr_expect(!has_log(&s, "py", "told to end"), "%s", s.run.out);
	/* Another version counts. */
	project_deploy(&s, "functions:\n" OF("py", "environment: {HOW: leave, NEW: x}"));
	await_log(&s, "py", "told to end");
	invoke(&s, "py");
	/* The daemon ends. */
	renew_daemon(&s);
	(void)has_log(&s, "py", "");
	cr_expect(strstr(strstr(s.run.out, "told to end") + 1, "told to end"), "%s", s.run.out);
	project_end(&s);
}

Test(dismissed, what_it_does_then_is_in_no_bill)
{
	struct project s;
	pid_t pid;

	begin(&s, "idle_expiry: 100ms\n");
	project_deploy(&s, "functions:\n" OF("py", "environment: {HOW: linger, UNBILLED: x}"));
	invoke(&s, "py");
	await_log(&s, "py", "told to end");
	/* It had its time, and then it was killed: nothing of it is there. */
	while (project_functions("UNBILLED=x", &pid, 1))
		(void)usleep(10000);
	daemon_expect_records(&s.d, "py", 1);
	project_end(&s);
}

Test(dismissed, a_runtime_of_another_kind_is_told_too)
{
	struct project s;

	begin(&s, "");
	project_put(&s, "code/node.js", node);
	project_deploy(&s, "functions:\n"
			   "  js: {runtime: nodejs, code: code, handler: node.handler, "
			   "timeout: 60s, memory: 1769}\n");
	invoke(&s, "js");
	renew_daemon(&s);
	cr_expect(has_log(&s, "js", "told to end"), "%s", s.run.out);
	project_end(&s);
}

/* Who is there for one event has no time behind it. */
Test(dismissed, who_is_not_kept_is_not_told)
{
	struct project s;

	begin(&s, "");
	project_deploy(&s, "functions:\n" OF("none", "reuse: none, environment: {HOW: leave}")
				   OF("each", "reuse: context, environment: {HOW: leave}"));
	invoke(&s, "none");
	invoke(&s, "each");
	renew_daemon(&s);
	cr_expect(!has_log(&s, "none", "told to end"), "%s", s.run.out);
	cr_expect(!has_log(&s, "each", "told to end"), "%s", s.run.out);
	project_end(&s);
}

/* Whose room somebody waits for has no time. */
Test(dismissed, who_is_in_the_way_is_not_told)
{
	struct project s;

	begin(&s, "per_owner: {contexts: 1}\n");
	project_deploy(&s, "functions:\n" OF("one", "environment: {HOW: linger}")
				   OF("other", "environment: {HOW: leave}"));
	invoke(&s, "one");
	invoke(&s, "other");
	cr_expect(!has_log(&s, "one", "told to end"), "%s", s.run.out);
	/* Nor whose time has begun. */
	invoke(&s, "one");
	project_deploy(&s, "functions:\n" OF("one", "environment: {HOW: linger, NEW: x}"));
	invoke(&s, "one");
	project_end(&s);
}

/* A function of the same name, while a process of one that was removed has its time. */
Test(dismissed, the_next_of_its_name_has_its_own_log)
{
	static const char yaml[] = "functions:\n" OF("py", "environment: {HOW: linger}");
	struct project s;

	begin(&s, "");
	project_deploy(&s, yaml);
	invoke(&s, "py");
	project_by(&s, DAEMON_USER, (const char *const[]){ "remove", "py", NULL });
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	project_deploy(&s, yaml);
	invoke(&s, "py");
	cr_expect(has_log(&s, "py", "REPORT"), "%s", s.run.out);
	cr_expect(!strstr(s.run.out, "told to end"), "%s", s.run.out);
	project_end(&s);
}

/* Nobody who does not want to hear it holds the daemon up for longer than it has. */
Test(dismissed, who_does_not_hear_it_is_killed)
{
	struct project s;

	begin(&s, "");
	project_deploy(&s, "functions:\n" OF("py", "environment: {HOW: ignore}")
				   OF("deaf", "reuse: fork, environment: {HOW: linger}"));
	invoke(&s, "py");
	invoke(&s, "deaf");
	renew_daemon(&s);
	/* What forks are made of is not told. */
	cr_expect(!has_log(&s, "deaf", "told to end"), "%s", s.run.out);
	project_end(&s);
}
