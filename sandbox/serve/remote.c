/* SPDX-License-Identifier: MIT */
/* The client's side of the control socket: see remote.h. */
#include "serve/remote.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/uuid.h"
#include "launch/given.h"
#include "launch/spec.h"
#include "launch/stream_state.h"
#include "run/description.h"
#include "run/owner.h"
#include "serve/listing.h"
#include "serve/packet.h"
#include "serve/remote_streams.h"
#include "serve/remote_trace.h"
#include "serve/request.h"
#include "serve/stores.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A daemon that lives answers at once. */
#define PATIENCE_MS 10000

int remote_open(const char *control, struct remote *ret, struct cloche_err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;

	if (strlen(control) >= sizeof(at.sun_path))
		return cloche_err_sys(err, ENAMETOOLONG, "connect to the daemon at '%.200s'",
				      control);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", control);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return cloche_err_sys(err, errno, "connect to the daemon at '%s'", control);
	*ret = (struct remote){ .control = control, .socket = TAKE_FD(fd) };
	return 0;
}

void remote_close(struct remote *r)
{
	fd_close(&r->socket);
	if (r->streams)
		remote_streams_close(r->streams);
	free(r->streams);
	r->streams = NULL;
}

void remote_take_streams(struct remote *r, const struct spec *spec, const int streams[3])
{
	r->streams = calloc(1, sizeof(*r->streams));
	if (r->streams)
		remote_streams_open(r->streams, spec, streams);
}

static int send_request(const struct remote *r, const struct remote_options *o,
			struct cloche_err *err)
{
	cleanup_fd int order = -1, binds = -1;
	cleanup_free struct sock_filter *insns = NULL;
	struct packet_fds fds = { .n = REQUEST_FDS };
	struct request request;
	int code = request_make(o->spec, o->function, &request, &insns, &order, err);

	if (code == 0 && request.binds) {
		code = given_pack(o->spec, &binds, request.binds_claim, err);
		fds.fd[fds.n++] = binds;
	}
	if (code < 0)
		return code;
	request.hold = o->hold;
	request.stays = o->stays;
	request.metered = o->metered;
	request.trace = o->trace || o->kept;
	request.keep_trace = o->keep_trace;
	remote_streams_fds(r->streams, fds.fd);
	request.own_terminals = remote_streams_own_terminals(r->streams);
	fds.fd[REQUEST_FD_ORDER] = order;
	code = packet_send_with(r->socket, &request, sizeof(request), insns,
				insns ? request.bare_n * sizeof(*insns) : 0, &fds);
	return remote_asked(code, err);
}

int remote_asked(int code, struct cloche_err *err)
{
	if (code == -EPIPE || code == -ECONNRESET)
		return cloche_err_set(err, EPIPE, "the daemon has ended before it was asked");
	return code < 0 ? cloche_err_sys(err, -code, "ask the daemon") : 0;
}

int remote_hear(const struct remote *r, struct answer *ret, struct packet_fds *fds,
		struct cloche_err *err)
{
	size_t none;

	return remote_hear_more(r, ret, 0, &none, fds, err);
}

int remote_hear_more(const struct remote *r, struct answer *ret, size_t room, size_t *ret_more,
		     struct packet_fds *fds, struct cloche_err *err)
{
	char version[sizeof(ret->version)];
	int n = packet_recv(r->socket, ret, sizeof(*ret) + room, fds);

	if (n == -EAGAIN)
		return n;
	request_version(version);
	if (n == -EPIPE)
		return cloche_err_set(err, EPIPE, "the daemon has ended before it answered");
	if (n < (int)sizeof(*ret) || strncmp(version, ret->version, sizeof(version)) != 0)
		return cloche_err_set(err, EPROTO,
				      "the daemon is of another version than this program");
	*ret_more = (size_t)n - sizeof(*ret);
	if (ret->kind != ANSWER_REFUSED)
		return 0;
	*err = ret->refused;
	return err->code ? -err->code : -EPROTO;
}

/* -EAGAIN: it was not the answer yet. */
static int hear(const struct remote *r, struct remote_trace *trace, struct answer *ret,
		struct cloche_err *err)
{
	struct packet_fds fds = { .n = 0 };
	int code = remote_hear(r, ret, &fds, err);

	if (code == 0 && ret->kind == ANSWER_TRACE) {
		if (fds.n == 1 && trace->pipe < 0)
			trace->pipe = fds.fd[--fds.n];
		code = -EAGAIN;
	}
	packet_close_fds(&fds);
	return code;
}

/* What becomes of one asking, beside the answer. */
struct asked {
	bool unread;	/* the daemon went away and had not even read it */
	bool cancelled; /* it was told that it is not wanted any more, which is once */
	struct cloche_err stream_err; /* something could not be passed on */
	struct remote_trace trace;
	struct stream_state streams[3]; /* before it: of what the function gets */
};

static void cancel(const struct remote *r, struct asked *a)
{
	struct request cancel = { .kind = REQUEST_CANCEL };

	request_version(cancel.version);
	a->cancelled = true;
	(void)packet_send(r->socket, &cancel, sizeof(cancel), NULL);
}

static int wait_for_answer(const struct remote *r, int cancel_fd, struct answer *ret,
			   struct asked *a, struct cloche_err *err)
{
	struct pollfd fds[6] = { { .fd = r->socket, .events = POLLIN } };
	int code = -EAGAIN;

	while (code == -EAGAIN) {
		remote_trace_wait(&a->trace, &fds[5]);
		fds[1] = (struct pollfd){ .fd = a->cancelled ? -1 : cancel_fd, .events = POLLIN };
		stdio_wait(&r->streams->stdio, true, true, fds + 2);
		if (poll(fds, 6, -1) < 0)
			continue;
		if (fds[5].fd >= 0 && fds[5].revents)
			remote_trace_step(&a->trace);
		/* The other end was closed with something in it (unix_release_sock): the request,
		 * or else the wish to cancel it. */
		a->unread = fds[0].revents & POLLERR && !a->cancelled;
		if (fds[1].revents)
			cancel(r, a);
		stdio_move(&r->streams->stdio, fds + 2, &a->stream_err);
		if (fds[0].revents)
			code = hear(r, &a->trace, ret, err);
	}
	return code;
}

static void keep_streams(const struct remote *r, struct asked *a)
{
	int fds[3];

	remote_streams_fds(r->streams, fds);
	stream_state_keep(a->streams, fds);
}

static int ask(struct remote *r, const struct remote_options *o, struct answer *ret,
	       struct asked *a, struct cloche_err *err)
{
	struct cloche_err refused = { 0 };
	int code = send_request(r, o, err);

	/* It may have said why it does not listen. */
	if (code == -EPIPE && hear(r, &a->trace, ret, &refused) < 0 && refused.code &&
	    refused.code != EPIPE) {
		*err = refused;
		return -refused.code;
	}
	a->unread = code == -EPIPE;
	return code < 0 ? code : wait_for_answer(r, o->cancel_fd, ret, a, err);
}

static int ask_again(struct remote *r, const struct remote_options *o, struct answer *ret,
		     struct asked *a, struct cloche_err *err)
{
	struct remote other = { .socket = -1 };
	int code = remote_open(r->control, &other, err);

	if (code < 0)
		return code;
	fd_close(&r->socket);
	r->socket = other.socket;
	r->kept = false;
	return ask(r, o, ret, a, err);
}

/* Behind an answer the daemon waits for seconds, and a client may be stopped for longer. And it may
 * know less of the mounts here than was thought. */
static int ask_until_heard(struct remote *r, const struct remote_options *o, struct answer *ret,
			   struct asked *a, struct cloche_err *err)
{
	int code;

	stdio_begin(&r->streams->stdio);
	keep_streams(r, a);
	code = ask(r, o, ret, a, err);
	if (code < 0 && a->unread && r->kept)
		code = ask_again(r, o, ret, a, err);
	if (code < 0 || !ret->unknown || a->cancelled ||
	    !remote_streams_copy(r->streams, ret->unknown))
		return code;
	if (r->streams->unfit.code) {
		*err = r->streams->unfit;
		return -err->code;
	}
	keep_streams(r, a);
	return ask_again(r, o, ret, a, err);
}

static enum remote_patience patience_with(enum verdict verdict, bool cancelled)
{
	switch (verdict) {
	case VERDICT_CANCELLED:
		return PATIENCE_NONE;
	case VERDICT_TIMEOUT:
	case VERDICT_CPU_TIMEOUT:
	case VERDICT_DENIED:
	case VERDICT_LAUNCH_ERROR:
		return cancelled ? PATIENCE_NONE : PATIENCE_HURRIED;
	default:
		return cancelled ? PATIENCE_NONE : PATIENCE_FULL;
	}
}

/* All that it wrote is in the pipes. */
static void settle(struct remote *r, const struct remote_options *o, enum verdict verdict,
		   struct asked *a)
{
	remote_streams_settle(r->streams, patience_with(verdict, a->cancelled),
			      a->cancelled ? -1 : o->cancel_fd, &a->stream_err);
	stdio_end(&r->streams->stdio);
}

static void take_answer(struct remote *r, const struct answer *answer, const struct asked *a,
			struct outcome *out, struct session_notes *notes)
{
	*out = answer->outcome;
	if (!out->stream_err.code)
		out->stream_err = a->stream_err;
	notes->found = answer->found;
	r->mid_line = out->ran && stdio_mid_line(&r->streams->stdio);
}

void remote_run(struct remote *r, const struct remote_options *o, struct outcome *out,
		struct session_notes *notes)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	char owner[OWNER_NAME_LEN];
	struct cloche_err err = { 0 };
	struct asked asked = { .trace = { .file = o->trace,
					  .wanted = o->trace_wanted,
					  .copy = o->kept,
					  .kept = o->keep_trace,
					  .pipe = -1 } };
	int code;

	*notes = (struct session_notes){ 0 };
	if (o->refused && o->refused->code)
		err = *o->refused;
	else if (!answer || !r->streams)
		(void)cloche_err_sys(&err, ENOMEM, "begin");
	else if (r->streams->unfit.code)
		err = r->streams->unfit;
	code = -err.code;
	if (code == 0) {
		code = ask_until_heard(r, o, answer, &asked, &err);
		settle(r, o, code == 0 ? answer->outcome.verdict : VERDICT_LAUNCH_ERROR, &asked);
		stream_state_restore(asked.streams);
	}
	r->kept = code == 0 && (o->hold || o->stays);
	if (code == 0) {
		take_answer(r, answer, &asked, out, notes);
		remote_trace_end(&asked.trace, answer, out, notes);
		return;
	}
	remote_trace_end(&asked.trace, NULL, out, notes);
	owner_name(o->owner, owner);
	description_of_request(o->spec, o->function, o->owner, owner, out);
	(void)uuid_v4(out->request_id, NULL);
	out->err = err;
	/* Nobody knows whether it ran. */
	r->mid_line = !asked.unread && err.code == EPIPE && stdio_mid_line(&r->streams->stdio);
}

int remote_ask(const struct remote *r, struct request *request, struct answer *answer,
	       struct packet_fds *fds, struct cloche_err *err)
{
	struct pollfd there = { .fd = r->socket, .events = POLLIN };
	int code;

	request_version(request->version);
	code = remote_asked(packet_send(r->socket, request, sizeof(*request), NULL), err);
	if (code < 0)
		return code;
	do
		code = poll(&there, 1, PATIENCE_MS);
	while (code < 0 && errno == EINTR);
	if (code <= 0)
		return cloche_err_set(err, ETIMEDOUT, "the daemon does not answer");
	return remote_hear(r, answer, fds, err);
}

static int ask_what(const struct remote *r, enum request_kind kind, struct answer *answer,
		    struct packet_fds *fds, struct cloche_err *err)
{
	struct request request = { .kind = kind };

	return remote_ask(r, &request, answer, fds, err);
}

int remote_list(const char *control, struct listing **ret, struct cloche_err *err)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct remote remote = { .socket = -1 };
	struct packet_fds fds = { .n = 0 };
	int code;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	code = remote_open(control, &remote, err);
	if (code == 0)
		code = ask_what(&remote, REQUEST_LIST, answer, &fds, err);
	if (code == 0)
		code = answer->kind == ANSWER_LIST && fds.n == 1
			       ? listing_take(fds.fd[0], ret, err)
			       : cloche_err_set(err, EPROTO, "the daemon answered something else");
	packet_close_fds(&fds);
	remote_close(&remote);
	return code;
}

int remote_stores(const char *control, int ret[static STORES], struct cloche_err *err)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct remote remote = { .socket = -1 };
	struct packet_fds fds = { .n = 0 };
	unsigned n = 0;
	int code;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	code = remote_open(control, &remote, err);
	if (code == 0)
		code = ask_what(&remote, REQUEST_STORES, answer, &fds, err);
	for (int i = 0; i < STORES; i++) {
		bool came = code == 0 && answer->stores & 1U << i && n < fds.n;

		ret[i] = came ? fds.fd[n++] : -1;
	}
	if (code == 0 && (answer->kind != ANSWER_STORES || n != fds.n))
		code = cloche_err_set(err, EPROTO, "the daemon answered something else");
	fds.n = code == 0 ? 0 : fds.n;
	packet_close_fds(&fds);
	remote_close(&remote);
	return code;
}

/* ---- images of one's own --------------------------------------------------------------------- */

static int wait_for(const struct remote *r, enum answer_kind kind, struct packet_fds *fds,
		    struct cloche_err *err)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct pollfd there = { .fd = r->socket, .events = POLLIN };
	int code;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	while (poll(&there, 1, -1) < 0 && errno == EINTR)
		;
	code = remote_hear(r, answer, fds, err);
	if (code == 0 && answer->kind != kind)
		code = cloche_err_set(err, EPROTO, "the daemon answered something else");
	return code;
}

static int ask_image(const char *control, enum request_kind kind, const struct remote_image *what,
		     struct remote *ret, struct cloche_err *err)
{
	struct request request = { .kind = kind,
				   .image_form = what->form,
				   .image_bytes = what->bytes };
	int code = remote_open(control, ret, err);

	if (code < 0)
		return code == -ENOENT || code == -ECONNREFUSED || code == -EACCES
			       ? cloche_err_set(err, EPERM,
						"making and removing images needs root or the "
						"daemon, and none can be reached at '%.200s': run "
						"this by sudo, or have 'cloche serve' started",
						control)
			       : code;
	request_version(request.version);
	(void)snprintf(request.image_name, sizeof(request.image_name), "%s", what->name);
	if (what->ref && (size_t)snprintf(request.image_ref, sizeof(request.image_ref), "%s",
					  what->ref) >= sizeof(request.image_ref))
		code = cloche_err_set(err, ENAMETOOLONG, CLOCHE_FIELD "ref: it is too long");
	if (code == 0)
		code = remote_asked(packet_send(ret->socket, &request, sizeof(request), NULL), err);
	if (code < 0)
		remote_close(ret);
	return code;
}

int remote_image_begin(const char *control, const struct remote_image *what, struct remote *ret,
		       int *ret_pipe, struct cloche_err *err)
{
	struct packet_fds fds = { .n = 0 };
	int code = ask_image(control, REQUEST_BUILD, what, ret, err);

	if (code < 0)
		return code;
	code = wait_for(ret, ANSWER_SEND, &fds, err);
	if (code == 0 && fds.n != 1)
		code = cloche_err_set(err, EPROTO, "the daemon answered something else");
	if (code == 0)
		*ret_pipe = fds.fd[--fds.n];
	packet_close_fds(&fds);
	if (code < 0)
		remote_close(ret);
	return code;
}

int remote_image_done(const struct remote *r, struct cloche_err *err)
{
	struct packet_fds fds = { .n = 0 };
	int code = wait_for(r, ANSWER_DONE, &fds, err);

	packet_close_fds(&fds);
	return code;
}

int remote_image_remove(const char *control, const char *name, struct cloche_err *err)
{
	struct remote remote = { .socket = -1 };
	int code = ask_image(control, REQUEST_REMOVE, &(struct remote_image){ .name = name },
			     &remote, err);

	if (code == 0)
		code = remote_image_done(&remote, err);
	remote_close(&remote);
	return code;
}
