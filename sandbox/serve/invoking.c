/* SPDX-License-Identifier: MIT */
/* Deployed functions, invoked: see invoking.h. */
#include "serve/invoking.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "function/function.h"
#include "function/function_store.h"
#include "run/description.h"
#include "run/log_lines.h"
#include "run/parts.h"
#include "serve/config.h"
#include "serve/executing.h"
#include "serve/front.h"
#include "serve/function_spec.h"
#include "serve/held.h"
#include "serve/lessons.h"
#include "serve/logged.h"
#include "serve/packet.h"
#include "serve/resident.h"
#include "serve/traced.h"
#include "serve/visit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- which function -------------------------------------------------------------------------- */

int invoking_find(struct visit *v, struct cloche_err *err)
{
	const struct request *r = &v->request;
	struct function_store *store = v->front->functions;
	struct function_version *found =
		function_store_get(store, v->client.uid, r->function, r->function_version);

	if (found) {
		v->version = function_version_ref(found);
		return 0;
	}
	if (!function_store_find(store, v->client.uid, r->function))
		return cloche_err_set(
			err, ENOENT,
			"there is no function '%.64s': 'cloche functions' lists those "
			"that are deployed",
			r->function);
	return cloche_err_set(err, ENOENT,
			      "there is no version %" PRIu32 " of the function '%.64s': 'cloche "
			      "show %.64s' lists those that are kept",
			      r->function_version, r->function, r->function);
}

static int make_spec(struct visit *v, struct cloche_err *err)
{
	v->function_spec.memory_bytes = v->request.memory_bytes;
	return function_spec_make(v->version, v->request.function_version, false, &v->function_spec,
				  err);
}

static int prepare(struct visit *v, struct cloche_err *err)
{
	int r = invoking_find(v, err);

	if (r == 0 && v->request.event_len > REQUEST_EVENT_MAX)
		r = request_read_event(&v->request, v->order_fd, NULL, err);
	if (r == 0)
		r = make_spec(v, err);
	if (r < 0)
		return r;
	v->spec = v->function_spec.spec;
	description_of_request(&v->spec, v->version->config.name, v->client.uid, v->owner,
			       &v->answer.outcome);
	v->answer.outcome.limits.timeout_ns = v->version->config.timeout_ns;
	r = visit_check(v, &v->kind.make, err);
	if (r < 0)
		return r;
	function_spec_kind(v->version, &v->kind);
	v->kind.tuned = v->request.memory_bytes != 0;
	if (v->version->config.family == FAMILY_EXEC && executing_open(v, err) < 0)
		return -err->code;
	v->client.kind = (struct pool_kind){ v->client.uid, &v->kind, sizeof(v->kind) };
	return 0;
}

void invoking_begin(struct visit *v)
{
	struct cloche_err err = { 0 };
	bool may_make = true;

	/* What it held for a command. */
	if (v->held)
		held_spare(v->front, v->held);
	v->held = NULL;
	v->own = false;
	spec_defaults(&v->spec);
	description_of_request(&v->spec, v->request.function, v->client.uid, v->owner,
			       &v->answer.outcome);
	if (prepare(v, &err) < 0) {
		visit_refuse(v, &err);
		return;
	}
	v->state = VISIT_SEEKING;
	/* One at a time: the next size may need its room. */
	held_end_idle(v->front, v->tuned, &v->kind);
	v->tuned = 0;
	visit_seek(v, &may_make);
}

/* ---- how many contexts ---------------------------------------------------------------------- */

struct crowd {
	unsigned contexts, starting; /* of the function, whatever their version */
};

static void look_around(const struct visit *v, struct crowd *c)
{
	*c = (struct crowd){ 0 };
	for (struct pool_context *at = v->front->pool.first; at; at = at->all.next) {
		const struct held *h = (const struct held *)at;

		if (at->state == POOL_ENDING || h->kind.function == 0 || h->kind.tuned ||
		    h->kind.make.owner != v->client.uid ||
		    strcmp(h->function, v->version->config.name) != 0)
			continue;
		c->contexts++;
		c->starting += at->state == POOL_MAKING ||
			       (h->resident && !resident_is_settled(h->resident));
	}
}

/*
 * A start takes CPU time from those that are on their way, and what is on its way serves whoever
 * waits: more at a time than there are CPUs would serve nobody sooner.
 */
static unsigned starts_most(const struct visit *v)
{
	return v->front->host.cpus > 2 ? v->front->host.cpus : 2;
}

/* An idle one of another version is of no use to whoever asks for this one, and has its place. */
static bool end_another(struct visit *v)
{
	for (struct pool_context *at = v->front->pool.first; at; at = at->all.next) {
		struct held *h = (struct held *)at;

		if (at->state != POOL_IDLE || h->kind.function == 0 ||
		    h->kind.function == v->version->id || h->kind.make.owner != v->client.uid ||
		    strcmp(h->function, v->version->config.name) != 0)
			continue;
		held_end(v->front, h);
		return true;
	}
	return false;
}

bool invoking_may_start(struct visit *v)
{
	const struct function_config *c = &v->version->config;
	struct cloche_err why = { 0 };
	struct crowd crowd;

	/* Its connection has one at a time. */
	if (v->kind.tuned)
		return true;
	do
		look_around(v, &crowd);
	while (c->concurrency.reserved && crowd.contexts >= c->concurrency.reserved &&
	       end_another(v));
	if (c->concurrency.reserved && crowd.contexts >= c->concurrency.reserved) {
		(void)cloche_err_set(&why, EBUSY,
				     "the function '%.64s' is busy: it has no more than %u at "
				     "a time ('concurrency/reserved')",
				     c->name, c->concurrency.reserved);
		front_note_busy(v->front, &v->kind);
		v->client.waiting = visit_try_queue(v, c->concurrency.wait_ns, &why);
		if (!v->client.waiting)
			visit_refuse(v, &why);
		return false;
	}
	v->client.waiting = crowd.starting >= starts_most(v);
	return !v->client.waiting;
}

/* Whether the version of it is the one that counts now. */
static bool counts(const struct front *f, const struct held *h)
{
	const struct function_version *now =
		function_store_get(f->functions, h->kind.make.owner, h->function, 0);

	return now && now->id == h->kind.function;
}

void invoking_retire(struct front *f)
{
	struct pool_context *next;

	for (struct pool_context *at = f->pool.first; at; at = next) {
		struct held *h = (struct held *)at;

		next = at->all.next;
		if (!h->kind.function || counts(f, h))
			continue;
		h->retired = true;
		if (at->state == POOL_IDLE)
			held_end(f, h);
	}
	provisioning_look(f);
}

/* ---- its answer ------------------------------------------------------------------------------ */

static int write_response(const struct resident_answer *given, size_t tail_len)
{
	cleanup_fd int fd = memfd_create("response", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || file_write_all(fd, given->bytes, given->len) < 0 ||
	    file_write_all(fd, given->tail, tail_len) < 0)
		return -1;
	return TAKE_FD(fd);
}

/* With it comes the response, and the end of the log behind it. */
static void answer_with(struct visit *v, const struct resident_answer *given)
{
	static char bytes[REQUEST_SHORT]; /* the front has one thread that comes here */
	size_t tail_len = v->request.tail ? given->tail_len : 0, len = given->len + tail_len;
	struct packet_fds fds = { .n = 0 };
	bool is_short = len <= sizeof(bytes);

	if (is_short && given->bytes)
		memcpy(bytes, given->bytes, given->len);
	if (is_short)
		memcpy(bytes + given->len, given->tail, tail_len);
	else
		fds.fd[0] = write_response(given, tail_len);
	if (!is_short && fds.fd[0] < 0) {
		(void)cloche_err_sys(&v->answer.outcome.stream_err, errno ? errno : EIO,
				     "hand the response over (memfd)");
		len = 0;
	} else {
		fds.n = is_short ? 0 : 1;
		v->answer.response_len = given->len;
		v->answer.tail_len = (uint32_t)tail_len;
	}
	visit_answer_with(v, bytes, is_short ? len : 0, &fds);
}

/* Until its trace is written: what it is in may end meanwhile. */
static bool keep_response(struct visit *v, const struct resident_answer *given)
{
	struct resident_answer *kept = malloc(sizeof(*kept) + given->len);

	if (!kept)
		return false;
	*kept = *given;
	if (given->bytes)
		kept->bytes = memcpy(kept + 1, given->bytes, given->len);
	v->response = kept;
	return true;
}

void invoking_answer(struct visit *v)
{
	cleanup_free struct resident_answer *given = TAKE_PTR(v->response);

	answer_with(v, given);
}

/* The record comes first, then the log's last line, then the end of its trace and the answer. */
void invoking_finish(struct visit *v)
{
	struct outcome *out = &v->answer.outcome;
	struct resident_answer given;
	cleanup_free char *failure = NULL;

	if (v->executing)
		executing_settle(v);
	/* A process that has had one event is of no use to a function that wants others. */
	out->context.kept &= function_stays(&v->version->config);
	visit_book(v);
	lessons_tell(v);
	if (v->executing) {
		executing_report(v, &given);
	} else {
		resident_report(v->held->resident, out);
		resident_answered(v->held->resident, &given);
	}
	if (!given.bytes && out->verdict != VERDICT_OK) {
		failure = failure_object(out);
		given.bytes = failure;
		given.len = failure ? strlen(failure) : 0;
	}
	if (v->traced && out->ran && keep_response(v, &given))
		traced_conclude(v);
	else
		answer_with(v, &given);
}

/* Its first instruction was one of its init. */
void resident_served(struct client *c)
{
	struct visit *v = (struct visit *)c;
	const struct outcome *init = resident_init(v->held->resident);
	struct outcome *out = &v->answer.outcome;

	if (v->again_init.joined) {
		parts_join(out, init);
		out->limits.timeout_ns = v->version->config.timeout_ns;
		out->launch_ns = v->again_init.launch_ns;
	} else if (out->init_ns) {
		out->launch_ns = init->launch_ns;
	}
	invoking_finish(v);
}

/* ---- the invocation -------------------------------------------------------------------------- */

/* What it was given was of no use to it: another one. */
static void seek_again(struct visit *v)
{
	bool may_make = true;

	held_end(v->front, v->held);
	v->held = NULL;
	wills_strike(&v->front->wills, v->will);
	v->will = -1;
	traced_lose(v, "what was to be traced had died; another one served it");
	v->state = VISIT_SEEKING;
	visit_seek(v, &may_make);
}

/* As Lambda does: the first init counts for nothing, and the next is a part of the invocation, in
 * its time, with its share of the CPU, and billed. What was never begun will not be next time. */
static bool may_init_again(const struct visit *v, const struct outcome *init)
{
	return !v->again_init.is && !v->cancelled && !v->left && !v->front->stopping &&
	       init->verdict != VERDICT_CANCELLED && init->verdict != VERDICT_LAUNCH_ERROR;
}

static void init_again(struct visit *v, const struct outcome *init)
{
	cleanup_free struct resident_answer *given = calloc(1, sizeof(*given));

	v->again_init.is = true;
	v->again_init.launch_ns = init->launch_ns;
	if (given)
		resident_answered(v->held->resident, given);
	v->again_init.tail = given && given->tail_len ? malloc(given->tail_len) : NULL;
	if (v->again_init.tail) {
		memcpy(v->again_init.tail, given->tail, given->tail_len);
		v->again_init.tail_len = given->tail_len;
	}
	v->spec.init_invoked = true;
	v->spec.timeout_ns = v->version->config.timeout_ns;
	seek_again(v);
}

/* Its init is what the invocation was. */
void resident_failed(struct client *c)
{
	struct visit *v = (struct visit *)c;
	const struct outcome *init = resident_init(v->held->resident);
	struct outcome *out = &v->answer.outcome, asked = *out;

	if (may_init_again(v, init)) {
		init_again(v, init);
		return;
	}
	*out = *init;
	memcpy(out->request_id, asked.request_id, sizeof(out->request_id));
	memcpy(out->function, asked.function, sizeof(out->function));
	out->owner = asked.owner;
	out->limits = asked.limits;
	if (v->again_init.is)
		out->launch_ns = v->again_init.launch_ns;
	else
		out->started_real_ns = asked.started_real_ns;
	resident_start_log(v->held->resident, out, v->request.function_version);
	invoking_finish(v);
}

/* Of its timeout, what an init that is a part of it has left. */
static int64_t left_ns(const struct visit *v)
{
	int64_t began_ns = resident_invoked_ns(v->held->resident);
	int64_t left = v->version->config.timeout_ns - (clock_now_ns() - began_ns);

	if (!began_ns)
		return v->version->config.timeout_ns;
	return left > 0 ? left : 1;
}

static void give(struct visit *v)
{
	const struct function_config *c = &v->version->config;
	struct outcome *out = &v->answer.outcome;
	struct cloche_err err = { 0 };
	char arn[160];
	struct resident_event e = { .event = { .request_id = out->request_id,
					       .function_arn = arn,
					       .len = v->request.event_len },
				    .timeout_ns = left_ns(v),
				    .requested_ns = v->requested_ns,
				    .version = v->request.function_version,
				    .cancelled = v->cancelled };

	(void)snprintf(arn, sizeof(arn),
		       "arn:aws:lambda:" FUNCTION_SPEC_REGION ":%012u:function:%s", v->client.uid,
		       c->name);
	if (visit_have_event(v, &err) < 0) {
		visit_refuse(v, &err);
		return;
	}
	e.event.payload = v->event;
	v->again_init.joined = resident_invoked_ns(v->held->resident) != 0;
	if (resident_is_new(v->held->resident) && !v->held->provisioned && !v->again_init.joined)
		out->init_ns = resident_init(v->held->resident)->wall_ns;
	if (!resident_invoke(v->held->resident, &e, out))
		seek_again(v);
}

void invoking_traced(struct visit *v)
{
	v->state = VISIT_RUNNING;
	give(v);
}

/* A trace is of what comes of the event, and of nothing before it. */
static void offer(struct visit *v)
{
	if (traced_wanted(v) && !v->traced)
		traced_ask(v);
	else
		give(v);
}

/* It has ended while it was waited for whoever traces. */
void resident_lost(struct client *c)
{
	struct visit *v = (struct visit *)c;

	if (v->state != VISIT_CONCLUDING) {
		seek_again(v);
		return;
	}
	traced_lose(v, "it died before its trace was whole");
	invoking_answer(v);
}

void resident_ready(struct client *c)
{
	struct visit *v = (struct visit *)c;
	struct front *f = v->front;

	offer(v);
	/* There is one less on its way. */
	front_retry(f, false);
}

static void say_cold(const struct visit *v)
{
	struct answer a = { .kind = ANSWER_STARTING };

	request_version(a.version);
	if (!v->left)
		(void)packet_send(v->socket, &a, sizeof(a), NULL);
}

static int begin_resident(struct visit *v, struct cloche_err *err)
{
	struct front *f = v->front;
	struct held *h = v->held;
	struct function_logged *log =
		logged_open(&f->logged, f->functions, v->client.uid, v->version->config.name, err);

	if (!log)
		return -err->code;
	say_cold(v);
	h->resident = resident_open(f, h, &v->spec, log, v->requested_ns, err);
	if (h->resident && v->again_init.is)
		resident_begins_invoked(h->resident, v->answer.outcome.request_id,
					v->again_init.tail, v->again_init.tail_len);
	if (h->resident && v->cancelled)
		resident_cancel(h->resident);
	return h->resident ? 0 : -err->code;
}

void invoking_run(struct visit *v)
{
	struct cloche_err err = { 0 };
	struct held *h = v->held;

	if (visit_commit(v, &err) < 0) {
		visit_refuse(v, &err);
		return;
	}
	v->state = VISIT_RUNNING;
	held_describe(h, v->version->config.name, v->spec.argv);
	if (h->resident)
		offer(v);
	else if (begin_resident(v, &err) < 0)
		visit_refuse(v, &err);
}

/* It waits for the next event, or there is no next one. */
void invoking_let_go(struct visit *v)
{
	struct held *h = v->held;
	bool may_stay;

	if (!h)
		return;
	may_stay = h->resident && resident_is_idle(h->resident) &&
		   v->front->config->idle_expiry_ns > 0 &&
		   (counts(v->front, h) || v->request.function_version);
	if (may_stay && function_stays(&v->version->config)) {
		v->tuned = h->kind.tuned ? h->number : 0;
		held_rest(v->front, h);
	} else if (may_stay && v->version->config.reuse == REUSE_CONTEXT && !h->kind.tuned) {
		held_renew(v->front, h);
	} else if (v->state >= VISIT_TRACING && !function_stays(&v->version->config)) {
		/* One event is all that it is there for: it has no time behind that. */
		held_end_now(v->front, h);
	} else if (v->state >= VISIT_TRACING) {
		held_end(v->front, h);
	} else {
		held_spare(v->front, h);
	}
	v->held = NULL;
}

void invoking_leave(struct visit *v)
{
	v->executing = executing_close(v->executing);
	v->version = function_version_unref(v->version);
	lessons_leave(v);
	function_spec_free(&v->function_spec);
	free(v->again_init.tail);
	memset(&v->again_init, 0, sizeof(v->again_init));
	free(v->response);
	v->response = NULL;
}

/* ---- its log --------------------------------------------------------------------------------- */

void invoking_show_logs(struct visit *v)
{
	struct cloche_err err = { 0 };

	v->state = VISIT_ASKING;
	if (invoking_find(v, &err) == 0)
		v->log_reading =
			log_reading_open(v->front, &v->client, v->socket, &v->request, &err);
	v->version = function_version_unref(v->version);
	if (!v->log_reading)
		visit_send_away(v, &err);
}
