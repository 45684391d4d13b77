/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_RUNTIME_RIG_H
#define CLOCHE_TESTS_LIB_RUNTIME_RIG_H

/*
 * The Runtime API on a port of the test's own, the test being the loop that drives it: it never
 * runs but where the test waits for something, so that what happened before is known. Here and not
 * in a .c file, as only few programs are linked with what speaks HTTP.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/runtime_http.h"

/* Far above what anything here takes: a wait that long has failed. */
#define RIG_PATIENCE_MS 20000

#define RIG_UNUSED __attribute__((unused))

struct runtime_rig {
	struct runtime_http *http;
	char address[32]; /* of AWS_LAMBDA_RUNTIME_API */
	struct sockaddr_in at;
};

RIG_UNUSED static void rig_open(struct runtime_rig *r)
{
	socklen_t len = sizeof(r->at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	r->at = (struct sockaddr_in){ .sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cr_assert_eq(bind(fd, (struct sockaddr *)&r->at, len), 0);
	cr_assert_eq(listen(fd, 64), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&r->at, &len), 0);
	(void)snprintf(r->address, sizeof(r->address), "127.0.0.1:%u", ntohs(r->at.sin_port));
	cr_assert_eq(runtime_http_open(fd, &r->http, NULL), 0);
}

RIG_UNUSED static void rig_close(struct runtime_rig *r)
{
	r->http = runtime_http_close(r->http);
}

RIG_UNUSED static int rig_connect(const struct runtime_rig *r)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (const struct sockaddr *)&r->at, sizeof(r->at)), 0);
	return fd;
}

RIG_UNUSED static void rig_send(int fd, const char *text)
{
	size_t len = strlen(text);

	cr_assert_eq(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Runs it until there is something in fd, or, fd < 0, once something has happened. */
RIG_UNUSED static void rig_turn(struct runtime_rig *r, int fd)
{
	struct pollfd p[] = { { .fd = runtime_http_fd(r->http), .events = POLLIN },
			      { .fd = fd, .events = POLLIN } };
	int due = runtime_http_due_ms(r->http);

	cr_assert(poll(p, 2, due < 0 ? RIG_PATIENCE_MS : due) > 0 || due >= 0,
		  "nothing happens any more");
	runtime_http_run(r->http);
}

/* False: there is nothing to run for. fd >= 0: waits until there is, or more can be sent by it. */
RIG_UNUSED static bool rig_could_turn(struct runtime_rig *r, int fd)
{
	struct pollfd p[] = { { .fd = runtime_http_fd(r->http), .events = POLLIN },
			      { .fd = fd, .events = POLLOUT } };
	int due = runtime_http_due_ms(r->http);

	if (poll(p, 2, fd < 0 || due == 0 ? 0 : RIG_PATIENCE_MS) <= 0 && due != 0)
		return false;
	runtime_http_run(r->http);
	return true;
}

RIG_UNUSED static enum runtime_news rig_news(struct runtime_rig *r)
{
	enum runtime_news news;

	while ((news = runtime_http_news(r->http)) == RUNTIME_NO_NEWS)
		rig_turn(r, -1);
	return news;
}

/* One answer: its status, and all of it, NUL-terminated, in text. 0: the connection was closed
 * before one came. */
RIG_UNUSED static int rig_answer(struct runtime_rig *r, int fd, char *text, size_t size)
{
	size_t len = 0, body = 0;
	int status = 0;

	for (;;) {
		ssize_t n = recv(fd, text + len, size - 1 - len, MSG_DONTWAIT);
		char *end, *length;

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return 0;
		if (n < 0) {
			cr_assert_eq(errno, EAGAIN);
			rig_turn(r, fd);
			continue;
		}
		len += (size_t)n;
		text[len] = '\0';
		end = strstr(text, "\r\n\r\n");
		if (!end)
			continue;
		cr_assert_eq(sscanf(text, "HTTP/1.1 %d", &status), 1, "%s", text);
		length = strcasestr(text, "content-length:");
		body = length && length < end ? (size_t)atoi(length + 15) : 0;
		if (len >= (size_t)(end + 4 - text) + body && status >= 200)
			return status;
		if (status < 200) {
			memmove(text, end + 4, len + 1 - (size_t)(end + 4 - text));
			len -= (size_t)(end + 4 - text);
		}
	}
}

RIG_UNUSED static int rig_ask(struct runtime_rig *r, int fd, char *text, size_t size,
			      const char *request)
{
	rig_send(fd, request);
	return rig_answer(r, fd, text, size);
}

RIG_UNUSED static void rig_give(struct runtime_rig *r, const char *id, const char *payload)
{
	struct runtime_event e = { .request_id = id,
				   .deadline_ms = 1900000000123,
				   .function_arn = "arn:aws:lambda:local:000000000000:function:f",
				   .payload = payload,
				   .len = strlen(payload) };

	cr_assert_eq(runtime_http_give(r->http, &e, NULL), 0);
}

#endif
