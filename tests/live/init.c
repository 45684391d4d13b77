/* SPDX-License-Identifier: MIT */
/*
 * Init that goes wrong, as on Lambda: the process is started again within the invocation, with its
 * share of the CPU and in its time, and the log has INIT_REPORT lines. Needs root.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/functions.h"
#include "tests/lib/stdio.h"

#define ID   "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
#define MS   "[0-9]+\\.[0-9]{2} ms"
#define REST "\tMemory Size: 256 MB\tMax Memory Used: [0-9]+ MB\t"

/* What its init does is the test's to say, by a signal. */
static const char code[] =
	"import os, signal, time\n"
	"signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])\n"
	"print('waits')\n"
	"if signal.sigwait([signal.SIGUSR1, signal.SIGUSR2]) == signal.SIGUSR1:\n"
	"    os._exit(3)\n"
	"time.sleep(float(os.environ.get('INIT', '0.05')))\n"
	"def handler(event, context):\n"
	"    time.sleep(60 if event == 'hang' else 0)\n"
	"    time.sleep(0.05)\n"
	"    print('served', 0 < context.get_remaining_time_in_millis() < 59900)\n"
	"    return 'well'\n";

static const char yaml[] =
	"functions:\n"
	"  once: {runtime: python3, code: code, handler: app.handler, timeout: 60s, memory: 256,\n"
	"         environment: {MARK: test-%d}}\n"
	"  late: {runtime: python3, code: code, handler: app.handler, timeout: 15s, memory: 1769,\n"
	"         environment: {MARK: test-%d, INIT: '6'}}\n"
	"  says: {runtime: provided, code: says, timeout: 60s, memory: 256}\n"
	"  slow: {runtime: provided, code: slow, timeout: 60s, memory: 256}\n"
	"  hangs: {runtime: provided, code: hangs, timeout: 300ms, memory: 256}\n"
	"  leaves: {runtime: provided, code: leaves, timeout: 60s, memory: 256}\n"
	"  soon: {runtime: python3, code: soon, handler: app.handler, timeout: 60s, memory: 256,\n"
	"         concurrency: {provisioned: 1}}\n";

/* As Lambda's custom runtimes are. */
static void put_bootstrap(const struct project *s, const char *name, const char *script)
{
	char path[700];

	project_dir(s, name);
	(void)snprintf(path, sizeof(path), "%s/bootstrap", name);
	project_put(s, path, script);
	(void)snprintf(path, sizeof(path), "%s/%s/bootstrap", s->project, name);
	cr_assert_eq(chmod(path, 0755), 0);
}

static void put_helper(const struct project *s, const char *name)
{
	cleanup_run struct run run = { 0 };
	char from[700], to[700];

	(void)snprintf(from, sizeof(from), "%s/runtime", env_need("HELPERS"));
	(void)snprintf(to, sizeof(to), "%s/%s/runtime", s->project, name);
	RUN(&run, "cp", from, to);
	cr_assert_eq(run.status, 0, "%s", run.err);
}

static void begin(struct project *s, const char *config)
{
	char text[sizeof(yaml) + 32];

	project_begin(s, config);
	project_put(s, "code/app.py", code);
	project_dir(s, "soon");
	project_put(s, "soon/app.py",
		    "print('begins')\ndef handler(event, context):\n    return event\n");
	put_bootstrap(s, "says", "#!/bin/sh\nexec /var/task/runtime init\n");
	put_helper(s, "says");
	/* Twice as long as is waited for without a word. */
	put_bootstrap(s, "slow", "#!/bin/sh\nsleep 2; exec /var/task/runtime\n");
	put_helper(s, "slow");
	put_bootstrap(s, "hangs", "#!/bin/sh\nexec sleep 60\n");
	put_bootstrap(s, "leaves", "#!/bin/sh\necho it leaves; exit 0\n");
	(void)snprintf(text, sizeof(text), yaml, (int)getpid(), (int)getpid());
	project_deploy(s, text);
	s->d.verb = "invoke";
	cr_assert_eq(s->run.status, 0, "%s", s->run.err);
}

static void expect_match(const char *text, const char *pattern)
{
	regex_t re;

	cr_assert_eq(regcomp(&re, pattern, REG_EXTENDED), 0, "%s", pattern);
	cr_expect_eq(regexec(&re, text, 0, NULL, 0), 0, "said:\n%snot:\n%s", text, pattern);
	regfree(&re);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

/* As soon as its log has so many of it. */
static void await_logged(struct project *s, const char *function, const char *what, unsigned n)
{
	unsigned have = 0;

	while (have < n) {
		project_by(s, DAEMON_USER, (const char *const[]){ "logs", function, NULL });
		cr_assert_eq(s->run.status, 0, "%s", s->run.err);
		have = count(s->run.out, what);
	}
}

/* All that wait. */
static void tell_functions(int signal)
{
	pid_t pids[4];
	char mark[32];
	unsigned n;

	(void)snprintf(mark, sizeof(mark), "MARK=test-%d", (int)getpid());
	n = project_functions(mark, pids, 4);
	cr_assert_gt(n, 0, "no function process");
	while (n-- > 0)
		cr_assert_eq(kill(pids[n], signal), 0);
}

static double number_behind(const char *text, const char *what)
{
	const char *at = strstr(text, what);

	cr_assert_not_null(at, "%s: %s", what, text);
	return strtod(at + strlen(what), NULL);
}

static json_int_t whole(const json_t *report, const char *of, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(report, of), key));
}

static json_int_t whole_of(const char *said, const char *of, const char *key)
{
	const char *at = strchr(said, '{');
	json_t *report = at ? json_loads(at, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	json_int_t n;

	cr_assert_not_null(report, "%s", said);
	n = whole(report, of, key);
	json_decref(report);
	return n;
}

/* The first init is nobody's bill; the second is a part of the invocation. */
static void expect_joined(const char *said)
{
	json_t *report = json_loads(strchr(said, '{'), JSON_DISABLE_EOF_CHECK, NULL);
	json_int_t wall_ns;

	cr_assert_not_null(report, "%s", said);
	wall_ns = whole(report, "time", "wall_ns");
	/* It slept as long in init, and as long behind that. */
	cr_expect_geq(wall_ns, 100000000);
	cr_expect_eq(whole(report, "time", "init_ns"), 0);
	cr_expect_eq(wall_ns, whole(report, "time", "busy_ns") +
				      whole(report, "time", "waiting_ns") +
				      whole(report, "time", "idle_ns"));
	cr_expect_geq(whole(report, "time", "idle_ns"), 90000000);
	cr_expect_eq(whole(report, "bill", "billed_ms"), (wall_ns + 999999) / 1000000);
	cr_expect_eq(whole(report, "bill", "duration_ns"), wall_ns);
	cr_expect_eq(whole(report, "limits", "timeout_ns"), 60000000000);
	cr_expect_eq(whole(report, "context", "invocation"), 1);
	json_decref(report);
}

Test(init, what_exits_once_is_started_again_in_the_invocation)
{
	static const char *const args[] = { "--log-tail", "--report", "-", "once", NULL };
	struct project s;
	struct client c;
	char said[4096], *line = NULL;
	size_t len = 0, at = 0;

	begin(&s, "");
	c = client_start(&s.d, args);
	await_logged(&s, "once", "waits\n", 1);
	tell_functions(SIGUSR1);
	await_logged(&s, "once", "waits\n", 2);
	tell_functions(SIGUSR2);
	while (getline(&line, &len, c.err) > 0)
		at += (size_t)snprintf(said + at, sizeof(said) - at, "%s", line);
	free(line);
	cr_assert_eq(process_status(c.pid), 0, "%s", said);
	expect_match(said, "^waits\n"
			   "INIT_REPORT Init Duration: " MS
			   "\tPhase: init\tStatus: error\tError Type: Runtime\\.ExitError\n"
			   "waits\n"
			   "START RequestId: " ID " Version: \\$LATEST\n"
			   "served True\n"
			   "END RequestId: " ID "\n"
			   "REPORT RequestId: " ID "\tDuration: " MS
			   "\tBilled Duration: [0-9]+ ms" REST "\n");
	expect_joined(said);
	project_by(&s, DAEMON_USER, (const char *const[]){ "logs", "once", NULL });
	cr_expect_eq(strncmp(s.run.out, said, s.run.out_len), 0, "%s", s.run.out);
	cr_expect_geq(number_behind(said, "Billed Duration: "), 100);
	daemon_expect_records(&s.d, "once          ok", 1);
	daemon_expect_records(&s.d, "once", 1);
	/* The next one finds it as any other. */
	project_by(&s, DAEMON_USER, (const char *const[]){ "invoke", "--log-tail", "once", NULL });
	project_expect(&s, "\"well\"");
	expect_match(s.run.err, "^START RequestId: " ID " Version: \\$LATEST\nserved ");
	project_end(&s);
}

static void expect_twice(struct project *s, const char *function, int status, const char *before,
			 const char *type)
{
	char pattern[1024], records[64];

	project_by(s, DAEMON_USER, (const char *const[]){ "invoke", "--log-tail", function, NULL });
	cr_expect_eq(s->run.status, status, "%d: %s", s->run.status, s->run.err);
	(void)snprintf(pattern, sizeof(pattern),
		       "^%sINIT_REPORT Init Duration: " MS
		       "\tPhase: init\tStatus: error\tError Type: %s\n"
		       "%sINIT_REPORT Init Duration: " MS
		       "\tPhase: invoke\tStatus: error\tError Type: %s\n"
		       "START RequestId: " ID " Version: \\$LATEST\n"
		       "END RequestId: " ID "\n"
		       "REPORT RequestId: " ID "\tDuration: " MS "\tBilled Duration: [0-9]+ ms" REST
		       "Status: error\tError Type: %s\t\n$",
		       before, type, before, type, type);
	expect_match(s->run.err, pattern);
	(void)snprintf(records, sizeof(records), "%s", function);
	daemon_expect_records(&s->d, records, 1);
}

Test(init, what_fails_twice_is_reported_twice_and_booked_once)
{
	struct project s;

	begin(&s, "");
	expect_twice(&s, "says", 9, "", "Of\\.Init");
	cr_expect(strstr(s.run.out, "\"errorType\":\"Of.Init\""), "%s", s.run.out);
	expect_twice(&s, "leaves", 1, "it leaves\n", "Runtime\\.ExitError");
	cr_expect(strstr(s.run.out, "Runtime exited without providing a reason"), "%s", s.run.out);
	project_end(&s);
}

/* The first has ten seconds, the second what the function has. */
Test(init, what_takes_too_long_twice_has_timed_out)
{
	struct project s;

	begin(&s, "");
	project_by(&s, DAEMON_USER, (const char *const[]){ "invoke", "--log-tail", "hangs", NULL });
	cr_expect_eq(s.run.status, 124, "%d: %s", s.run.status, s.run.err);
	expect_match(s.run.err,
		     "^INIT_REPORT Init Duration: 1[0-9]{4}\\.[0-9]{2} ms\tPhase: init\tStatus: "
		     "timeout\n"
		     "INIT_REPORT Init Duration: [0-9]{3,4}\\.[0-9]{2} ms\tPhase: invoke\tStatus: "
		     "timeout\n"
		     "START RequestId: " ID " Version: \\$LATEST\n"
		     "[0-9T:-]{19}\\.[0-9]{3}Z " ID " Task timed out after 0\\.30 seconds\n"
		     "END RequestId: " ID "\n"
		     "REPORT RequestId: " ID "\tDuration: 300\\.00 ms\tBilled Duration: 300 ms" REST
		     "Status: timeout\t\n$");
	cr_expect(strstr(s.run.out, "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":"
				    "\"RequestId: "),
		  "%s", s.run.out);
	cr_expect(strstr(s.run.out, " Error: Task timed out after 0.30 seconds\"}"), "%s",
		  s.run.out);
	daemon_expect_records(&s.d, "hangs         init_timeout", 1);
	project_end(&s);
}

/* Of one that nobody waits for the log says how long it took, and no invocation does. */
Test(init, what_is_ready_before_has_its_line)
{
	struct project s;

	begin(&s, "");
	await_logged(&s, "soon", "INIT_REPORT", 1);
	expect_match(s.run.out, "^begins\nINIT_REPORT Init Duration: " MS "\tPhase: init\n$");
	project_by(&s, DAEMON_USER, (const char *const[]){ "invoke", "--log-tail", "soon", NULL });
	expect_match(s.run.err, "^START RequestId: " ID " Version: \\$LATEST\n"
				"END RequestId: " ID "\n"
				"REPORT RequestId: " ID "\tDuration: " MS
				"\tBilled Duration: [0-9]+ ms" REST "\n$");
	project_end(&s);
}

/* A client on a terminal. */
static struct client start_at(const struct daemon *d, int terminal)
{
	const char *argv[DAEMON_ARGS_MAX];
	char control[700];
	struct client c = { .pid = 0 };

	daemon_user_argv(d, (const char *const[]){ "-q", "slow", NULL }, argv, control);
	c.pid = fork();
	if (c.pid == 0) {
		(void)dup2(terminal, STDOUT_FILENO);
		(void)dup2(terminal, STDERR_FILENO);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return c;
}

Test(init, what_takes_long_is_told_to_a_terminal_alone)
{
	struct terminal_pair t = terminal_open();
	struct client piped, shown;
	struct project s;
	char said[512];
	size_t at = 0;
	ssize_t n = 1;

	begin(&s, "");
	piped = client_start(&s.d, (const char *const[]){ "-q", "slow", NULL });
	shown = start_at(&s.d, t.slave);
	while (n > 0 && !memmem(said, at, "init phase", strlen("init phase"))) {
		n = read(t.master, said + at, sizeof(said) - 1 - at);
		at += n > 0 ? (size_t)n : 0;
	}
	said[at] = '\0';
	cr_expect(strstr(said,
			 "cloche invoke: 'slow' starts in a new context; waiting for its init "
			 "phase"),
		  "%s", said);
	cr_expect_eq(process_status(shown.pid), 0);
	cr_expect_eq(process_status(piped.pid), 0);
	cr_expect_eq(fgetc(piped.err), EOF);
	terminal_close(&t);
	project_end(&s);
}

static int ended(struct client *c, char *said, size_t size)
{
	size_t n = fread(said, 1, size - 1, c->err);

	said[n] = '\0';
	return process_status(c->pid);
}

/* What the second init takes is taken from the event. */
Test(init, what_is_left_of_the_timeout_is_the_events)
{
	static const char *const args[] = { "--report", "-", "late", "\"hang\"", NULL };
	char said[8192];
	struct project s;
	struct client c;

	begin(&s, "");
	c = client_start(&s.d, args);
	await_logged(&s, "late", "waits\n", 1);
	tell_functions(SIGUSR1);
	await_logged(&s, "late", "waits\n", 2);
	tell_functions(SIGUSR2);
	cr_expect_eq(ended(&c, said, sizeof(said)), 124, "%s", said);
	expect_match(
		said,
		"\tDuration: 15000\\.00 ms\tBilled Duration: 15000 ms\t.*\tStatus: timeout\t\n");
	/* Init has slept for six. */
	cr_expect_lt(whole_of(said, "time", "wall_ns"), 20000000000);
	cr_expect_eq(whole_of(said, "limits", "timeout_ns"), 15000000000);
	cr_expect_eq(whole_of(said, "bill", "billed_ms"), 15000);
	daemon_expect_records(&s.d, "late          timeout", 1);
	project_end(&s);
}

/* Nobody wants it any more: it is not begun anew. */
Test(init, what_is_cancelled_is_not_started_again)
{
	static const int ends[] = { SIGINT, SIGKILL };
	char said[4096];
	struct project s;

	begin(&s, "");
	for (unsigned i = 0; i < 2; i++) {
		struct client c = client_start(&s.d, (const char *const[]){ "once", NULL });

		await_logged(&s, "once", "waits\n", i + 1);
		cr_assert_eq(kill(c.pid, ends[i]), 0);
		cr_expect_eq(ended(&c, said, sizeof(said)), 128 + ends[i], "%s", said);
	}
	await_logged(&s, "once", "\nREPORT ", 2);
	cr_expect_eq(count(s.run.out, "waits\n"), 2, "%s", s.run.out);
	cr_expect_eq(count(s.run.out, "INIT_REPORT"), 0, "%s", s.run.out);
	cr_expect_eq(count(s.run.out, "Error Type: Cloche.Cancelled"), 2, "%s", s.run.out);
	daemon_expect_records(&s.d, "once          cancelled", 2);
	project_end(&s);
}

/* The place that it takes is its own; others have theirs behind it. */
Test(init, has_room_where_there_is_room_for_one)
{
	static const char *const configs[] = { "per_owner: {contexts: 1}\n", "" };
	static const char *const more[] = { "", ", concurrency: {reserved: 1, wait: 60s}" };

	for (size_t i = 0; i < 2; i++) {
		struct client c[3];
		char text[200], said[8192];
		struct project s;

		project_begin(&s, configs[i]);
		put_bootstrap(&s, "leaves", "#!/bin/sh\necho it leaves; exit 0\n");
		(void)snprintf(text, sizeof(text),
			       "functions:\n  leaves: {runtime: provided, code: leaves, "
			       "timeout: 60s, memory: 256%s}\n",
			       more[i]);
		project_deploy(&s, text);
		cr_assert_eq(s.run.status, 0, "%s", s.run.err);
		s.d.verb = "invoke";
		expect_twice(&s, "leaves", 1, "it leaves\n", "Runtime\\.ExitError");
		for (int k = 0; i == 1 && k < 3; k++)
			c[k] = client_start(&s.d, (const char *const[]){ "leaves", NULL });
		for (int k = 0; i == 1 && k < 3; k++)
			cr_expect_eq(ended(&c[k], said, sizeof(said)), 1, "%s", said);
		daemon_expect_records(&s.d, "leaves        init_error", i == 1 ? 4 : 1);
		project_end(&s);
	}
}

/* Of one that never comes to its program: nobody's init is tried twice, and nothing is billed. */
static void expect_not_started(struct project *s, const char *function, int status,
			       const char *init, const char *why)
{
	char pattern[1024], object[256];

	project_by(s, DAEMON_USER, (const char *const[]){ "invoke", "--log-tail", function, NULL });
	cr_expect_eq(s->run.status, status, "%s: %d: %s", function, s->run.status, s->run.err);
	(void)snprintf(object, sizeof(object),
		       "^\\{\"errorType\":\"Runtime\\.InvalidEntrypoint\",\"errorMessage\":"
		       "\"RequestId: " ID " Error: %s[^\"]*\"\\}$",
		       why);
	expect_match(s->run.out, object);
	(void)snprintf(pattern, sizeof(pattern),
		       "^%sSTART RequestId: " ID " Version: \\$LATEST\n"
		       "RequestId: " ID " Error: %s[^\n]*\nRuntime\\.InvalidEntrypoint\n"
		       "END RequestId: " ID "\n"
		       "REPORT RequestId: " ID "\tDuration: 0\\.00 ms\tBilled Duration: 0 ms" REST
		       "Status: error\tError Type: Runtime\\.InvalidEntrypoint\t\n"
		       "cloche invoke: %s[^\n]*\n$",
		       init, why, why);
	expect_match(s->run.err, pattern);
}

#define NOT_BEGUN                                                     \
	"INIT_REPORT Init Duration: 0\\.00 ms\tPhase: init\tStatus: " \
	"error\tError Type: Runtime\\.InvalidEntrypoint\n"

Test(init, what_has_no_program_is_an_error_of_the_functions)
{
	struct project s;

	project_begin(&s, "");
	put_bootstrap(&s, "lost", "#!/nowhere/sh\n");
	put_bootstrap(&s, "garbage", "\177garbage\n");
	project_dir(&s, "away");
	project_link(&s, "away/bootstrap", "/opt/none");
	project_deploy(&s, "functions:\n"
			   "  lost: {runtime: provided, code: lost, memory: 256}\n"
			   "  garbage: {runtime: provided, code: garbage, memory: 256}\n"
			   "  away: {runtime: provided, code: away, memory: 256}\n"
			   "  command: {runtime: exec, handler: [/no/such], memory: 256}\n");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	expect_not_started(&s, "lost", 127, NOT_BEGUN,
			   "'/var/task/bootstrap': no such file or directory: it is there, and");
	expect_not_started(&s, "garbage", 126, NOT_BEGUN,
			   "'/var/task/bootstrap': exec format error");
	expect_not_started(&s, "away", 127, NOT_BEGUN,
			   "'/var/task/bootstrap': no such file or directory");
	expect_not_started(&s, "command", 127, "", "'/no/such': no such file or directory");
	daemon_expect_records(&s.d, "launch_error", 4);
	project_end(&s);
}

/* Whoever deployed it finds why it is never ready. */
Test(init, what_is_never_ready_says_why)
{
	struct project s;

	project_begin(&s, "");
	put_bootstrap(&s, "leaves", "#!/bin/sh\necho it leaves; exit 0\n");
	project_deploy(&s, "functions:\n  leaves: {runtime: provided, code: leaves, memory: 256, "
			   "concurrency: {provisioned: 1}}\n");
	await_logged(&s, "leaves", "INIT_REPORT", 1);
	expect_match(s.run.out, "^it leaves\nINIT_REPORT Init Duration: " MS
				"\tPhase: init\tStatus: error\tError Type: Runtime\\.ExitError\n");
	cr_expect_eq(access(s.d.ledger, F_OK), -1, "it is nobody's bill");
	project_end(&s);
}
