/* SPDX-License-Identifier: MIT */
/* A user without rights watches what the daemon runs for him, as it happens, and nothing of anybody
 * else's; and who watches and does not read loses no more than his lines. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "serve/packet.h"
#include "serve/request.h"
#include "serve/scribe.h"
#include "tests/lib/daemon.h"
#include "tests/lib/functions.h"
#include "tests/lib/run.h"

#define OTHER "1001"
#define SMALL "-q", "-m", "64M", "--cpu", "shared", "-t", "60s"

/* Until it says that it watches. */
static struct client watch(const struct daemon *d, const char *user, const char *format)
{
	struct daemon own = *d;
	struct client c;

	own.verb = "trace";
	own.user = user;
	c = client_start(&own, (const char *const[]){ "--format", format, NULL });
	expect_line(c.err, "watching");
	return c;
}

static void unwatch(struct client *c)
{
	cr_assert_eq(kill(c->pid, SIGINT), 0);
	cr_expect_eq(process_status(c->pid), 0);
	(void)fclose(c->out);
	(void)fclose(c->err);
}

/* Its lines up to one that has the text. */
static char *read_until(const struct client *c, const char *text)
{
	char *all = NULL, *line = NULL;
	size_t len = 0, room = 0;
	FILE *to = open_memstream(&all, &len);
	bool found = false;

	while (!found && getline(&line, &room, c->out) > 0) {
		(void)fputs(line, to);
		found = strstr(line, text) != NULL;
	}
	free(line);
	(void)fclose(to);
	cr_assert(found, "no '%s' in: %s", text, all);
	return all;
}

Test(daemon_watch, an_owner_sees_his_own_and_nothing_else)
{
	cleanup_run struct run run = { 0 };
	struct client mine, theirs;
	struct daemon d;
	char *seen;

	daemon_prepare(&d);
	daemon_start(&d);
	mine = watch(&d, DAEMON_USER, "json");
	theirs = watch(&d, OTHER, "text");
	AS_USER(&d, &run, SMALL, "--", "sh", "-c", "echo mine >/tmp/mine; unshare -U true; exit 7");
	cr_expect_eq(run.status, 7, "%s", run.err);
	run_free(&run);
	seen = read_until(&mine, "\"event\":\"end\"");
	expect_has(seen, "\"event\":\"start\",\"function\":null,\"command\":[\"sh\",\"-c\",");
	expect_has(seen, "\"path\":\"/tmp/mine\"");
	expect_has(seen, "\"event\":\"denied\"");
	expect_has(seen, "\"verdict\":\"error\",\"wall_ns\":");
	expect_has(seen, "\"lost\":0,\"complete\":");
	free(seen);
	d.user = OTHER;
	AS_USER(&d, &run, SMALL, "--", "touch", "/tmp/theirs");
	cr_expect_eq(run.status, 0, "%s", run.err);
	seen = read_until(&theirs, "end ok");
	expect_has(seen, "start: touch /tmp/theirs");
	expect_has(seen, "/tmp/theirs to create or write");
	cr_expect_null(strstr(seen, "mine"), "%s", seen);
	free(seen);
	unwatch(&theirs);
	unwatch(&mine);
	daemon_stop(&d);
}

/* What runs is the same, watched or not: its report, its status, its own trace. */
Test(daemon_watch, who_is_watched_does_not_know)
{
	cleanup_run struct run before = { 0 }, during = { 0 }, traced = { 0 }, own = { 0 };
	struct client c;
	struct daemon d;
	char *seen, path[700];

	daemon_prepare(&d);
	daemon_start(&d);
	AS_USER(&d, &before, "-m", "64M", "--cpu", "shared", "-t", "60s", "--", "true");
	c = watch(&d, DAEMON_USER, "text");
	AS_USER(&d, &during, "-m", "64M", "--cpu", "shared", "-t", "60s", "--", "true");
	cr_expect_eq(during.status, 0, "%s", during.err);
	cr_expect(strncmp(during.err, "REPORT", 6) == 0 && strncmp(before.err, "REPORT", 6) == 0,
		  "%s", during.err);
	seen = read_until(&c, "end ok");
	free(seen);
	/* The client makes its file there. */
	cr_assert_eq(chmod(d.dir, 01777), 0);
	(void)snprintf(path, sizeof(path), "%s/own", d.dir);
	AS_USER(&d, &traced, SMALL, "--trace", path, "--", "true");
	cr_expect_eq(traced.status, 0, "%s", traced.err);
	RUN(&own, "cat", path);
	expect_has(own.out, "\"event\":\"exec\"");
	expect_has(own.out, "\"event\":\"end\"");
	seen = read_until(&c, "end ok");
	expect_has(seen, "exec");
	free(seen);
	unwatch(&c);
	daemon_stop(&d);
}

/* Each event, however its context is reused. */
Test(daemon_watch, functions_are_seen)
{
	struct project s;
	struct client c;
	char *seen;

	project_begin(&s, "");
	project_deploy(&s, "functions:\n" F("kept", "128") "  sort: {runtime: exec, code: code, "
							   "handler: [sort], timeout: 60s}\n");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	c = watch(&s.d, DAEMON_USER, "text");
	OWN("invoke", "kept", "1");
	project_expect(&s, "1");
	seen = read_until(&c, "end ok");
	expect_has(seen, "start kept: ");
	free(seen);
	OWN("invoke", "kept", "2");
	project_expect(&s, "2");
	free(read_until(&c, "end ok"));
	OWN("invoke", "sort", "b");
	project_expect(&s, "b");
	seen = read_until(&c, "end ok");
	expect_has(seen, "start sort: sort");
	expect_has(seen, "/sort");
	free(seen);
	/* Its context is of use again. */
	OWN("invoke", "sort", "c");
	project_expect(&s, "c");
	free(read_until(&c, "end ok"));
	unwatch(&c);
	project_end(&s);
}

static int knock_as(const struct daemon *d, uid_t uid)
{
	int socket;

	cr_assert_eq(seteuid(uid), 0);
	socket = daemon_knock(d);
	cr_assert_eq(seteuid(0), 0);
	return socket;
}

/* True: it watches. */
static bool ask(int socket, struct answer *a)
{
	struct request r = { .kind = REQUEST_WATCH };

	request_version(r.version);
	cr_assert_eq(packet_send(socket, &r, sizeof(r), NULL), 0);
	cr_assert_eq(recv(socket, a, sizeof(*a), 0), (ssize_t)sizeof(*a));
	return a->kind == ANSWER_WATCHED;
}

static const char many[] = "i=0; while [ $i -lt 300 ]; do : >/tmp/a_long_name_of_a_file_$i; "
			   "i=$((i + 1)); done; echo done";

/* As many as may, none of which reads a word, while something runs that writes much of it. */
Test(daemon_watch, who_does_not_read_holds_up_nobody)
{
	cleanup_run struct run run = { 0 };
	int sockets[SCRIBE_WATCHERS + 1];
	struct daemon d;
	struct answer a;

	daemon_prepare(&d);
	daemon_start(&d);
	for (int i = 0; i <= SCRIBE_WATCHERS; i++) {
		sockets[i] = knock_as(&d, 1000);
		cr_expect_eq(ask(sockets[i], &a), i < SCRIBE_WATCHERS, "%d", i);
	}
	expect_has(a.refused.text, "4 of user 1000 watch already");
	/* More than fits into what waits for them, in messages and in lines. */
	for (int i = 0; i < 40; i++) {
		AS_USER(&d, &run, SMALL, "--", "sh", "-c", many);
		cr_expect_str_eq(run.out, "done\n", "%s", run.err);
		run_free(&run);
	}
	for (int i = 0; i <= SCRIBE_WATCHERS; i++)
		(void)close(sockets[i]);
	daemon_expect_serves(&d);
	daemon_stop(&d);
}

Test(daemon_watch, without_a_daemon_it_is_said)
{
	cleanup_run struct run run = { 0 };
	struct client c;
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	c = watch(&d, DAEMON_USER, "text");
	cr_assert_eq(kill(d.pid, SIGTERM), 0);
	cr_expect_eq(process_status(d.pid), 0);
	expect_line(c.err, "the daemon has ended");
	cr_expect_eq(process_status(c.pid), 1);
	(void)fclose(c.out);
	(void)fclose(c.err);
	d.verb = "trace";
	AS_USER(&d, &run, "--for", "1s");
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "control'");
	daemon_start(&d);
	daemon_stop(&d);
}
