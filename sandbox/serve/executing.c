/* SPDX-License-Identifier: MIT */
/* Events for commands: see executing.h. */
#include "serve/executing.h"

#include "base/err.h"
#include "base/fd.h"
#include "function/function_store.h"
#include "run/log_lines.h"
#include "serve/capture.h"
#include "serve/front.h"
#include "serve/journal.h"
#include "serve/listing.h"
#include "serve/logged.h"
#include "serve/visit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct executing {
	struct front *front;
	struct visit *visit;
	struct function_logged *log;
	struct journal journal;
	struct capture out, err;
	char *response; /* owned */
	size_t len, size;
	bool too_long, ended; /* for that, while it ran */
	bool over;	      /* it runs no more */
};

/* Nothing that it goes on with would be handed on. */
static void end_too_long(struct executing *e)
{
	e->too_long = true;
	if (e->over)
		return;
	e->ended = true;
	invocation_cancel(&e->visit->inv);
}

/* What there is no memory for is too long as well. */
static void take_response(void *arg, const char *bytes, size_t len)
{
	struct executing *e = arg;
	size_t size = e->size ? e->size : 4096;
	char *all;

	if (e->too_long)
		return;
	if (e->len + len > REQUEST_EVENT_MAX) {
		end_too_long(e);
		return;
	}
	while (size < e->len + len)
		size *= 2;
	all = size == e->size ? e->response : realloc(e->response, size);
	if (!all) {
		end_too_long(e);
		return;
	}
	e->response = all;
	e->size = size;
	memcpy(e->response + e->len, bytes, len);
	e->len += len;
}

static void take_line(void *arg, const char *bytes, size_t len)
{
	journal_take(&((struct executing *)arg)->journal, bytes, len);
}

/* The client's may change; this one does not, and is read from its beginning. */
static int open_event(struct visit *v, int *ret, struct cloche_err *err)
{
	int r = visit_have_event(v, err);

	if (r < 0)
		return r;
	*ret = listing_hand(v->event, v->request.event_len);
	if (*ret < 0 || lseek(*ret, 0, SEEK_SET) < 0)
		return cloche_err_sys(err, *ret < 0 ? -*ret : errno, "hand the event over");
	return 0;
}

int executing_open(struct visit *v, struct cloche_err *err)
{
	struct executing *e = calloc(1, sizeof(*e));
	struct front *f = v->front;
	int r;

	if (!e)
		return cloche_err_sys(err, ENOMEM, "begin");
	*e = (struct executing){ .front = f, .visit = v, .out = CAPTURE_NONE, .err = CAPTURE_NONE };
	v->executing = e;
	e->log = logged_open(&f->logged, f->functions, v->client.uid, v->version->config.name, err);
	journal_init(&e->journal, e->log);
	r = e->log ? open_event(v, &v->streams[0], err) : -err->code;
	if (r == 0)
		r = capture_begin(&e->out, f->event, take_response, e, &v->streams[1], err);
	if (r == 0)
		r = capture_begin(&e->err, f->event, take_line, e, &v->streams[2], err);
	if (r == 0)
		stdio_pass(&v->stdio, v->streams);
	return r;
}

struct executing *executing_close(struct executing *e)
{
	if (!e)
		return NULL;
	capture_end(&e->out);
	capture_end(&e->err);
	journal_end(&e->journal);
	(void)logged_close(&e->front->logged, e->log);
	free(e->response);
	free(e);
	return NULL;
}

void executing_start(struct visit *v)
{
	journal_start(&v->executing->journal, &v->answer.outcome, v->request.function_version);
}

void executing_settle(struct visit *v)
{
	struct outcome *out = &v->answer.outcome;
	struct executing *e = v->executing;
	bool by_us;

	e->over = true;
	capture_drain(&e->out);
	capture_drain(&e->err);
	journal_flush(&e->journal);
	by_us = e->ended && !v->cancelled && out->verdict == VERDICT_CANCELLED;
	if (!e->too_long || (out->verdict != VERDICT_OK && !by_us))
		return;
	out->verdict = VERDICT_ERROR;
	out->answered = true;
	(void)strcpy(out->error_type, FAILURE_TOO_LARGE);
}

void executing_report(struct visit *v, struct resident_answer *ret)
{
	struct executing *e = v->executing;

	journal_report(&e->journal, &v->answer.outcome);
	ret->bytes = NULL;
	ret->len = 0;
	ret->tail_len = journal_tail(&e->journal, ret->tail);
	if (v->answer.outcome.verdict == VERDICT_OK) {
		ret->bytes = e->response;
		ret->len = e->len;
	}
}
