/* SPDX-License-Identifier: MIT */
/* One client, from what it asks to its answer: see client.h. Nothing here waits for it. */
#include "serve/visit.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/uuid.h"
#include "function/function.h"
#include "function/function_store.h"
#include "launch/launcher.h"
#include "ledger/ledger_record.h"
#include "policy/policy_join.h"
#include "run/description.h"
#include "run/record.h"
#include "serve/closer.h"
#include "serve/config.h"
#include "serve/executing.h"
#include "serve/front.h"
#include "serve/hashing.h"
#include "serve/held.h"
#include "serve/invoking.h"
#include "serve/packet.h"
#include "serve/reading.h"
#include "serve/resident.h"
#include "serve/taken.h"
#include "serve/traced.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static struct visit *visit_of(struct client *c)
{
	return (struct visit *)c;
}

/* What it runs in is for one invocation. */
static bool is_once(const struct visit *v)
{
	if (v->version && v->spec.kept && function_stays(&v->version->config))
		return false;
	return held_is_of_one(&v->kind) || v->kind.tuned ||
	       (v->version && v->version->config.reuse == REUSE_NONE);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* What is one request's. */
static void drop(struct visit *v)
{
	watch_end(&v->watch);
	v->patience = sd_event_source_disable_unref(v->patience);
	hashing_leave(&v->hash);
	for (int i = 0; i < REQUEST_STREAMS; i++)
		closer_take(v->front->closer, v->client.uid, &v->streams[i]);
	closer_take(v->front->closer, v->client.uid, &v->order_fd);
	closer_take(v->front->closer, v->client.uid, &v->binds);
	order_free(&v->block);
	free(v->bare);
	v->bare = NULL;
	free(v->event);
	v->event = NULL;
}

/* Its context is another's, if it is anybody's. */
static void let_held_go(struct visit *v)
{
	if (v->version && !v->executing)
		invoking_let_go(v);
	else if (v->held && v->executing && v->state == VISIT_RUNNING && is_once(v))
		held_end(v->front, v->held);
	else if (v->held && (v->state == VISIT_RUNNING || v->state == VISIT_CONCLUDING))
		held_keep(v->front, v->held);
	else if (v->held && v->state == VISIT_TRACING)
		held_end(v->front, v->held);
	else if (v->held)
		held_spare(v->front, v->held);
	v->held = NULL;
}

void visit_leave(struct visit *v)
{
	let_held_go(v);
	held_end_idle(v->front, v->tuned, NULL);
	invoking_leave(v);
	v->reading = reading_close(v->reading);
	v->log_reading = log_reading_close(v->log_reading);
	drop(v);
	(void)sd_event_source_disable_unref(v->heard);
	(void)sd_event_source_disable_unref(v->silence);
	closer_take(v->front->closer, v->client.uid, &v->socket);
	front_forget(v->front, &v->client);
	free(v);
}

/* Whoever does not take it has it lost: it is in the ledger. */
static void say_with(struct visit *v, enum answer_kind kind, const void *more, size_t more_len,
		     const struct packet_fds *fds)
{
	v->answer.kind = kind;
	request_version(v->answer.version);
	if (!v->left)
		(void)packet_send_with(v->socket, &v->answer, sizeof(v->answer), more, more_len,
				       fds);
}

static void say(struct visit *v, enum answer_kind kind, const struct packet_fds *fds)
{
	say_with(v, kind, NULL, 0, fds);
}

static void answer(struct visit *v, enum answer_kind kind)
{
	say(v, kind, NULL);
	visit_leave(v);
}

/* The next request, if that comes soon. */
static void hear_more(struct visit *v)
{
	drop(v);
	v->answer = (struct answer){ 0 };
	v->cancelled = v->late = v->traced = v->untraced = v->allowed = false;
	v->client.waiting = v->client.full = v->client.queued = false;
	v->will = -1;
	v->state = VISIT_HEARING;
	if (visit_hear(v) < 0)
		visit_leave(v);
}

/* If it is to be so, its context is its own until then. */
static void stay(struct visit *v)
{
	if (!v->request.hold)
		held_keep(v->front, v->held);
	v->held = v->request.hold && held_keep_for(v->front, v->held, &v->client) ? v->held : NULL;
	v->own |= v->request.hold;
	hear_more(v);
}

/* Of an event's context that is nobody's matter. */
void visit_answer_with(struct visit *v, const void *more, size_t more_len, struct packet_fds *fds)
{
	bool stays = visit_may_stay(v);

	say_with(v, ANSWER_OUTCOME, more, more_len, fds);
	packet_close_fds(fds);
	if (!stays) {
		visit_leave(v);
		return;
	}
	let_held_go(v);
	invoking_leave(v);
	memset(&v->kind, 0, sizeof(v->kind));
	hear_more(v);
}

/* Nothing of it ran: no record, nor one where nobody comes to say more. */
void visit_refuse(struct visit *v, const struct cloche_err *why)
{
	wills_strike(&v->front->wills, v->will);
	v->will = -1;
	v->answer.outcome.err = *why;
	(void)uuid_v4(v->answer.outcome.request_id, NULL);
	answer(v, ANSWER_OUTCOME);
}

/* Before it is known what was asked for. */
void visit_send_away(struct visit *v, const struct cloche_err *why)
{
	v->answer.refused = *why;
	answer(v, ANSWER_REFUSED);
}

/* One that nobody had before and nobody else has meanwhile: as where somebody with root's rights
 * repeats. */
static bool is_own(const struct visit *v)
{
	return v->request.hold || v->own;
}

static void answer_run(struct visit *v)
{
	if (visit_may_stay(v)) {
		say(v, ANSWER_OUTCOME, NULL);
		stay(v);
	} else {
		answer(v, ANSWER_OUTCOME);
	}
}

/* ---- its trace ------------------------------------------------------------------------------- */

static void begin(struct visit *v);

static void on_traced(struct visit *v, const struct reply *reply, const struct packet_fds *fds)
{
	traced_begin(v, reply, fds);
	if (v->version && !v->executing)
		invoking_traced(v);
	else
		begin(v);
}

static void on_concluded(struct visit *v, const struct reply *reply)
{
	traced_end(v, reply);
	if (v->version)
		invoking_answer(v);
	else
		answer_run(v);
}

/* ---- the outcome ----------------------------------------------------------------------------- */

/* The record comes first: what was answered for is never lost. */
void visit_book(struct visit *v)
{
	struct outcome *out = &v->answer.outcome;
	struct front *f = v->front;

	out->context.replaced = v->replaced ? v->replaced : v->held->replaced;
	out->context.reused = is_own(v) || (f->config->idle_expiry_ns > 0 && !is_once(v));
	v->replaced = RESIDUE_NONE;
	description_of_context(&v->held->ctx, v->held->id, v->held->invocations, out);
	out->context.warm |= v->held->provisioned;
	(void)snprintf(out->metered.untraced, sizeof(out->metered.untraced),
		       "not asked for, see --trace and --keep-trace");
	booking_charge(&f->prices, out);
	out->code_wanted = true;
	if (v->version)
		(void)snprintf(out->code_sha256, sizeof(out->code_sha256), "%s",
			       v->version->config.code.sha256);
	booking_enter(&f->booking, out, &v->answer.found);
	wills_strike(&f->wills, v->will);
	counts_outcome(&f->counts, out);
}

static void finish(struct visit *v)
{
	if (v->executing) {
		invoking_finish(v);
		return;
	}
	visit_book(v);
	if (v->traced && v->answer.outcome.ran)
		traced_conclude(v);
	else
		answer_run(v);
}

/* ---- the invocation -------------------------------------------------------------------------- */

static void go_on(struct visit *v)
{
	struct pollfd fds[WATCH_FDS];
	int64_t until_ns;

	if (v->hash)
		return;
	if (invocation_done(&v->inv)) {
		watch_end(&v->watch);
		if (v->executing || hashing_begin(v))
			finish(v);
		return;
	}
	until_ns = invocation_wait(&v->inv, fds);
	if (watch_set(&v->watch, fds, until_ns) < 0)
		(void)sd_event_exit(v->front->event, -ENOMEM);
}

void visit_hashed(struct visit *v)
{
	finish(v);
}

void visit_step(void *arg, const struct pollfd fds[static WATCH_FDS])
{
	struct visit *v = arg;

	invocation_step(&v->inv, fds);
	go_on(v);
}

static void ask(struct visit *v, enum command_kind kind)
{
	front_tell(v->front, &(struct command){ .kind = kind, .context = v->held->number });
}

/* It was begun by the launcher. */
static int remote_begin(struct powers *p, const struct metering_trace *trace,
			const char *request_id, bool *ret_clocked, struct cloche_err *err)
{
	*ret_clocked = ((struct powers_remote *)p)->visit->held->clocked;
	return 0;
}

static bool remote_kill(struct powers *p)
{
	ask(((struct powers_remote *)p)->visit, COMMAND_KILL);
	return true;
}

static bool ask_once(struct powers_remote *p)
{
	if (!p->powers.asked)
		ask(p->visit, COMMAND_COUNT);
	p->powers.asked = true;
	return false;
}

static bool remote_counted(struct powers *p, struct counted *ret)
{
	return ask_once((struct powers_remote *)p);
}

/* It is counted when it is empty. */
static bool remote_empty(struct powers *p)
{
	return ask_once((struct powers_remote *)p);
}

/* The ledger is everybody's, and its disk. */
static int check_allowance(const struct visit *v, struct cloche_err *err)
{
	struct front *f = v->front;
	unsigned most = config_owner(f->config, v->client.uid)->records;
	int64_t due_ns =
		most ? allowances_due(&f->allowances, v->client.uid, most, clock_now_ns()) : 0;

	if (due_ns == 0)
		return 0;
	f->counts.refused[LIMIT_OWNER_RECORDS]++;
	return cloche_err_set(err, EDQUOT,
			      "records: in the daemon's ledger user %u has used the %u that his "
			      "invocations may have in a day (limit '%s'); the next in %.1f s",
			      v->client.uid, most, limit_name(LIMIT_OWNER_RECORDS),
			      (double)due_ns / NSEC_PER_SEC);
}

/* From here on there will be a record, whatever comes. */
static void use_allowance(struct visit *v)
{
	unsigned most = config_owner(v->front->config, v->client.uid)->records;

	if (most)
		allowances_use(&v->front->allowances, v->client.uid, most, clock_now_ns());
}

/* Where nobody comes to say more of it. */
static int make_will(struct visit *v, struct cloche_err *err)
{
	struct outcome *out = &v->answer.outcome;
	struct front *f = v->front;
	struct ledger_record record;
	int r = out->request_id[0] ? 0 : uuid_v4(out->request_id, err);

	if (r < 0)
		return r;
	description_of_context(&v->held->ctx, v->held->id, v->held->invocations, out);
	booking_charge(&f->prices, out);
	record_make(out, &record);
	(void)snprintf(record.verdict, sizeof(record.verdict), "%s",
		       verdict_text(VERDICT_CANCELLED));
	v->will = wills_make(&f->wills, &f->booking, &record, v->held->number);
	return v->will < 0 ? cloche_err_set(err, EBUSY, "too many run already") : 0;
}

int visit_commit(struct visit *v, struct cloche_err *err)
{
	/* Of those that came at once others may have been before it. What was committed and then
	 * found its process dead, or its init failed, is still the same one. */
	int r = v->allowed ? 0 : check_allowance(v, err);

	if (r == 0)
		r = make_will(v, err);
	if (r == 0 && !v->allowed)
		use_allowance(v);
	v->allowed |= r == 0;
	return r;
}

static void begin(struct visit *v)
{
	struct invocation_options o = { .spec = &v->spec,
					.stdio = &v->stdio,
					.powers = &v->powers.powers,
					.requested_ns = v->requested_ns };
	struct context *ctx = &v->held->ctx;
	struct cloche_err err = { 0 };

	if (visit_commit(v, &err) < 0) {
		visit_refuse(v, &err);
		return;
	}
	v->powers = (struct powers_remote){ .powers = { .begin = remote_begin,
							.kill = remote_kill,
							.counted = remote_counted,
							.empty = remote_empty },
					    .visit = v };
	v->state = VISIT_RUNNING;
	held_describe(v->held, v->request.function, v->spec.argv);
	/* What is wrong with it is told when it is to go. */
	if (v->binds >= 0 && (v->held->invocations == 1 || !is_own(v)))
		(void)context_give(ctx, v->binds, NULL);
	closer_take(v->front->closer, v->client.uid, &v->binds);
	watch_init(&v->watch, v->front->event, visit_step, v);
	invocation_begin(&v->inv, ctx, &o, &v->answer.outcome);
	if (v->executing)
		executing_start(v);
	if (v->cancelled)
		invocation_cancel(&v->inv);
	go_on(v);
}

/* What it takes is there. */
static void run(struct visit *v)
{
	struct cloche_err err = { 0 };

	if (v->request.metered && !v->held->clocked)
		(void)cloche_err_set(&err, ENODATA,
				     CLOCHE_FIELD
				     "meter: the daemon has no BPF meter, which was required "
				     "('cloche doctor' tells what it lacks)");
	else if (traced_wanted(v))
		(void)uuid_v4(v->answer.outcome.request_id, &err);
	if (err.code)
		visit_refuse(v, &err);
	else if (v->version && !v->executing)
		invoking_run(v);
	else if (traced_wanted(v))
		traced_ask(v);
	else
		begin(v);
}

/* ---- the context ----------------------------------------------------------------------------- */

static enum pool_answer ask_pool(struct visit *v, struct pool_context **ret)
{
	struct front *f = v->front;
	enum pool_answer what;

	if (is_once(v) || is_own(v))
		return POOL_MAKE;
	do
		what = pool_ask(&f->pool, &v->client.kind,
				front_waiting(f, &v->client.kind, &v->client), ret);
	while (what == POOL_TAKE && !held_take(f, (struct held *)*ret, &v->client));
	return what;
}

/* One that is idle, else one that will be, else a new one. */
void visit_seek(struct visit *v, bool *may_make)
{
	struct front *f = v->front;
	struct pool_context *found;
	enum pool_answer what;

	v->client.waiting = false;
	if (!visit_may_run(v, is_once(v)))
		return;
	what = ask_pool(v, &found);
	if (what == POOL_TAKE) {
		v->held = (struct held *)found;
		run(v);
	} else if (what == POOL_WAIT || !*may_make) {
		v->client.waiting = true;
	} else if (!v->version || invoking_may_start(v)) {
		*may_make = false;
		v->state = VISIT_MAKING;
		v->held = held_make(f, &v->kind, v->spec.bare ? v->spec.bare->insns : NULL,
				    &v->client);
		if (!v->held)
			visit_refuse(v,
				     &(struct cloche_err){ .code = ENOMEM, .text = "no memory" });
		else if (v->version)
			held_describe(v->held, v->version->config.name, v->spec.argv);
	}
}

/* The one that it had, when it is ready; it may have died since. */
static void resume(struct visit *v)
{
	bool may_make = true;

	if (held_take(v->front, v->held, &v->client)) {
		run(v);
		return;
	}
	v->held = NULL;
	visit_seek(v, &may_make);
}

void client_kept(struct client *c)
{
	if (visit_of(c)->state == VISIT_SEEKING)
		resume(visit_of(c));
}

void client_lost(struct client *c, enum residue why)
{
	struct visit *v = visit_of(c);
	bool may_make = true;

	v->held = NULL;
	v->replaced = why;
	if (v->state == VISIT_SEEKING)
		visit_seek(v, &may_make);
}

void client_retry(struct client *c, bool *may_make)
{
	visit_seek(visit_of(c), may_make);
}

void client_have(struct client *c)
{
	run(visit_of(c));
}

/* Where there is no room, what is idle gives way; and with what is still seen to, room may come. */
void client_refused(struct client *c, enum limit limit, const struct cloche_err *why)
{
	struct visit *v = visit_of(c);
	struct cloche_err said = *why;

	v->held = NULL;
	v->state = VISIT_SEEKING;
	c->full = (why->code == EDQUOT && held_make_room(v->front, c->uid)) ||
		  (why->code == EBUSY && held_make_room(v->front, POOL_ANY)) ||
		  visit_try_queue(v, v->front->config->wait_ns, &said);
	c->waiting = c->full;
	if (c->waiting)
		return;
	v->front->counts.refused[limit < LIMITS ? limit : LIMIT_NONE]++;
	visit_refuse(v, &said);
}

void client_hear(struct client *c, const struct reply *reply, const struct packet_fds *fds)
{
	struct visit *v = visit_of(c);

	if (v->state == VISIT_TRACING && reply->kind == REPLY_TRACED) {
		on_traced(v, reply, fds);
	} else if (v->state == VISIT_CONCLUDING && reply->kind == REPLY_CONCLUDED) {
		on_concluded(v, reply);
	} else if (v->state == VISIT_RUNNING) {
		if (reply->kind == REPLY_COUNTED)
			invocation_counted(&v->inv, &reply->counted);
		go_on(v);
	}
}

void client_cancel(struct client *c)
{
	struct visit *v = visit_of(c);

	v->cancelled = true;
	if (v->state == VISIT_RUNNING && v->version && !v->executing) {
		resident_cancel(v->held->resident);
	} else if (v->state == VISIT_RUNNING) {
		invocation_cancel(&v->inv);
		go_on(v);
	} else if (v->state == VISIT_ASKING) {
		visit_leave(v);
	} else if (v->state == VISIT_SEEKING && c->queued) {
		(void)cloche_err_set(&v->full, ECANCELED, "cancelled while it waited for a place");
		visit_refuse(v, &v->full);
	}
}

void client_hurry(struct client *c)
{
	struct visit *v = visit_of(c);

	if (v->state == VISIT_HEARING || v->state == VISIT_ASKING)
		visit_leave(v);
	else if (v->state == VISIT_SEEKING && c->queued)
		visit_refuse(v, &v->full);
}

/* ---- what is asked for ---------------------------------------------------------------------- */

static int take_streams(struct visit *v, struct cloche_err *err)
{
	struct taken taken;
	int r = taken_look(&v->front->local, v->streams, v->spec.output_bytes != 0, &taken, err);

	v->answer.unknown = taken.unknown;
	/* Of a terminal that a client says is its own to control it could take what it likes. */
	v->kind.make.terminals = (taken.terminals & ~v->spec.own_terminals) != 0;
	stdio_pass(&v->stdio, v->streams);
	return r < 0 ? cloche_err_stage(err, "streams") : 0;
}

/* What the ledger has no room for is not run. */
int visit_check(struct visit *v, struct command_make *ret, struct cloche_err *err)
{
	struct front *f = v->front;
	struct spec_host host = f->host;
	int r;

	spec_host_fit(&v->spec, &host);
	r = spec_check(&v->spec, &host, err);

	if (r == 0)
		r = prices_check_memory(&f->prices, v->spec.memory_bytes, err);
	if (r == 0)
		r = command_from_spec(&v->spec, ret, err);
	if (r == 0 && f->stopping)
		r = cloche_err_set(err, EBUSY, "the daemon is being stopped");
	if (r == 0)
		r = check_allowance(v, err);
	if (r == 0) {
		r = booking_ready(&f->booking, &v->answer.found, err);
		if (r < 0)
			(void)cloche_err_wrap(err, "refused, nothing was run");
	}
	return r == 0 && !v->version ? take_streams(v, err) : r;
}

void visit_begin(struct visit *v)
{
	struct cloche_err err = { 0 };
	bool may_make = true;

	description_of_request(&v->spec, v->request.function, v->client.uid, v->owner,
			       &v->answer.outcome);
	if (visit_check(v, &v->kind.make, &err) < 0) {
		visit_refuse(v, &err);
		return;
	}
	v->kind.make.owner = v->client.uid;
	v->kind.make.owner_gid = v->client.gid;
	v->kind.make.binds = v->request.binds;
	if (v->request.binds)
		memcpy(v->kind.binds, v->request.binds_claim, sizeof(v->kind.binds));
	v->client.kind = (struct pool_kind){ v->kind.make.owner, &v->kind, sizeof(v->kind) };
	v->state = VISIT_SEEKING;
	if (v->held && memcmp(&v->held->kind, &v->kind, sizeof(v->kind)) != 0) {
		held_spare(v->front, v->held);
		v->held = NULL;
	}
	if (!v->held)
		visit_seek(v, &may_make);
	else if (held_is_kept(v->held))
		resume(v);
}
