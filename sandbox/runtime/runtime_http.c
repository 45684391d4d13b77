/* SPDX-License-Identifier: MIT */
/*
 * Between libmicrohttpd and the machine: see runtime_http.h. The library calls on_request() when
 * the head of a request is there, for each piece of its body and at its end, which is when it is
 * answered; and on_completed() when it is over, however it ended.
 */
#include "runtime/runtime_http.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <linux/tcp.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NEWS_MAX 8
/* What is asked for at first for a body of unknown length. */
#define BODY_MIN 4096
/* Runs in a row, where the library has more to do at once: whoever waits for it would be told so by
 * his clock, which takes longer. Then others have their turn. */
#define AT_ONCE 4

enum phase {
	CALLER_IDLE,	  /* between two requests, or in the head of one */
	CALLER_READING,	  /* the head is there */
	CALLER_WAITING,	  /* for an event, suspended */
	CALLER_HELD,	  /* until its parts are taken, suspended */
	CALLER_ANSWERING, /* the answer is under way */
};

/* One connection, and the request on it. */
struct caller {
	struct MHD_Connection *connection; /* NULL: none */
	int fd;				   /* the library's */
	enum phase phase;
	enum runtime_reply reply;
	bool is_answer; /* READING: the body is the runtime's answer */
	enum runtime_call
		head_of;   /* IDLE: an answer to this invocation, which has begun with its line */
	uint64_t received; /* bytes, when the last request was answered */
	uint64_t turn;	   /* WAITING: whose is the next event */
};

struct runtime_http {
	struct MHD_Daemon *http;
	int fd;
	struct runtime_api api;
	struct MHD_Response *event; /* that is given */
	struct caller callers[RUNTIME_CONNECTIONS_MAX];
	uint64_t turns; /* that have waited */
	enum runtime_news news[NEWS_MAX];
	unsigned n_news;
	/* Of this invocation. */
	size_t wasted;
	unsigned calls;
	bool insisted;
	char *body;
	size_t len, size;
	char *content_type, *error_type, *trailer_type, *trailer_body;
	size_t total; /* of the body, with what was taken */
	bool streamed, by_parts, event_by_parts;
	bool taken;   /* what is in body now */
	bool resumed; /* a connection that was suspended: the library's descriptor does not say so
		       */
};

/* ---- news and the answer --------------------------------------------------------------------- */

static void tell(struct runtime_http *h, enum runtime_news news)
{
	if (news != RUNTIME_NO_NEWS && h->n_news < NEWS_MAX)
		h->news[h->n_news++] = news;
}

enum runtime_news runtime_http_news(struct runtime_http *h)
{
	enum runtime_news first = h->news[0];

	if (!h->n_news)
		return RUNTIME_NO_NEWS;
	memmove(h->news, h->news + 1, --h->n_news * sizeof(*h->news));
	return first;
}

static void forget_text(char **text)
{
	free(*text);
	*text = NULL;
}

static void forget_answer(struct runtime_http *h)
{
	forget_text(&h->body);
	forget_text(&h->content_type);
	forget_text(&h->error_type);
	forget_text(&h->trailer_type);
	forget_text(&h->trailer_body);
	h->len = h->size = h->total = 0;
	h->streamed = h->by_parts = h->taken = false;
	h->wasted = h->calls = 0;
}

void runtime_http_answer(const struct runtime_http *h, struct runtime_answer *ret)
{
	*ret = (struct runtime_answer){
		.bytes = h->body ? h->body : "",
		.len = h->taken ? 0 : h->len,
		.content_type = h->content_type ? h->content_type : "",
		.error_type = h->error_type ? h->error_type : "",
		.streamed = h->streamed,
		.trailer_type = h->trailer_type ? h->trailer_type : "",
		.trailer_body = h->trailer_body ? h->trailer_body : "",
	};
}

static void resume(struct runtime_http *h, struct caller *q)
{
	q->phase = CALLER_READING;
	MHD_resume_connection(q->connection);
	h->resumed = true;
}

static void let_go_on(struct runtime_http *h)
{
	for (unsigned i = 0; i < RUNTIME_CONNECTIONS_MAX; i++)
		if (h->callers[i].phase == CALLER_HELD)
			resume(h, &h->callers[i]);
}

size_t runtime_http_take(struct runtime_http *h, const void **ret)
{
	*ret = h->body;
	if (!h->by_parts || h->taken)
		return 0;
	h->taken = true;
	let_go_on(h);
	return h->len;
}

/* Whoever insists is not listened to any more. */
static enum MHD_Result give_up(struct runtime_http *h)
{
	if (!h->insisted)
		tell(h, RUNTIME_INSISTED);
	h->insisted = true;
	return MHD_NO;
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum MHD_Result answer_text(struct runtime_http *h, struct MHD_Connection *c,
				   enum runtime_reply reply)
{
	char text[RUNTIME_TEXT_MAX];
	unsigned status = runtime_api_answer(&h->api, reply, text);
	struct MHD_Response *r =
		MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result done;

	if (!r)
		return MHD_NO;
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static bool has_left(const struct caller *q)
{
	struct pollfd p = { .fd = q->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void stop_waiting(struct runtime_http *h, struct caller *q, enum runtime_reply reply)
{
	q->reply = reply;
	resume(h, q);
}

/* A connection that is suspended is not looked at: those whose other end is gone take no place from
 * the others. */
static void drop_gone(struct runtime_http *h)
{
	for (unsigned i = 0; i < RUNTIME_CONNECTIONS_MAX; i++)
		if (h->callers[i].phase == CALLER_WAITING && has_left(&h->callers[i]))
			stop_waiting(h, &h->callers[i], RUNTIME_OUT_OF_TURN);
}

static uint64_t bytes_received(const struct caller *q)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	(void)getsockopt(q->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info.tcpi_bytes_received;
}

static enum MHD_Result reply(struct runtime_http *h, struct caller *q)
{
	if (q->reply == RUNTIME_WAIT) {
		drop_gone(h);
		q->phase = CALLER_WAITING;
		q->turn = ++h->turns;
		MHD_suspend_connection(q->connection);
		return MHD_YES;
	}
	q->phase = CALLER_ANSWERING;
	q->received = bytes_received(q);
	if (q->reply == RUNTIME_EVENT)
		return h->event ? MHD_queue_response(q->connection, MHD_HTTP_OK, h->event) : MHD_NO;
	return answer_text(h, q->connection, q->reply);
}

/* ---- requests -------------------------------------------------------------------------------- */

static const char *header(const struct caller *q, enum MHD_ValueKind kind, const char *name)
{
	return MHD_lookup_connection_value(q->connection, kind, name);
}

static char *keep(const char *text)
{
	return text ? strdup(text) : NULL;
}

static struct caller *caller_of(struct runtime_http *h, const struct MHD_Connection *c)
{
	for (unsigned i = 0; i < RUNTIME_CONNECTIONS_MAX; i++)
		if (h->callers[i].connection == c)
			return &h->callers[i];
	return NULL;
}

/* The first line of a request is there, and its head may be too long for what there is. */
static void *on_line(void *arg, const char *path, struct MHD_Connection *c)
{
	struct runtime_http *h = arg;
	struct caller *q = caller_of(h, c);
	const char *id;
	size_t len;
	enum runtime_call call = runtime_api_route("POST", path, &id, &len);

	if (q && (call == RUNTIME_CALL_INIT_ERROR ||
		  (len && len == strlen(h->api.id) && memcmp(id, h->api.id, len) == 0)))
		q->head_of = call;
	return NULL;
}

static void end_reading(struct runtime_http *h, struct caller *q, enum runtime_reply how)
{
	enum runtime_news news;

	q->is_answer = false;
	q->reply = how;
	runtime_api_end(&h->api, how, &news);
	tell(h, news);
}

/* 0: its head does not say. */
static uint64_t said_length(const struct caller *q)
{
	const char *text = header(q, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text ? strtoull(text, NULL, 10) : 0;
}

static size_t most(const struct runtime_http *h)
{
	return h->by_parts ? RUNTIME_STREAM_MAX : RUNTIME_PAYLOAD_MAX;
}

static enum MHD_Result refuse_unread(struct runtime_http *h, struct caller *q, uint64_t len)
{
	h->by_parts = false;
	end_reading(h, q, RUNTIME_TOO_LARGE);
	return len > RUNTIME_WASTE_MAX - h->wasted ? give_up(h) : MHD_YES;
}

static enum MHD_Result on_head(struct runtime_http *h, struct caller *q, const char *url,
			       const char *method)
{
	enum runtime_news news;
	enum runtime_call call;
	const char *id, *mode;
	size_t id_len;

	q->head_of = RUNTIME_CALL_UNKNOWN;
	if (h->insisted || ++h->calls > RUNTIME_CALLS_MAX)
		return give_up(h);
	mode = header(q, MHD_HEADER_KIND, "Lambda-Runtime-Function-Response-Mode");
	call = runtime_api_route(method, url, &id, &id_len);
	q->reply = runtime_api_begin(&h->api, call, id, id_len,
				     !mode || !*mode || strcmp(mode, "streaming") == 0, &news);
	tell(h, news);
	q->phase = CALLER_READING;
	q->is_answer = q->reply == RUNTIME_READ;
	if (!q->is_answer)
		return MHD_YES;
	h->content_type = keep(header(q, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE));
	h->error_type = keep(header(q, MHD_HEADER_KIND, "Lambda-Runtime-Function-Error-Type"));
	h->streamed = mode && *mode && call == RUNTIME_CALL_RESPONSE;
	h->by_parts = h->streamed && h->event_by_parts;
	if (said_length(q) > most(h))
		return refuse_unread(h, q, said_length(q));
	if (h->by_parts)
		tell(h, RUNTIME_STREAMS);
	return MHD_YES;
}

static bool make_room(struct runtime_http *h, size_t len)
{
	size_t size = h->size ? h->size : BODY_MIN;
	char *body;

	while (size < h->len + len)
		size *= 2;
	if (size == h->size)
		return true;
	body = realloc(h->body, size);
	if (!body)
		return false;
	h->body = body;
	h->size = size;
	return true;
}

static void forget_taken(struct runtime_http *h)
{
	if (h->taken)
		h->len = 0;
	h->taken = false;
}

static enum MHD_Result keep_body(struct runtime_http *h, struct caller *q, const char *bytes,
				 size_t len)
{
	forget_taken(h);
	if (len > most(h) - h->total || !make_room(h, len)) {
		end_reading(h, q, RUNTIME_TOO_LARGE);
		h->len = 0;
		return MHD_YES;
	}
	if (h->by_parts && !h->len)
		tell(h, RUNTIME_PART);
	memcpy(h->body + h->len, bytes, len);
	h->len += len;
	h->total += len;
	return MHD_YES;
}

static enum MHD_Result on_body(struct runtime_http *h, struct caller *q, const char *bytes,
			       size_t *len)
{
	size_t n = *len;

	if (q->is_answer && h->by_parts && !h->taken && h->len >= RUNTIME_WINDOW) {
		q->phase = CALLER_HELD;
		MHD_suspend_connection(q->connection);
		return MHD_YES;
	}
	*len = 0;
	if (q->is_answer)
		return keep_body(h, q, bytes, n);
	h->wasted += n;
	return h->wasted > RUNTIME_WASTE_MAX ? give_up(h) : MHD_YES;
}

static void read_trailers(struct runtime_http *h, struct caller *q)
{
	if (!h->streamed)
		return;
	h->trailer_type = keep(header(q, MHD_FOOTER_KIND, "Lambda-Runtime-Function-Error-Type"));
	h->trailer_body = keep(header(q, MHD_FOOTER_KIND, "Lambda-Runtime-Function-Error-Body"));
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **seen)
{
	struct runtime_http *h = arg;
	struct caller *q = *seen;

	if (!q) {
		*seen = q = caller_of(h, c);
		return q ? on_head(h, q, url, method) : MHD_NO;
	}
	if (*upload_len)
		return on_body(h, q, upload, upload_len);
	if (q->is_answer) {
		read_trailers(h, q);
		end_reading(h, q, RUNTIME_ACCEPTED);
	}
	return reply(h, q);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **seen,
			 enum MHD_RequestTerminationCode how)
{
	struct runtime_http *h = arg;
	struct caller *q = *seen;

	if (!q)
		return;
	if (q->is_answer)
		end_reading(h, q, RUNTIME_CUT_OFF);
	q->phase = CALLER_IDLE;
	*seen = NULL;
}

/* Of a head that is too long the library refuses all, and says so to the runtime only: it was an
 * answer, and whoever waits for it is told that it is too large. */
static void end_long_head(struct runtime_http *h, struct caller *q)
{
	enum runtime_news news;

	if (q->head_of == RUNTIME_CALL_UNKNOWN ||
	    bytes_received(q) - q->received < RUNTIME_HEAD_MAX / 2 ||
	    runtime_api_begin(&h->api, q->head_of, h->api.id, strlen(h->api.id), true, &news) !=
		    RUNTIME_READ)
		return;
	end_reading(h, q, RUNTIME_TOO_LARGE);
}

static void on_connection(void *arg, struct MHD_Connection *c, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct runtime_http *h = arg;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct caller *q = caller_of(h, what == MHD_CONNECTION_NOTIFY_STARTED ? NULL : c);

	if (q && what == MHD_CONNECTION_NOTIFY_STARTED)
		*q = (struct caller){ .connection = c,
				      .fd = info ? info->connect_fd : -1,
				      .head_of = RUNTIME_CALL_UNKNOWN };
	if (!q || what == MHD_CONNECTION_NOTIFY_STARTED)
		return;
	end_long_head(h, q);
	*q = (struct caller){ .fd = -1 };
}

/* ---- events ---------------------------------------------------------------------------------- */

static void add_header(struct MHD_Response *r, const char *name, const char *value)
{
	if (value && *value)
		(void)MHD_add_response_header(r, name, value);
}

static struct MHD_Response *write_event(const struct runtime_event *e)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
		e->len, (void *)(uintptr_t)e->payload, MHD_RESPMEM_MUST_COPY);
	char deadline[32];

	if (!r)
		return NULL;
	(void)snprintf(deadline, sizeof(deadline), "%lld", (long long)e->deadline_ms);
	add_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	add_header(r, "Lambda-Runtime-Aws-Request-Id", e->request_id);
	add_header(r, "Lambda-Runtime-Deadline-Ms", deadline);
	add_header(r, "Lambda-Runtime-Invoked-Function-Arn", e->function_arn);
	add_header(r, "Lambda-Runtime-Trace-Id", e->trace_id);
	add_header(r, "Lambda-Runtime-Client-Context", e->client_context);
	add_header(r, "Lambda-Runtime-Cognito-Identity", e->cognito_identity);
	return r;
}

/* To whoever waits longest; but one who cannot be told from somebody gone comes last. */
static void wake_one(struct runtime_http *h)
{
	struct caller *best = NULL;
	bool best_left = false;

	for (unsigned i = 0; i < RUNTIME_CONNECTIONS_MAX; i++) {
		struct caller *q = &h->callers[i];
		bool left = q->phase == CALLER_WAITING && has_left(q);

		if (q->phase != CALLER_WAITING)
			continue;
		if (!best || left < best_left || (left == best_left && q->turn < best->turn)) {
			best = q;
			best_left = left;
		}
	}
	if (best)
		stop_waiting(h, best, RUNTIME_EVENT);
}

int runtime_http_give(struct runtime_http *h, const struct runtime_event *event,
		      struct cloche_err *err)
{
	struct MHD_Response *r;

	if (event->len > RUNTIME_PAYLOAD_MAX)
		return cloche_err_set(err, EFBIG, "an event of %zu bytes: %u are the most",
				      event->len, RUNTIME_PAYLOAD_MAX);
	r = write_event(event);
	if (!r)
		return cloche_err_sys(err, ENOMEM, "give an event to a runtime");
	if (!runtime_api_give(&h->api, event->request_id)) {
		MHD_destroy_response(r);
		return cloche_err_set(err, EBUSY, "the runtime has not asked for an event");
	}
	if (h->event)
		MHD_destroy_response(h->event);
	h->event = r;
	forget_answer(h);
	h->event_by_parts = event->by_parts;
	for (unsigned i = 0; i < RUNTIME_CONNECTIONS_MAX; i++)
		h->callers[i].head_of = RUNTIME_CALL_UNKNOWN;
	wake_one(h);
	runtime_http_run(h);
	return 0;
}

/* ---- the loop -------------------------------------------------------------------------------- */

int runtime_http_fd(const struct runtime_http *h)
{
	return h->fd;
}

enum runtime_state runtime_http_state(const struct runtime_http *h)
{
	return h->api.state;
}

int runtime_http_due_ms(const struct runtime_http *h)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	if (h->resumed)
		return 0;
	if (MHD_get_timeout(h->http, &ms) != MHD_YES)
		return -1;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static unsigned connections(const struct runtime_http *h)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(h->http, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info ? info->num_connections : 0;
}

/*
 * The library is told once that there is something to read, and reads until it has less than it has
 * room for: it misses an end that came together with the last bytes. Who has sent all that he will
 * and not made a request of it is cut off here, which it does hear of.
 */
static bool cut_off_halves(struct runtime_http *h)
{
	struct pollfd p[RUNTIME_CONNECTIONS_MAX];
	bool any = false;
	char next;

	for (unsigned i = 0; i < RUNTIME_CONNECTIONS_MAX; i++)
		p[i] = (struct pollfd){ .fd = h->callers[i].connection &&
							      h->callers[i].phase <= CALLER_READING
						      ? h->callers[i].fd
						      : -1,
					.events = POLLRDHUP };
	/* What it has read and not yet handed out may be the whole request. */
	if (runtime_http_due_ms(h) == 0 || poll(p, RUNTIME_CONNECTIONS_MAX, 0) <= 0)
		return false;
	for (unsigned i = 0; i < RUNTIME_CONNECTIONS_MAX; i++) {
		if ((p[i].revents & POLLRDHUP) &&
		    recv(p[i].fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
			any |= shutdown(p[i].fd, SHUT_RDWR) == 0;
	}
	return any;
}

/* At its limit the library listens no more, and begins again with the next run only: of the one
 * in which connections ended nobody would tell it that there is room. */
void runtime_http_run(struct runtime_http *h)
{
	unsigned before;
	bool again = true;

	for (int i = 0; again && i < RUNTIME_CONNECTIONS_MAX; i++) {
		before = connections(h);
		h->resumed = false;
		(void)MHD_run(h->http);
		again = cut_off_halves(h) || connections(h) < before ||
			(i < AT_ONCE && runtime_http_due_ms(h) == 0);
	}
}

/* What goes wrong with a function's calls is its own news. */
static void say_nothing(void *arg, const char *fmt, va_list ap)
{
}

static int start(struct runtime_http *h, int listening)
{
	const union MHD_DaemonInfo *info = NULL;

	h->http = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		on_request, h, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL,
		MHD_OPTION_LISTEN_SOCKET, listening, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)RUNTIME_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)RUNTIME_HEAD_MAX,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_URI_LOG_CALLBACK, on_line,
		h, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
	if (h->http)
		info = MHD_get_daemon_info(h->http, MHD_DAEMON_INFO_EPOLL_FD);
	h->fd = info ? info->epoll_fd : -1;
	return info ? 0 : -EIO;
}

int runtime_http_open(int listening, struct runtime_http **ret, struct cloche_err *err)
{
	struct runtime_http *h = calloc(1, sizeof(*h));

	if (h && start(h, listening) == 0) {
		*ret = h;
		return 0;
	}
	/* The library has it only when it has begun. */
	if (!h || !h->http)
		(void)close(listening);
	(void)runtime_http_close(h);
	return cloche_err_set(err, EIO, "begin to answer a runtime");
}

/* An end that both sides agree on is kept for a minute, as TIME_WAIT; one without a word is not. */
static void leave_no_trace(int fd)
{
	static const struct linger at_once = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

struct runtime_http *runtime_http_close(struct runtime_http *h)
{
	if (!h)
		return NULL;
	/* None may be suspended then. */
	for (unsigned i = 0; i < RUNTIME_CONNECTIONS_MAX; i++)
		if (h->callers[i].phase == CALLER_WAITING)
			stop_waiting(h, &h->callers[i], RUNTIME_OUT_OF_TURN);
	let_go_on(h);
	for (unsigned i = 0; i < RUNTIME_CONNECTIONS_MAX; i++)
		if (h->callers[i].connection)
			leave_no_trace(h->callers[i].fd);
	if (h->http)
		MHD_stop_daemon(h->http);
	if (h->event)
		MHD_destroy_response(h->event);
	forget_answer(h);
	free(h);
	return NULL;
}
