/* SPDX-License-Identifier: MIT */
/*
 * A client of the library's own that asks by one connection again and again: each is answered and
 * recorded like any other, in whichever context there is; and who may not connect any more is not
 * served because he did before. Needs root.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "launch/spec.h"
#include "run/outcome.h"
#include "ledger/ledger.h"
#include "serve/packet.h"
#include "serve/remote.h"
#include "serve/remote_invoke.h"
#include "serve/request.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/functions.h"
#include "tests/lib/run.h"

static int null = -1;

static void call_as(struct remote *remote, const char *shell, bool hold, struct outcome *ret)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)shell, NULL };
	struct cloche_err err = { 0 };
	struct session_notes notes;
	struct spec_host host;
	struct spec spec;
	const struct remote_options o = {
		.spec = &spec, .stays = true, .hold = hold, .cancel_fd = -1
	};

	spec_host_read(&host);
	spec_defaults(&spec);
	spec.argv = argv;
	cr_assert_eq(spec_check(&spec, &host, &err), 0, "%s", err.text);
	/* They are borrowed. */
	if (null < 0)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (!remote->streams)
		remote_take_streams(remote, &spec, (int[]){ null, null, null });
	remote_run(remote, &o, ret, &notes);
}

static void call(struct remote *remote, const char *shell, struct outcome *ret)
{
	call_as(remote, shell, false, ret);
}

/* Or will be by then. */
static bool hung_up_on(const struct remote *remote, int ms)
{
	struct pollfd end = { .fd = remote->socket, .events = POLLIN };

	return poll(&end, 1, ms) == 1 && end.revents & POLLHUP;
}

Test(daemon_stays, several_by_one_connection)
{
	struct cloche_err err = { 0 };
	struct remote remote;
	struct outcome out;
	struct daemon d;
	unsigned stayed = 0;
	char id[40];

	daemon_prepare(&d);
	daemon_start(&d);
	cr_assert_eq(remote_open(d.control, &remote, &err), 0, "%s", err.text);
	for (int i = 0; i < 20; i++) {
		call(&remote, i % 2 ? "exit 7" : "exit 0", &out);
		cr_expect_eq(out.verdict, i % 2 ? VERDICT_ERROR : VERDICT_OK, "%s", out.err.text);
		cr_expect(i == 0 || strcmp(id, out.request_id) != 0);
		(void)snprintf(id, sizeof(id), "%s", out.request_id);
		stayed += !hung_up_on(&remote, 0);
	}
	/* Not after one during which the host's users have changed. */
	cr_expect_gt(stayed, 10);
	/* What is wrong with one is no matter of the next. */
	call(&remote, "kill -9 $$", &out);
	cr_expect_eq(out.verdict, VERDICT_SIGNAL);
	call(&remote, ":", &out);
	cr_expect_eq(out.verdict, VERDICT_OK, "%s", out.err.text);
	daemon_expect_records(&d, id, 1);
	remote_close(&remote);
	daemon_stop(&d);
}

/* What was allowed when it connected is looked at again. */
Test(daemon_stays, not_beyond_a_change_of_the_configuration)
{
	struct cloche_err err = { 0 };
	struct remote remote;
	struct outcome out;
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	cr_assert_eq(remote_open(d.control, &remote, &err), 0, "%s", err.text);
	call(&remote, ":", &out);
	cr_assert_eq(out.verdict, VERDICT_OK, "%s", out.err.text);
	daemon_reconfigure(&d, "allow: {users: [65534]}\n");
	cr_assert_eq(kill(d.pid, SIGHUP), 0);
	expect_line(d.said, "the configuration is read anew");
	call(&remote, ":", &out);
	cr_expect_eq(out.verdict, VERDICT_OK, "%s", out.err.text);
	cr_expect(hung_up_on(&remote, 5000));
	/* By another one, as which he may come who is allowed to. */
	call(&remote, ":", &out);
	cr_expect_eq(out.verdict, VERDICT_OK, "%s", out.err.text);
	remote_close(&remote);
	daemon_stop(&d);
}

static const char counting[] = "n = 0\n"
			       "def handler(event, context):\n"
			       "    global n\n"
			       "    n += 1\n"
			       "    return n\n";

static void invoke(struct remote *remote, const char *function, const char *want)
{
	const struct remote_event event = {
		.function = function, .bytes = "{}", .len = 2, .cancel_fd = -1
	};
	struct remote_response response = { NULL, 0, 0 };
	struct cloche_err err = { 0 };
	struct ledger_repair found;
	struct outcome out;

	cr_expect_eq(remote_invoke_by(remote, &event, &out, &found, &response, &err), 0, "%s",
		     err.text);
	cr_expect_str_eq(response.bytes ? response.bytes : "", want, "%s", out.err.text);
	free(response.bytes);
}

Test(daemon_stays, events_by_it_as_well)
{
	struct cloche_err err = { 0 };
	struct remote remote;
	struct outcome out;
	struct project s;
	unsigned stayed = 0;

	project_begin(&s, "");
	project_put(&s, "code/app.py", counting);
	project_deploy_as(&s, "0", "functions:\n" F("one", "128") F("two", "128"));
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	cr_assert_eq(remote_invoke_open(s.d.control, &remote, &err), 0, "%s", err.text);
	invoke(&remote, "one", "1");
	invoke(&remote, "one", "2");
	invoke(&remote, "two", "1");
	/* The connection is another one behind what was refused. */
	invoke(&remote, "three", "");
	invoke(&remote, "one", "3");
	/* What is held for a command is let go for an event. */
	call_as(&remote, ":", true, &out);
	cr_expect_eq(out.verdict, VERDICT_OK, "%s", out.err.text);
	invoke(&remote, "two", "2");
	call(&remote, ":", &out);
	cr_expect_eq(out.verdict, VERDICT_OK, "%s", out.err.text);
	for (int i = 4; i < 24; i++) {
		char want[12];

		(void)snprintf(want, sizeof(want), "%d", i);
		invoke(&remote, "one", want);
		stayed += !hung_up_on(&remote, 0);
	}
	cr_expect_gt(stayed, 10);
	remote_close(&remote);
	daemon_expect_records(&s.d, "ok", 27);
	project_end(&s);
}

/* Without waiting for it. */
static void ask_for(const struct remote *r, const char *event)
{
	struct request request = {
		.kind = REQUEST_INVOKE, .function = "one", .stays = true, .event_len = strlen(event)
	};

	request_version(request.version);
	cr_assert_eq(
		packet_send_with(r->socket, &request, sizeof(request), event, strlen(event), NULL),
		0);
}

static void expect_for(const struct remote *r, const char *want)
{
	static struct {
		struct answer answer;
		char bytes[100];
	} m;
	struct cloche_err err = { 0 };
	struct packet_fds fds = { .n = 0 };
	size_t len = 0;

	do {
		struct pollfd there = { .fd = r->socket, .events = POLLIN };

		cr_assert_eq(poll(&there, 1, 20000), 1);
		cr_assert_eq(remote_hear_more(r, &m.answer, sizeof(m.bytes), &len, &fds, &err), 0,
			     "%s", err.text);
	} while (m.answer.kind == ANSWER_STARTING);
	cr_expect_eq(strncmp(m.bytes, want, len), 0, "%.*s instead of %s", (int)len, m.bytes, want);
}

/* Whoever has connected first is not always the first. */
Test(daemon_stays, who_asks_first_is_served_first)
{
	struct remote older, newer, busy;
	struct cloche_err err = { 0 };
	struct project s;

	project_begin(&s, "per_owner: {waiting: 10}");
	project_put(&s, "code/app.py",
		    "import time\nn = 0\n"
		    "def handler(event, context):\n"
		    "    global n\n"
		    "    n += 1\n"
		    "    time.sleep(event)\n"
		    "    return n\n");
	project_deploy_as(
		&s, "0",
		"functions:\n" F("one", "128") "    timeout: 20s\n"
					       "    concurrency: {reserved: 1, wait: 60s}\n");
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	cr_assert_eq(remote_open(s.d.control, &older, &err), 0);
	cr_assert_eq(remote_open(s.d.control, &newer, &err), 0);
	cr_assert_eq(remote_open(s.d.control, &busy, &err), 0);
	ask_for(&older, "0");
	expect_for(&older, "1");
	ask_for(&newer, "0");
	expect_for(&newer, "2");
	/* What is asked behind one is answered when that was heard. */
	ask_for(&busy, "1");
	project_by(&s, "0", (const char *const[]){ "functions", NULL });
	ask_for(&newer, "0");
	project_by(&s, "0", (const char *const[]){ "functions", NULL });
	ask_for(&older, "0");
	expect_for(&busy, "3");
	expect_for(&newer, "4");
	expect_for(&older, "5");
	remote_close(&older);
	remote_close(&newer);
	remote_close(&busy);
	project_end(&s);
}
