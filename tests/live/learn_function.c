/* SPDX-License-Identifier: MIT */
/*
 * `cloche policy learn --function`: what a deployed function calls, from its init on, as root
 * learns it for whom sudo names. Needs root, a daemon and BPF.
 */
#include "base/err.h"
#include "base/fd.h"
#include "serve/packet.h"
#include "serve/remote_learn.h"
#include "serve/request.h"
#include "tests/lib/functions.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* ---- over what others invoke ----------------------------------------------------------------- */

/* It watches from here on. */
static struct client watch_begin(struct project *s, const char *more, const char *n)
{
	char path[700];
	struct daemon d = s->d;
	struct client c;

	(void)snprintf(path, sizeof(path), "%s/learnt.json", s->project);
	d.verb = "policy";
	c = client_start(
		&d, (const char *const[]){ "learn", "--function", "f", "-o", "-", more, n, NULL });
	expect_line(c.err, "watches the invocations of 'f'");
	return c;
}

/* What it has learnt is the project's learnt.json; and what it said of it, to be freed. */
static char *watch_end(struct project *s, struct client *c, int status)
{
	char *said = NULL, *learnt = NULL;
	size_t len = 0;
	ssize_t n = getdelim(&learnt, &len, '\0', c->out);

	project_put(s, "learnt.json", n > 0 ? learnt : "");
	free(learnt);
	len = 0;
	n = getdelim(&said, &len, '\0', c->err);
	cr_expect_eq(process_status(c->pid), status, "%s", n > 0 ? said : "");
	(void)fclose(c->out);
	(void)fclose(c->err);
	return n > 0 ? said : NULL;
}

static bool learnt(const struct project *s, const char *call)
{
	cleanup_run struct run run = { 0 };
	char path[700], name[64];

	(void)snprintf(path, sizeof(path), "%s/learnt.json", s->project);
	(void)snprintf(name, sizeof(name), "\"%s\"", call);
	RUN(&run, "grep", "-c", name, path);
	return run.status == 0;
}

/* Of one invocation and another, in one context and in two; from an init that was before and one
 * that was not; and of nobody else. */
Test(learn_function, over_what_others_invoke, .timeout = 400)
{
	cleanup_free char *said = NULL;
	struct project s;
	struct client c;

	begin(&s);
	OWN("invoke", "f");
	project_deploy_as(&s, "1001", yaml);
	c = watch_begin(&s, "--invocations", "2");
	OWN("invoke", "--report", "-", "f");
	cr_expect(strstr(s.run.err, "\"start\":\"cold\""), "%s", s.run.err);
	OWN("invoke", "other");
	BY("1001", "invoke", "f", "1");
	OWN("invoke", "f");
	said = watch_end(&s, &c, 0);
	cr_expect(strstr(said, "2 invocations in 1 contexts, of which 0 did not end well"), "%s",
		  said);
	cr_expect(learnt(&s, "execve") && learnt(&s, "getsid"));
	cr_expect_not(learnt(&s, "getpriority") || learnt(&s, "sched_getscheduler"));
	project_end(&s);
}

/* The union is deployed, and lets all of them pass. */
Test(learn_function, what_all_called_can_be_deployed, .timeout = 400)
{
	cleanup_free char *said = NULL;
	char path[700];
	struct project s;
	struct client c;

	begin(&s);
	c = watch_begin(&s, "--for", "10m");
	OWN("invoke", "f");
	OWN("invoke", "f", "1");
	cr_assert_eq(kill(c.pid, SIGINT), 0);
	said = watch_end(&s, &c, 0);
	cr_expect(strstr(said, "2 invocations in "), "%s", said);
	cr_expect(learnt(&s, "getsid") && learnt(&s, "getpriority"));
	cr_expect_not(learnt(&s, "sched_getscheduler"));
	(void)snprintf(path, sizeof(path), "%s/learnt.json", s.project);
	OWN("policy", "diff", "default", path);
	cr_expect_eq(s.run.status, 1, "%s", s.run.err);
	cr_expect(strstr(s.run.out, ", by the second only: 0;"), "%s", s.run.out);
	project_deploy(&s, "functions:\n"
			   "  f: {runtime: python3, code: ./code, handler: app.handler,\n"
			   "      timeout: 300s, policy: ./learnt.json}\n");
	OWN("invoke", "f", "1");
	project_expect(&s, "1");
	OWN("invoke", "f");
	cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	project_end(&s);
}

/* One that is under way has its init behind it, and ends as it would have; it is none that was
 * waited for. */
Test(learn_function, what_was_there_before_ends_and_does_not_count, .timeout = 400)
{
	struct client busy, c;
	cleanup_free char *said = NULL;
	char text[300], mark[32];
	struct project s;
	struct daemon d;
	pid_t pid;

	project_begin(&s, "");
	project_put(&s, "code/app.py",
		    "import os, signal\n"
		    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
		    "os.getsid(0)\n"
		    "def handler(event, context):\n"
		    "    print('begun')\n"
		    "    if event: signal.sigwait([signal.SIGUSR1])\n"
		    "    return event\n");
	(void)snprintf(mark, sizeof(mark), "MARK=test-%d", (int)getpid());
	(void)snprintf(
		text, sizeof(text),
		"functions:\n"
		"  f: {runtime: python3, code: ./code, handler: app.handler, timeout: 300s,\n"
		"      environment: {MARK: test-%d}}\n",
		(int)getpid());
	project_deploy(&s, text);
	d = s.d;
	d.verb = "invoke";
	busy = client_start(&d, (const char *const[]){ "f", "1", NULL });
	do
		OWN("logs", "f");
	while (!strstr(s.run.out, "begun"));
	c = watch_begin(&s, "--invocations", "1");
	cr_assert_eq(project_functions(mark, &pid, 1), 1);
	cr_assert_eq(kill(pid, SIGUSR1), 0);
	cr_expect_eq(process_status(busy.pid), 0);
	OWN("invoke", "--report", "-", "f");
	cr_expect(strstr(s.run.err, "\"start\":\"cold\""), "%s", s.run.err);
	said = watch_end(&s, &c, 0);
	cr_expect(strstr(said, "1 invocations in "), "%s", said);
	cr_expect(learnt(&s, "execve") && learnt(&s, "getsid"));
	project_end(&s);
}

Test(learn_function, of_what_nobody_invokes_there_is_none, .timeout = 400)
{
	static const struct {
		const char *args[8];
		const char *says;
	} wrongs[] = {
		{ { "--for", "1s", "--", "true" }, "are for --function" },
		{ { "--function", "f", "--for", "1s", "{}" }, "no payload is taken" },
		{ { "--function", "f", "--for", "11m" }, "expected from 1s to 10m" },
		{ { "--function", "f", "--invocations", "0" }, "--invocations 0" },
	};
	cleanup_free char *said = NULL;
	struct project s;
	struct client c;

	begin(&s);
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		const char *words[12] = { "policy", "learn", "-o", "-" };

		for (size_t n = 0; wrongs[i].args[n]; n++)
			words[4 + n] = wrongs[i].args[n];
		project_by(&s, DAEMON_USER, words);
		project_refused(&s, 2, wrongs[i].says);
	}
	c = watch_begin(&s, "--for", "1s");
	said = watch_end(&s, &c, 125);
	cr_expect(strstr(said, "nobody has invoked 'f'"), "%s", said);
	BY("1001", "policy", "learn", "--function", "f", "--for", "1s", "-o", "-");
	project_refused(&s, 125, "no function 'f'");
	project_end(&s);
}

static int learn_deaf(const struct daemon *d, const char *function)
{
	struct request r = { .kind = REQUEST_LEARN };
	cleanup_free struct answer *a = calloc(1, sizeof(*a));
	int socket;

	cr_assert(a && seteuid(1000) == 0);
	socket = daemon_knock(d);
	cr_assert_eq(seteuid(0), 0);
	request_version(r.version);
	(void)snprintf(r.function, sizeof(r.function), "%s", function);
	cr_assert_eq(packet_send(socket, &r, sizeof(r), NULL), 0);
	cr_assert_eq(recv(socket, a, sizeof(*a), 0), (ssize_t)sizeof(*a));
	cr_assert_eq(a->kind, ANSWER_LEARNT);
	return socket;
}

/* Who does not hear of all of them is told of none any more, and holds up nobody. */
Test(learn_function, who_does_not_read_is_hung_up_on, .timeout = 400)
{
	static const char *const args[] = { "-q", "f", NULL };
	struct client c[20];
	struct learnt told;
	struct project s;
	struct daemon d;
	unsigned n = 0;
	ssize_t got;
	int socket;

	begin(&s);
	socket = learn_deaf(&s.d, "f");
	d = s.d;
	d.verb = "invoke";
	for (int i = 0; i < 400; i += 20) {
		for (int k = 0; k < 20; k++)
			c[k] = client_start(&d, args);
		for (int k = 0; k < 20; k++) {
			cr_expect_eq(process_status(c[k].pid), 0);
			(void)fclose(c[k].out);
			(void)fclose(c[k].err);
		}
	}
	while ((got = recv(socket, &told, sizeof(told), MSG_DONTWAIT)) == (ssize_t)sizeof(told))
		n++;
	cr_expect_eq(got, 0, "the end");
	cr_expect(n > 50 && n < 400, "%u", n);
	(void)close(socket);
	OWN("invoke", "f");
	cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	project_end(&s);
}
