/* SPDX-License-Identifier: MIT */
/* Functions of runtimes whose context is kept and whose process is not (reuse: context): each event
 * has a process of its own, in a context that was proved clean. Needs root. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/functions.h"

/* What it is asked to leave, and what it finds of the event before. */
static const char python[] =
	"import os, socket, subprocess, threading, time\n"
	"n = 0\n"
	"def handler(event, context):\n"
	"    global n\n"
	"    n += 1\n"
	"    found = sorted(os.listdir('/tmp')) + sorted(os.listdir('/dev/shm'))\n"
	"    if event == 'file':\n"
	"        open('/tmp/left', 'w').write('x')\n"
	"    if event == 'shm':\n"
	"        open('/dev/shm/left', 'w').write('x')\n"
	"    if event == 'child':\n"
	"        subprocess.Popen(['sleep', '600'])\n"
	"    if event == 'thread':\n"
	"        threading.Thread(target=time.sleep, args=(600,)).start()\n"
	"    if event == 'fail':\n"
	"        raise ValueError('no')\n"
	"    if event == 'exit':\n"
	"        os._exit(3)\n"
	"    if event == 'hang':\n"
	"        time.sleep(60)\n"
	"    if event == 'tcp':\n"
	"        a = socket.create_server(('127.0.0.1', 0))\n"
	"        b = socket.create_connection(a.getsockname())\n"
	"        c = a.accept()\n"
	"    if event == 'unlinked':\n"
	"        open('/tmp/x', 'w').write('x')\n"
	"        os.unlink('/tmp/x')\n"
	"    return {'n': n, 'pid': os.getpid(), 'found': found}\n";

static const char js[] = "let n = 0;\n"
			 "exports.handler = async () => ({ n: ++n, pid: process.pid });\n";

#define OF(name, rest) "  " name ": {" rest ", timeout: 60s, reuse: context}\n"

static void begin(struct project *s)
{
	cleanup_free char *boxed = env_helper("boxed"), *native = env_helper("native");
	cleanup_run struct run run = { 0 };
	char path[700];

	project_begin(s, "");
	project_put(s, "code/app.py", python);
	project_put(s, "code/index.js", js);
	(void)snprintf(path, sizeof(path), "%s/code/bootstrap", s->project);
	RUN(&run, "install", boxed, path);
	cr_assert_eq(run.status, 0, "%s", run.err);
	(void)snprintf(path, sizeof(path), "%s/code/native", s->project);
	run_free(&run);
	RUN(&run, "install", native, path);
	cr_assert_eq(run.status, 0, "%s", run.err);
}

/* What the report has, and the response. */
static void expect(struct project *s, const char *function, const char *event, const char *response,
		   const char *report)
{
	const char *const words[] = { "invoke", "--report", "-", function, event, NULL };

	project_by(s, DAEMON_USER, words);
	cr_assert_eq(s->run.status, 0, "%s: %s%s", function, s->run.out, s->run.err);
	cr_expect(strstr(s->run.out, response), "%s: %s in %s", function, response, s->run.out);
	cr_expect(strstr(s->run.err, report), "%s: %s in %s", function, report, s->run.err);
}

#define COLD	"\"start\":\"cold\",\"reuse\":\"context\",\"invocation\":1"
#define WARM(n) "\"start\":\"warm\",\"reuse\":\"context\",\"invocation\":" n

Test(renewed, each_event_has_a_process_in_the_context_before)
{
	struct project s;

	begin(&s);
	project_deploy(&s,
		       "functions:\n" OF("py", "runtime: python3, code: code, handler: app.handler")
			       OF("own", "runtime: provided, code: code")
				       OF("fast", "runtime: native, code: code, handler: native"));
	for (int i = 0; i < 3; i++) {
		expect(&s, "py", "1", "\"n\": 1, \"pid\": 2, \"found\": []",
		       i == 0	? COLD
		       : i == 1 ? WARM("2")
				: WARM("3"));
		/* Of which there is one each time. */
		cr_expect(strstr(s.run.err, "\tInit Duration: "), "%s", s.run.err);
		expect(&s, "own", "1", "\"n\":1,", i == 0 ? COLD : i == 1 ? WARM("2") : WARM("3"));
		expect(&s, "fast", "1", "", i == 0 ? COLD : i == 1 ? WARM("2") : WARM("3"));
	}
	daemon_expect_records(&s.d, "ok", 9);
	project_end(&s);
}

struct left {
	const char *event, *replaced; /* NULL: it leaves nothing */
};

/* What a process leaves behind nobody finds: where there is something, the context is another. */
Test(renewed, what_an_event_leaves_the_next_one_does_not_find)
{
	static const struct left lefts[] = {
		{ "\"unlinked\"", NULL },   { "\"thread\"", NULL },
		{ "\"file\"", "/tmp" },	    { "\"shm\"", "/dev/shm" },
		{ "\"child\"", "process" }, { "\"tcp\"", "a TCP connection" },
	};
	struct project s;

	begin(&s);
	project_deploy(
		&s, "functions:\n" OF("py", "runtime: python3, code: code, handler: app.handler"));
	for (size_t i = 0; i < sizeof(lefts) / sizeof(lefts[0]); i++) {
		char want[80];

		OWN("invoke", "py", lefts[i].event);
		cr_assert_eq(s.run.status, 0, "%s%s", s.run.out, s.run.err);
		(void)snprintf(want, sizeof(want), "%s",
			       lefts[i].replaced ? COLD : "\"start\":\"warm\"");
		expect(&s, "py", "1", "\"n\": 1, \"pid\": 2, \"found\": []", want);
		if (lefts[i].replaced)
			cr_expect(strstr(s.run.err, lefts[i].replaced), "%s: %s", lefts[i].replaced,
				  s.run.err);
	}
	project_end(&s);
}

/* One that fails leaves its context to the next; one that has to be ended does not. */
Test(renewed, ends_that_leave_a_context_and_ends_that_do_not)
{
	struct project s;

	begin(&s);
	project_deploy(&s, "functions:\n" OF("py", "runtime: python3, code: code, handler: "
						   "app.handler") "  short: {runtime: python3, "
								  "code: code, handler: "
								  "app.handler,\n"
								  "          timeout: 300ms, "
								  "reuse: context}\n");
	OWN("invoke", "py", "\"fail\"");
	cr_expect_eq(s.run.status, 1, "%s", s.run.err);
	expect(&s, "py", "1", "\"n\": 1", WARM("2"));
	OWN("invoke", "py", "\"exit\"");
	cr_expect_eq(s.run.status, 3, "%s", s.run.err);
	expect(&s, "py", "1", "\"n\": 1", COLD);
	OWN("invoke", "short", "\"hang\"");
	cr_expect_eq(s.run.status, 124, "%s", s.run.err);
	expect(&s, "py", "1", "\"n\": 1", WARM("2"));
	daemon_expect_serves(&s.d);
	project_end(&s);
}

/* Of a version that counts no more nothing stays, though it was busy when that was so. */
Test(renewed, an_older_version_leaves_no_context)
{
	struct project s;
	struct client c;
	struct daemon d;

	begin(&s);
	project_deploy(&s,
		       "functions:\n  f: {runtime: exec, handler: [sleep, '1'], timeout: 60s}\n");
	d = s.d;
	d.verb = "invoke";
	c = client_start(&d, (const char *const[]){ "f", NULL });
	for (int i = 0; i < 1000 && !strstr(s.run.out, "\"busy\""); i++)
		OWN("ps", "--json");
	project_deploy(&s,
		       "functions:\n  f: {runtime: exec, handler: [sleep, '2'], timeout: 60s}\n");
	cr_expect_eq(process_status(c.pid), 0);
	for (int i = 0; i < 1000 && (i == 0 || strstr(s.run.out, "\"function\":\"f\"")); i++)
		OWN("ps", "--json");
	cr_expect_null(strstr(s.run.out, "\"function\":\"f\""), "%s", s.run.out);
	project_end(&s);
}

Test(renewed, node)
{
	struct project s;

	if (access("/usr/bin/node", X_OK) < 0)
		test_skip("needs /usr/bin/node");
	begin(&s);
	project_deploy(
		&s,
		"functions:\n" OF(
			"js", "runtime: nodejs, code: code, handler: index.handler, memory: 512"));
	expect(&s, "js", "1", "\"n\":1,", COLD);
	expect(&s, "js", "1", "\"n\":1,", WARM("2"));
	expect(&s, "js", "1", "\"n\":1,", WARM("3"));
	project_end(&s);
}
