/* SPDX-License-Identifier: MIT */
/* Counts the lines, words and bytes of events, which it asks Lambda's Runtime API for. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BASE	  "/2018-06-01/runtime/invocation/"
#define HEAD_MAX  8192
#define EVENT_MAX (7 << 20)

static int open_api(const char *api)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	char host[64];
	unsigned port;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sscanf(api, "%63[^:]:%u", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &at.sin_addr) != 1)
		return -1;
	at.sin_port = htons((in_port_t)port);
	return connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? fd : -1;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* The value of a header, up to the line's end; NULL: it has none. */
static const char *header(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(head, "\r\n"); at; at = strstr(at, "\r\n")) {
		at += 2;
		if (strncasecmp(at, name, len) == 0 && at[len] == ':')
			return at + len + 1 + strspn(at + len + 1, " ");
	}
	return NULL;
}

/* An answer: its head, which ends with a NUL, and so many bytes of body. */
static bool receive(int fd, char head[static HEAD_MAX], char **body, size_t *len)
{
	size_t got = 0, in_head;
	const char *length;
	char *end = NULL;

	while (!end) {
		ssize_t n = got < HEAD_MAX - 1 ? recv(fd, head + got, HEAD_MAX - 1 - got, 0) : 0;

		if (n <= 0)
			return false;
		got += (size_t)n;
		head[got] = '\0';
		end = strstr(head, "\r\n\r\n");
	}
	end[2] = '\0';
	in_head = (size_t)(end + 4 - head);
	length = header(head, "Content-Length");
	*len = length ? strtoul(length, NULL, 10) : 0;
	if (*len > EVENT_MAX || *len < got - in_head || !(*body = malloc(*len + 1)))
		return false;
	memcpy(*body, head + in_head, got - in_head);
	for (size_t at = got - in_head; at < *len;) {
		ssize_t n = recv(fd, *body + at, *len - at, 0);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static int count(const char *text, size_t len, char *out, size_t size)
{
	size_t lines = 0, words = 0;
	bool in_word = false;

	for (size_t i = 0; i < len; i++) {
		bool space = isspace((unsigned char)text[i]);

		lines += text[i] == '\n';
		words += !space && !in_word;
		in_word = !space;
	}
	return snprintf(out, size, "{\"lines\":%zu,\"words\":%zu,\"bytes\":%zu}", lines, words,
			len);
}

static bool serve_one(int fd)
{
	static const char next[] = "GET " BASE "next HTTP/1.1\r\nHost: runtime\r\n\r\n";
	char head[HEAD_MAX], answer[128], request[HEAD_MAX], *event = NULL;
	size_t len = 0;
	const char *id;
	int n, size;

	if (!send_all(fd, next, sizeof(next) - 1) || !receive(fd, head, &event, &len))
		return false;
	id = header(head, "Lambda-Runtime-Aws-Request-Id");
	if (!id)
		return false;
	n = count(event, len, answer, sizeof(answer));
	free(event);
	printf("%.*s: %s\n", (int)strcspn(id, "\r"), id, answer);
	(void)fflush(stdout);
	size = snprintf(request, sizeof(request),
			"POST " BASE "%.*s/response HTTP/1.1\r\nHost: runtime\r\n"
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			(int)strcspn(id, "\r"), id, n, answer);
	event = NULL;
	if (!send_all(fd, request, (size_t)size) || !receive(fd, head, &event, &len))
		return false;
	free(event);
	return true;
}

int main(void)
{
	const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
	int fd = api ? open_api(api) : -1;

	if (fd < 0) {
		perror("the Runtime API");
		return 1;
	}
	while (serve_one(fd))
		;
	return 1;
}
