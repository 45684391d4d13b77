/* SPDX-License-Identifier: MIT */
/* What the front has of its contexts, told by the launcher and asked by clients: see held.h. What
 * becomes of which is pool/pool.h's to say. */
#include "serve/held.h"

#include "base/clock.h"
#include "base/err.h"
#include "launch/given_mark.h"
#include "launch/handed.h"
#include "serve/client.h"
#include "serve/config.h"
#include "serve/front.h"
#include "serve/packet.h"
#include "serve/resident.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell(struct front *f, const struct held *h, enum command_kind kind)
{
	front_tell(f, &(struct command){ .kind = kind, .context = h->number });
}

static void turn(struct front *f, struct held *h, enum pool_state to)
{
	pool_set_runs(&f->pool, &h->pool, h->resident != NULL);
	pool_turn(&f->pool, &h->pool, to, clock_now_ns());
}

/* They are given one after the other. */
static struct held **list_of(struct front *f, uint64_t number)
{
	return &f->numbered[number % HELD_LISTS];
}

static struct held *find(struct front *f, uint64_t number)
{
	struct held *h = *list_of(f, number);

	while (h && h->number != number)
		h = h->next_numbered;
	return h;
}

static void unlist(struct front *f, const struct held *h)
{
	struct held **at = list_of(f, h->number);

	while (*at != h)
		at = &(*at)->next_numbered;
	*at = h->next_numbered;
}

static void forget(struct front *f, struct held *h)
{
	dismissing_end(f, h);
	unlist(f, h);
	pool_leave(&f->pool, &h->pool);
	h->resident = resident_close(h->resident);
	if (h->adopted)
		context_disown(&h->ctx);
	free(h);
}

/* ---- why the one before was given up --------------------------------------------------------- */

static void remember(struct front *f, const struct held *h, enum residue why)
{
	unsigned at = f->replaced_at++ % HELD_REPLACED;

	f->replaced[at].kind = h->kind;
	f->replaced[at].why = why;
}

static enum residue recall(struct front *f, const struct held_kind *kind)
{
	for (unsigned i = 0; i < HELD_REPLACED; i++)
		if (f->replaced[i].why != RESIDUE_NONE &&
		    memcmp(&f->replaced[i].kind, kind, sizeof(*kind)) == 0) {
			enum residue why = f->replaced[i].why;

			f->replaced[i].why = RESIDUE_NONE;
			return why;
		}
	return RESIDUE_NONE;
}

void held_press(struct front *f)
{
	struct pool_context *victim;

	while (dismissing_cut_short(f, POOL_ANY))
		;
	for (unsigned n = (f->pool.n[POOL_IDLE] + 1) / 2; n > 0; n--) {
		victim = pool_victim(&f->pool, POOL_ANY);
		if (victim)
			held_end_now(f, (struct held *)victim);
	}
}

/* ---- time ------------------------------------------------------------------------------------ */

static int on_time(sd_event_source *s, uint64_t usec, void *arg)
{
	held_expire(arg);
	return 0;
}

void held_expire(struct front *f)
{
	struct pool_context *c;
	int64_t due_ns;
	uint64_t usec;
	int r = 0;

	while ((c = pool_expired(&f->pool, f->config->idle_expiry_ns, clock_now_ns())))
		if (provisioning_keeps(f, (struct held *)c))
			turn(f, (struct held *)c, POOL_IDLE);
		else
			held_end(f, (struct held *)c);
	due_ns = pool_due(&f->pool, f->config->idle_expiry_ns);
	if (due_ns == INT64_MAX)
		return;
	usec = (uint64_t)due_ns / NSEC_PER_USEC + 1;
	if (!f->expiry) {
		r = sd_event_add_time(f->event, &f->expiry, CLOCK_MONOTONIC, usec, 0, on_time, f);
	} else {
		r = sd_event_source_set_time(f->expiry, usec);
		if (r >= 0)
			r = sd_event_source_set_enabled(f->expiry, SD_EVENT_ONESHOT);
	}
	if (r < 0)
		(void)sd_event_exit(f->event, r);
}

bool held_is_of_one(const struct held_kind *kind)
{
	return kind->make.binds > 0 && !given_is_claim(kind->binds);
}

/* Of a size that is tried nobody else has any use. */
static bool is_once(const struct held *h)
{
	return held_is_of_one(&h->kind) || (h->kind.tuned && !h->resident);
}

static void become_idle(struct front *f, struct held *h)
{
	if (is_once(h) || h->retired || (h->resident && f->stopping)) {
		held_end(f, h);
		return;
	}
	turn(f, h, POOL_IDLE);
	/* Once it is set it is set for one that expires before this one. */
	if (f->pool.n[POOL_IDLE] == 1)
		held_expire(f);
}

/* ---- what clients want ----------------------------------------------------------------------- */

struct held *held_make(struct front *f, const struct held_kind *kind,
		       const struct sock_filter *insns, struct client *user)
{
	struct command c = { .kind = COMMAND_MAKE, .make = kind->make };
	struct held *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->kind = *kind;
	h->user = user;
	h->made_ns = clock_now_ns();
	h->number = c.context = front_number(f);
	h->next_numbered = *list_of(f, h->number);
	*list_of(f, h->number) = h;
	pool_join(&f->pool, &h->pool,
		  &(struct pool_kind){ kind->make.owner, &h->kind, sizeof(h->kind) },
		  clock_now_ns());
	h->replaced = recall(f, kind);
	front_tell_make(f, &c, insns);
	return h;
}

bool held_take(struct front *f, struct held *h, struct client *user)
{
	struct pollfd gone = { .fd = h->ctx.control, .events = POLLIN };

	/* It says nothing before it is spoken to: its warden was killed. Of a process that stays in
	 * it that is looked at when it goes on. */
	if (!h->resident && poll(&gone, 1, 0) != 0) {
		held_end(f, h);
		return false;
	}
	turn(f, h, POOL_BUSY);
	h->user = user;
	h->counted = false;
	h->replaced = RESIDUE_NONE;
	h->invocations++;
	return true;
}

void held_describe(struct held *h, const char *function, char *const argv[])
{
	size_t at = 0;

	(void)snprintf(h->function, sizeof(h->function), "%s", function);
	h->command[0] = '\0';
	for (; *argv && at + 1 < sizeof(h->command); argv++) {
		(void)snprintf(h->command + at, sizeof(h->command) - at, "%s%s", at ? " " : "",
			       *argv);
		at += strlen(h->command + at);
	}
}

static void prove(struct front *f, struct held *h, enum pool_state state)
{
	context_let_go(&h->ctx);
	turn(f, h, state);
	tell(f, h, COMMAND_KEEP);
}

/* What was not counted may not have ended. */
void held_keep(struct front *f, struct held *h)
{
	h->user = NULL;
	if (!h->counted || f->config->idle_expiry_ns == 0 || is_once(h))
		held_end(f, h);
	else
		prove(f, h, POOL_VERIFYING);
}

bool held_keep_for(struct front *f, struct held *h, struct client *user)
{
	if (!h->counted) {
		held_end(f, h);
		return false;
	}
	prove(f, h, POOL_RESERVED);
	h->user = user;
	return true;
}

bool held_is_kept(const struct held *h)
{
	return h->pool.state == POOL_BUSY;
}

/* When it is made, if it is not yet. */
void held_spare(struct front *f, struct held *h)
{
	h->user = NULL;
	if (h->pool.state == POOL_BUSY)
		become_idle(f, h);
	else if (h->pool.state == POOL_RESERVED)
		turn(f, h, POOL_VERIFYING);
}

void held_end_now(struct front *f, struct held *h)
{
	h->user = NULL;
	if (h->pool.state == POOL_ENDING && h->dismissal == DISMISSAL_NONE)
		return;
	if (h->resident && resident_residue(h->resident) != RESIDUE_NONE)
		remember(f, h, resident_residue(h->resident));
	dismissing_end(f, h);
	h->resident = resident_close(h->resident);
	if (h->adopted)
		context_disown(&h->ctx);
	h->adopted = false;
	turn(f, h, POOL_ENDING);
	tell(f, h, COMMAND_END);
	front_look_whether_done(f);
}

void held_end(struct front *f, struct held *h)
{
	h->user = NULL;
	if (h->pool.state == POOL_ENDING)
		return;
	if (!dismissing_begin(f, h)) {
		held_end_now(f, h);
		return;
	}
	turn(f, h, POOL_ENDING);
	dismissing_go_on(f);
}

void held_dismiss(struct front *f)
{
	struct pool_context *next;

	for (struct pool_context *c = f->pool.first; c; c = next) {
		next = c->all.next;
		if (c->state == POOL_IDLE && c->runs)
			held_end(f, (struct held *)c);
	}
}

void held_rest(struct front *f, struct held *h)
{
	h->user = NULL;
	become_idle(f, h);
	front_retry(f, true);
}

void held_end_idle(struct front *f, uint64_t number, const struct held_kind *unless)
{
	struct held *h = number ? find(f, number) : NULL;

	if (h && h->pool.state == POOL_IDLE &&
	    !(unless && memcmp(&h->kind, unless, sizeof(*unless)) == 0))
		held_end(f, h);
}

/* Who wants one of its kind may wait for it from here on. */
void held_renew(struct front *f, struct held *h)
{
	h->user = NULL;
	h->counted = false;
	turn(f, h, POOL_VERIFYING);
	if (!resident_stop(h->resident))
		held_end(f, h);
}

bool held_make_room(struct front *f, uint32_t owner)
{
	struct pool_context *victim;

	if (dismissing_cut_short(f, owner) || pool_has(&f->pool, POOL_ENDING, owner))
		return true;
	victim = pool_victim(&f->pool, owner);
	if (victim)
		held_end_now(f, (struct held *)victim);
	return victim || pool_has(&f->pool, POOL_VERIFYING, owner);
}

bool held_make_way(struct front *f)
{
	struct pool_context *victim;

	if (dismissing_cut_short(f, POOL_ANY) || pool_has(&f->pool, POOL_ENDING, POOL_ANY))
		return true;
	victim = pool_victim_running(&f->pool, POOL_ANY);
	if (victim)
		held_end_now(f, (struct held *)victim);
	return victim != NULL;
}

/* ---- what the launcher says ------------------------------------------------------------------ */

static void on_made(struct front *f, struct held *h, const struct reply *reply,
		    struct packet_fds *fds)
{
	struct client *user = h->user;
	struct cloche_err err = { 0 };
	int handed[HANDED_FDS], r;

	if (fds->n == HANDED_FDS) {
		memcpy(handed, fds->fd, sizeof(handed));
		fds->n = 0;
		r = context_adopt(&h->ctx, &reply->made, handed, &err);
	} else {
		r = cloche_err_set(&err, EPROTO, "a context came without descriptors");
	}
	h->adopted = r == 0;
	h->clocked = reply->clocked;
	if (r == 0)
		r = uuid_v4(h->id, &err);
	if (r < 0) {
		held_end(f, h);
		if (user)
			client_refused(user, LIMIT_NONE, &err);
		else if (h->provisioned)
			provisioning_refused(f, h->kind.make.owner);
		return;
	}
	turn(f, h, POOL_BUSY);
	if (!user && h->provisioned) {
		provisioning_have(f, h);
		return;
	}
	if (!user) {
		become_idle(f, h);
		return;
	}
	h->invocations = 1;
	client_have(user);
}

/* Somebody else may try: who waits for room asks again when there is some. */
static void on_refused(struct front *f, struct held *h, const struct reply *reply)
{
	struct client *user = h->user;
	bool provisioned = h->provisioned;
	uint32_t owner = h->kind.make.owner;

	forget(f, h);
	if (provisioned)
		provisioning_refused(f, owner);
	if (user)
		client_refused(user, (enum limit)reply->limit, &reply->err);
}

static void on_kept(struct front *f, struct held *h, const struct reply *reply,
		    struct packet_fds *fds)
{
	if ((h->pool.state != POOL_VERIFYING && h->pool.state != POOL_RESERVED) || fds->n != 1)
		return;
	context_adopt_again(&h->ctx, fds->fd[0]);
	fds->n = 0;
	h->clocked = reply->clocked;
	if (!h->user) {
		become_idle(f, h);
		return;
	}
	turn(f, h, POOL_BUSY);
	client_kept(h->user);
}

static void on_gone(struct front *f, struct held *h, const struct reply *reply)
{
	enum residue why =
		reply->residue <= RESIDUE_UNKNOWN ? (enum residue)reply->residue : RESIDUE_UNKNOWN;
	struct client *user = h->user;

	if (reply->err.code)
		f->say(reply->err.text);
	if (!user && why != RESIDUE_NONE)
		remember(f, h, why);
	forget(f, h);
	if (user)
		client_lost(user, why);
}

void held_hear(struct front *f, const struct reply *reply, struct packet_fds *fds)
{
	struct held *h = find(f, reply->context);

	if (!h)
		return;
	switch (reply->kind) {
	case REPLY_MADE:
		on_made(f, h, reply, fds);
		break;
	case REPLY_REFUSED:
		on_refused(f, h, reply);
		break;
	case REPLY_KEPT:
		on_kept(f, h, reply, fds);
		break;
	case REPLY_GONE:
		on_gone(f, h, reply);
		break;
	default:
		h->counted |= reply->kind == REPLY_COUNTED;
		if (h->resident && (reply->kind == REPLY_COUNTED || reply->kind == REPLY_PARTED))
			resident_counted(h->resident, &reply->counted, reply->kind == REPLY_PARTED);
		else if (h->user)
			client_hear(h->user, reply, fds);
		return;
	}
	if (reply->kind == REPLY_GONE)
		provisioning_look(f);
	/* Of what is idle room can be made. */
	front_retry(f, reply->kind == REPLY_GONE || reply->kind == REPLY_KEPT);
}
