/* SPDX-License-Identifier: MIT */
/* The table of those that trace, and what they and the front are told: see tracers.h. */
#include "serve/tracers.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "serve/chore.h"
#include "serve/config.h"
#include "serve/counting.h"
#include "serve/packet.h"
#include "serve/place.h"
#include "serve/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* For one answer of one that lives; and for who asked to take the rest. */
#define PATIENCE_NS (20 * NSEC_PER_SEC)
#define FLUSH_NS    (60 * NSEC_PER_SEC)
/* For each who watches, before what he does not read is lost to him. */
#define SHOWN_BYTES (256 << 10)
/* Where there is no front any more. */
#define HURRY_NS (2 * NSEC_PER_SEC)

enum tracer_state {
	TRACER_FREE,
	TRACER_OPENING,	   /* its word is owed: READY, */
	TRACER_READING,	   /* (the invocation runs) */
	TRACER_COUNTING,   /* COUNTED, */
	TRACER_COUNTED,	   /* (the ring is let go) */
	TRACER_CONCLUDING, /* CONCLUDED */
	TRACER_FLUSHING,   /* nothing more is owed */
	TRACER_ENDING,	   /* it was told to */
};

struct tracing {
	enum tracer_state state;
	uint32_t owner;
	struct place *place; /* whose ring it has, or who waits for it; NULL: nobody's */
	struct chore chore;
	int control;		    /* -1: closed */
	int reading_end;	    /* of the pipe, until it is handed out; -1 */
	int shown[SCRIBE_WATCHERS]; /* the same of those for who watches, task.n_watchers */
	int64_t until_ns;	    /* when it is not waited for any longer */
	struct tracer_task task;
};

struct tracers {
	struct tracing all[TRACERS_MAX];
};

struct tracers *tracers_open(void)
{
	return calloc(1, sizeof(struct tracers));
}

struct tracers *tracers_close(struct tracers *t)
{
	free(t);
	return NULL;
}

/* ---- what the front is told ------------------------------------------------------------------ */

/* What waited for that does so no longer. What is kept from one event to the next waits for
 * nothing: it may end meanwhile, and whoever has it says so. */
static void turn_back(struct launching *l, struct place *p, enum command_state from,
		      enum command_state to)
{
	if (p->state == from)
		place_turn(l, p, to);
}

static void say_traced(struct launching *l, const struct place *p, const struct tracing *t)
{
	struct packet_fds fds = { .fd = { t->reading_end }, .n = t->reading_end >= 0 };

	for (unsigned i = 0; i < t->task.n_watchers; i++)
		fds.fd[fds.n++] = t->shown[i];
	launching_say(l, &(struct reply){ .kind = REPLY_TRACED, .context = p->number }, &fds);
}

static void say_untraced(struct launching *l, const struct place *p, const struct cloche_err *why)
{
	launching_say(l, &(struct reply){ .kind = REPLY_TRACED, .context = p->number, .err = *why },
		      NULL);
}

static void say_concluded(struct launching *l, struct place *p, uint64_t bytes,
			  const struct cloche_err *why)
{
	turn_back(l, p, COMMAND_CONCLUDING, COMMAND_COUNTED);
	launching_say(l,
		      &(struct reply){ .kind = REPLY_CONCLUDED,
				       .context = p->number,
				       .residue = bytes,
				       .err = *why },
		      NULL);
}

/* ---- to begin -------------------------------------------------------------------------------- */

static struct tracing *find_free(struct launching *l, const struct place *p, struct cloche_err *err)
{
	unsigned most = config_owner(l->config, p->owner)->traces, own = 0;
	struct tracing *found = NULL;

	for (unsigned i = 0; i < TRACERS_MAX; i++) {
		struct tracing *t = &l->tracers->all[i];

		own += t->state != TRACER_FREE && t->owner == p->owner;
		if (t->state == TRACER_FREE)
			found = t;
	}
	if (own >= most)
		(void)cloche_err_set(err, EDQUOT,
				     "traces: %u in use of the %u that user %u may have at a time "
				     "(limit 'per_owner.traces')",
				     own, most, p->owner);
	else if (!found)
		(void)cloche_err_set(err, EBUSY,
				     "as many are traced as can be at a time; try again");
	return own < most ? found : NULL;
}

static int fill_task(struct launching *l, struct place *p, const struct command_trace *c,
		     struct tracer_task *ret, struct cloche_err *err)
{
	*ret = (struct tracer_task){ .meter = p->metering.meter,
				     .slot = p->keeper.ctx.slot.n,
				     .policy = p->metering.policy,
				     .launcher = -1,
				     .pipe = -1,
				     .goes_on = p->metering.parted,
				     .keep = c->keep };
	memcpy(ret->request_id, c->request_id, sizeof(ret->request_id));
	memcpy(ret->function, c->function, sizeof(ret->function));
	memcpy(ret->command, c->command, sizeof(ret->command));
	if (!p->metering.begun)
		return cloche_err_set(err, ENODATA, "%s",
				      p->metering.why[0] ? p->metering.why
							 : "the BPF meter did not begin");
	return c->keep ? stores_make_traces(l->config, p->owner, ret->folder, &ret->limits, err)
		       : 0;
}

static int open_pipe(struct tracing *t, struct cloche_err *err)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	t->reading_end = pair[0];
	t->task.pipe = pair[1];
	/* Of this end alone: the other is another file. */
	return fcntl(pair[1], F_SETFL, O_NONBLOCK) < 0 ? cloche_err_sys(err, errno, "fcntl") : 0;
}

/* What is not read in time is lost to who watches alone. */
static int open_shown(struct tracing *t, unsigned n, struct cloche_err *err)
{
	const int room = SHOWN_BYTES;
	int pair[2];

	while (t->task.n_watchers < n) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
			return cloche_err_sys(err, errno, "socketpair");
		(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
		t->shown[t->task.n_watchers] = pair[0];
		t->task.watchers[t->task.n_watchers++] = pair[1];
	}
	return 0;
}

static int start(struct launching *l, struct tracing *t, const struct command_trace *c,
		 struct cloche_err *err)
{
	int keep[TRACER_KEEPS], pair[2];
	int r = c->file ? open_pipe(t, err) : 0;

	if (r == 0)
		r = open_shown(t, c->watchers, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cloche_err_sys(err, errno, "socketpair");
	t->control = pair[0];
	t->task.launcher = pair[1];
	return chore_begin(&t->chore, &l->launcher, tracer_job, &t->task, keep,
			   tracer_keep(&t->task, keep), err);
}

static void close_handed(struct tracing *t)
{
	fd_close(&t->reading_end);
	for (unsigned i = 0; i < t->task.n_watchers; i++)
		fd_close(&t->shown[i]);
}

static void close_all(struct tracing *t)
{
	fd_close(&t->control);
	close_handed(t);
}

int tracers_on_trace(struct launching *l, struct place *p, const struct command *c,
		     struct cloche_err *err)
{
	struct cloche_err why = { 0 };
	struct tracing *t;
	int r = -EBUSY;

	if (p->tracer && p->tracer->state != TRACER_ENDING)
		return cloche_err_set(err, EBADMSG, "'trace' of what is traced");
	if (p->tracer)
		(void)cloche_err_set(&why, EBUSY, "what traced the one before it has not ended");
	t = p->tracer ? NULL : find_free(l, p, &why);
	if (t) {
		*t = (struct tracing){ .owner = p->owner,
				       .place = p,
				       .chore = CHORE_NONE,
				       .control = -1,
				       .reading_end = -1,
				       .until_ns = clock_now_ns() + PATIENCE_NS };
		r = fill_task(l, p, &c->trace, &t->task, &why);
	}
	if (r == 0)
		r = start(l, t, &c->trace, &why);
	if (t) {
		fd_close(&t->task.launcher);
		fd_close(&t->task.pipe);
		for (unsigned i = 0; i < t->task.n_watchers; i++)
			fd_close(&t->task.watchers[i]);
	}
	if (r < 0) {
		if (t)
			close_all(t);
		say_untraced(l, p, &why);
		return 0;
	}
	t->state = TRACER_OPENING;
	p->tracer = t;
	if (!p->spec.kept)
		place_turn(l, p, COMMAND_TRACING);
	return 0;
}

/* ---- to end ---------------------------------------------------------------------------------- */

static void tell_to_end(struct tracing *t)
{
	close_all(t);
	t->state = TRACER_ENDING;
	t->until_ns = clock_now_ns() + PATIENCE_NS;
}

/* What is wrong is told by whoever waits. */
static void fail(struct launching *l, struct tracing *t, const struct cloche_err *why)
{
	enum tracer_state state = t->state;
	struct place *p = t->place;

	if (state != TRACER_ENDING)
		tell_to_end(t);
	if (!p || state == TRACER_ENDING)
		return;
	if (state != TRACER_OPENING && state != TRACER_COUNTING && state != TRACER_CONCLUDING)
		return;
	if (state == TRACER_OPENING) {
		turn_back(l, p, COMMAND_TRACING, COMMAND_HANDED);
		say_untraced(l, p, why);
	} else if (state == TRACER_COUNTING) {
		p->last.metered.trace_code = why->code ? why->code : EIO;
		counting_done(l, p);
	} else {
		say_concluded(l, p, 0, why);
	}
}

void tracers_leave(struct place *p)
{
	struct tracing *t = p->tracer;

	if (t && t->state != TRACER_ENDING)
		tell_to_end(t);
}

bool tracers_hold(const struct place *p)
{
	return p->tracer != NULL;
}

/* ---- what they say --------------------------------------------------------------------------- */

static void on_ready(struct launching *l, struct tracing *t)
{
	struct place *p = t->place;
	struct cloche_err err = { 0 };

	if (metering_trace(&p->metering, &err) < 0) {
		fail(l, t, &err);
		return;
	}
	t->state = TRACER_READING;
	t->until_ns = INT64_MAX;
	turn_back(l, p, COMMAND_TRACING, COMMAND_HANDED);
	say_traced(l, p, t);
	close_handed(t);
}

static void on_counted(struct launching *l, struct tracing *t, const struct scribe_word *w)
{
	struct metered *m = &t->place->last.metered;

	m->events = w->events;
	m->usage.missed += w->unseen;
	m->trace_code = w->code;
	m->traced = w->code == 0;
	t->state = TRACER_COUNTED;
	t->until_ns = INT64_MAX;
	counting_done(l, t->place);
}

static void on_concluded(struct launching *l, struct tracing *t, const struct tracer_word *w)
{
	struct place *p = t->place;

	t->state = TRACER_FLUSHING;
	t->until_ns = clock_now_ns() + FLUSH_NS;
	t->place = NULL;
	p->tracer = NULL;
	say_concluded(l, p, w->scribe.bytes, &w->err);
}

static void hear(struct launching *l, struct tracing *t)
{
	static const struct cloche_err dead = { .code = EIO, .text = "who traces it has died" };
	struct tracer_word w;
	int n = packet_recv(t->control, &w, sizeof(w), NULL);

	if (n == -EAGAIN)
		return;
	if (n != sizeof(w) || t->state == TRACER_FLUSHING)
		fail(l, t, &dead);
	else if (t->state == TRACER_OPENING && w.err.code)
		fail(l, t, &w.err);
	else if (t->state == TRACER_OPENING)
		on_ready(l, t);
	else if (t->state == TRACER_COUNTING && w.scribe.kind == SCRIBE_COUNT)
		on_counted(l, t, &w.scribe);
	else if (t->state == TRACER_CONCLUDING && w.scribe.kind == SCRIBE_CONCLUDE)
		on_concluded(l, t, &w);
	else
		fail(l, t, &dead);
}

/* ---- what they are told ---------------------------------------------------------------------- */

bool tracers_count(struct place *p)
{
	struct tracing *t = p->tracer;
	const struct metered *m = &p->last.metered;
	struct scribe_order order = { .kind = SCRIBE_COUNT, .known = m->known, .usage = m->usage };

	if (!t)
		return false;
	if (t->state != TRACER_READING ||
	    packet_send(t->control, &order, sizeof(order), NULL) < 0) {
		p->last.metered.trace_code = EIO;
		return false;
	}
	t->state = TRACER_COUNTING;
	t->until_ns = clock_now_ns() + PATIENCE_NS;
	return true;
}

bool tracers_counting(const struct place *p)
{
	return p->tracer && p->tracer->state == TRACER_COUNTING;
}

int tracers_on_conclude(struct launching *l, struct place *p, const struct command *c,
			struct cloche_err *err)
{
	struct scribe_order order = { .kind = SCRIBE_CONCLUDE, .verdict = c->trace.verdict };
	struct tracing *t = p->tracer;
	struct cloche_err why = { 0 };

	if (p->state == COMMAND_HANDED && !p->spec.kept)
		return cloche_err_set(err, EBADMSG, "'conclude' of what was not counted");
	if (t && t->state == TRACER_COUNTED &&
	    packet_send(t->control, &order, sizeof(order), NULL) == 0) {
		t->state = TRACER_CONCLUDING;
		t->until_ns = clock_now_ns() + PATIENCE_NS;
		if (p->state == COMMAND_COUNTED)
			place_turn(l, p, COMMAND_CONCLUDING);
		return 0;
	}
	(void)cloche_err_set(&why, EIO, "it is not traced any more");
	say_concluded(l, p, 0, &why);
	return 0;
}

/* ---- the loop's part ------------------------------------------------------------------------- */

int64_t tracers_wait(struct launching *l, struct pollfd *fds)
{
	int64_t until_ns = INT64_MAX;

	for (unsigned i = 0; i < TRACERS_MAX; i++) {
		const struct tracing *t = &l->tracers->all[i];
		bool is = t->state != TRACER_FREE;

		fds[i] = (struct pollfd){ .fd = !is		  ? -1
						: t->control >= 0 ? t->control
								  : t->chore.process.pidfd,
					  .events = POLLIN };
		if (is && t->until_ns < until_ns)
			until_ns = t->until_ns;
	}
	return until_ns;
}

static void look_whether_over(struct launching *l, struct tracing *t)
{
	struct cloche_err none = { 0 };
	char nothing[1];

	if (chore_done(&t->chore, nothing, 0, &none) == -EAGAIN)
		return;
	/* What it has left where it was killed. */
	if (none.code && t->place)
		meter_trace_sweep(&t->place->metering.meter);
	if (t->place)
		t->place->tracer = NULL;
	t->state = TRACER_FREE;
}

static void step_one(struct launching *l, struct tracing *t)
{
	static const struct cloche_err late = { .code = ETIMEDOUT,
						.text = "who traces it does not answer" };

	if (t->control >= 0)
		hear(l, t);
	if (t->state != TRACER_FREE && clock_now_ns() >= t->until_ns) {
		chore_kill(&t->chore);
		fail(l, t, &late);
		t->until_ns = INT64_MAX;
	}
	if (t->control < 0)
		look_whether_over(l, t);
}

void tracers_step(struct launching *l)
{
	for (unsigned i = 0; i < TRACERS_MAX; i++)
		if (l->tracers->all[i].state != TRACER_FREE)
			step_one(l, &l->tracers->all[i]);
}

/* Who takes the rest at all has it by then. */
void tracers_drop(struct launching *l)
{
	int64_t until_ns = clock_now_ns() + HURRY_NS;

	for (unsigned i = 0; i < TRACERS_MAX; i++) {
		struct tracing *t = &l->tracers->all[i];

		if (t->state == TRACER_FLUSHING && until_ns < t->until_ns)
			t->until_ns = until_ns;
	}
}

bool tracers_idle(const struct launching *l)
{
	for (unsigned i = 0; i < TRACERS_MAX; i++)
		if (l->tracers->all[i].state != TRACER_FREE)
			return false;
	return true;
}
