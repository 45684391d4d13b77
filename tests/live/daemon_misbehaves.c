/* SPDX-License-Identifier: MIT */
/*
 * Functions that do with the Runtime API, with their connections, their output and themselves what
 * no function should, through the daemon: each invocation ends in one verdict, with one record; the
 * next one is answered; and nobody beside them notices, of the same owner or of another. Needs
 * root.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/env.h"
#include "tests/lib/functions.h"

#define OTHER "1001"
#define INVOKE(s, user, function, event) \
	project_by((s), (user), (const char *const[]){ "invoke", "-q", (function), (event), NULL })

#define CALM "  calm: {runtime: provided, code: bad, memory: 128, timeout: 60s}\n"

/* Two of it: one has time, the other ends when it has shown that it does not. reuse: what is kept
 * of it; where nothing is there is nothing that it could harm later. */
#define BAD(reuse)                                                                              \
	"functions:\n"                                                                          \
	"  bad: {runtime: provided, code: bad, memory: 1769, timeout: 60s, reuse: " reuse "}\n" \
	"  hangs: {runtime: provided, code: bad, memory: 1769, timeout: 300ms,\n"               \
	"          reuse: " reuse "}\n" CALM

/* The same, native. */
#define RUDE(reuse)                                                                            \
	"functions:\n"                                                                         \
	"  bad: {runtime: native, code: bad, handler: rude, memory: 1769, timeout: 60s,\n"     \
	"        reuse: " reuse "}\n"                                                          \
	"  hangs: {runtime: native, code: bad, handler: rude, memory: 1769, timeout: 300ms,\n" \
	"          reuse: " reuse "}\n" CALM

static void put_program(const struct project *s, const char *helper, const char *name)
{
	cleanup_run struct run copy = { 0 };
	char to[700], from[700];

	(void)snprintf(from, sizeof(from), "%s/%s", env_need("HELPERS"), helper);
	(void)snprintf(to, sizeof(to), "%s/bad/%s", s->project, name);
	RUN(&copy, "cp", from, to);
	cr_assert_eq(copy.status, 0, "%s", copy.err);
	cr_assert_eq(chmod(to, 0755), 0);
}

static void begin(struct project *s, const char *yaml)
{
	project_begin(s, "");
	project_dir(s, "bad");
	put_program(s, "runtime", "bootstrap");
	put_program(s, "rude", "rude");
	project_deploy(s, yaml);
	project_expect(s, "deployed calm");
	project_deploy_as(s, OTHER, yaml);
	project_expect(s, "deployed calm");
}

/* Whoever is beside it is answered as ever. */
static void expect_calm(struct project *s)
{
	static const char *const users[] = { DAEMON_USER, OTHER };

	for (size_t i = 0; i < 2; i++) {
		INVOKE(s, users[i], "calm", "\"beside\"");
		cr_expect_eq(s->run.status, 0, "%s", s->run.err);
		cr_expect_str_eq(s->run.out, "\"beside\"");
	}
}

/* All of a stream. */
static void hear(FILE *f, char *to, size_t size)
{
	size_t n = fread(to, 1, size - 1, f);

	to[n] = '\0';
	while (fgetc(f) != EOF)
		;
	(void)fclose(f);
}

struct manner {
	const char *function, *how;
	int status;
	const char *verdict, *says; /* what is in its response */
};

static void expect_end_of(struct project *s, const struct manner *m)
{
	struct daemon d = s->d;
	char event[32], out[4096], err[8192], verdict[64];
	struct client c;
	int status;

	(void)snprintf(event, sizeof(event), "\"%s\"", m->how);
	(void)snprintf(verdict, sizeof(verdict), "\"verdict\":\"%s\"", m->verdict);
	d.verb = "invoke";
	c = client_start(&d, (const char *const[]){ "--report", "-", m->function, event, NULL });
	expect_calm(s);
	hear(c.out, out, sizeof(out));
	hear(c.err, err, sizeof(err));
	status = process_status(c.pid);
	cr_expect_eq(status, m->status, "%s: %d %s%s", m->how, status, out, err);
	cr_expect(strstr(err, verdict), "%s: %s", m->how, err);
	cr_expect(strstr(out, m->says), "%s: %s", m->how, out);
	/* It is as it was, or another one. */
	INVOKE(s, DAEMON_USER, m->function, "\"echo\"");
	cr_expect_eq(s->run.status, 0, "%s: %s", m->how, s->run.err);
	cr_expect_str_eq(s->run.out, "\"echo\"", "%s", m->how);
}

/* One record each, and one for each "echo". */
static void expect_records(const struct project *s, const struct manner *manners, size_t n)
{
	static const char *const verdicts[] = { "ok", "error", "signal", "timeout" };
	static const char *const functions[] = { "bad", "hangs" };
	char what[64];

	for (size_t f = 0; f < 2; f++)
		for (size_t v = 0; v < sizeof(verdicts) / sizeof(verdicts[0]); v++) {
			size_t want = 0;

			for (size_t i = 0; i < n; i++)
				if (strcmp(manners[i].function, functions[f]) == 0)
					want += (v == 0) +
						(strcmp(manners[i].verdict, verdicts[v]) == 0);
			(void)snprintf(what, sizeof(what), " %-12s  %s ", functions[f],
				       verdicts[v]);
			daemon_expect_records(&s->d, what, want);
		}
}

static void try_all(const char *yaml, const struct manner *manners, size_t n)
{
	struct project s;

	begin(&s, yaml);
	for (size_t i = 0; i < n; i++)
		expect_end_of(&s, &manners[i]);
	expect_records(&s, manners, n);
	project_end(&s);
}

#define TRY_ALL(yaml, manners) try_all((yaml), (manners), sizeof(manners) / sizeof((manners)[0]))

Test(daemon_misbehaves, with_what_it_answers)
{
	static const struct manner manners[] = {
		{ "bad", "error", 1, "error", "{\"errorType\":\"Of.Mine\"}" },
		{ "bad", "twice", 0, "ok", "\"twice\"" },
		{ "bad", "others", 0, "ok", "\"others\"" },
		{ "bad", "early", 0, "ok", "\"early\"" },
		{ "bad", "half", 1, "error", "Runtime.TruncatedResponse" },
		{ "bad", "large", 1, "error", "Function.ResponseSizeTooLarge" },
		{ "bad", "mode", 1, "error", "Runtime.InvalidResponseModeHeader" },
		{ "bad", "junk", 0, "ok", "\"junk\"" },
		{ "bad", "bytes", 0, "ok", "\"bytes\"" },
		{ "bad", "flood", 1, "error", "Function.ResponseSizeTooLarge" },
		{ "bad", "huge", 1, "error", "Function.ResponseSizeTooLarge" },
		{ "bad", "waste", 137, "error", "Cloche.ProtocolError" },
	};

	TRY_ALL(BAD("process"), manners);
	TRY_ALL(BAD("context"), manners);
}

Test(daemon_misbehaves, with_its_connections)
{
	static const struct manner manners[] = {
		{ "bad", "crowd", 0, "ok", "\"crowd\"" },
		{ "bad", "holds", 0, "ok", "\"holds\"" },
		{ "bad", "many", 0, "ok", "\"many\"" },
		{ "hangs", "closed", 124, "timeout", "Task timed out after 0.30 seconds" },
	};

	TRY_ALL(BAD("process"), manners);
	TRY_ALL(BAD("context"), manners);
}

Test(daemon_misbehaves, with_itself)
{
	static const struct manner manners[] = {
		{ "bad", "exit", 7, "error", "exit status 7" },
		{ "bad", "zero", 1, "error", "without providing a reason" },
		{ "bad", "half0", 1, "error", "without providing a reason" },
		{ "bad", "fatal", 1, "error", "{\"errorType\":\"Of.Mine\"}" },
		{ "bad", "larger", 1, "error", "Function.ResponseSizeTooLarge" },
		{ "bad", "killed", 137, "signal", "signal: killed" },
		{ "bad", "orphan", 1, "error", "without providing a reason" },
		{ "bad", "writes", 0, "ok", "\"writes\"" },
		{ "bad", "writes", 0, "ok", "\"writes\"" },
	};

	TRY_ALL(BAD("process"), manners);
	TRY_ALL(BAD("context"), manners);
}

Test(daemon_misbehaves, with_the_frames_of_a_native_one)
{
	static const struct manner manners[] = {
		{ "bad", "junk", 137, "error", "Cloche.ProtocolError" },
		{ "bad", "twice", 0, "ok", "\"twice\"" },
		{ "bad", "many", 0, "ok", "\"many\"" },
		{ "bad", "huge", 137, "error", "Cloche.ProtocolError" },
		{ "bad", "half0", 1, "error", "without providing a reason" },
		{ "bad", "typed", 1, "error", "{\"errorType\":\"Runtime.Unknown\"" },
		{ "hangs", "closed", 124, "timeout", "Task timed out after 0.30 seconds" },
		{ "bad", "zero", 1, "error", "without providing a reason" },
		{ "bad", "killed", 137, "signal", "signal: killed" },
		{ "bad", "writes", 0, "ok", "\"writes\"" },
		{ "bad", "writes", 0, "ok", "\"writes\"" },
	};

	TRY_ALL(RUDE("process"), manners);
	TRY_ALL(RUDE("fork"), manners);
	TRY_ALL(RUDE("context"), manners);
}

/* ---- reading its event ----------------------------------------------------------------------- */

#define SLOW(name, timeout)                                                                      \
	"  " name ": {runtime: provided, code: bad, memory: 1769, timeout: " timeout ",\n      " \
	"    environment: {MARK: slow-%d}, reuse: %s}\n"

static void begin_slow(struct project *s, const char *reuse)
{
	static char event[(6 << 20) + 1];
	const int pid = (int)getpid();
	char yaml[600];

	memset(event, ' ', 6 << 20);
	event[0] = '1';
	(void)snprintf(yaml, sizeof(yaml),
		       "functions:\n" SLOW("bad", "60s") SLOW("hangs", "300ms") CALM, pid, reuse,
		       pid, reuse);
	begin(s, yaml);
	project_put(s, "event", event);
}

static struct client start_slow(const struct project *s, const char *function)
{
	struct daemon d = s->d;
	char path[700];

	(void)snprintf(path, sizeof(path), "@%s/event", s->project);
	d.verb = "invoke";
	return client_start(&d, (const char *const[]){ "--report", "-", function, path, NULL });
}

static void expect_end_of_slow(struct client *c, int status, const char *verdict, const char *says)
{
	char out[4096], err[8192], want[64];
	int how;

	hear(c->out, out, sizeof(out));
	hear(c->err, err, sizeof(err));
	how = process_status(c->pid);
	(void)snprintf(want, sizeof(want), "\"verdict\":\"%s\"", verdict);
	cr_expect_eq(how, status, "%d: %s%s", how, out, err);
	cr_expect(strstr(err, want), "%s", err);
	cr_expect(strstr(out, says), "%s", out);
}

/* Its event is on its way to it until it is told to go on: others come in between. */
static void expect_slow_and_calm(struct project *s)
{
	struct client c = start_slow(s, "bad");
	char mark[32];
	pid_t pid = 0;

	do
		project_by(s, DAEMON_USER, (const char *const[]){ "logs", "bad", NULL });
	while (!strstr(s->run.out, "reads slowly"));
	for (int i = 0; i < 3; i++)
		expect_calm(s);
	(void)snprintf(mark, sizeof(mark), "MARK=slow-%d", (int)getpid());
	cr_assert_eq(project_functions(mark, &pid, 1), 1);
	cr_assert_eq(kill(pid, SIGUSR1), 0);
	expect_end_of_slow(&c, 0, "ok", "\"slow\"");
}

static void try_slow(const char *reuse)
{
	struct project s;
	struct client c;

	begin_slow(&s, reuse);
	expect_slow_and_calm(&s);
	INVOKE(&s, DAEMON_USER, "bad", "\"echo\"");
	cr_expect_str_eq(s.run.out, "\"echo\"", "%s", s.run.err);
	c = start_slow(&s, "hangs");
	expect_calm(&s);
	expect_end_of_slow(&c, 124, "timeout", "Task timed out after 0.30 seconds");
	INVOKE(&s, DAEMON_USER, "hangs", "\"echo\"");
	cr_expect_str_eq(s.run.out, "\"echo\"", "%s", s.run.err);
	daemon_expect_records(&s.d, " bad           ok ", 2);
	daemon_expect_records(&s.d, " hangs         timeout ", 1);
	daemon_expect_records(&s.d, " hangs         ok ", 1);
	project_end(&s);
}

Test(daemon_misbehaves, with_reading_its_event)
{
	try_slow("process");
	try_slow("context");
}
