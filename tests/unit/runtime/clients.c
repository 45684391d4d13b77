/* SPDX-License-Identifier: MIT */
/*
 * What real runtime clients put on the wire, byte by byte, and what they need back: each by one
 * connection that stays or by a new one for each call, as it does itself. Not here: aws-lambda-ric
 * of npm, which has its requests from the C++ client.
 */
#include "tests/lib/runtime_rig.h"

#define ID	 "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
#define API	 "/2018-06-01/runtime/"
#define OF(what) API "invocation/" ID "/" what

static char text[1 << 16];

struct client {
	const char *name;
	bool anew;	      /* each call has a connection of its own */
	const char *next;     /* requests, whole */
	const char *response; /* whose body is: */
	const char *body;
	const char *type; /* what it is said to be; "": it is not said */
	const char *error;
	const char *error_type;
	bool streamed;
};

/* curl_easy_perform with CURLOPT_POST, a content-length of its own, and "Expect:" and
 * "transfer-encoding:" taken out (aws-lambda-cpp, src/runtime.cpp, 0.2.8). */
#define CPP(line, more)                                                  \
	line " HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nAccept: */*\r\n" more \
	     "User-Agent: AWS_Lambda_Cpp/0.2.8\r\n"

/* hyper: all names in lower case, the host last (aws-lambda-rust-runtime, lambda-runtime-api-client
 * and lambda-runtime/src/requests.rs). */
#define RUST(line, more) \
	line " HTTP/1.1\r\nuser-agent: aws-lambda-rust/0.11.1\r\n" more "host: 127.0.0.1:9001\r\n"

/* net/http: its own order, and gzip, which is for who can (aws-lambda-go,
 * lambda/runtime_api_client.go). */
#define GO(line, more)                                                                          \
	line " HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nUser-Agent: aws-lambda-go/go1.22.1\r\n" more \
	     "Accept-Encoding: gzip\r\n"

/* The shell script of Lambda's tutorial: curl -d, one process for each call. */
#define CURL(line, more)                                                                \
	line " HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nUser-Agent: curl/7.88.1\r\nAccept: " \
	     "*/*\r\n" more

/* java.net.http, which asks for HTTP/2 as long as nobody says otherwise. */
#define JAVA(line, more)                                                 \
	line " HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n" more \
	     "Host: 127.0.0.1:9001\r\nHTTP2-Settings: "                  \
	     "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"              \
	     "Upgrade: h2c\r\nUser-Agent: Java-http-client/17.0.9\r\n"

/* Net::HTTP of Ruby: a connection for each call, closed by whoever has read it. */
#define RUBY(line, more)                                                                         \
	line " HTTP/1.1\r\nAccept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nAccept: " \
	     "*/*\r\nUser-Agent: AWS_Lambda_Ruby/3.2\r\nHost: 127.0.0.1:9001\r\n" more           \
	     "Connection: close\r\n"

static const struct client clients[] = {
	{ .name = "C++",
	  .next = CPP("GET " API "invocation/next", "") "\r\n",
	  .response =
		  CPP("POST " OF("response"),
		      "content-type: application/json\r\n") "content-length: 7\r\n\r\n{\"a\":1}",
	  .body = "{\"a\":1}",
	  .type = "application/json",
	  .error = CPP(
		  "POST " OF("error"),
		  "content-type: application/json\r\n") "lambda-runtime-function-xray-error-cause: "
							"{\"working_directory\":\"/var/task\"}\r\n"
							"content-length: "
							"23\r\n\r\n{\"errorType\":\"A::Type\"}",
	  .error_type = "" },
	{ .name = "C++, a response without a byte, and without a type",
	  .next = CPP("GET " API "invocation/next", "") "\r\n",
	  .response = CPP("POST " OF("response"),
			  "content-type: text/html\r\n") "content-length: 0\r\n\r\n",
	  .body = "",
	  .type = "text/html",
	  .error = CPP("POST " OF("error"),
		       "content-type: text/html\r\n") "content-length: 0\r\n\r\n",
	  .error_type = "" },
	{ .name = "Rust",
	  .next = RUST("GET " API "invocation/next", "") "\r\n",
	  .response = RUST("POST " OF("response"), "content-length: 7\r\n") "\r\n{\"a\":1}",
	  .body = "{\"a\":1}",
	  .type = "",
	  .error = RUST("POST " OF("error"),
			"lambda-runtime-function-error-type: unhandled\r\n"
			"content-length: 23\r\n") "\r\n{\"errorType\":\"a::Type\"}",
	  .error_type = "unhandled" },
	{ .name = "Rust, streaming",
	  .next = RUST("GET " API "invocation/next", "") "\r\n",
	  .response = RUST(
		  "POST " OF("response"),
		  "transfer-encoding: chunked\r\n"
		  "lambda-runtime-function-response-mode: streaming\r\n"
		  "trailer: Lambda-Runtime-Function-Error-Type\r\n"
		  "trailer: Lambda-Runtime-Function-Error-Body\r\n"
		  "content-type: application/vnd.awslambda.http-integration-response\r\n") "\r\n12"
											   "\r\n{"
											   "\"statu"
											   "sCode\""
											   ":200}"
											   "\r\n8\r"
											   "\n12345"
											   "678\r\n"
											   "1\r\nx"
											   "\r\n0\r"
											   "\n\r\n",
	  .body = "{\"statusCode\":200}12345678x",
	  .type = "application/vnd.awslambda.http-integration-response",
	  .error = RUST("POST " OF("error"), "lambda-runtime-function-error-type: unhandled\r\n"
					     "content-length: 2\r\n") "\r\n{}",
	  .error_type = "unhandled",
	  .streamed = true },
	{ .name = "Go",
	  .next = GO("GET " API "invocation/next", "") "\r\n",
	  .response = GO("POST " OF("response"),
			 "Content-Length: 7\r\nContent-Type: application/json\r\n") "\r\n{\"a\":1}",
	  .body = "{\"a\":1}",
	  .type = "application/json",
	  .error = GO("POST " OF("error"),
		      "Content-Length: 2\r\nContent-Type: application/json\r\n") "\r\n{}",
	  .error_type = "" },
	{ .name = "Go, a reader of unknown length",
	  .next = GO("GET " API "invocation/next", "") "\r\n",
	  .response =
		  GO("POST " OF("response"),
		     "Transfer-Encoding: chunked\r\n"
		     "Content-Type: application/octet-stream\r\n") "\r\n3\r\nabc\r\nA;x="
								   "y\r\n0123456789\r\n0\r\n\r\n",
	  .body = "abc0123456789",
	  .type = "application/octet-stream",
	  .error = GO("POST " OF("error"),
		      "Transfer-Encoding: chunked\r\n"
		      "Content-Type: application/json\r\n") "\r\n2\r\n{}\r\n0\r\n\r\n",
	  .error_type = "" },
	{ .name = "curl",
	  .anew = true,
	  .next = CURL("GET " API "invocation/next", "") "\r\n",
	  .response =
		  CURL("POST " OF("response"), "Content-Length: 5\r\nContent-Type: "
					       "application/x-www-form-urlencoded\r\n") "\r\na=1&b",
	  .body = "a=1&b",
	  .type = "application/x-www-form-urlencoded",
	  .error = CURL("POST " OF("error"),
			"Lambda-Runtime-Function-Error-Type: Unhandled\r\nContent-Length: 2\r\n"
			"Content-Type: application/x-www-form-urlencoded\r\n") "\r\n{}",
	  .error_type = "Unhandled" },
	{ .name = "Java",
	  .next = JAVA("GET " API "invocation/next", "") "\r\n",
	  .response = JAVA("POST " OF("response"), "Content-Length: 7\r\n") "\r\n{\"a\":1}",
	  .body = "{\"a\":1}",
	  .type = "",
	  .error = JAVA("POST " OF("error"),
			"Content-Length: 2\r\n") "Lambda-Runtime-Function-Error-Type: "
						 "java.lang.Error\r\n\r\n{}",
	  .error_type = "java.lang.Error" },
	{ .name = "Ruby",
	  .anew = true,
	  .next = RUBY("GET " API "invocation/next", "") "\r\n",
	  .response =
		  RUBY("POST " OF("response"),
		       "Content-Type: application/json\r\nContent-Length: 7\r\n") "\r\n{\"a\":1}",
	  .body = "{\"a\":1}",
	  .type = "application/json",
	  .error = RUBY("POST " OF("error"),
			"Lambda-Runtime-Function-Error-Type: "
			"Function<RuntimeError>\r\nContent-Length: 2\r\n") "\r\n{}",
	  .error_type = "Function<RuntimeError>" },
	{ .name = "by a proxy: the whole address",
	  .next = CURL("GET http://127.0.0.1:9001" API "invocation/next",
		       "Proxy-Connection: Keep-Alive\r\n") "\r\n",
	  .response = CURL("POST HTTP://127.0.0.1:9001" OF("response"),
			   "Content-Length: 1\r\n") "\r\n1",
	  .body = "1",
	  .type = "",
	  .error = CURL("POST http://127.0.0.1:9001" OF("error"), "Content-Length: 2\r\n") "\r\n{}",
	  .error_type = "" },
};

static int again(struct runtime_rig *r, const struct client *c, int fd)
{
	if (fd >= 0 && !c->anew)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return rig_connect(r);
}

/* What it asks for comes as any client finds it. */
static void expect_event(struct runtime_rig *r, const struct client *c, int fd)
{
	rig_send(fd, c->next);
	cr_assert_eq(rig_news(r), RUNTIME_ASKED, "%s", c->name);
	rig_give(r, ID, "{\"b\":2}");
	cr_assert_eq(rig_answer(r, fd, text, sizeof(text)), 200, "%s: %s", c->name, text);
	cr_assert(strcasestr(text, "\r\nlambda-runtime-aws-request-id: " ID "\r\n"), "%s", text);
	cr_assert(strcasestr(text, "\r\nlambda-runtime-deadline-ms: 1900000000123\r\n"), "%s",
		  text);
	cr_assert(strcasestr(text, "\r\ncontent-length: 7\r\n"), "%s", text);
	cr_assert_null(strcasestr(text, "transfer-encoding"), "%s", text);
	cr_assert_str_eq(strstr(text, "\r\n\r\n") + 4, "{\"b\":2}", "%s", c->name);
}

static void expect_answer(const struct runtime_rig *r, const struct client *c)
{
	struct runtime_answer a;

	runtime_http_answer(r->http, &a);
	cr_expect_eq(a.len, strlen(c->body), "%s", c->name);
	cr_expect_eq(memcmp(a.bytes, c->body, strlen(c->body)), 0, "%s", c->name);
	cr_expect_str_eq(a.content_type, c->type, "%s", c->name);
	cr_expect_eq(a.streamed, c->streamed, "%s", c->name);
}

static void serve(const struct client *c)
{
	struct runtime_answer a;
	struct runtime_rig r;
	int fd = -1;

	rig_open(&r);
	for (int i = 0; i < 3; i++) {
		fd = again(&r, c, fd);
		expect_event(&r, c, fd);
		fd = again(&r, c, fd);
		cr_assert_eq(rig_ask(&r, fd, text, sizeof(text), i == 2 ? c->error : c->response),
			     202, "%s: %s", c->name, text);
		cr_expect(strcasestr(text, "\r\ncontent-length: "), "%s: %s", c->name, text);
		cr_assert_eq(rig_news(&r), i == 2 ? RUNTIME_FAILED : RUNTIME_RESPONDED, "%s",
			     c->name);
		if (i < 2)
			expect_answer(&r, c);
	}
	runtime_http_answer(r.http, &a);
	cr_expect_str_eq(a.error_type, c->error_type, "%s", c->name);
	(void)close(fd);
	rig_close(&r);
}

Test(clients, are_served_as_they_ask)
{
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		serve(&clients[i]);
}

/* Byte by byte, as a slow network would. */
Test(clients, in_pieces)
{
	static const struct client *const c = &clients[3];
	struct runtime_rig r;
	int fd;

	rig_open(&r);
	fd = rig_connect(&r);
	expect_event(&r, c, fd);
	for (const char *at = c->response; *at; at++) {
		cr_assert_eq(send(fd, at, 1, MSG_NOSIGNAL), 1);
		(void)rig_could_turn(&r, -1);
	}
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 202);
	cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
	expect_answer(&r, c);
	rig_close(&r);
}

/* Of an init that failed: Rust without a body, C++ with one. */
Test(clients, an_error_of_init)
{
	static const char *const errors[] = {
		RUST("POST " API "init/error", "lambda-runtime-function-error-type: unhandled\r\n"
					       "content-length: 0\r\n") "\r\n",
		CPP("POST " API "init/error",
		    "content-type: application/json\r\n") "content-length: 2\r\n\r\n{}",
	};

	for (int i = 0; i < 2; i++) {
		struct runtime_rig r;

		rig_open(&r);
		cr_expect_eq(rig_ask(&r, rig_connect(&r), text, sizeof(text), errors[i]), 202);
		cr_expect_eq(rig_news(&r), RUNTIME_INIT_ERROR);
		rig_close(&r);
	}
}

/* libcurl asks before it sends a megabyte, unless it is told not to; so does .NET. */
Test(clients, a_long_one_asks_before_it_is_sent)
{
	static char body[(2 << 20) + 1];
	char head[400];
	struct runtime_answer a;
	struct runtime_rig r;
	size_t done = 0;
	ssize_t n = -1;
	int fd;

	memset(body, 'x', sizeof(body) - 1);
	rig_open(&r);
	fd = rig_connect(&r);
	expect_event(&r, &clients[0], fd);
	(void)snprintf(head, sizeof(head),
		       CURL("POST " OF("response"),
			    "Content-Length: %zu\r\n") "Expect: 100-continue\r\n\r\n",
		       sizeof(body) - 1);
	rig_send(fd, head);
	while (n < 0) {
		rig_turn(&r, fd);
		n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	}
	text[n] = '\0';
	cr_assert_str_eq(text, "HTTP/1.1 100 Continue\r\n\r\n");
	while (done < sizeof(body) - 1) {
		n = send(fd, body + done, sizeof(body) - 1 - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		done += n > 0 ? (size_t)n : 0;
		(void)rig_could_turn(&r, fd);
	}
	cr_assert_eq(rig_answer(&r, fd, text, sizeof(text)), 202);
	cr_assert_eq(rig_news(&r), RUNTIME_RESPONDED);
	runtime_http_answer(r.http, &a);
	cr_expect_eq(a.len, sizeof(body) - 1);
	rig_close(&r);
}
