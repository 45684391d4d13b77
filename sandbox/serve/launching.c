/* SPDX-License-Identifier: MIT */
/* A handler for each row of the table of command.h, and the contexts' ends: see launching.h. */
#include "serve/launching.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/tick.h"
#include "host/pressure.h"
#include "launch/running.h"
#include "serve/config.h"
#include "serve/counting.h"
#include "serve/handover.h"
#include "serve/listing.h"
#include "serve/owners.h"
#include "serve/packet.h"
#include "serve/place.h"
#include "serve/stores.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* cgroup.events may have told before anybody waited. */
#define EMPTY_PERIOD_NS (10 * NSEC_PER_MSEC)
/* At a time: the contexts' ends are seen to in between. */
#define HEARD_MAX 64
/* Of all contexts several replies each. */
#define SOCKET_BYTES (8 << 20)
#define NOWHERE	     UINT_MAX
/*
 * Contexts that are taken away at a time. Each that has run something frees a filter with its
 * image, and of more than 1,024 such at once a kernel can lock itself up (6.18: their work items
 * stand before the one that they wait for); the end of a network namespace is the work of one
 * thread for the whole host. The rest waits its turn, and what runs in it ends at its own deadline
 * or then.
 */
#define ENDING_MAX 32

static void free_all(struct launching *l)
{
	free(l->places);
	free(l->numbers);
	free(l->by_slot);
	free(l->attended);
	l->building = building_close(l->building);
	l->tracers = tracers_close(l->tracers);
	l->showings = showings_close(l->showings);
	free(l);
}

int launching_open(const struct launching_options *options, struct launching **ret,
		   struct cloche_err *err)
{
	struct launching *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return cloche_err_sys(err, ENOMEM, "begin");
	*l = (struct launching){ .config = options->config,
				 .launcher = LAUNCHER_NONE,
				 .n_places = options->config->contexts,
				 .front = -1,
				 .pressure = -1 };
	l->places = calloc(l->n_places, sizeof(*l->places));
	l->numbers = calloc(l->n_places, sizeof(*l->numbers));
	l->by_slot = calloc(SLOT_MAX, sizeof(struct place *));
	l->attended = calloc(l->n_places, sizeof(struct place *));
	l->building = building_open();
	l->tracers = tracers_open();
	l->showings = showings_open();
	r = l->places && l->numbers && l->by_slot && l->attended && l->building && l->tracers &&
			    l->showings
		    ? launcher_open_many(&l->launcher, err)
		    : cloche_err_sys(err, ENOMEM, "begin");
	running_bound(l->launcher.running, options->config->running);
	stores_open_shown(&l->stores);
	if (r == 0)
		r = launcher_sweep(&l->launcher, err);
	l->pulse.silence_ns = options->config->silence_ns;
	if (r == 0)
		r = owners_open(&l->launcher, options->config, options->say, &l->owners, err);
	if (r < 0) {
		launcher_close(&l->launcher);
		free_all(l);
		return r;
	}
	stores_sweep(options->config);
	spec_host_read(&l->host);
	for (unsigned i = 0; i < l->n_places; i++) {
		l->places[i].state = COMMAND_ABSENT;
		l->places[i].at = NOWHERE;
		metering_off(&l->places[i].metering, "not begun");
	}
	blanks_open(&l->blanks, &l->launcher);
	l->pressure = pressure_watch();
	*ret = l;
	return 0;
}

struct launching *launching_close(struct launching *l)
{
	if (!l)
		return NULL;
	tick_close(&l->front);
	for (unsigned i = 0; i < l->n_places; i++)
		metering_close(&l->places[i].metering);
	blanks_close(&l->blanks);
	fd_close(&l->pressure);
	stores_close_shown(&l->stores);
	stores_unmount(l->config);
	l->owners = owners_close(l->owners);
	launcher_close(&l->launcher);
	free_all(l);
	return NULL;
}

/* ---- the state of a place -------------------------------------------------------------------- */

static bool is_attended(enum command_state state)
{
	return state == COMMAND_COUNTING || state == COMMAND_PROVING || state == COMMAND_ENDING ||
	       state == COMMAND_MOUNTING;
}

/* Of a thousand that are idle none takes any time. */
void place_turn(struct launching *l, struct place *p, enum command_state to)
{
	p->state = to;
	if (is_attended(to) && p->at == NOWHERE) {
		p->at = l->n_attended;
		p->polled = 0;
		l->attended[l->n_attended++] = p;
	} else if (!is_attended(to) && p->at != NOWHERE) {
		struct place *last = l->attended[--l->n_attended];

		l->attended[p->at] = last;
		last->at = p->at;
		p->at = NOWHERE;
	}
}

void place_name(struct launching *l, struct place *p, uint64_t number)
{
	l->numbers[p - l->places] = number;
}

/* ---- what is told ---------------------------------------------------------------------------- */

void launching_say(struct launching *l, const struct reply *reply, const struct packet_fds *fds)
{
	int r = l->front < 0 ? 0 : packet_send(l->front, reply, sizeof(*reply), fds);

	if (r < 0 && l->broken == 0)
		l->broken = r;
}

void launching_refuse(struct launching *l, uint64_t number, enum limit limit,
		      const struct cloche_err *why)
{
	struct reply r = { .kind = REPLY_REFUSED, .context = number, .limit = limit, .err = *why };

	launching_say(l, &r, NULL);
}

/* ---- the end of a context ---------------------------------------------------------------------
 */

void place_leave(struct launching *l, struct place *p)
{
	place_turn(l, p, COMMAND_ABSENT);
	owners_leave(l->owners, p->owner, &p->use);
}

static void look_whether_gone(struct launching *l, struct place *p)
{
	if (p->state != COMMAND_ENDING || p->keeper.machine.state != CONTEXT_GONE)
		return;
	if (!p->silent)
		launching_say(l,
			      &(struct reply){ .kind = REPLY_GONE,
					       .context = p->number,
					       .residue = p->keeper.machine.residue,
					       .err = p->keeper.left },
			      NULL);
	place_name(l, p, 0);
	place_leave(l, p);
	l->ending--;
}

static void begin_end(struct launching *l, struct place *p)
{
	p->deferred = false;
	l->ending++;
	keeper_end(&p->keeper);
	look_whether_gone(l, p);
}

void place_end(struct launching *l, struct place *p, bool silent)
{
	if (p->state == COMMAND_ABSENT)
		return;
	tracers_leave(p);
	/* Who would have asked for it is gone, and what counts it goes. */
	if (silent && !p->silent && (p->state == COMMAND_HANDED || p->state == COMMAND_COUNTING) &&
	    powers_local_owed(&p->powers))
		(void)p->powers.powers.counted(&p->powers.powers, &p->last);
	p->silent |= silent;
	if (p->silent)
		place_name(l, p, 0);
	if (p->state == COMMAND_ENDING)
		return;
	if (p->state == COMMAND_MOUNTING) {
		place_mounting_kill(p);
		return;
	}
	place_turn(l, p, COMMAND_ENDING);
	/* What was found not to be clean has begun by itself. */
	p->deferred = (l->ending >= ENDING_MAX || tracers_hold(p)) &&
		      p->keeper.machine.state < CONTEXT_ENDING;
	if (!p->deferred)
		begin_end(l, p);
	else if (tracers_hold(p))
		(void)p->powers.powers.kill(&p->powers.powers);
}

static void begin_deferred(struct launching *l)
{
	for (unsigned i = l->n_attended; i-- > 0 && l->ending < ENDING_MAX;)
		if (l->attended[i]->deferred && !tracers_hold(l->attended[i]))
			begin_end(l, l->attended[i]);
}

void launching_look_whether_alone(struct launching *l)
{
	if (!l->ready || l->alone)
		return;
	for (unsigned i = 0; i < l->n_places; i++)
		if (l->places[i].state != COMMAND_ABSENT && l->places[i].silent)
			return;
	l->alone = true;
	launching_say(l, &(struct reply){ .kind = REPLY_ALONE }, NULL);
}

/* What was counted of invocations of which the front before this one did not hear the end; it knows
 * them by their contexts, also by those that have gone meanwhile. */
static void tell_left(struct launching *l)
{
	for (unsigned i = 0; i < l->n_places; i++) {
		const struct place *p = &l->places[i];

		if (p->silent && p->last.metered.known)
			launching_say(l,
				      &(struct reply){ .kind = REPLY_LEFT,
						       .context = p->number,
						       .counted = p->last },
				      NULL);
	}
}

/* ---- the handlers ---------------------------------------------------------------------------- */

static int on_ready(struct launching *l, struct place *p, const struct command *c,
		    struct cloche_err *err)
{
	l->ready = true;
	tell_left(l);
	return 0;
}

/* That it came is all. */
static int on_pong(struct launching *l, struct place *p, const struct command *c,
		   struct cloche_err *err)
{
	return 0;
}

/* Whether it came too late is on the shared page. */
static int on_kill(struct launching *l, struct place *p, const struct command *c,
		   struct cloche_err *err)
{
	(void)p->powers.powers.kill(&p->powers.powers);
	return 0;
}

/* Proved and renewed, or not: then it ends. */
static void look_whether_proved(struct launching *l, struct place *p)
{
	struct cloche_err none = { 0 };
	bool clocked = false;

	if (p->state != COMMAND_PROVING || p->keeper.machine.state == CONTEXT_VERIFYING)
		return;
	if (p->keeper.machine.state == CONTEXT_READY && place_offer(l, p, &clocked, &none) == 0)
		place_hand_again(l, p, clocked);
	else
		place_end(l, p, false);
}

/* How it ended is known by the warden, and where that was killed by nobody but us; what the front
 * would say of it is not asked. */
static int on_keep(struct launching *l, struct place *p, const struct command *c,
		   struct cloche_err *err)
{
	bool killed = shared_ended_by(p->keeper.ctx.plan.shared) == ENDED_BY_LAUNCHER;

	tracers_leave(p);
	place_turn(l, p, COMMAND_PROVING);
	keeper_used(&p->keeper, killed ? RESIDUE_KILLED : RESIDUE_NONE);
	look_whether_proved(l, p);
	return 0;
}

static int on_end(struct launching *l, struct place *p, const struct command *c,
		  struct cloche_err *err)
{
	place_end(l, p, false);
	return 0;
}

static void tally_one(struct tally *t, uint64_t number, const struct place *p)
{
	bool used = p->state == COMMAND_HANDED || p->state == COMMAND_COUNTING;

	tally_add(t, number, &p->keeper.ctx.plan.cgroup, p->cpu_ns,
		  used ? &p->powers.before : NULL);
}

static int on_tally(struct launching *l, struct place *p, const struct command *c,
		    struct cloche_err *err)
{
	cleanup_free struct tally *t = tally_begin(l->n_places);
	struct packet_fds fds = { .n = 1 };

	for (unsigned i = 0; t && i < l->n_places; i++)
		if (l->numbers[i] && l->places[i].state != COMMAND_MOUNTING)
			tally_one(t, l->numbers[i], &l->places[i]);
	fds.fd[0] = t ? listing_hand(t, tally_size(t->n)) : -ENOMEM;
	if (fds.fd[0] < 0)
		return cloche_err_sys(err, -fds.fd[0], "count what contexts have used");
	launching_say(l, &(struct reply){ .kind = REPLY_TALLY }, &fds);
	packet_close_fds(&fds);
	return 0;
}

/* Of a store that is not as it should be the rest is not shown either. */
static int on_stores(struct launching *l, struct place *p, const struct command *c,
		     struct cloche_err *err)
{
	struct reply reply = { .kind = REPLY_STORES, .context = c->context };
	struct packet_fds fds = { .n = 0 };
	int stores[STORES];

	if (stores_show(&l->stores, l->config, c->images.owner, c->images.form == IMAGE_OF_CODE,
			stores, &reply.err) == 0)
		for (int i = 0; i < STORES; i++)
			if (stores[i] >= 0) {
				reply.limit |= 1U << i;
				fds.fd[fds.n++] = stores[i];
			}
	launching_say(l, &reply, &fds);
	packet_close_fds(&fds);
	return 0;
}

static int on_build(struct launching *l, struct place *p, const struct command *c,
		    struct cloche_err *err)
{
	return building_on_build(l, c, err);
}

static int on_remove(struct launching *l, struct place *p, const struct command *c,
		     struct cloche_err *err)
{
	return building_on_remove(l, c, err);
}

static int on_leave(struct launching *l, struct place *p, const struct command *c,
		    struct cloche_err *err)
{
	building_end(l, c->context);
	return 0;
}

static int on_show(struct launching *l, struct place *p, const struct command *c,
		   struct cloche_err *err)
{
	return showings_on_show(l, c, err);
}

static int (*const handlers[COMMAND_KINDS])(struct launching *l, struct place *p,
					    const struct command *c, struct cloche_err *err) = {
	[COMMAND_READY] = on_ready,
	[COMMAND_PONG] = on_pong,
	[COMMAND_TALLY] = on_tally,
	[COMMAND_MAKE] = place_on_make,
	[COMMAND_KILL] = on_kill,
	[COMMAND_COUNT] = counting_on_count,
	[COMMAND_RECOUNT] = counting_on_recount,
	[COMMAND_KEEP] = on_keep,
	[COMMAND_END] = on_end,
	[COMMAND_STORES] = on_stores,
	[COMMAND_LEAVE] = on_leave,
	[COMMAND_BUILD] = on_build,
	[COMMAND_REMOVE] = on_remove,
	[COMMAND_TRACE] = tracers_on_trace,
	[COMMAND_CONCLUDE] = tracers_on_conclude,
	[COMMAND_SHOW] = on_show,
};

/* A silent one's number is nobody's. */
static struct place *find(struct launching *l, uint64_t number)
{
	for (unsigned i = 0; i < l->n_places; i++)
		if (number && l->numbers[i] == number)
			return &l->places[i];
	return NULL;
}

/* 1: there may be more; 0: not now. */
static int hear(struct launching *l, struct cloche_err *err)
{
	struct command c;
	int n = packet_recv(l->front, l->inbox, COMMAND_MAX + 1, NULL), r;
	enum command_state state = COMMAND_UNREADY;
	struct place *p;

	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return cloche_err_set(err, -n,
				      n == -EPIPE ? "it has ended" : "a message that is not whole");
	l->knocked = false;
	pulse_heard(&l->pulse, clock_now_ns());
	r = command_read(l->inbox, (size_t)n, 0, &c, err);
	if (r < 0)
		return r;
	p = find(l, c.context);
	if (l->ready)
		state = p			     ? p->state
			: building_has(l, c.context) ? COMMAND_BUILDING
						     : COMMAND_ABSENT;
	if (!command_allowed(c.kind, state))
		return cloche_err_set(err, EBADMSG, "'%s' out of turn", command_name(c.kind));
	r = handlers[c.kind](l, p, &c, err);
	return r < 0 ? r : 1;
}

/* Cheaper than to take one that is not there. */
static bool is_more_there(const struct launching *l)
{
	struct pollfd there = { .fd = l->front, .events = POLLIN };
	const struct timespec none = { 0 };

	return ppoll(&there, 1, &none, NULL) == 1;
}

/* ---- the loop's part ------------------------------------------------------------------------- */

void launching_front(struct launching *l, int socket)
{
	int bytes = SOCKET_BYTES;

	(void)setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	l->front = socket;
	l->ready = l->alone = l->knocked = false;
	pulse_begin(&l->pulse, clock_now_ns(), l->late);
	l->broken = 0;
}

void launching_drop(struct launching *l)
{
	tick_close(&l->front);
	l->late = l->ready ? 0 : l->late + 1;
	l->ready = false;
	building_drop(l);
	tracers_drop(l);
	showings_drop(l);
	for (unsigned i = 0; i < l->n_places; i++)
		place_end(l, &l->places[i], true);
}

/* Whether it will have to say something: that it is ready, what becomes of a context, or whether it
 * has seen a client. One that seems idle may have a client that nobody else knows of, and is asked
 * now and then. */
static bool owes(const struct launching *l)
{
	bool any = !l->ready || l->knocked;

	for (unsigned i = 0; !any && i < l->n_places; i++) {
		const struct place *p = &l->places[i];

		any = p->state != COMMAND_ABSENT && p->state != COMMAND_ENDING && !p->silent;
	}
	return any && l->front >= 0;
}

static int look_whether_alive(struct launching *l, struct cloche_err *err)
{
	if (l->front < 0)
		return 0;
	switch (pulse_step(&l->pulse, owes(l), clock_now_ns())) {
	case PULSE_LOST:
		return cloche_err_set(err, ETIMEDOUT,
				      l->ready
					      ? "it was asked whether it is alive, and says nothing"
					      : "it does not begin to serve");
	case PULSE_ASK:
		launching_say(l, &(struct reply){ .kind = REPLY_PING }, NULL);
		return 0;
	default:
		return 0;
	}
}

bool launching_owed(const struct launching *l)
{
	return l->pulse.owing;
}

void launching_knocked(struct launching *l)
{
	l->knocked = true;
}

int64_t launching_wait(struct launching *l, struct pollfd *fds, unsigned *ret_n)
{
	int64_t until_ns = blanks_due(&l->blanks), due_ns;
	struct pollfd *behind;

	if (l->front >= 0 && pulse_due(&l->pulse) < until_ns)
		until_ns = pulse_due(&l->pulse);
	fds[0] = (struct pollfd){ .fd = l->front, .events = POLLIN };
	for (unsigned i = 0; i < l->n_attended; i++) {
		struct place *p = l->attended[i];
		struct pollfd *fd = &fds[1 + i];

		due_ns = CONTEXT_NEVER;
		p->polled = 1 + i;
		*fd = (struct pollfd){ .fd = -1 };
		if (p->deferred) {
			continue;
		} else if (p->state == COMMAND_ENDING || p->state == COMMAND_PROVING) {
			due_ns = keeper_wait(&p->keeper, fd);
		} else if (p->state == COMMAND_COUNTING) {
			*fd = (struct pollfd){ .fd = p->keeper.ctx.plan.cgroup.events,
					       .events = POLLPRI };
			due_ns = powers_local_patience(&p->powers);
			due_ns = clock_now_ns() + (due_ns ? due_ns : EMPTY_PERIOD_NS);
		} else if (p->state == COMMAND_MOUNTING) {
			place_mounting_wait(p, fd);
		}
		until_ns = due_ns < until_ns ? due_ns : until_ns;
	}
	l->pressure_at = 1 + l->n_attended;
	fds[l->pressure_at] = (struct pollfd){ .fd = l->pressure, .events = POLLPRI };
	fds[l->pressure_at + 1] = (struct pollfd){ .fd = l->launcher.notices[0], .events = POLLIN };
	behind = &fds[l->pressure_at + 2];
	*ret_n = l->pressure_at + 2 + BUILDS_MAX + TRACERS_MAX + SHOWINGS_MAX;
	due_ns = building_wait(l, behind);
	until_ns = due_ns < until_ns ? due_ns : until_ns;
	due_ns = tracers_wait(l, behind + BUILDS_MAX);
	until_ns = due_ns < until_ns ? due_ns : until_ns;
	due_ns = showings_wait(l, behind + BUILDS_MAX + TRACERS_MAX);
	until_ns = due_ns < until_ns ? due_ns : until_ns;
	return until_ns;
}

int launching_step(struct launching *l, const struct pollfd *fds, struct cloche_err *err)
{
	bool busy = fds[0].revents != 0;
	int r = 0;

	if (l->pressure_at && fds[l->pressure_at + 1].revents) {
		busy = true;
		counting_hear(l);
	}
	/* From behind: who is done is replaced by the last. */
	for (unsigned i = l->n_attended; i-- > 0;) {
		struct place *p = l->attended[i];

		busy |= p->polled && fds[p->polled].revents;
		if (p->polled && !p->deferred && p->state != COMMAND_COUNTING &&
		    p->state != COMMAND_MOUNTING)
			keeper_step(&p->keeper, &fds[p->polled]);
		p->polled = 0;
		look_whether_proved(l, p);
		look_whether_gone(l, p);
		place_mounting_step(l, p);
		counting_try(l, p);
	}
	if (l->pressure_at && fds[l->pressure_at].revents & POLLERR)
		fd_close(&l->pressure);
	else if (l->pressure_at && fds[l->pressure_at].revents)
		launching_press(l);
	l->pressure_at = 0;
	tracers_step(l);
	begin_deferred(l);
	building_step(l);
	showings_step(l);
	blanks_step(&l->blanks, busy);
	for (int i = 0; i < HEARD_MAX && fds[0].fd >= 0 && fds[0].revents &&
			(i == 0 || (r > 0 && is_more_there(l)));
	     i++)
		r = hear(l, err);
	if (r >= 0)
		r = look_whether_alive(l, err);
	if (r >= 0 && l->broken)
		r = cloche_err_sys(err, -l->broken, "it hears nothing");
	return r < 0 ? r : 0;
}

void launching_press(struct launching *l)
{
	blanks_forgo(&l->blanks);
	launching_say(l, &(struct reply){ .kind = REPLY_PRESSED }, NULL);
}

void launching_change(struct launching *l, const struct config *config)
{
	struct packet_fds fds = { .fd = { handover_config(config) }, .n = 1 };

	l->config = config;
	running_bound(l->launcher.running, config->running);
	owners_change(l->owners, config);
	l->pulse.silence_ns = config->silence_ns;
	if (fds.fd[0] >= 0)
		launching_say(l, &(struct reply){ .kind = REPLY_CONFIG }, &fds);
	else
		l->broken = l->broken ? l->broken : fds.fd[0];
	packet_close_fds(&fds);
}

void launching_stop(struct launching *l, int64_t grace_ns)
{
	blanks_forgo(&l->blanks);
	launching_say(l, &(struct reply){ .kind = REPLY_STOP, .context = (uint64_t)grace_ns },
		      NULL);
}

bool launching_ready(const struct launching *l)
{
	return l->ready;
}

unsigned launching_blanks(const struct launching *l)
{
	return l->blanks.n;
}

bool launching_idle(const struct launching *l)
{
	for (unsigned i = 0; i < l->n_places; i++)
		if (l->places[i].state != COMMAND_ABSENT)
			return false;
	return building_idle(l) && tracers_idle(l) && showings_idle(l);
}
