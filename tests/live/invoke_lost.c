/* SPDX-License-Identifier: MIT */
/* A function's process that ended while nobody used it, and whom it was given to all the same.
 * Needs root. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/packet.h"
#include "serve/request.h"
#include "tests/lib/functions.h"

static const char yaml[] =
	"functions:\n"
	"  stays: {runtime: python3, code: code, handler: app.handler, timeout: 60s,\n"
	"          environment: {MARK: lost-%d}}\n";

/* All that the front was told before, it has heard when this is answered. */
static void ask_the_front(struct project *s)
{
	project_by(s, DAEMON_USER, (const char *const[]){ "functions", NULL });
	project_expect(s, "stays");
}

/* Its warden has told of its end when it has reaped it, or is about to. */
static void kill_function(struct project *s)
{
	char mark[32];
	pid_t pid = 0;

	(void)snprintf(mark, sizeof(mark), "MARK=lost-%d", (int)getpid());
	cr_assert_eq(project_functions(mark, &pid, 1), 1);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	while (kill(pid, 0) == 0)
		ask_the_front(s);
	for (int i = 0; i < 3; i++)
		ask_the_front(s);
}

static int ask_for(struct project *s)
{
	struct request r = { .kind = REQUEST_INVOKE, .event_len = 2 };
	int socket;

	request_version(r.version);
	(void)snprintf(r.function, sizeof(r.function), "stays");
	cr_assert_eq(seteuid((uid_t)atoi(DAEMON_USER)), 0);
	socket = daemon_knock(&s->d);
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(packet_send_with(socket, &r, sizeof(r), "{}", 2, NULL), 0);
	return socket;
}

static void expect_served(int socket)
{
	static char bytes[sizeof(struct answer) + REQUEST_SHORT];
	const struct answer *a = (const struct answer *)bytes;

	do
		cr_assert_geq(recv(socket, bytes, sizeof(bytes), 0), (ssize_t)sizeof(*a));
	while (a->kind == ANSWER_STARTING);
	cr_assert_eq(a->kind, ANSWER_OUTCOME);
	cr_expect_eq(a->outcome.verdict, VERDICT_OK, "%s", a->outcome.err.text);
	cr_expect_not(a->outcome.context.warm);
}

/* The launcher, which would say that it is counted, says nothing meanwhile: so the front holds it
 * for idle, and finds that it is not when it is to have the event. */
Test(invoke_lost, counts_once_among_its_owners)
{
	struct project s;
	char text[sizeof(yaml) + 16];
	int socket;

	project_begin(&s, "per_owner: {records: 3}\n");
	(void)snprintf(text, sizeof(text), yaml, (int)getpid());
	project_deploy(&s, text);
	OWN("invoke", "stays");
	project_expect(&s, "{}");
	cr_assert_eq(kill(s.d.pid, SIGSTOP), 0);
	kill_function(&s);
	socket = ask_for(&s);
	ask_the_front(&s);
	cr_assert_eq(kill(s.d.pid, SIGCONT), 0);
	expect_served(socket);
	(void)close(socket);
	OWN("invoke", "stays");
	project_expect(&s, "{}");
	OWN("invoke", "stays");
	cr_expect(strstr(s.run.err, "has used the 3"), "%s", s.run.err);
	daemon_expect_records(&s.d, "stays         ok", 3);
	project_end(&s);
}
