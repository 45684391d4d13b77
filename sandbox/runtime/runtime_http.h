/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUNTIME_RUNTIME_HTTP_H
#define CLOCHE_RUNTIME_RUNTIME_HTTP_H

#include "runtime/runtime_api.h"

#include <stdint.h>

struct cloche_err;

/*
 * The Runtime API of one context over HTTP: libmicrohttpd before the machine of runtime_api.h. It
 * has no thread and never waits: whoever has a loop polls runtime_http_fd() for input, calls
 * runtime_http_run() then and when runtime_http_due_ms() has passed, and after each run, give or
 * take looks at what runtime_http_news() says until it says nothing.
 *
 * Who is at the other end is hostile. One context has RUNTIME_CONNECTIONS_MAX connections, each
 * with RUNTIME_HEAD_MAX bytes for heads (an answer with a longer one is an answer that is too
 * large), one response at a time, of RUNTIME_PAYLOAD_MAX bytes; further connections wait in the
 * kernel's queue. That it is too large is news when its length is said in its head, else with the
 * first byte too many. What is sent out of turn, or behind that byte, is read and forgotten, so
 * that its sender comes to hear the answer, up to RUNTIME_WASTE_MAX bytes and RUNTIME_CALLS_MAX
 * calls an invocation, at once where the length says that it will be more: then RUNTIME_INSISTED is
 * the news, and there is no answer any more. A call that never ends keeps its own connection and
 * nobody else: the invocation's deadline ends it. One run does a bounded part of what there is to
 * do.
 */
#define RUNTIME_CONNECTIONS_MAX 16
#define RUNTIME_HEAD_MAX	(64U << 10)
#define RUNTIME_WASTE_MAX	(64U << 20)
#define RUNTIME_CALLS_MAX	1000

/* A response that is told by parts may be longer, since no more is read while so much is not taken:
 * Lambda's 200 MB (its documentation, "Response streaming"). */
#define RUNTIME_STREAM_MAX (200U << 20)
#define RUNTIME_WINDOW	   (1U << 20)

struct runtime_http;

/* Answers on a socket that listens and is its own from now on, whatever it returns. */
int runtime_http_open(int listening, struct runtime_http **ret, struct cloche_err *err);
struct runtime_http *runtime_http_close(struct runtime_http *h);

/* To be polled for input; is h's. */
int runtime_http_fd(const struct runtime_http *h);

/* When to run again at the latest; -1: when there is input. */
int runtime_http_due_ms(const struct runtime_http *h);
void runtime_http_run(struct runtime_http *h);

enum runtime_state runtime_http_state(const struct runtime_http *h);

/* An event. Texts may be NULL: that header is not sent; so is one with a line break or a tab. */
struct runtime_event {
	const char *request_id;
	int64_t deadline_ms; /* since the epoch */
	const char *function_arn, *trace_id, *client_context, *cognito_identity;
	const void *payload;
	size_t len;
	bool by_parts; /* a streamed response is told as it comes, not gathered */
};

/* Copies it. -EBUSY: the runtime has not asked for one. Forgets the answer to the last one. */
int runtime_http_give(struct runtime_http *h, const struct runtime_event *event,
		      struct cloche_err *err);

/* What there is to say, oldest first; RUNTIME_NO_NEWS: nothing more. */
enum runtime_news runtime_http_news(struct runtime_http *h);

/*
 * What the runtime answered: valid from the news of it on until the next give. Texts are "" where
 * there are none; none is judged, they may be anything but NUL.
 */
struct runtime_answer {
	const void *bytes; /* of the response, or the error's object */
	size_t len;
	const char *content_type;
	const char *error_type; /* Lambda-Runtime-Function-Error-Type, of the head */
	bool streamed;
	/* Of a streamed response that failed on its way: what its trailers say; "" otherwise. The
	 * body is base64. */
	const char *trailer_type, *trailer_body;
};
void runtime_http_answer(const struct runtime_http *h, struct runtime_answer *ret);

/*
 * Of an event by_parts whose response is streamed: RUNTIME_STREAMS (content_type is known), then
 * RUNTIME_PART each time that there is something again, then how it ended. What has come since the
 * last take: *ret, valid until the next run or give. What is not taken is in the answer at the end.
 */
size_t runtime_http_take(struct runtime_http *h, const void **ret);

#endif
