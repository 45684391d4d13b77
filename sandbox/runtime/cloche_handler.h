/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HANDLER_H
#define CLOCHE_HANDLER_H

/*
 * For functions of the runtime "native", in C and C++: from bytes to bytes, with nothing in between
 * but one Unix socket. This header is all that there is to it.
 *
 *	#include <cloche_handler.h>
 *
 *	static int upper(const struct cloche_event *event, struct cloche_response *response)
 *	{
 *		char *out = malloc(event->len);
 *		…
 *		return cloche_respond(response, out, event->len);
 *	}
 *
 *	int main(void)
 *	{
 *		return cloche_serve(upper);
 *	}
 *
 * What main() does before cloche_serve() is the init phase, once for each context. Between two
 * events the process is frozen with all its threads, and goes on with the next one: CLOCK_MONOTONIC
 * has gone on, too, so timers that were due meanwhile are due then. A random generator that was
 * seeded once is not seeded anew.
 *
 * Standard input is the socket, and for this header alone; what is written to standard output and
 * standard error goes to the function's log.
 *
 * What is not C calls cloche_serve(), cloche_respond() and cloche_fail(), and is linked with a C
 * file that is no more than
 *
 *	#define CLOCHE_HANDLER_FN extern
 *	#include <cloche_handler.h>
 *
 * Whoever does without C: both ends send frames, a struct cloche_frame and then so many bytes,
 * numbers in the machine's own order.
 *
 *	function  READY                  RESPONSE │ ERROR         …
 *	host             EVENT                            EVENT
 *
 * The bytes of an ERROR are its type, a NUL, and its message. What is sent out of turn, or is too
 * long, ends the function.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef CLOCHE_HANDLER_FN
#define CLOCHE_HANDLER_FN static inline
#endif

enum { CLOCHE_READY = 1, CLOCHE_EVENT, CLOCHE_RESPONSE, CLOCHE_ERROR };

/* 6 MiB and 100 bytes, of an event and of a response. */
#define CLOCHE_PAYLOAD_MAX 6291556
#define CLOCHE_SOCKET	   0

struct cloche_frame {
	uint32_t kind;
	uint32_t len;	     /* of what follows */
	int64_t deadline_ms; /* EVENT: since 1970, in UTC */
	char request_id[40]; /* EVENT */
};

struct cloche_event {
	const void *data; /* a NUL is behind it */
	size_t len;
	const char *request_id;
	int64_t deadline_ms;
};

struct cloche_response {
	uint32_t kind;
	const void *data; /* borrowed until the next event */
	size_t len;
	char error[1024];
};

/* 0; anything else ends the process with it, which is an error of this event. */
typedef int cloche_handler(const struct cloche_event *event, struct cloche_response *response);

/* The answer: data is the handler's, and may be what the event had. Returns 0. */
CLOCHE_HANDLER_FN int cloche_respond(struct cloche_response *response, const void *data, size_t len)
{
	response->kind = CLOCHE_RESPONSE;
	response->data = data;
	response->len = len;
	return 0;
}

/* The answer is that it failed: as {"errorType": type, "errorMessage": message}. Returns 0. */
CLOCHE_HANDLER_FN int cloche_fail(struct cloche_response *response, const char *type,
				  const char *message)
{
	size_t n = strlen(type), m = strlen(message), most = sizeof(response->error) - 1;

	if (n > 127)
		n = 127;
	if (m > most - n - 1)
		m = most - n - 1;
	memcpy(response->error, type, n);
	response->error[n] = '\0';
	memcpy(response->error + n + 1, message, m);
	response->kind = CLOCHE_ERROR;
	response->data = response->error;
	response->len = n + 1 + m;
	return 0;
}

CLOCHE_HANDLER_FN int cloche_read_all(void *to, size_t len)
{
	char *at = (char *)to;

	while (len) {
		ssize_t n = read(CLOCHE_SOCKET, at, len);

		if (n == 0)
			return -1;
		if (n < 0 && errno != EINTR)
			return -1;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

CLOCHE_HANDLER_FN int cloche_write_all(const void *from, size_t len)
{
	const char *at = (const char *)from;

	while (len) {
		ssize_t n = write(CLOCHE_SOCKET, at, len);

		if (n < 0 && errno != EINTR)
			return -1;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

CLOCHE_HANDLER_FN int cloche_send(uint32_t kind, const void *data, size_t len)
{
	struct cloche_frame frame;
	struct iovec parts[2];
	size_t done;
	ssize_t n;

	memset(&frame, 0, sizeof(frame));
	frame.kind = kind;
	frame.len = (uint32_t)len;
	parts[0].iov_base = &frame;
	parts[0].iov_len = sizeof(frame);
	parts[1].iov_base = (void *)data;
	parts[1].iov_len = len;
	n = writev(CLOCHE_SOCKET, parts, len ? 2 : 1);
	if (n < 0 && errno != EINTR)
		return -1;
	done = n > 0 ? (size_t)n : 0;
	if (done < sizeof(frame)) {
		if (cloche_write_all((const char *)&frame + done, sizeof(frame) - done) < 0)
			return -1;
		done = sizeof(frame);
	}
	done -= sizeof(frame);
	return done < len ? cloche_write_all((const char *)data + done, len - done) : 0;
}

/* An event's frame and its bytes, mostly at once; *data has room for *size. */
static inline int cloche_take(struct cloche_frame *frame, char **data, size_t *size)
{
	struct iovec parts[2];
	ssize_t n;
	size_t done;
	char *grown;

	parts[0].iov_base = frame;
	parts[0].iov_len = sizeof(*frame);
	parts[1].iov_base = *data;
	parts[1].iov_len = *size;
	do
		n = readv(CLOCHE_SOCKET, parts, 2);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	done = (size_t)n;
	if (done < sizeof(*frame)) {
		if (cloche_read_all((char *)frame + done, sizeof(*frame) - done) < 0)
			return -1;
		done = sizeof(*frame);
	}
	done -= sizeof(*frame);
	if (frame->len >= *size && frame->len <= CLOCHE_PAYLOAD_MAX) {
		grown = (char *)realloc(*data, (size_t)frame->len + 1);
		if (!grown)
			return -1;
		*data = grown;
		*size = (size_t)frame->len + 1;
	}
	if (frame->kind != CLOCHE_EVENT || frame->len >= *size || done > frame->len)
		return -2;
	return done < frame->len ? cloche_read_all(*data + done, frame->len - done) : 0;
}

/* Serves events, one after the other, until nobody has any more (0) or something fails (1); or
 * returns what the handler did, where that is not 0. */
CLOCHE_HANDLER_FN int cloche_serve(cloche_handler *handler)
{
	struct cloche_frame frame;
	struct cloche_event event;
	struct cloche_response response;
	size_t size = 4096;
	char *data = (char *)malloc(size);
	int status;

	if (!data || cloche_send(CLOCHE_READY, NULL, 0) < 0)
		return 1;
	for (;;) {
		status = cloche_take(&frame, &data, &size);
		if (status < 0)
			return status != -1;
		data[frame.len] = '\0';
		event.data = data;
		event.len = frame.len;
		event.request_id = frame.request_id;
		event.deadline_ms = frame.deadline_ms;
		response.kind = CLOCHE_RESPONSE;
		response.data = NULL;
		response.len = 0;
		status = handler(&event, &response);
		if (status != 0)
			return status;
		if (cloche_send(response.kind, response.data, response.len) < 0)
			return 1;
	}
}

#ifdef __cplusplus
}
#endif

#endif
