/* SPDX-License-Identifier: MIT */
/* Frames to and from a native function: see runtime_native.h. */
#include "runtime/runtime_native.h"

#include "base/err.h"
#include "base/fd.h"
#include "runtime/cloche_handler.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

_Static_assert(CLOCHE_PAYLOAD_MAX == RUNTIME_PAYLOAD_MAX, "one limit");

/* ANSWERED: of one that forks, whose fork has, and which has not asked for the next event yet. */
enum native_state { STARTED, READY, RUNNING, ANSWERED, ENDED };

#define NEWS_MAX 4
/* Answers to no event that is under way, while one is: more of them are none by mistake. */
#define STRAYS_MAX 100
/* What most answers are shorter than. */
#define PIECE 4096

struct runtime_native {
	int socket;
	bool forks;
	int turn;  /* of one that forks, RUNNING: the socket of this event; -1 */
	int spent; /* that of the last one: who polls it is to see first that another is */
	enum native_state state;

	/* What is sent, and how much of it was. */
	struct cloche_frame event;
	char *payload;
	size_t sent;

	/* What comes: its head, then its bytes. */
	struct cloche_frame head;
	size_t got;
	char *bytes;
	char first[PIECE]; /* what came with its head */
	bool stray;	   /* it answers no event that is under way */
	unsigned strays;

	/* The last answer. */
	char *answer; /* owned; bytes of a response, or JSON */
	size_t answer_len;
	char error_type[128];

	enum runtime_news news[NEWS_MAX];
	unsigned n_news;
};

static void tell(struct runtime_native *n, enum runtime_news news)
{
	if (n->n_news < NEWS_MAX)
		n->news[n->n_news++] = news;
}

struct runtime_native *runtime_native_open(int socket, bool forks, struct cloche_err *err)
{
	struct runtime_native *n = calloc(1, sizeof(*n));

	if (!n || fcntl(socket, F_SETFL, O_NONBLOCK) < 0) {
		(void)cloche_err_sys(err, n ? errno : ENOMEM, "listen to a native function");
		free(n);
		(void)close(socket);
		return NULL;
	}
	n->socket = socket;
	n->forks = forks;
	n->turn = n->spent = -1;
	return n;
}

struct runtime_native *runtime_native_close(struct runtime_native *n)
{
	if (!n)
		return NULL;
	fd_close(&n->socket);
	fd_close(&n->turn);
	fd_close(&n->spent);
	free(n->payload);
	free(n->bytes);
	free(n->answer);
	free(n);
	return NULL;
}

int runtime_native_fd(const struct runtime_native *n)
{
	return n->turn >= 0 ? n->turn : n->socket;
}

short runtime_native_events(const struct runtime_native *n)
{
	if (n->state == ENDED)
		return 0;
	return n->payload ? POLLIN | POLLOUT : POLLIN;
}

/* ---- to the function ------------------------------------------------------------------------- */

/* What there is room for. */
static void send_event(struct runtime_native *n)
{
	size_t head = sizeof(n->event), all = head + n->event.len;

	while (n->payload && n->sent < all) {
		size_t in_head = n->sent < head ? head - n->sent : 0;
		size_t at = in_head ? 0 : n->sent - head;
		struct iovec parts[] = {
			{ .iov_base = (char *)&n->event + (head - in_head), .iov_len = in_head },
			{ .iov_base = n->payload + at, .iov_len = n->event.len - at }
		};
		const struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
		ssize_t done = sendmsg(runtime_native_fd(n), &m, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done <= 0)
			return;
		n->sent += (size_t)done;
	}
	free(n->payload);
	n->payload = NULL;
}

/* What forks gets no event, but the socket that its fork has it by. */
static int send_turn(struct runtime_native *n, struct cloche_err *err)
{
	struct cloche_frame frame = { .kind = CLOCHE_FORK };
	struct iovec part = { .iov_base = &frame, .iov_len = sizeof(frame) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control.room) };
	cleanup_fd int theirs = -1;
	int ends[2];

	fd_close(&n->spent);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return cloche_err_sys(err, errno, "make a socket for an event");
	n->turn = ends[0];
	theirs = ends[1];
	memcpy(CMSG_DATA(&control.head), &theirs, sizeof(theirs));
	if (fcntl(theirs, F_SETFL, 0) < 0 ||
	    sendmsg(n->socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(frame))
		return cloche_err_sys(err, errno ? errno : EIO, "give an event to a function");
	return 0;
}

int runtime_native_give(struct runtime_native *n, const struct runtime_event *event,
			struct cloche_err *err)
{
	if (event->len > CLOCHE_PAYLOAD_MAX)
		return cloche_err_set(err, EFBIG, "an event of %zu bytes: %u are the most",
				      event->len, CLOCHE_PAYLOAD_MAX);
	if (n->state != READY || n->payload)
		return cloche_err_set(err, EBUSY, "the function has not asked for an event");
	if (n->forks && send_turn(n, err) < 0)
		return -err->code;
	n->payload = malloc(event->len + 1);
	if (!n->payload)
		return cloche_err_sys(err, ENOMEM, "give an event to a function");
	memcpy(n->payload, event->payload, event->len);
	n->event = (struct cloche_frame){ .kind = CLOCHE_EVENT,
					  .len = (uint32_t)event->len,
					  .deadline_ms = event->deadline_ms };
	(void)snprintf(n->event.request_id, sizeof(n->event.request_id), "%s", event->request_id);
	n->sent = 0;
	n->strays = 0;
	n->state = RUNNING;
	free(n->answer);
	n->answer = NULL;
	n->answer_len = 0;
	n->error_type[0] = '\0';
	send_event(n);
	return 0;
}

/* ---- from the function ----------------------------------------------------------------------- */

/* No more of it is listened to. */
static void insist(struct runtime_native *n)
{
	n->state = ENDED;
	tell(n, RUNTIME_INSISTED);
}

static bool is_answer(const struct runtime_native *n)
{
	return n->head.kind == CLOCHE_RESPONSE || n->head.kind == CLOCHE_ERROR;
}

/* An answer to another event than that which is under way, if any is: where its function was
 * stopped may be between two that it gave, and the second comes when the next one has its event. */
static bool is_stray(const struct runtime_native *n)
{
	const char *id = n->event.request_id;

	if (!is_answer(n) || n->head.len > CLOCHE_PAYLOAD_MAX)
		return false;
	if (n->state == RUNNING)
		return strncmp(n->head.request_id, id, sizeof(n->event.request_id)) != 0;
	return n->state == READY && !n->forks;
}

static bool in_turn(const struct runtime_native *n)
{
	switch (n->head.kind) {
	case CLOCHE_READY:
		return (n->state == STARTED || n->state == ANSWERED) && n->head.len == 0;
	case CLOCHE_ERROR:
		if (n->state == STARTED)
			return n->head.len <= CLOCHE_PAYLOAD_MAX;
		/* fall through */
	case CLOCHE_RESPONSE:
		return n->state == RUNNING && !n->payload && n->head.len <= CLOCHE_PAYLOAD_MAX;
	default:
		return false;
	}
}

/* Its type and its message, as an object. What is no UTF-8 is left out. */
static void take_error(struct runtime_native *n)
{
	const char *type = n->bytes ? n->bytes : "", *message;
	size_t len = strnlen(type, n->head.len);
	json_t *named, *j;

	message = len < n->head.len ? type + len + 1 : type + len;
	(void)snprintf(n->error_type, sizeof(n->error_type), "%.*s",
		       len < sizeof(n->error_type) ? (int)len : (int)sizeof(n->error_type) - 1,
		       type);
	named = json_string(n->error_type);
	if (!named)
		(void)snprintf(n->error_type, sizeof(n->error_type), "Runtime.Unknown");
	j = json_pack("{s:o, s:o*}", "errorType", named ? named : json_string(n->error_type),
		      "errorMessage",
		      json_stringn(message, n->head.len - (size_t)(message - type)));
	n->answer = j ? json_dumps(j, JSON_COMPACT) : NULL;
	n->answer_len = n->answer ? strlen(n->answer) : 0;
	json_decref(j);
}

/* An answer is a question for the next event as well, but of one that forks. */
static void ask(struct runtime_native *n)
{
	bool answer = n->head.kind != CLOCHE_READY;

	if (n->state == STARTED && answer) {
		tell(n, RUNTIME_INIT_ERROR);
		n->state = ENDED;
	} else if (n->forks && answer) {
		n->state = ANSWERED;
		n->spent = TAKE_FD(n->turn);
	} else {
		n->state = READY;
		tell(n, RUNTIME_ASKED);
	}
}

static void forget_frame(struct runtime_native *n)
{
	free(n->bytes);
	n->bytes = NULL;
	n->got = 0;
}

static void take_frame(struct runtime_native *n)
{
	if (n->stray) {
		forget_frame(n);
		return;
	}
	switch (n->head.kind) {
	case CLOCHE_RESPONSE:
		n->answer = n->bytes;
		n->answer_len = n->head.len;
		n->bytes = NULL;
		tell(n, RUNTIME_RESPONDED);
		break;
	case CLOCHE_ERROR:
		take_error(n);
		if (n->state == RUNNING)
			tell(n, RUNTIME_FAILED);
		break;
	default:
		break;
	}
	forget_frame(n);
	ask(n);
}

/* Its head is there, and so much of what came with that is behind it. False: no more is wanted. */
static bool take_head(struct runtime_native *n, size_t behind)
{
	n->stray = is_stray(n);
	if (n->stray ? ++n->strays > STRAYS_MAX : !in_turn(n)) {
		insist(n);
		return false;
	}
	if (n->head.len == 0)
		return true;
	n->bytes = malloc((size_t)n->head.len + 1);
	if (!n->bytes) {
		insist(n);
		return false;
	}
	memcpy(n->bytes, n->first, behind < n->head.len ? behind : n->head.len);
	n->bytes[n->head.len] = '\0';
	return true;
}

/* A head, and behind it so many bytes of n->first: whole frames, of which the last may have no end
 * yet. True: that of the last one is to be read. */
static bool take_frames(struct runtime_native *n, size_t behind)
{
	while (take_head(n, behind)) {
		size_t used = n->head.len;

		if (behind < used)
			return true;
		take_frame(n);
		/* What a fork says behind its answer nobody hears. */
		if (n->state == ANSWERED)
			return true;
		behind -= used;
		memmove(n->first, n->first + used, behind);
		n->got = behind < sizeof(n->head) ? behind : sizeof(n->head);
		memcpy(&n->head, n->first, n->got);
		behind -= n->got;
		memmove(n->first, n->first + n->got, behind);
		if (n->got < sizeof(n->head))
			return n->got > 0 && n->state != ENDED;
		n->got += behind;
	}
	return false;
}

/* The rest of a head, and what there is behind it. */
static bool read_head(struct runtime_native *n)
{
	struct iovec parts[] = { { .iov_base = (char *)&n->head + n->got,
				   .iov_len = sizeof(n->head) - n->got },
				 { .iov_base = n->first, .iov_len = sizeof(n->first) } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t done = recvmsg(runtime_native_fd(n), &m, MSG_DONTWAIT);
	size_t behind;

	/* What the end of it means, the end of its process tells. */
	if (done == 0)
		n->state = ENDED;
	if (done <= 0)
		return false;
	n->got += (size_t)done;
	if (n->got < sizeof(n->head))
		return true;
	behind = n->got - sizeof(n->head);
	return take_frames(n, behind);
}

/* One piece; false: there is none now, or none is wanted. */
static bool read_piece(struct runtime_native *n)
{
	size_t at = n->got - sizeof(n->head);
	ssize_t done;

	if (n->got < sizeof(n->head))
		return read_head(n);
	done = recv(runtime_native_fd(n), n->bytes + at, n->head.len - at, MSG_DONTWAIT);
	if (done == 0)
		n->state = ENDED;
	if (done <= 0)
		return false;
	n->got += (size_t)done;
	if (at + (size_t)done == n->head.len)
		take_frame(n);
	return n->got > 0;
}

void runtime_native_run(struct runtime_native *n)
{
	send_event(n);
	while (n->state != ENDED && read_piece(n))
		;
}

enum runtime_news runtime_native_news(struct runtime_native *n)
{
	enum runtime_news first = n->n_news ? n->news[0] : RUNTIME_NO_NEWS;

	if (n->n_news)
		memmove(n->news, n->news + 1, --n->n_news * sizeof(n->news[0]));
	return first;
}

void runtime_native_answer(const struct runtime_native *n, struct runtime_answer *ret)
{
	*ret = (struct runtime_answer){ .bytes = n->answer ? n->answer : "",
					.len = n->answer_len,
					.content_type = "",
					.error_type = n->error_type,
					.trailer_type = "",
					.trailer_body = "" };
}
