/* SPDX-License-Identifier: MIT */
/*
 * A function that speaks the Runtime API itself, well or badly: the event, of up to 255 bytes, says
 * which. It writes HTTP
 * as plain text, so that nothing keeps it from what no client would do.
 *
 *	"echo"	 (and all that is not below) the event is the response
 *	"error"	 an error; "fatal": and the end, with status 129
 *	"twice"	 the response, and another one
 *	"others" a response to another invocation, then its own
 *	"early"	 asks for the next event, then answers
 *	"half"	 half a response, and that connection is closed
 *	"large"	 a response that is too large; "larger": and the end, with status 0
 *	"huge"	 one that says to be of ten gigabytes, and no more of it
 *	"mode"	 a response of a mode that there is not
 *	"junk"	 bytes that are no HTTP, on a connection of their own, then its own
 *	"crowd"	 a hundred connections that say nothing, then its own
 *	"holds"	 a hundred connections that stay, each with half a head, then its own
 *	"many"	 a thousand connections that stay, then its own
 *	"bytes"	 its own, each byte by itself
 *	"flood"	 a response without an end
 *	"waste"	 the response, and another one without an end
 *	"orphan" the response by a child, and then the end of the parent, with status 0
 *	"closed" no connection any more, and no end
 *	"writes" its own, and a child that writes escape sequences to its output for ever
 *	"half0"	 half a response, and the end with status 0
 *	"zero"	 status 0 without an answer; "exit": 7; "killed": by SIGKILL
 *	"init" (argument): an error of init
 *
 * A longer event than input has room for it reads a few bytes at a time, a millisecond apart, until
 * it is sent SIGUSR1; what comes then is the event "slow".
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LARGE (7 << 20)
#define CROWD 100
#define MANY  1000

static char input[1 << 16];
static const char *more = ""; /* of a head */

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

/* False: the other end is gone. */
static int put(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0)
			return 0;
		bytes += n;
		len -= (size_t)n;
	}
	return 1;
}

/* What is taken is so little, and what waits in the kernel, too. */
static char *read_slowly(int fd, size_t left)
{
	static char rest[1 << 16], slow[] = "\"slow\"";
	const struct timespec ms = { .tv_nsec = 1000000 };
	int size = 4096, told = 0;
	sigset_t go_on;
	ssize_t n = 0;

	(void)sigemptyset(&go_on);
	(void)sigaddset(&go_on, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &go_on, NULL);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	puts("reads slowly");
	(void)fflush(stdout);
	for (; left; left -= (size_t)n) {
		n = recv(fd, rest, told ? MIN(left, sizeof(rest)) : 16, 0);
		if (n <= 0)
			exit(4);
		if (told || sigtimedwait(&go_on, NULL, &ms) != SIGUSR1)
			continue;
		told = 1;
		size = sizeof(rest);
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	return slow;
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
		want = end && length ? (size_t)(end - input) + (size_t)atoi(length + 15) + 4 : 0;
	} while (!end || len < MIN(want, sizeof(input) - 1));
	*body = want < sizeof(input) ? end + 4 : read_slowly(fd, want - len);
	return atoi(input + strlen("HTTP/1.1 "));
}

static void head(int fd, const char *of, const char *what, size_t len)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "POST /2018-06-01/runtime/%s%s HTTP/1.1\r\nHost: x\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
			 of, what, len, more);

	(void)put(fd, text, (size_t)n);
}

static int post(int fd, const char *of, const char *what, const char *bytes, size_t len)
{
	char *body;

	head(fd, of, what, len);
	(void)put(fd, bytes, len);
	return get(fd, &body);
}

static int ask(int fd, char **body)
{
	static const char next[] =
		"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";

	(void)put(fd, next, sizeof(next) - 1);
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

/* They stay until it ends. */
static void hold(int n, const char *said)
{
	for (int i = 0; i < n; i++)
		(void)put(open_api(SOCK_NONBLOCK), said, strlen(said));
}

/* Until nobody reads it any more. */
static void pour(int fd, const char *of)
{
	static char chunk[65536 + 9];
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "POST /2018-06-01/runtime/%s/response HTTP/1.1\r\nHost: x\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n",
			 of);

	memset(chunk, 'x', sizeof(chunk));
	for (int i = 0; i < 7; i++)
		chunk[i] = "10000\r\n"[i];
	chunk[7 + 65536] = '\r';
	chunk[8 + 65536] = '\n';
	if (put(fd, text, (size_t)n))
		while (put(fd, chunk, sizeof(chunk)))
			;
	(void)pause();
}

static void write_for_ever(void)
{
	if (fork())
		return;
	for (;;)
		(void)!write(STDOUT_FILENO, "\033[2J\033]0;title\a\n", 15);
}

/* Whoever has asked for the event is gone, and has answered it. */
static void answer_by_child(const char *of)
{
	int fd, status;

	if (fork() == 0) {
		fd = open_api(0);
		_exit(post(fd, of, "/response", "\"child\"", 7) == 202 ? 0 : 1);
	}
	(void)wait(&status);
	exit(status ? 1 : 0);
}

/* Half a response, or what is no HTTP, on a connection of its own. */
static void send_half(const char *how, const char *of)
{
	int other = open_api(0);
	char *body;

	if (how[1] == 'h')
		head(other, of, "/response", 100);
	(void)put(other, "\001\002\r\n\r\n{\"half", 12);
	if (strcmp(how, "\"half0\"") == 0)
		exit(0);
	(void)shutdown(other, SHUT_WR);
	(void)get(other, &body);
	(void)close(other);
}

/* Before the answer, or instead of it. */
static void end_otherwise(int fd, const char *how, const char *of)
{
	if (strcmp(how, "\"exit\"") == 0)
		exit(7);
	if (strcmp(how, "\"zero\"") == 0)
		exit(0);
	if (strcmp(how, "\"killed\"") == 0)
		(void)raise(SIGKILL);
	if (strcmp(how, "\"flood\"") == 0)
		pour(fd, of);
	if (strcmp(how, "\"orphan\"") == 0)
		answer_by_child(of);
	if (strcmp(how, "\"closed\"") == 0) {
		(void)close(fd);
		(void)pause();
	}
}

static void misbehave(int fd, const char *how, const char *of)
{
	static char bytes[LARGE];
	char *body;

	end_otherwise(fd, how, of);
	if (strcmp(how, "\"early\"") == 0)
		(void)ask(fd, &body);
	if (strcmp(how, "\"others\"") == 0)
		(void)post(fd, "invocation/somebody-elses", "/response", "1", 1);
	if (strcmp(how, "\"crowd\"") == 0)
		crowd();
	if (strcmp(how, "\"holds\"") == 0)
		hold(CROWD, "POST /2018-06-01/runtime/invocation/");
	if (strcmp(how, "\"many\"") == 0)
		hold(MANY, "");
	if (strcmp(how, "\"writes\"") == 0)
		write_for_ever();
	if (strcmp(how, "\"huge\"") == 0) {
		head(fd, of, "/response", 10UL << 30);
		(void)pause();
	}
	if (strncmp(how, "\"large", 6) == 0)
		(void)post(fd, of, "/response", bytes, sizeof(bytes));
	if (strcmp(how, "\"larger\"") == 0)
		exit(0);
	if (strncmp(how, "\"half", 5) == 0 || strcmp(how, "\"junk\"") == 0)
		send_half(how, of);
}

static int respond(int fd, const char *of, const char *how)
{
	char *body;
	int status;

	if (strcmp(how, "\"mode\"") == 0)
		more = "Lambda-Runtime-Function-Response-Mode: loud\r\n";
	if (strcmp(how, "\"bytes\"") != 0) {
		status = post(fd, of, "/response", how, strlen(how));
		more = "";
		return status;
	}
	head(fd, of, "/response", strlen(how));
	for (const char *at = how; *at; at++)
		(void)put(fd, at, 1);
	return get(fd, &body);
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
		if (strcmp(how, "\"error\"") == 0 || strcmp(how, "\"fatal\"") == 0)
			(void)post(fd, of, "/error", "{\"errorType\":\"Of.Mine\"}", 23);
		else
			(void)respond(fd, of, how);
		if (strcmp(how, "\"fatal\"") == 0)
			return 129;
		if (strcmp(how, "\"waste\"") == 0)
			pour(fd, of);
		if (strcmp(how, "\"twice\"") == 0)
			(void)post(fd, of, "/response", "2", 1);
	}
	return 1;
}
