/* SPDX-License-Identifier: MIT */
/*
 * A function that speaks the Runtime API itself, well or badly: the event, of up to 255 bytes, says
 * which. It writes HTTP
 * as plain text, so that nothing keeps it from what no client would do.
 *
 *	"echo"	 (and all that is not below) the event is the response
 *	"error"	 an error
 *	"twice"	 the response, and another one
 *	"others" a response to another invocation, then its own
 *	"early"	 asks for the next event, then answers
 *	"half"	 half a response, and that connection is closed
 *	"large"	 a response that is too large
 *	"junk"	 bytes that are no HTTP, on a connection of their own, then its own
 *	"crowd"	 a hundred connections that say nothing, then its own
 *	"exit"	 status 7 without an answer; "init" (argument): an error of init
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGE (7 << 20)
#define CROWD 100

static char input[1 << 16];

/* flags: SOCK_NONBLOCK: it may be waited for, which nobody does here. */
static int open_api(int flags)
{
	const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
	const char *port = api ? strchr(api, ':') : NULL;
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((in_port_t)(port ? atoi(port + 1) : 0)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0), one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0 && !flags) {
		perror("connect");
		exit(3);
	}
	return fd;
}

static void put(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

/* An answer's status, its head and body in input; 0: the connection was closed. */
static int get(int fd, char **body)
{
	size_t len = 0, want;
	char *end, *length;

	do {
		ssize_t n = recv(fd, input + len, sizeof(input) - 1 - len, 0);

		if (n <= 0)
			return 0;
		len += (size_t)n;
		input[len] = '\0';
		end = strstr(input, "\r\n\r\n");
		length = strcasestr(input, "content-length:");
		want = end && length ? (size_t)atoi(length + 15) + 4 : 0;
	} while (!end || len < (size_t)(end - input) + want);
	*body = end + 4;
	return atoi(input + strlen("HTTP/1.1 "));
}

static void head(int fd, const char *of, const char *what, size_t len)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "POST /2018-06-01/runtime/%s%s HTTP/1.1\r\nHost: x\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
			 of, what, len);

	put(fd, text, (size_t)n);
}

static int post(int fd, const char *of, const char *what, const char *bytes, size_t len)
{
	char *body;

	head(fd, of, what, len);
	put(fd, bytes, len);
	return get(fd, &body);
}

static int ask(int fd, char **body)
{
	static const char next[] =
		"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";

	put(fd, next, sizeof(next) - 1);
	return get(fd, body);
}

static void crowd(void)
{
	int fds[CROWD];

	for (int i = 0; i < CROWD; i++)
		fds[i] = open_api(SOCK_NONBLOCK);
	for (int i = 0; i < CROWD; i++)
		(void)close(fds[i]);
}

/* What is done before the answer. */
static void misbehave(int fd, const char *how, const char *of)
{
	static char bytes[LARGE];
	char *body;
	int other;

	if (strcmp(how, "\"exit\"") == 0)
		exit(7);
	if (strcmp(how, "\"early\"") == 0)
		(void)ask(fd, &body);
	if (strcmp(how, "\"others\"") == 0)
		(void)post(fd, "invocation/somebody-elses", "/response", "1", 1);
	if (strcmp(how, "\"crowd\"") == 0)
		crowd();
	if (strcmp(how, "\"large\"") == 0)
		(void)post(fd, of, "/response", bytes, sizeof(bytes));
	if (strcmp(how, "\"half\"") == 0 || strcmp(how, "\"junk\"") == 0) {
		other = open_api(0);
		if (strcmp(how, "\"half\"") == 0)
			head(other, of, "/response", 100);
		put(other, "\001\002\r\n\r\n{\"half", 12);
		(void)shutdown(other, SHUT_WR);
		(void)get(other, &body);
		(void)close(other);
	}
}

int main(int argc, char **argv)
{
	char how[256], of[128], *body;
	const char *id;
	int fd = open_api(0);

	if (argc > 1 && strcmp(argv[1], "init") == 0) {
		(void)post(fd, "init", "/error", "{\"errorType\":\"Of.Init\"}", 23);
		return 9;
	}
	while (ask(fd, &body) == 200) {
		id = strcasestr(input, "Request-Id: ");
		if (!id)
			return 2;
		id += strlen("Request-Id: ");
		(void)snprintf(of, sizeof(of), "invocation/%.*s", (int)strcspn(id, "\r"), id);
		(void)snprintf(how, sizeof(how), "%s", body);
		misbehave(fd, how, of);
		if (strcmp(how, "\"error\"") == 0)
			(void)post(fd, of, "/error", "{\"errorType\":\"Of.Mine\"}", 23);
		else
			(void)post(fd, of, "/response", how, strlen(how));
		if (strcmp(how, "\"twice\"") == 0)
			(void)post(fd, of, "/response", "2", 1);
	}
	return 1;
}
