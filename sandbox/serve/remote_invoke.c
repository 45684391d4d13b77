/* SPDX-License-Identifier: MIT */
/* Invokes deployed functions, and reads their logs: see remote_invoke.h. */
#include "serve/remote_invoke.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "serve/listing.h"
#include "serve/packet.h"
#include "serve/remote.h"
#include "serve/remote_trace.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A daemon that lives answers at once what it need not run anything for. */
#define PATIENCE_MS 10000

int remote_invoke_open(const char *control, struct remote *ret, struct cloche_err *err)
{
	int code = remote_open(control, ret, err);

	if (code == -ENOENT || code == -ECONNREFUSED || code == -EACCES)
		return cloche_err_set(err, -code,
				      "deployed functions are the daemon's, and none can be "
				      "reached at '%.200s'; have 'cloche serve' started",
				      control);
	return code;
}

static int name_function(struct request *request, const char *function, struct cloche_err *err)
{
	request_version(request->version);
	if ((size_t)snprintf(request->function, sizeof(request->function), "%s", function) >=
	    sizeof(request->function))
		return cloche_err_set(err, ENAMETOOLONG, "there is no function '%.64s…'", function);
	return 0;
}

/* ---- an invocation --------------------------------------------------------------------------- */

/* -EPIPE: it was not sent; why the daemon does not listen it may have said. */
static int send_event(const struct remote *r, const struct remote_event *e, bool stays,
		      struct cloche_err *err)
{
	struct request request = { .kind = REQUEST_INVOKE,
				   .function_version = e->version,
				   .memory_bytes = e->memory_bytes,
				   .tail = e->tail,
				   .stays = stays,
				   .trace = e->trace && (e->trace->file || e->trace->copy),
				   .keep_trace = e->trace && e->trace->kept,
				   .event_len = e->len };
	bool is_short = e->len <= REQUEST_SHORT;
	struct packet_fds fds = { .n = is_short ? 0 : 1 };
	int code = name_function(&request, e->function, err);

	if (code < 0)
		return code;
	if (!is_short)
		fds.fd[0] = listing_hand(e->bytes, e->len);
	if (!is_short && fds.fd[0] < 0)
		return cloche_err_sys(err, -fds.fd[0], "hand the event over (memfd)");
	code = packet_send_with(r->socket, &request, sizeof(request), e->bytes,
				is_short ? e->len : 0, &fds);
	packet_close_fds(&fds);
	if (code == -EPIPE || code == -ECONNRESET)
		return -EPIPE;
	return remote_asked(code, err);
}

/* An answer, with what may follow in its message. */
struct heard {
	struct answer answer;
	char bytes[REQUEST_SHORT];
	size_t len; /* of those */
	struct packet_fds fds;
};

static int hear(const struct remote *r, struct heard *h, struct cloche_err *err)
{
	return remote_hear_more(r, &h->answer, sizeof(h->bytes), &h->len, &h->fds, err);
}

/* What waits for an answer, beside the answer itself. */
struct patience {
	const struct remote_event *event;
	bool cancelled, cold, told;
	int64_t due_ns; /* of telling that it is cold */
};

static int left_ms(const struct patience *p)
{
	int64_t left;

	if (!p->cold || p->told || !p->event->cold)
		return -1;
	left = (p->due_ns - clock_now_ns()) / NSEC_PER_MSEC + 1;
	return left > 0 ? (int)left : 0;
}

static void lose_patience(struct patience *p)
{
	if (!p->cold || p->told || !p->event->cold || clock_now_ns() < p->due_ns)
		return;
	p->told = true;
	p->event->cold(p->event->arg);
}

/* What comes before the answer. */
static bool hear_before(const struct remote_event *e, struct heard *h, struct patience *p)
{
	if (h->answer.kind != ANSWER_STARTING && h->answer.kind != ANSWER_TRACE)
		return false;
	p->cold |= h->answer.kind == ANSWER_STARTING;
	if (h->answer.kind == ANSWER_TRACE && e->trace && e->trace->pipe < 0 && h->fds.n == 1)
		e->trace->pipe = h->fds.fd[--h->fds.n];
	packet_close_fds(&h->fds);
	return true;
}

static int wait_for_answer(const struct remote *r, const struct remote_event *e, struct heard *ret,
			   bool *ret_unread, struct cloche_err *err)
{
	struct patience p = { .event = e, .due_ns = clock_now_ns() + e->wait_ns };
	struct pollfd fds[] = { { .fd = r->socket, .events = POLLIN },
				{ .fd = e->cancel_fd, .events = POLLIN },
				{ .fd = -1 } };
	struct request cancel = { .kind = REQUEST_CANCEL };
	int code = -EAGAIN;

	request_version(cancel.version);
	while (code == -EAGAIN) {
		int n;

		if (e->trace)
			remote_trace_wait(e->trace, &fds[2]);
		n = poll(fds, 3, left_ms(&p));
		lose_patience(&p);
		if (n <= 0)
			continue;
		if (fds[2].fd >= 0 && fds[2].revents)
			remote_trace_step(e->trace);
		/* The other end was closed with something in it (unix_release_sock): the event, or
		 * else the wish to cancel it. */
		*ret_unread = fds[0].revents & POLLERR && !p.cancelled;
		if (fds[1].fd >= 0 && fds[1].revents) {
			fds[1].fd = -1;
			p.cancelled = true;
			(void)packet_send(r->socket, &cancel, sizeof(cancel), NULL);
		}
		if (!fds[0].revents)
			continue;
		code = hear(r, ret, err);
		if (code == 0 && hear_before(e, ret, &p))
			code = -EAGAIN;
	}
	return code;
}

static int take_response(const struct heard *h, struct remote_response *ret, struct cloche_err *err)
{
	const struct answer *a = &h->answer;
	size_t len = a->response_len + a->tail_len, done = 0;
	cleanup_free char *bytes = NULL;
	ssize_t n = 1;

	if (a->response_len > REQUEST_EVENT_MAX || a->tail_len > REQUEST_TAIL_MAX ||
	    (h->len ? h->len != len : len && h->fds.n != 1))
		return cloche_err_set(err, EPROTO, "the daemon answered something else");
	bytes = malloc(len + 1);
	if (!bytes)
		return cloche_err_sys(err, ENOMEM, "take the response");
	if (h->len)
		memcpy(bytes, h->bytes, done = len);
	while (done < len && n > 0) {
		n = pread(h->fds.fd[0], bytes + done, len - done, (off_t)done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (done < len)
		return cloche_err_set(err, EPROTO, "the response is not whole");
	bytes[len] = '\0';
	*ret = (struct remote_response){ TAKE_PTR(bytes), a->response_len, a->tail_len };
	return 0;
}

static int ask(const struct remote *r, const struct remote_event *event, bool stays,
	       struct heard *ret, bool *ret_unread, struct cloche_err *err)
{
	int code = send_event(r, event, stays, err);

	*ret_unread = code == -EPIPE;
	if (code == 0)
		return wait_for_answer(r, event, ret, ret_unread, err);
	return code == -EPIPE ? hear(r, ret, err) : code;
}

static int ask_again(struct remote *r, const struct remote_event *event, struct heard *ret,
		     struct cloche_err *err)
{
	struct remote other = { .socket = -1 };
	bool unread;
	int code;

	*err = (struct cloche_err){ 0 };
	packet_close_fds(&ret->fds);
	code = remote_invoke_open(r->control, &other, err);
	if (code < 0)
		return code;
	fd_close(&r->socket);
	r->socket = other.socket;
	return ask(r, event, true, ret, &unread, err);
}

static int invoke(struct remote *r, const struct remote_event *event, bool stays,
		  struct outcome *out, struct ledger_repair *found, struct remote_response *ret,
		  struct cloche_err *err)
{
	cleanup_free struct heard *heard = malloc(sizeof(*heard));
	bool unread = false;
	int code;

	if (!heard)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	heard->fds.n = 0;
	code = ask(r, event, stays, heard, &unread, err);
	if (code < 0 && unread && r->kept)
		code = ask_again(r, event, heard, err);
	r->kept = code == 0 && stays;
	if (code == 0 && heard->answer.kind != ANSWER_OUTCOME)
		code = cloche_err_set(err, EPROTO, "the daemon answered something else");
	if (code == 0)
		code = take_response(heard, ret, err);
	if (code == 0) {
		*out = heard->answer.outcome;
		*found = heard->answer.found;
	}
	if (event->trace)
		remote_trace_end(event->trace, code == 0 ? &heard->answer : NULL, out,
				 event->notes);
	packet_close_fds(&heard->fds);
	return code;
}

int remote_invoke_by(struct remote *r, const struct remote_event *event, struct outcome *out,
		     struct ledger_repair *found, struct remote_response *ret,
		     struct cloche_err *err)
{
	return invoke(r, event, true, out, found, ret, err);
}

int remote_invoke(const char *control, const struct remote_event *event, struct outcome *out,
		  struct ledger_repair *found, struct remote_response *ret, struct cloche_err *err)
{
	struct remote remote = { .socket = -1 };
	int code = remote_invoke_open(control, &remote, err);

	if (code == 0)
		code = invoke(&remote, event, false, out, found, ret, err);
	remote_close(&remote);
	return code;
}

/* ---- logs ------------------------------------------------------------------------------------ */

/* One part, or an error. */
static int hear_part(const struct remote *r, void *m, size_t room, struct cloche_err *err)
{
	struct pollfd there = { .fd = r->socket, .events = POLLIN };
	const struct log_part *part = m;
	const struct answer *answer = m;
	char version[sizeof(part->version)];
	int n;

	do
		n = poll(&there, 1, PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return cloche_err_set(err, ETIMEDOUT, "the daemon does not answer");
	n = packet_recv(r->socket, m, room, NULL);
	if (n == -EPIPE)
		return cloche_err_set(err, EPIPE, "the daemon has ended before it answered");
	request_version(version);
	if (n < (int)LOG_PART_HEAD || strncmp(version, part->version, sizeof(version)) != 0)
		return cloche_err_set(err, EPROTO,
				      "the daemon is of another version than this program");
	if (part->kind == ANSWER_REFUSED && n == sizeof(*answer))
		return cloche_err_take(err, &answer->refused);
	if (part->kind != ANSWER_LOGS || part->len > sizeof(part->bytes) ||
	    n != (int)(LOG_PART_HEAD + part->len))
		return cloche_err_set(err, EPROTO, "the daemon answered something else");
	return 0;
}

/* *ret_cut: the daemon ended the connection behind a part, as it waits for nobody who is slow to
 * read. */
static int read_logs(const char *control, const char *function, struct log_place *at,
		     const struct remote_log *to, bool *ret_cut, struct cloche_err *err)
{
	union message {
		struct answer answer;
		struct log_part part;
	};
	struct request request = { .kind = REQUEST_LOGS, .log_from = *at };
	cleanup_free union message *m = calloc(1, sizeof(*m));
	struct remote remote = { .socket = -1 };
	bool any = false;
	int code;

	*ret_cut = false;
	if (!m)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	code = remote_invoke_open(control, &remote, err);
	if (code == 0)
		code = name_function(&request, function, err);
	if (code == 0 && packet_send(remote.socket, &request, sizeof(request), NULL) < 0)
		code = cloche_err_set(err, EPIPE, "the daemon has ended before it was asked");
	while (code == 0) {
		code = hear_part(&remote, m, sizeof(*m), err);
		*ret_cut = any && code == -EPIPE;
		if (code < 0)
			break;
		any = true;
		*at = m->part.upto;
		code = to->take(to->arg, m->part.bytes, m->part.len, m->part.gap);
		if (m->part.last)
			break;
	}
	remote_close(&remote);
	return code;
}

int remote_logs(const char *control, const char *function, struct log_place *at,
		const struct remote_log *to, struct cloche_err *err)
{
	bool cut;
	int code;

	/* Where it has ended there is none to be reached. */
	while ((code = read_logs(control, function, at, to, &cut, err)) < 0 && cut)
		*err = (struct cloche_err){ 0 };
	return code;
}
