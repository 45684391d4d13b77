/* SPDX-License-Identifier: MIT */
/*
 * Events and responses of any size and any bytes, by each way in and out of a function; and that
 * nothing of one of them is there for the next where nothing is to be kept. Needs root.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "serve/request.h"
#include "tests/lib/env.h"
#include "tests/lib/functions.h"

/* Deeper than what parses it may go; a stack of 8 MiB would not hold it. */
#define DEEP 1000000

static const char yaml[] =
	"functions:\n"
	"  python: {runtime: python3, code: code, handler: app.handler, memory: 1769,\n"
	"           timeout: 60s}\n"
	"  node: {runtime: nodejs, code: code, handler: app.handler, memory: 1769,\n"
	"         timeout: 60s}\n"
	"  native: {runtime: native, code: native, handler: native, memory: 1769,\n"
	"           timeout: 60s}\n"
	"  exec: {runtime: exec, code: native, handler: [cat], memory: 1769, timeout: 60s}\n";

static const char *const functions[] = { "python", "node", "native", "exec" };
#define FUNCTIONS     (sizeof(functions) / sizeof(functions[0]))
#define TAKES_JSON(i) ((i) < 2)

/* A program of the helpers, as code. */
static void put_program(const struct project *s, const char *name)
{
	cleanup_run struct run copy = { 0 };
	char to[700], from[700];

	(void)snprintf(from, sizeof(from), "%s/%s", env_need("HELPERS"), name);
	(void)snprintf(to, sizeof(to), "%s/native", s->project);
	RUN(&copy, "install", "-D", "-m", "755", "-t", to, from);
	cr_assert_eq(copy.status, 0, "%s", copy.err);
}

static void begin(struct project *s)
{
	project_begin(s, "");
	put_program(s, "native");
	project_put(s, "code/app.js", "exports.handler = async event => event;\n");
	project_deploy(s, yaml);
	project_expect(s, "deployed exec");
}

/* That event, by standard input. */
static void give(const struct project *s, const char *function, const char *bytes, size_t len,
		 struct run *ret)
{
	struct daemon d = s->d;

	*ret = (struct run){ .input = bytes, .input_len = len };
	d.verb = "invoke";
	AS_USER(&d, ret, "--report", "-", function, len ? "-" : "");
}

static void expect_same(const struct project *s, const char *function, const char *bytes,
			size_t len)
{
	cleanup_run struct run run = { 0 };

	give(s, function, bytes, len, &run);
	cr_expect_eq(run.status, 0, "%s: %d: %.300s", function, run.status, run.err);
	cr_expect(strstr(run.err, "\"verdict\":\"ok\""), "%s: %s", function, run.err);
	cr_expect_eq(run.out_len, len, "%s: %zu of %zu bytes", function, run.out_len, len);
	cr_expect(run.out_len == len && memcmp(run.out, bytes, len) == 0, "%s: other bytes",
		  function);
}

static void expect_error(const struct project *s, const char *function, const char *bytes,
			 size_t len, const char *type)
{
	cleanup_run struct run run = { 0 };

	give(s, function, bytes, len, &run);
	cr_expect_eq(run.status, 1, "%s: %d: %.300s", function, run.status, run.err);
	cr_expect(strstr(run.err, "\"verdict\":\"error\""), "%s: %s", function, run.err);
	cr_expect(strstr(run.out, type), "%s: %.300s", function, run.out);
}

static char *fill(size_t len, char with)
{
	char *bytes = malloc(len);

	cr_assert_not_null(bytes);
	memset(bytes, with, len);
	return bytes;
}

/* The most that there may be, in and out; and a byte more. */
Test(daemon_payloads, as_large_as_they_may_be)
{
	size_t len = REQUEST_EVENT_MAX;
	cleanup_free char *event = fill(len + 1, 'x');
	struct project s;

	begin(&s);
	event[0] = event[len - 1] = '"';
	for (size_t i = 0; i < FUNCTIONS; i++) {
		cleanup_run struct run run = { 0 };

		expect_same(&s, functions[i], event, len);
		give(&s, functions[i], event, len + 1, &run);
		cr_expect_eq(run.status, 2, "%s", run.err);
		cr_expect(strstr(run.err, "at most 6 MiB and 100 bytes"), "%s", run.err);
		expect_same(&s, functions[i], "1", 1);
		daemon_expect_records(&s.d, functions[i], 2);
	}
	project_end(&s);
}

Test(daemon_payloads, of_any_bytes_or_none)
{
	char bytes[256];
	struct project s;

	begin(&s);
	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < FUNCTIONS; i++) {
		if (TAKES_JSON(i)) {
			expect_error(&s, functions[i], "", 0, "Runtime.UnmarshalError");
			expect_error(&s, functions[i], bytes, sizeof(bytes),
				     "Runtime.UnmarshalError");
		} else {
			expect_same(&s, functions[i], "", 0);
			expect_same(&s, functions[i], bytes, sizeof(bytes));
		}
		expect_same(&s, functions[i], "null", 4);
	}
	project_end(&s);
}

Test(daemon_payloads, as_deep_as_they_are)
{
	size_t len = 2 * DEEP;
	cleanup_free char *event = fill(len, '[');
	struct project s;

	begin(&s);
	memset(event + DEEP, ']', DEEP);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		if (TAKES_JSON(i))
			expect_error(&s, functions[i], event, len, "Runtime.");
		else
			expect_same(&s, functions[i], event, len);
		expect_same(&s, functions[i], "[[]]", 4);
	}
	project_end(&s);
}

/* ---- nothing of the one before --------------------------------------------------------------- */

/* Finds what it can of an invocation before it, and leaves as much. */
static const char leaver[] =
	"import os, socket, subprocess, sys, threading, time\n"
	"seen = []\n"
	"def found():\n"
	"    yield from seen\n"
	"    yield from (os.path.join(d, f) for d in ('/tmp', '/dev/shm') for f in os.listdir(d))\n"
	"    yield from (k for k in os.environ if k == 'LEFT')\n"
	"    yield from (t.name for t in threading.enumerate() if t.name == 'left')\n"
	"    yield from (p for p in os.listdir('/proc') if p.isdigit() and\n"
	"                b'sleep' in open(f'/proc/{p}/cmdline', 'rb').read())\n"
	"    yield from (l for l in open('/proc/net/unix') if '@left' in l)\n"
	"    s = socket.socket()\n"
	"    if s.connect_ex(('127.0.0.1', 5555)) == 0: yield 'port 5555'\n"
	"    if os.umask(0o77) == 0o77: yield 'umask'\n"
	"    if os.getcwd() == '/tmp': yield 'cwd'\n"
	"kept = []\n"
	"def handler(event, context):\n"
	"    was = list(found())\n"
	"    if was: return was\n"
	"    seen.append(event)\n"
	"    os.environ['LEFT'] = event\n"
	"    open('/tmp/left', 'w').write(event)\n"
	"    open('/dev/shm/left', 'w').write(event)\n"
	"    os.chdir('/tmp')\n"
	"    threading.Thread(target=time.sleep, args=(999,), name='left', daemon=True).start()\n"
	"    kept.append(subprocess.Popen(['sleep', '999']))\n"
	"    a = socket.socket(socket.AF_UNIX); a.bind('\\0left')\n"
	"    b = socket.socket(); b.bind(('127.0.0.1', 5555)); b.listen()\n"
	"    kept.extend((a, b))\n"
	"    print('secret', event)\n"
	"    return was\n";

static const char leaving[] =
	"functions:\n"
	"  none: {runtime: python3, code: leaver, handler: app.handler, memory: 512,\n"
	"         timeout: 60s, reuse: none}\n"
	"  context: {runtime: python3, code: leaver, handler: app.handler, memory: 512,\n"
	"            timeout: 60s, reuse: context}\n"
	"  fork: {runtime: python3, code: leaver, handler: app.handler, memory: 512,\n"
	"         timeout: 60s, reuse: fork}\n"
	"  process: {runtime: python3, code: leaver, handler: app.handler, memory: 512,\n"
	"            timeout: 60s}\n";

/* Where all is kept all is found, which is that it is looked for. */
Test(daemon_payloads, nothing_of_it_is_left_in_memory_files_or_names)
{
	static const char *const clean[] = { "none", "context", "fork" };
	static const char *const left[] = { "\"one\"",	 "/tmp/left", "/dev/shm/left",
					    "LEFT",	 "\"left\"",  "@left",
					    "port 5555", "umask",     "cwd" };
	struct project s;

	project_begin(&s, "");
	project_dir(&s, "leaver");
	project_put(&s, "leaver/app.py", leaver);
	project_deploy(&s, leaving);
	project_expect(&s, "deployed process");
	for (int i = 0; i < 2; i++) {
		for (size_t n = 0; n < sizeof(clean) / sizeof(clean[0]); n++) {
			OWN("invoke", clean[n], i ? "\"two\"" : "\"one\"");
			cr_expect_eq(s.run.status, 0, "%s: %s", clean[n], s.run.err);
			cr_expect_str_eq(s.run.out, "[]", "%s: %s", clean[n], s.run.out);
		}
		OWN("invoke", "process", i ? "\"two\"" : "\"one\"");
		cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	}
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		cr_expect(strstr(s.run.out, left[i]), "%s: %s", left[i], s.run.out);
	project_end(&s);
}

/* By counters that went on, too. */
Test(daemon_payloads, nothing_of_it_is_left_to_a_command)
{
	static const char *const names[] = { "again", "anew" };
	struct project s;

	project_begin(&s, "");
	put_program(&s, "traces");
	project_deploy(&s, "functions:\n"
			   "  again: {runtime: exec, code: native, handler: [./traces, all],\n"
			   "          memory: 1769, timeout: 60s}\n"
			   "  anew: {runtime: exec, code: native, handler: [./traces, all],\n"
			   "         memory: 1769, timeout: 60s, reuse: none}\n");
	project_expect(&s, "deployed anew");
	for (size_t i = 0; i < 2; i++) {
		cleanup_free char *first = NULL;

		for (int n = 0; n < 2; n++) {
			OWN("invoke", names[i]);
			cr_expect_eq(s.run.status, 0, "%s", s.run.err);
			cr_expect(strstr(s.run.out, "last pid"), "%s", s.run.out);
			if (first)
				cr_expect_str_eq(s.run.out, first, "%s: %s\nnot: %s", names[i],
						 s.run.out, first);
			else
				first = strdup(s.run.out);
		}
	}
	project_end(&s);
}

/* Of a report, by its place in it. */
static long long figure(const struct project *s, const char *of, const char *name)
{
	json_t *report = json_loads(strchr(s->run.err, '{'), JSON_DISABLE_EOF_CHECK, NULL);
	long long v = json_integer_value(json_object_get(json_object_get(report, of), name));

	cr_expect(report != NULL, "%s", s->run.err);
	json_decref(report);
	return v;
}

/* The first takes memory, starts processes and leaves one that writes for ever. */
Test(daemon_payloads, no_line_and_no_figure_is_anothers)
{
	static const char *const names[] = { "again", "anew" };
	struct project s;

	project_begin(&s, "");
	project_put(&s, "code/run",
		    "read -r event\n"
		    "[ \"$event\" = loud ] || { echo quiet; echo mine >&2; exit; }\n"
		    "head -c 40m /dev/zero | tail -c 40m >/dev/null\n"
		    "while :; do echo late >&2; done &\n"
		    "echo loud\n");
	project_deploy(&s, "functions:\n"
			   "  again: {runtime: exec, code: code, handler: [sh, run],\n"
			   "          memory: 512, timeout: 60s}\n"
			   "  anew: {runtime: exec, code: code, handler: [sh, run],\n"
			   "         memory: 512, timeout: 60s, reuse: none}\n");
	project_expect(&s, "deployed anew");
	for (size_t i = 0; i < 2; i++) {
		long long loud, quiet;

		OWN("invoke", "--report", "-", names[i], "loud\n");
		cr_expect_str_eq(s.run.out, "loud\n", "%s", s.run.err);
		loud = figure(&s, "memory", "peak_bytes");
		cr_expect_gt(figure(&s, "processes", "started"), 2);
		OWN("invoke", "--log-tail", "--report", "-", names[i], "quiet\n");
		cr_expect_str_eq(s.run.out, "quiet\n", "%s", s.run.err);
		cr_expect(strstr(s.run.err, "mine\n"), "%s", s.run.err);
		cr_expect_not(strstr(s.run.err, "late"), "%s", s.run.err);
		quiet = figure(&s, "memory", "peak_bytes");
		cr_expect_eq(figure(&s, "processes", "started"), 1);
		cr_expect_lt(quiet + (20 << 20), loud);
	}
	project_end(&s);
}
