/* SPDX-License-Identifier: MIT */
/* The Runtime API over sockets: what a client of it does, and what none would do. */
#include "tests/lib/runtime_rig.h"

#define ID   "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
#define NEXT "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST(what, headers, body) \
	"POST /2018-06-01/runtime/" what " HTTP/1.1\r\nHost: x\r\n" headers "\r\n" body
#define OF(what)  "invocation/" ID "/" what
#define LENGTH(n) "Content-Length: " #n "\r\n"

static char text[1 << 16];

#define ASK(r, fd, request) rig_ask(r, fd, text, sizeof(text), request)

static const char *body(void)
{
	return strstr(text, "\r\n\r\n") + 4;
}

/* One that has asked for an event and has it. */
static int running(struct runtime_rig *r)
{
	int fd = rig_connect(r);

	rig_send(fd, NEXT);
	cr_assert_eq(rig_news(r), RUNTIME_ASKED);
	rig_give(r, ID, "{\"a\":1}");
	cr_assert_eq(rig_answer(r, fd, text, sizeof(text)), 200);
	return fd;
}

static struct runtime_answer answered(const struct runtime_rig *r)
{
	struct runtime_answer a;

	runtime_http_answer(r->http, &a);
	return a;
}

Test(runtime_http, an_event_and_its_response)
{
	struct runtime_rig r;
	struct runtime_answer a;
	int fd;

	rig_open(&r);
	fd = running(&r);
	cr_assert_not_null(strstr(text, "Lambda-Runtime-Aws-Request-Id: " ID "\r\n"));
	cr_assert_not_null(strstr(text, "Lambda-Runtime-Deadline-Ms: 1900000000123\r\n"));
	cr_assert_not_null(strstr(text, "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:"));
	cr_assert_not_null(strstr(text, "Content-Type: application/json\r\n"));
	cr_assert_null(strstr(text, "Lambda-Runtime-Client-Context"));
	cr_assert_str_eq(body(), "{\"a\":1}");
	cr_assert_eq(
		ASK(&r, fd, POST(OF("response"), "Content-Type: text/x\r\n" LENGTH(5), "hello")),
		202);
	cr_assert_str_eq(body(), "{\"status\":\"OK\"}\n");
	cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
	a = answered(&r);
	cr_assert_eq(a.len, 5);
	cr_assert_eq(memcmp(a.bytes, "hello", 5), 0);
	cr_assert_str_eq(a.content_type, "text/x");
	cr_assert_not(a.streamed);
	/* And the next one on the same connection. */
	rig_send(fd, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
	cr_assert_eq(answered(&r).len, 5, "until an event is given");
	rig_give(&r, "other", "");
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 200);
	cr_assert_str_eq(body(), "");
	cr_assert_eq(answered(&r).len, 0);
	rig_close(&r);
}

Test(runtime_http, an_error)
{
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = running(&r);
	cr_assert_eq(
		ASK(&r, fd,
		    POST(OF("error"), "Lambda-Runtime-Function-Error-Type: E\r\n" LENGTH(2), "{}")),
		202);
	cr_assert_eq(rig_news(&r), RUNTIME_FAILED);
	cr_assert_str_eq(answered(&r).error_type, "E");
	cr_assert_eq(answered(&r).len, 2);
	rig_close(&r);
}

Test(runtime_http, an_error_of_init)
{
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = rig_connect(&r);
	cr_assert_eq(ASK(&r, fd, POST("init/error", LENGTH(2), "{}")), 202);
	cr_assert_eq(rig_news(&r), RUNTIME_INIT_ERROR);
	cr_assert_eq(runtime_http_state(r.http), RUNTIME_INIT_FAILED);
	cr_assert_eq(ASK(&r, fd, NEXT), 403);
	rig_close(&r);
}

/* What is refused leaves the connection and the invocation as they were. */
Test(runtime_http, out_of_turn)
{
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = rig_connect(&r);
	cr_assert_eq(ASK(&r, fd, POST(OF("response"), LENGTH(2), "{}")), 400);
	cr_assert_not_null(strstr(body(), "InvalidRequestID"));
	(void)close(fd);
	fd = running(&r);
	cr_assert_eq(ASK(&r, fd, POST("invocation/other/response", LENGTH(2), "{}")), 400);
	cr_assert_eq(ASK(&r, fd, POST("init/error", LENGTH(2), "{}")), 403);
	cr_assert_eq(ASK(&r, fd, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"), 404);
	cr_assert_eq(
		ASK(&r, fd, "DELETE /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\n\r\n"),
		405);
	cr_assert_eq(ASK(&r, fd, NEXT), 200, "the same event once more");
	cr_assert_str_eq(body(), "{\"a\":1}");
	cr_assert_eq(ASK(&r, fd, POST(OF("response"), LENGTH(2), "{}")), 202);
	cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
	cr_assert_eq(ASK(&r, fd, POST(OF("response"), LENGTH(4), "null")), 403);
	cr_assert_eq(ASK(&r, fd, POST(OF("error"), LENGTH(4), "null")), 403);
	cr_assert_eq(answered(&r).len, 2, "what was answered stays");
	cr_assert_eq(runtime_http_news(r.http), RUNTIME_NO_NEWS);
	rig_close(&r);
}

/* Its own half of a message keeps a connection, and no other. */
Test(runtime_http, half_a_message)
{
	struct runtime_rig r;
	int fd, other;

	rig_open(&r);
	fd = running(&r);
	rig_send(fd, POST(OF("response"), LENGTH(100), "half"));
	other = rig_connect(&r);
	cr_assert_eq(ASK(&r, other, POST(OF("response"), LENGTH(2), "{}")), 403);
	cr_assert_eq(ASK(&r, other, NEXT), 403);
	(void)close(fd);
	cr_assert_eq(rig_news(&r), RUNTIME_CUT);
	rig_send(other, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
	rig_close(&r);
}

static size_t at; /* in a chunk: the next to send */

/* Until so much is sent, or the connection is closed; unless all: or nobody reads for now. */
static size_t send_chunks(struct runtime_rig *r, int fd, size_t total, bool all)
{
	static char chunk[16 + (64 << 10) + 2];
	size_t len, sent = 0;

	len = (size_t)snprintf(chunk, 16, "%x\r\n", 64 << 10);
	memset(chunk + len, 'x', 64 << 10);
	chunk[len + (64 << 10)] = '\r';
	chunk[len + (64 << 10) + 1] = '\n';
	len += (64 << 10) + 2;
	while (sent < total) {
		ssize_t n = send(fd, chunk + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		if (n < 0 && !rig_could_turn(r, all ? fd : -1))
			break;
		if (n < 0)
			continue;
		sent += (size_t)n;
		at = (at + (size_t)n) % len;
	}
	return sent;
}

#define CHUNKED "Transfer-Encoding: chunked\r\n"

Test(runtime_http, larger_than_it_may_be)
{
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = running(&r);
	rig_send(fd, POST(OF("response"), CHUNKED, ""));
	send_chunks(&r, fd, ((64 << 10) + 7) * 100, true);
	cr_assert_eq(rig_news(&r), RUNTIME_OVERSIZED);
	cr_assert_eq(ASK(&r, fd, "0\r\n\r\n"), 413);
	cr_assert_not_null(strstr(body(), "RequestEntityTooLarge"));
	cr_assert_eq(answered(&r).len, 0);
	rig_send(fd, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED, "and it goes on");
	rig_close(&r);
}

/* Its head is enough; it comes to hear so all the same, and one that cannot is not waited for. */
Test(runtime_http, that_says_that_it_is_too_large)
{
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = running(&r);
	rig_send(fd, POST(OF("response"), LENGTH(6554501), ""));
	cr_assert_eq(rig_news(&r), RUNTIME_OVERSIZED);
	cr_assert_eq(send_chunks(&r, fd, 6554500, true), 6554500);
	cr_assert_eq(ASK(&r, fd, "x"), 413);
	cr_assert_eq(answered(&r).len, 0);
	rig_send(fd, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED, "and it goes on");
	rig_give(&r, ID, "{}");
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 200);
	rig_send(fd, POST(OF("response"), LENGTH(10737418240), ""));
	cr_assert_eq(rig_news(&r), RUNTIME_OVERSIZED);
	cr_assert_eq(rig_news(&r), RUNTIME_INSISTED);
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 0, "nobody listens");
	rig_close(&r);
}

/* Ten gigabytes are not read. */
Test(runtime_http, without_end)
{
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = running(&r);
	rig_send(fd, POST(OF("response"), CHUNKED, ""));
	send_chunks(&r, fd, 10UL << 30, true);
	cr_assert_eq(rig_news(&r), RUNTIME_OVERSIZED);
	cr_assert_eq(rig_news(&r), RUNTIME_INSISTED);
	fd = rig_connect(&r);
	rig_send(fd, NEXT);
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 0, "nobody listens");
	rig_close(&r);
}

Test(runtime_http, again_and_again)
{
	struct runtime_rig r;
	int fd, calls = 0;

	rig_open(&r);
	fd = running(&r);
	while (calls < 2 * RUNTIME_CALLS_MAX &&
	       ASK(&r, fd, POST("init/error", LENGTH(2), "{}")) == 403)
		calls++;
	cr_assert_lt(calls, RUNTIME_CALLS_MAX + 1);
	cr_assert_eq(rig_news(&r), RUNTIME_INSISTED);
	cr_assert_eq(runtime_http_news(r.http), RUNTIME_NO_NEWS);
	rig_close(&r);
}

/* More connections than it has are the kernel's; those that end make room. */
Test(runtime_http, a_crowd)
{
	enum { CROWD = 60 };
	struct runtime_rig r;
	int fds[CROWD], fd;

	rig_open(&r);
	for (int i = 0; i < CROWD; i++) {
		fds[i] = rig_connect(&r);
		rig_send(fds[i], "GET /2018-06-01/run");
	}
	for (int i = 0; i < CROWD; i++)
		(void)close(fds[i]);
	fd = running(&r);
	cr_assert_eq(ASK(&r, fd, POST(OF("response"), LENGTH(2), "{}")), 202);
	rig_close(&r);
}

Test(runtime_http, a_thousand)
{
	enum { ALL = 1000, AT_ONCE = 50 };
	struct runtime_rig r;
	int fds[AT_ONCE], fd;

	rig_open(&r);
	for (int i = 0; i < ALL; i++) {
		if (i >= AT_ONCE)
			(void)close(fds[i % AT_ONCE]);
		fds[i % AT_ONCE] = rig_connect(&r);
		rig_send(fds[i % AT_ONCE], i % 3 ? "P" : NEXT);
		runtime_http_run(r.http);
	}
	for (int i = 0; i < AT_ONCE; i++)
		(void)close(fds[i]);
	fd = rig_connect(&r);
	rig_send(fd, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
	while (runtime_http_give(r.http, &(struct runtime_event){ .request_id = ID, .payload = "" },
				 NULL) < 0)
		rig_turn(&r, -1);
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 200);
	rig_close(&r);
}

/* Heads that never end keep a function's own calls out, and nobody else's; one that goes is room.
 */
Test(runtime_http, slow_ones)
{
	static char head[RUNTIME_HEAD_MAX + 1];
	struct runtime_rig r, other;
	int fds[RUNTIME_CONNECTIONS_MAX], fd;

	rig_open(&r);
	rig_open(&other);
	for (int i = 0; i < RUNTIME_CONNECTIONS_MAX; i++) {
		fds[i] = rig_connect(&r);
		rig_send(fds[i], "GET /2018-06-01/run");
	}
	for (int n = 0; n < 20; n++)
		for (int i = 0; i < RUNTIME_CONNECTIONS_MAX; i++) {
			rig_send(fds[i], "x");
			runtime_http_run(r.http);
		}
	fd = rig_connect(&r);
	rig_send(fd, NEXT);
	for (int i = 0; i < 20; i++)
		runtime_http_run(r.http);
	cr_assert_eq(runtime_http_news(r.http), RUNTIME_NO_NEWS, "it waits behind them");
	cr_assert_eq(runtime_http_due_ms(r.http), -1, "which costs nothing");
	(void)running(&other);
	/* A head that is too long is refused. */
	memset(head, 'x', RUNTIME_HEAD_MAX);
	rig_send(fds[0], head);
	cr_assert_geq(rig_answer(&r, fds[0], text, sizeof(text)), 400);
	(void)close(fds[0]);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
	rig_close(&r);
	rig_close(&other);
}

/* Who waits and is gone takes no event with it. */
Test(runtime_http, waits_and_is_gone)
{
	struct runtime_rig r;
	int gone, fd;

	rig_open(&r);
	gone = rig_connect(&r);
	rig_send(gone, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
	(void)close(gone);
	fd = rig_connect(&r);
	rig_give(&r, ID, "1");
	cr_assert_eq(ASK(&r, fd, NEXT), 200);
	cr_assert_str_eq(body(), "1");
	/* Of two that wait, the one that is there has it. */
	cr_assert_eq(ASK(&r, fd, POST(OF("response"), LENGTH(1), "1")), 202);
	cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
	(void)rig_connect(&r); /* which has the place of the one before */
	gone = rig_connect(&r);
	rig_send(gone, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
	rig_send(fd, NEXT);
	rig_turn(&r, -1);
	(void)close(gone);
	rig_give(&r, ID, "3");
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 200);
	cr_assert_str_eq(body(), "3");
	/* One after the other, more than there may be. */
	cr_assert_eq(ASK(&r, fd, POST(OF("response"), LENGTH(1), "1")), 202);
	for (int i = 0; i < 3 * RUNTIME_CONNECTIONS_MAX; i++) {
		gone = rig_connect(&r);
		rig_send(gone, NEXT);
		if (i == 0) {
			cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
			cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
		} else {
			rig_turn(&r, -1);
		}
		(void)close(gone);
	}
	rig_send(fd, NEXT);
	rig_turn(&r, -1);
	rig_give(&r, "x", "2");
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 200);
	rig_close(&r);
}

/* As AWS's client sends one with the causes of an error: it is an answer that is too large. */
Test(runtime_http, a_long_head)
{
	static char head[RUNTIME_HEAD_MAX + 1];
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = running(&r);
	memset(head, 'x', RUNTIME_HEAD_MAX);
	rig_send(fd, "POST /2018-06-01/runtime/" OF("error") " HTTP/1.1\r\nHost: x\r\nCause: ");
	rig_send(fd, head);
	cr_assert_eq(rig_news(&r), RUNTIME_OVERSIZED);
	cr_assert_geq(rig_answer(&r, fd, text, sizeof(text)), 400);
	(void)close(fd);
	fd = rig_connect(&r);
	rig_send(fd, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
	/* What was sent before is no part of a head that breaks off. */
	rig_give(&r, ID, "1");
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 200);
	rig_send(fd, POST(OF("response"), LENGTH(65536), ""));
	cr_assert_eq(ASK(&r, fd, head), 202);
	cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
	rig_send(fd, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
	rig_give(&r, ID, "1");
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 200);
	rig_send(fd, "POST /2018-06-01/runtime/" OF("error") " HTTP/1.1\r\nHost: x\r\n");
	(void)close(fd);
	fd = rig_connect(&r);
	cr_assert_eq(ASK(&r, fd, NEXT), 200);
	cr_assert_eq(ASK(&r, fd, POST(OF("response"), LENGTH(1), "1")), 202);
	cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
	rig_send(fd, NEXT);
	cr_assert_eq(rig_news(&r), RUNTIME_ASKED);
	/* Another's is nothing of this one's, nor is a short one that breaks off. */
	rig_give(&r, "other", "1");
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 200);
	rig_send(fd, "POST /2018-06-01/runtime/" OF("error") " HTTP/1.1\r\nHost: x\r\nCause: ");
	rig_send(fd, head);
	cr_assert_geq(rig_answer(&r, fd, text, sizeof(text)), 400);
	fd = rig_connect(&r);
	rig_send(fd, "POST /2018-06-01/runtime/invocation/other/error HTTP/1.1\r\nHost: x\r\n");
	(void)close(fd);
	fd = rig_connect(&r);
	cr_assert_eq(ASK(&r, fd, NEXT), 200);
	cr_assert_eq(runtime_http_news(r.http), RUNTIME_NO_NEWS);
	rig_close(&r);
}

Test(runtime_http, garbage)
{
	static const char *const texts[] = {
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"\x16\x03\x01\x02",
		"GET / HTTP/9.9\r\n\r\n",
		POST(OF("response"), "Content-Length: -1\r\n", ""),
		POST(OF("response"), "Content-Length: 99999999999999999999\r\n", ""),
		POST(OF("response"), CHUNKED, "zz\r\n"),
		POST(OF("response"), "Transfer-Encoding: x\r\n", ""),
	};
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		fd = rig_connect(&r);
		rig_send(fd, texts[i]);
		(void)shutdown(fd, SHUT_WR);
		(void)rig_answer(&r, fd, text, sizeof(text));
		(void)close(fd);
	}
	fd = running(&r);
	cr_assert_eq(ASK(&r, fd, POST(OF("response"), LENGTH(2), "{}")), 202);
	rig_close(&r);
}

Test(runtime_http, streamed)
{
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = running(&r);
	cr_assert_eq(ASK(&r, fd,
			 POST(OF("response"),
			      "Lambda-Runtime-Function-Response-Mode: streaming\r\n" CHUNKED
			      "Trailer: Lambda-Runtime-Function-Error-Type\r\n",
			      "3\r\nabc\r\n2\r\nde\r\n0\r\n"
			      "Lambda-Runtime-Function-Error-Type: RangeError\r\n"
			      "Lambda-Runtime-Function-Error-Body: e30=\r\n\r\n")),
		     202);
	cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
	cr_assert(answered(&r).streamed);
	cr_assert_eq(answered(&r).len, 5);
	cr_assert_str_eq(answered(&r).trailer_type, "RangeError");
	cr_assert_str_eq(answered(&r).trailer_body, "e30=");
	rig_close(&r);
}

#define STREAMING "Lambda-Runtime-Function-Response-Mode: streaming\r\n" CHUNKED

static int running_by_parts(struct runtime_rig *r)
{
	const struct runtime_event e = { .request_id = ID, .payload = "", .by_parts = true };
	int fd = rig_connect(r);

	rig_send(fd, NEXT);
	cr_assert_eq(rig_news(r), RUNTIME_ASKED);
	cr_assert_eq(runtime_http_give(r->http, &e, NULL), 0);
	cr_assert_eq(rig_answer(r, fd, text, sizeof(text)), 200);
	return fd;
}

Test(runtime_http, by_parts)
{
	struct runtime_rig r;
	const void *bytes;
	int fd;

	rig_open(&r);
	fd = running_by_parts(&r);
	rig_send(fd, POST(OF("response"), "Content-Type: text/x\r\n" STREAMING, "3\r\nabc\r\n"));
	cr_assert_eq(rig_news(&r), RUNTIME_STREAMS);
	cr_assert_str_eq(answered(&r).content_type, "text/x");
	cr_assert_eq(rig_news(&r), RUNTIME_PART);
	cr_assert_eq(runtime_http_take(r.http, &bytes), 3);
	cr_assert_eq(memcmp(bytes, "abc", 3), 0);
	cr_assert_eq(runtime_http_take(r.http, &bytes), 0);
	rig_send(fd, "2\r\nde\r\n");
	cr_assert_eq(rig_news(&r), RUNTIME_PART);
	cr_assert_eq(ASK(&r, fd, "1\r\nf\r\n0\r\n\r\n"), 202);
	cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
	cr_assert_eq(answered(&r).len, 3, "what was not taken");
	cr_assert_eq(memcmp(answered(&r).bytes, "def", 3), 0);
	rig_close(&r);
}

/* Who takes nothing is sent no more than a window; who does is sent all, up to the limit. */
Test(runtime_http, parts_that_are_not_taken)
{
	struct runtime_rig r;
	const void *bytes;
	size_t taken = 0;
	int fd;

	rig_open(&r);
	fd = running_by_parts(&r);
	rig_send(fd, POST(OF("response"), STREAMING, ""));
	cr_assert_lt(send_chunks(&r, fd, 1UL << 30, false), 30UL << 20);
	cr_assert_eq(rig_news(&r), RUNTIME_STREAMS);
	cr_assert_eq(rig_news(&r), RUNTIME_PART);
	cr_assert_eq(runtime_http_news(r.http), RUNTIME_NO_NEWS);
	cr_assert_lt(answered(&r).len, 2 * RUNTIME_WINDOW);
	for (;;) {
		size_t n = runtime_http_take(r.http, &bytes);
		enum runtime_news news;

		taken += n;
		(void)send_chunks(&r, fd, 1 << 20, false);
		news = runtime_http_news(r.http);
		if (news == RUNTIME_OVERSIZED)
			break;
		cr_assert(news == RUNTIME_PART || news == RUNTIME_NO_NEWS);
	}
	cr_assert_gt(taken, RUNTIME_STREAM_MAX / 2);
	cr_assert_leq(taken, RUNTIME_STREAM_MAX);
	rig_close(&r);
}

Test(runtime_http, parts_that_break_off)
{
	enum runtime_news news;
	struct runtime_rig r;
	const void *bytes;
	int fd;

	rig_open(&r);
	fd = running_by_parts(&r);
	rig_send(fd, POST(OF("response"), STREAMING, ""));
	(void)send_chunks(&r, fd, 1UL << 30, false);
	(void)close(fd);
	cr_assert_eq(rig_news(&r), RUNTIME_STREAMS);
	cr_assert_eq(rig_news(&r), RUNTIME_PART);
	do {
		(void)runtime_http_take(r.http, &bytes);
		news = rig_news(&r);
	} while (news == RUNTIME_PART);
	cr_assert_eq(news, RUNTIME_CUT);
	/* One that is held when it is closed. */
	at = 0;
	fd = running_by_parts(&r);
	rig_send(fd, POST(OF("response"), STREAMING, ""));
	(void)send_chunks(&r, fd, 1UL << 30, false);
	rig_close(&r);
}

Test(runtime_http, a_mode_that_there_is_not)
{
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = running(&r);
	cr_assert_eq(ASK(&r, fd,
			 POST(OF("response"),
			      "Lambda-Runtime-Function-Response-Mode: odd\r\n" LENGTH(2), "{}")),
		     400);
	cr_assert_not_null(strstr(body(), "InvalidFunctionResponseMode"));
	cr_assert_eq(rig_news(&r), RUNTIME_MODE);
	rig_close(&r);
}

Test(runtime_http, given_in_turn_only)
{
	struct runtime_event e = { .request_id = ID, .payload = "", .len = 0 };
	struct runtime_rig r;

	rig_open(&r);
	cr_assert_eq(runtime_http_give(r.http, &e, NULL), -EBUSY);
	e.len = RUNTIME_PAYLOAD_MAX + 1;
	cr_assert_eq(runtime_http_give(r.http, &e, NULL), -EFBIG);
	rig_close(&r);
}
