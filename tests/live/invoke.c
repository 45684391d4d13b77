/* SPDX-License-Identifier: MIT */
/* A function, deployed by a user without rights, invoked cold and warm: its responses, its log, its
 * ends. Needs root. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "serve/packet.h"
#include "serve/request.h"
#include "serve/wills.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

static const char handlers[] =
	"import json, os, sys, time\n"
	"n = 0\n"
	"print('module code runs')\n"
	"def count(event, context):\n"
	"    global n\n"
	"    n += 1\n"
	"    print('line', n)\n"
	"    return {'n': n, 'event': event, 'id': context.aws_request_id,\n"
	"            'memory': os.environ['AWS_LAMBDA_FUNCTION_MEMORY_SIZE'], 'cwd': os.getcwd()}\n"
	"def flood(event, context):\n"
	"    os.write(1, b'\\n' * 500000)\n"
	"    os.write(2, b'\\x1b[2J' * 100000)\n"
	"    return 'flooded'\n"
	"def fail(event, context):\n"
	"    raise ValueError('no such thing')\n"
	"def leave(event, context):\n"
	"    os._exit(3)\n"
	"def hang(event, context):\n"
	"    time.sleep(60)\n"
	"def slow(event, context):\n"
	"    print('begun')\n"
	"    time.sleep(event)\n"
	"    return 'slept'\n"
	"def eat(event, context):\n"
	"    return len(bytearray(1 << 30))\n";

static const char yaml[] =
	"functions:\n"
	"  count: {runtime: python3, code: ./code, handler: app.count, timeout: 60s}\n"
	"  flood: {runtime: python3, code: ./code, handler: app.flood, timeout: 60s,\n"
	"          memory: 1769}\n"
	"  fail: {runtime: python3, code: ./code, handler: app.fail, timeout: 60s}\n"
	"  leave: {runtime: python3, code: ./code, handler: app.leave, timeout: 60s}\n"
	"  hang: {runtime: python3, code: ./code, handler: app.hang,\n"
	"         timeout: 300ms}\n"
	"  one: {runtime: python3, code: ./code, handler: app.slow, timeout: 60s,\n"
	"        concurrency: {reserved: 1, wait: 0}}\n"
	"  next: {runtime: python3, code: ./code, handler: app.slow, timeout: 60s,\n"
	"         concurrency: {reserved: 1, wait: 60s}}\n"
	"  eat: {runtime: python3, code: ./code, handler: app.eat, timeout: 60s}\n"
	"  echo: {runtime: exec, code: ./code, timeout: 60s,\n"
	"         handler: [sh, -c, 'cat; echo seen >&2; touch /tmp/x; ls /var/task']}\n"
	"  once: {runtime: exec, code: ./code, reuse: none, timeout: 60s,\n"
	"         handler: [sh, -c, 'exit 7']}\n"
	"  much: {runtime: exec, code: ./code, timeout: 60s,\n"
	"         handler: [head, -c, '7000000', /dev/zero]}\n"
	"  endless: {runtime: exec, code: ./code, timeout: 60s, handler: [yes]}\n"
	"  fast: {runtime: native, code: ./native, handler: native, timeout: 60s}\n"
	"  anew: {runtime: python3, code: ./code, handler: app.count, timeout: 60s,\n"
	"         reuse: none}\n"
	"  sleep: {runtime: exec, code: ./code, timeout: 60s,\n"
	"          handler: [sh, -c, 'echo begun >&2; exec sleep 60']}\n"
	"  none: {runtime: python3, code: ./code, handler: app.none, timeout: 60s}\n";

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[700];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	cr_assert_not_null(f, "%s", path);
	cr_assert_geq(fputs(text, f), 0);
	cr_assert_eq(fclose(f), 0);
	cr_assert_eq(chmod(path, 0644), 0);
}

static void copy_native(const char *dir)
{
	cleanup_run struct run run = { 0 };
	char path[700], from[700];

	(void)snprintf(path, sizeof(path), "%s/native", dir);
	cr_assert(mkdir(path, 0755) == 0);
	(void)snprintf(from, sizeof(from), "%s/native", env_need("HELPERS"));
	RUN(&run, "cp", from, path);
	cr_assert_eq(run.status, 0, "%s", run.err);
}

/* As a user has it in his folder. */
static void deploy(struct daemon *d)
{
	cleanup_run struct run run = { 0 };
	char path[700];

	(void)snprintf(path, sizeof(path), "%s/code", d->dir);
	cr_assert(mkdir(path, 0755) == 0);
	write_file(d->dir, "code/app.py", handlers);
	copy_native(d->dir);
	write_file(d->dir, "cloche.yaml", yaml);
	(void)snprintf(path, sizeof(path), "%s/cloche.yaml", d->dir);
	d->verb = "deploy";
	AS_USER(d, &run, path);
	cr_assert_eq(run.status, 0, "%s", run.err);
	d->verb = "invoke";
}

static void begin(struct daemon *d)
{
	daemon_prepare(d);
	daemon_start(d);
	deploy(d);
}

Test(invoke, the_second_time_it_is_warm)
{
	cleanup_run struct run cold = { 0 }, warm = { 0 }, logs = { 0 };
	struct daemon d;

	begin(&d);
	AS_USER(&d, &cold, "count", "{\"a\": [1, 2.5, null]}");
	cr_expect_eq(cold.status, 0, "%s", cold.err);
	cr_expect(strstr(cold.out, "\"n\": 1"), "%s", cold.out);
	cr_expect(strstr(cold.out, "{\"a\": [1, 2.5, null]}"), "%s", cold.out);
	cr_expect(strstr(cold.out, "\"memory\": \"128\""), "%s", cold.out);
	cr_expect(strstr(cold.out, "\"cwd\": \"/var/task\""), "%s", cold.out);
	cr_expect(strstr(cold.err, "REPORT RequestId: "), "%s", cold.err);
	cr_expect(strstr(cold.err, "\tMemory Size: 128 MB\tMax Memory Used: "), "%s", cold.err);
	cr_expect(strstr(cold.err, "\tInit Duration: "), "%s", cold.err);
	AS_USER(&d, &warm, "--log-tail", "count");
	cr_expect_eq(warm.status, 0, "%s", warm.err);
	cr_expect(strstr(warm.out, "\"n\": 2"), "its globals are there: %s", warm.out);
	cr_expect(strstr(warm.out, "\"event\": {}"), "%s", warm.out);
	cr_expect_not(strstr(warm.err, "Init Duration"), "%s", warm.err);
	cr_expect(strstr(warm.err, "START RequestId: "), "%s", warm.err);
	cr_expect(strstr(warm.err, "\nline 2\nEND RequestId: "), "%s", warm.err);
	d.verb = "logs";
	AS_USER(&d, &logs, "count");
	cr_expect_eq(logs.status, 0, "%s", logs.err);
	cr_expect(strstr(logs.out, "module code runs\nSTART RequestId: "), "%s", logs.out);
	cr_expect(strstr(logs.out, " Version: $LATEST\nline 1\nEND RequestId: "), "%s", logs.out);
	cr_expect_null(strstr(strstr(logs.out, "module code runs") + 1, "module code runs"), "%s",
		       logs.out);
	daemon_expect_records(&d, "count         ok", 2);
	daemon_stop(&d);
}

struct end {
	const char *function;
	int status;
	const char *verdict, *response, *says;
};

Test(invoke, each_end_is_told_apart)
{
	static const struct end ends[] = {
		{ "fail", 1, "error", "\"errorType\": \"ValueError\"", "REPORT" },
		{ "leave", 3, "error",
		  "\"errorMessage\":\"RequestId: ", "Error Type: Runtime.ExitError" },
		{ "hang", 124, "timeout", "Task timed out after 0.30 seconds", "Status: timeout" },
		{ "eat", 137, "oom", "\"errorType\":\"Runtime.OutOfMemory\"",
		  "Error Type: Runtime.OutOfMemory" },
		{ "none", 1, "init_error", "\"errorType\": \"Runtime.HandlerNotFound\"",
		  "Error Type: Runtime.HandlerNotFound" },
	};
	struct daemon d;

	begin(&d);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const struct end *e = &ends[i];
		char want[64];

		(void)snprintf(want, sizeof(want), "\"verdict\":\"%s\"", e->verdict);
		/* Again: what ended is replaced. */
		for (int again = 0; again < 2; again++) {
			cleanup_run struct run run = { 0 };

			AS_USER(&d, &run, "--report", "-", e->function);
			cr_expect_eq(run.status, e->status, "%s: %d %s%s", e->function, run.status,
				     run.out, run.err);
			cr_expect(strstr(run.out, e->response), "%s: %s", e->function, run.out);
			cr_expect(strstr(run.err, e->says), "%s: %s", e->function, run.err);
			cr_expect(strstr(run.err, want), "%s: %s", e->function, run.err);
		}
	}
	daemon_stop(&d);
}

Test(invoke, what_is_not_there_is_refused)
{
	cleanup_run struct run run = { 0 }, version = { 0 }, logs = { 0 };
	struct daemon d;

	begin(&d);
	AS_USER(&d, &run, "nothing");
	cr_expect_eq(run.status, 125);
	cr_expect(strstr(run.err, "there is no function 'nothing'"), "%s", run.err);
	AS_USER(&d, &version, "--version", "7", "count");
	cr_expect_eq(version.status, 125);
	cr_expect(strstr(version.err, "version 7"), "%s", version.err);
	d.verb = "logs";
	AS_USER(&d, &logs, "nothing");
	cr_expect_eq(logs.status, 125);
	cr_expect(strstr(logs.err, "there is no function 'nothing'"), "%s", logs.err);
	daemon_stop(&d);
}

/* Another user has no function of this name, whatever this one has. */
Test(invoke, a_function_is_its_owners_alone)
{
	cleanup_run struct run other = { 0 };
	struct daemon d;

	begin(&d);
	daemon_run_as(&d, "1001", &other, (const char *const[]){ "count", NULL });
	cr_expect_eq(other.status, 125, "%s", other.out);
	cr_expect(strstr(other.err, "there is no function 'count'"), "%s", other.err);
	daemon_stop(&d);
}

/* As soon as it has said so. */
static void await_begun(struct daemon *d, const char *function)
{
	bool begun = false;

	d->verb = "logs";
	while (!begun) {
		cleanup_run struct run run = { 0 };

		AS_USER(d, &run, function);
		cr_assert_eq(run.status, 0, "%s", run.err);
		begun = strstr(run.out, "begun") != NULL;
	}
	d->verb = "invoke";
}

Test(invoke, beyond_what_it_may_have_at_a_time_it_is_refused_or_waits)
{
	cleanup_run struct run run = { 0 };
	struct client first, second, third;
	struct daemon d;

	begin(&d);
	first = client_start(&d, (const char *const[]){ "one", "1", NULL });
	await_begun(&d, "one");
	AS_USER(&d, &run, "one", "0");
	cr_expect_eq(run.status, 125, "%s", run.out);
	cr_expect(strstr(run.err, "'one' is busy: it has no more than 1 at a time"), "%s", run.err);
	expect_line(first.out, "slept");
	cr_expect_eq(process_status(first.pid), 0);
	second = client_start(&d, (const char *const[]){ "next", "1", NULL });
	await_begun(&d, "next");
	third = client_start(&d, (const char *const[]){ "next", "0", NULL });
	expect_line(second.out, "slept");
	expect_line(third.out, "slept");
	cr_expect_eq(process_status(second.pid), 0);
	cr_expect_eq(process_status(third.pid), 0);
	daemon_stop(&d);
}

/* Many at once are fewer contexts, since what is on its way serves who waits. */
Test(invoke, a_burst_is_served_whole)
{
	enum { MANY = 12 };
	struct client clients[MANY];
	struct daemon d;

	begin(&d);
	for (int i = 0; i < MANY; i++)
		clients[i] = client_start(&d, (const char *const[]){ "-q", "count", NULL });
	for (int i = 0; i < MANY; i++) {
		expect_line(clients[i].out, "\"n\": ");
		cr_expect_eq(process_status(clients[i].pid), 0);
	}
	daemon_expect_records(&d, "count         ok", MANY);
	daemon_stop(&d);
}

Test(invoke, a_command_has_the_event_as_its_input)
{
	static const char *const too_much[] = { "much", "endless" };
	cleanup_run struct run cold = { 0 }, warm = { 0 }, once = { 0 };
	struct daemon d;

	begin(&d);
	AS_USER(&d, &cold, "--log-tail", "echo", "some event\n");
	cr_expect_eq(cold.status, 0, "%s", cold.err);
	cr_expect_str_eq(cold.out, "some event\napp.py\n", "%s", cold.out);
	cr_expect(strstr(cold.err, " Version: $LATEST\nseen\nEND RequestId: "), "%s", cold.err);
	AS_USER(&d, &warm, "--report", "-", "echo", "");
	cr_expect_eq(warm.status, 0, "%s", warm.err);
	cr_expect_str_eq(warm.out, "app.py\n", "%s", warm.out);
	cr_expect(strstr(warm.err, "\"reuse\":\"context\""), "%s", warm.err);
	AS_USER(&d, &once, "--report", "-", "once");
	cr_expect_eq(once.status, 7, "%s", once.err);
	cr_expect(strstr(once.out, "Runtime exited with error: exit status 7"), "%s", once.out);
	cr_expect(strstr(once.err, "\"reuse\":\"none\""), "%s", once.err);
	/* It is its end as well. */
	for (size_t i = 0; i < 2; i++) {
		cleanup_run struct run much = { 0 };

		AS_USER(&d, &much, "--report", "-", too_much[i]);
		cr_expect_eq(much.status, 1, "%s: %s", too_much[i], much.err);
		cr_expect(strstr(much.err, "\"verdict\":\"error\""), "%s", much.err);
		cr_expect(strstr(much.out, "\"errorType\":\"Function.ResponseSizeTooLarge\""),
			  "%.300s", much.out);
	}
	daemon_stop(&d);
}

/* The new code is there at once; what is removed is gone, with its contexts. */
Test(invoke, what_is_deployed_anew_is_new)
{
	cleanup_run struct run old = { 0 }, again = { 0 }, new = { 0 }, versioned = { 0 },
			       removed = { 0 }, gone = { 0 }, ps = { 0 };
	struct daemon d;
	char path[700];

	begin(&d);
	AS_USER(&d, &old, "count");
	cr_expect(strstr(old.out, "\"n\": 1"), "%s", old.out);
	(void)snprintf(path, sizeof(path), "%s/code/app.py", d.dir);
	cr_assert_eq(unlink(path), 0);
	write_file(d.dir, "code/app.py", "def count(event, context):\n    return 'new'\n");
	(void)snprintf(path, sizeof(path), "%s/cloche.yaml", d.dir);
	d.verb = "deploy";
	AS_USER(&d, &again, path);
	cr_expect_eq(again.status, 0, "%s", again.err);
	d.verb = "invoke";
	AS_USER(&d, &new, "count");
	cr_expect_str_eq(new.out, "\"new\"", "%s", new.out);
	AS_USER(&d, &versioned, "--version", "1", "count");
	cr_expect(strstr(versioned.out, "\"n\": 1"), "%s%s", versioned.out, versioned.err);
	d.verb = "remove";
	AS_USER(&d, &removed, "count");
	cr_expect_eq(removed.status, 0, "%s", removed.err);
	d.verb = "invoke";
	AS_USER(&d, &gone, "count");
	cr_expect_eq(gone.status, 125, "%s", gone.out);
	d.verb = "ps";
	AS_USER(&d, &ps, "--json");
	cr_expect_null(strstr(ps.out, "\"state\":\"ready\""), "%s", ps.out);
	daemon_stop(&d);
}

/* What is short goes with the message, what is not in memory of its own; and a native function
 * reads what most are shorter than at once. */
Test(invoke, events_and_responses_of_every_length_are_whole)
{
	static const size_t sizes[] = { 0,
					1,
					4039,
					4040,
					4041,
					4095,
					4096,
					4097,
					REQUEST_SHORT - 1,
					REQUEST_SHORT,
					REQUEST_SHORT + 1,
					70000,
					300000 };
	static char bytes[300001];
	struct daemon d;
	char path[680];

	begin(&d);
	(void)snprintf(path, sizeof(path), "@%s/event", d.dir);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		cleanup_run struct run run = { 0 };

		for (size_t at = 0; at < sizes[i]; at++)
			bytes[at] = (char)('a' + at * at % 23);
		bytes[sizes[i]] = '\0';
		write_file(d.dir, "event", bytes);
		AS_USER(&d, &run, "fast", path);
		cr_expect_eq(run.status, 0, "%zu: %s", sizes[i], run.err);
		cr_expect_eq(run.out_len, sizes[i], "%zu", run.out_len);
		cr_expect(memcmp(run.out, bytes, sizes[i]) == 0, "%zu", sizes[i]);
	}
	daemon_stop(&d);
}

Test(invoke, a_native_function_has_bytes_and_gives_bytes)
{
	static const char raw[] = "\x01\0\xff binary \n\0";
	cleanup_run struct run first = { 0 }, second = { 0 }, fails = { 0 }, leaves = { 0 },
			       insists = { 0 }, anew = { 0 },
			       bytes = { .input = raw, .input_len = sizeof(raw) };
	struct daemon d;

	begin(&d);
	AS_USER(&d, &first, "fast", "count");
	cr_expect_eq(first.status, 0, "%s", first.err);
	cr_expect_eq(strncmp(first.out, "1 ", 2), 0, "%s", first.out);
	AS_USER(&d, &second, "--log-tail", "fast", "count");
	cr_expect_eq(strncmp(second.out, "2 ", 2), 0, "%s", second.out);
	cr_expect(strstr(second.err, second.out + 2), "%s: %s", second.err, second.out);
	cr_expect(strstr(second.err, "\nevent 2\nEND RequestId: "), "%s", second.err);
	AS_USER(&d, &bytes, "fast", "-");
	cr_expect_eq(bytes.out_len, sizeof(raw));
	cr_expect_arr_eq(bytes.out, raw, sizeof(raw));
	AS_USER(&d, &fails, "fast", "fail");
	cr_expect_eq(fails.status, 1, "%s", fails.err);
	cr_expect_str_eq(fails.out,
			 "{\"errorType\":\"Native.Error\",\"errorMessage\":\"no \\\"such\\\" "
			 "thing\"}");
	AS_USER(&d, &leaves, "fast", "leave");
	cr_expect_eq(leaves.status, 9, "%s", leaves.err);
	AS_USER(&d, &insists, "--report", "-", "fast", "insist");
	cr_expect_eq(insists.status, 137, "%s", insists.err);
	cr_expect(strstr(insists.err, "\"verdict\":\"error\""), "%s", insists.err);
	cr_expect(strstr(insists.out, "\"errorType\":\"Cloche.ProtocolError\""), "%s", insists.out);
	AS_USER(&d, &anew, "fast", "count");
	cr_expect_eq(strncmp(anew.out, "1 ", 2), 0, "%s", anew.out);
	daemon_stop(&d);
}

Test(invoke, what_wants_no_reuse_begins_anew)
{
	struct daemon d;

	begin(&d);
	for (int i = 0; i < 2; i++) {
		cleanup_run struct run run = { 0 };

		AS_USER(&d, &run, "--report", "-", "anew");
		cr_expect_eq(run.status, 0, "%s", run.err);
		cr_expect(strstr(run.out, "\"n\": 1"), "%s", run.out);
		cr_expect(strstr(run.err, "\"start\":\"cold\",\"reuse\":\"none\""), "%s", run.err);
	}
	daemon_stop(&d);
}

/* What a file may say and nothing does yet is refused, and changes nothing. */
Test(invoke, what_is_not_there_yet_is_not_deployed)
{
	static const char *const no[][2] = {
		{ "reuse: none, concurrency: {provisioned: 1}", "concurrency/provisioned" },
	};
	struct daemon d;
	char path[700], text[300];

	begin(&d);
	(void)snprintf(path, sizeof(path), "%s/no.yaml", d.dir);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		cleanup_run struct run run = { 0 };

		(void)snprintf(text, sizeof(text),
			       "functions:\n  no: {runtime: python3, code: ./code, handler: a.b, "
			       "%s}\n",
			       no[i][0]);
		write_file(d.dir, "no.yaml", text);
		d.verb = "deploy";
		AS_USER(&d, &run, path);
		cr_expect_neq(run.status, 0);
		cr_expect(strstr(run.err, no[i][1]), "%s", run.err);
	}
	daemon_stop(&d);
}

/* Whoever does not want it any more has it ended, of whatever family it is. */
Test(invoke, an_interrupt_cancels)
{
	static const char *const functions[] = { "one", "sleep" };
	struct daemon d;

	begin(&d);
	for (size_t i = 0; i < 2; i++) {
		struct client c =
			client_start(&d, (const char *const[]){ functions[i], "60", NULL });

		await_begun(&d, functions[i]);
		cr_assert_eq(kill(c.pid, SIGINT), 0);
		cr_expect_eq(process_status(c.pid), 130);
	}
	daemon_expect_records(&d, "cancelled", 2);
	daemon_stop(&d);
}

/* So many contexts of a function are ready. */
static void await_ready(struct daemon *d, const char *function, unsigned n)
{
	char want[100];
	unsigned found;

	(void)snprintf(want, sizeof(want), "\"function\":\"%s\"", function);
	d->verb = "ps";
	do {
		cleanup_run struct run run = { 0 };

		AS_USER(d, &run, "--json");
		found = 0;
		for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n"))
			found += strstr(line, want) && strstr(line, "\"state\":\"ready\"");
	} while (found != n);
	d->verb = "invoke";
}

Test(invoke, what_is_provisioned_is_warm_the_first_time)
{
	cleanup_run struct run run = { 0 }, logs = { 0 }, deploy = { 0 };
	struct daemon d;
	char path[680];

	begin(&d);
	write_file(d.dir, "soon.yaml",
		   "functions:\n  soon: {runtime: python3, code: ./code, handler: app.count, "
		   "timeout: 60s, concurrency: {provisioned: 2}}\n");
	(void)snprintf(path, sizeof(path), "%s/soon.yaml", d.dir);
	d.verb = "deploy";
	AS_USER(&d, &deploy, path);
	cr_assert_eq(deploy.status, 0, "%s", deploy.err);
	await_ready(&d, "soon", 2);
	AS_USER(&d, &run, "--report", "-", "soon");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect(strstr(run.err, "\"start\":\"warm\",\"reuse\":\"process\",\"invocation\":1"),
		  "%s", run.err);
	cr_expect_not(strstr(run.err, "Init Duration"), "%s", run.err);
	/* It is there again after the daemon was stopped and started, and after one was killed. */
	cr_assert_eq(kill(daemon_front(&d), SIGKILL), 0);
	await_ready(&d, "soon", 2);
	d.verb = "logs";
	AS_USER(&d, &logs, "soon");
	cr_expect(strstr(logs.out, "module code runs\n"), "%s", logs.out);
	daemon_stop(&d);
}

/* More lines than the log has room for, and what is no line at all. */
Test(invoke, who_floods_his_log_has_the_end_of_it)
{
	cleanup_run struct run run = { 0 }, tail = { 0 }, logs = { 0 };
	struct daemon d;

	begin(&d);
	AS_USER(&d, &run, "flood");
	cr_expect_str_eq(run.out, "\"flooded\"", "%s%s", run.out, run.err);
	AS_USER(&d, &tail, "--log-tail", "flood");
	cr_expect_str_eq(tail.out, "\"flooded\"", "%s", tail.out);
	/* Ours is not escaped; what is no text of the function's is, where it is shown. */
	cr_expect_leq(tail.err_len, 4 * 4096);
	cr_expect(strstr(tail.err, "\nREPORT RequestId: "), "%s", tail.err);
	d.verb = "logs";
	AS_USER(&d, &logs, "flood");
	cr_expect_leq(logs.out_len, 8U << 20);
	cr_expect(strstr(logs.out, "\nEND RequestId: "), "its end is there");
	daemon_stop(&d);
}

/* Who promises an event and brings none has nothing run, and leaves nothing behind in the daemon,
 * of which it could have too many. */
Test(invoke, an_event_that_is_not_there_leaves_nothing)
{
	cleanup_run struct run first = { 0 }, after = { 0 };
	struct daemon d;

	begin(&d);
	AS_USER(&d, &first, "fast", "count");
	cr_assert_eq(first.status, 0, "%s", first.err);
	for (int i = 0; i < WILLS_MAX + 10; i++) {
		cleanup_fd int event = memfd_create("event", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		struct packet_fds fds = { .fd = { event }, .n = 1 };
		struct request r = { .kind = REQUEST_INVOKE, .event_len = 5 };
		struct answer a;
		int socket;

		request_version(r.version);
		(void)snprintf(r.function, sizeof(r.function), "fast");
		cr_assert_eq(seteuid(1000), 0);
		socket = daemon_knock(&d);
		cr_assert_eq(seteuid(0), 0);
		cr_assert_eq(packet_send(socket, &r, sizeof(r), &fds), 0);
		cr_assert_eq(recv(socket, &a, sizeof(a), 0), (ssize_t)sizeof(a));
		cr_assert(strstr(a.outcome.err.text, "read the event"), "%s", a.outcome.err.text);
		(void)close(socket);
	}
	AS_USER(&d, &after, "fast", "count");
	cr_expect_eq(strncmp(after.out, "2 ", 2), 0, "%s%s", after.out, after.err);
	daemon_expect_records(&d, "fast          ok", 2);
	daemon_stop(&d);
}

/* The place of the one that it may have is not an older version's. */
Test(invoke, an_older_version_holds_no_place)
{
	cleanup_run struct run old = { 0 }, again = { 0 }, older = { 0 }, newest = { 0 };
	struct daemon d;
	char path[680];

	begin(&d);
	AS_USER(&d, &old, "one", "0");
	cr_expect_eq(old.status, 0, "%s", old.err);
	(void)snprintf(path, sizeof(path), "%s/code/more.py", d.dir);
	write_file(d.dir, "code/more.py", "");
	(void)snprintf(path, sizeof(path), "%s/cloche.yaml", d.dir);
	d.verb = "deploy";
	AS_USER(&d, &again, path);
	cr_expect_eq(again.status, 0, "%s", again.err);
	d.verb = "invoke";
	AS_USER(&d, &older, "--version", "1", "one", "0");
	cr_expect_eq(older.status, 0, "%s", older.err);
	AS_USER(&d, &newest, "one", "0");
	cr_expect_eq(newest.status, 0, "%s", newest.err);
	daemon_stop(&d);
}

/* Who wants more contexts ready than he may have has as many as he may, and others have theirs. */
Test(invoke, what_one_owner_cannot_have_ready_another_has)
{
	static const char *const users[] = { "1000", "1001" };
	struct daemon d;
	char path[680];

	daemon_prepare(&d);
	daemon_configure(&d, "owners: [{user: 1000, contexts: 1}]\n");
	daemon_start(&d);
	deploy(&d);
	write_file(d.dir, "soon.yaml",
		   "functions:\n  soon: {runtime: python3, code: ./code, handler: app.count, "
		   "timeout: 60s, concurrency: {provisioned: 2}}\n");
	(void)snprintf(path, sizeof(path), "%s/soon.yaml", d.dir);
	for (size_t i = 0; i < 2; i++) {
		cleanup_run struct run run = { 0 };

		d.user = users[i];
		d.verb = "deploy";
		AS_USER(&d, &run, path);
		cr_assert_eq(run.status, 0, "%s", run.err);
		await_ready(&d, "soon", i + 1);
	}
	daemon_stop(&d);
}
