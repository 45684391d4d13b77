/* SPDX-License-Identifier: MIT */
/*
 * Between the pure machine of a context (context_machine.h) and the launcher: asks the warden for
 * its proof, makes new what the next invocation shall find new, takes away what is of no more use.
 */
#include "run/keeper.h"

#include "base/clock.h"
#include "launch/proof.h"
#include "run/metering.h"
#include "run/observer.h"
#include "run/outcome.h"

#include <errno.h>

static void tell(struct keeper *k, enum context_event event, uint64_t value);

/* What counts in the context's cgroups. */
static int arm(struct keeper *k, struct cloche_err *err)
{
	int r = metering_arm(k->metering, &k->ctx, err);

	return r == 0 && k->observer ? observer_arm(k->observer, &k->ctx, err) : r;
}

/* ---- what is wanted ------------------------------------------------------------------------- */

static void prove(struct keeper *k)
{
	struct cloche_err err;

	if (context_prove(&k->ctx, k->metering->settled, &err) < 0)
		tell(k, CONTEXT_FAILED, 0);
}

/* Busy for a moment: once more when it is due. */
static void renew(struct keeper *k)
{
	struct cloche_err err;
	int r;

	r = context_renew(k->launcher, &k->ctx, &err);
	if (r == -EBUSY && ++k->renewals < CONTEXT_TRIES_MAX)
		return;
	k->renewals = 0;
	if (r == 0)
		r = arm(k, &err);
	tell(k, r < 0 ? CONTEXT_FAILED : CONTEXT_RENEWED, 0);
}

static void look_whether_reaped(struct keeper *k)
{
	if (context_try_reap(&k->ctx))
		tell(k, CONTEXT_REAPED, 0);
}

static void end(struct keeper *k)
{
	metering_disarm(k->metering);
	context_end(&k->ctx);
	look_whether_reaped(k);
}

/* The same; at the last it stays marked for the next run. */
static void take_away(struct keeper *k)
{
	bool last = ++k->removals == CONTEXT_TRIES_MAX;
	struct cloche_err err = { 0 };
	int r = context_remove(k->launcher, &k->ctx, last, &err);

	if (r == -EBUSY && !last)
		return;
	if (r < 0)
		k->left = err;
	tell(k, CONTEXT_REMOVED, 0);
}

static void do_wanted(struct keeper *k, unsigned wanted)
{
	if (wanted & CONTEXT_DO_PROVE)
		prove(k);
	if (wanted & CONTEXT_DO_RENEW)
		renew(k);
	if (wanted & (CONTEXT_DO_FREEZE | CONTEXT_DO_THAW))
		(void)cgroup_freeze(&k->ctx.plan.cgroup, wanted & CONTEXT_DO_FREEZE);
	if (wanted & CONTEXT_DO_KILL)
		end(k);
	if (wanted & CONTEXT_DO_REMOVE)
		take_away(k);
}

static void tell(struct keeper *k, enum context_event event, uint64_t value)
{
	do_wanted(k, context_machine_step(&k->machine, event, clock_now_ns(), value));
}

/* ---- what happens --------------------------------------------------------------------------- */

int keeper_make(struct keeper *k, const struct keeper_options *o, struct cloche_err *err)
{
	struct context_options how = o->how;
	int r;

	*k = (struct keeper){ .machine = context_machine_new(),
			      .launcher = o->launcher,
			      .metering = o->metering,
			      .observer = o->observer };
	how.clock = metering_clock(o->metering);
	if (o->blank) {
		k->ctx = *o->blank;
		r = context_dress(o->launcher, &k->ctx, o->spec, &how, err);
		if (r < 0)
			(void)context_destroy(o->launcher, &k->ctx, NULL);
	} else {
		r = context_create(o->launcher, o->spec, &how, &k->ctx, err);
	}
	if (r < 0) {
		k->machine.state = CONTEXT_GONE;
		return r;
	}
	r = arm(k, err);
	if (r < 0) {
		metering_disarm(k->metering);
		(void)context_destroy(o->launcher, &k->ctx, NULL);
		k->machine.state = CONTEXT_GONE;
		return r;
	}
	tell(k, CONTEXT_MADE, 0);
	return 0;
}

void keeper_invoked(struct keeper *k)
{
	tell(k, CONTEXT_INVOKED, 0);
}

/*
 * Not after cgroup.kill: kernels from 6.14 on may kill what is later born there by
 * CLONE_INTO_CGROUP, since they compare the count of kills of the parent's cgroup with that of its
 * own (cgroup_css_set_fork, cgroup_post_fork).
 */
static enum residue known_residue(const struct outcome *out)
{
	if (out->left_processes)
		return RESIDUE_PROCESS;
	if (out->killed)
		return RESIDUE_KILLED;
	return out->verdict == VERDICT_LAUNCH_ERROR ? RESIDUE_UNKNOWN : RESIDUE_NONE;
}

void keeper_answered(struct keeper *k, const struct outcome *out)
{
	keeper_used(k, known_residue(out));
}

void keeper_used(struct keeper *k, enum residue known)
{
	tell(k, CONTEXT_ANSWERED, known);
}

void keeper_end(struct keeper *k)
{
	tell(k, CONTEXT_END, 0);
}

static void on_message(struct keeper *k)
{
	struct cloche_err err;
	struct warden_msg m;

	int r = context_recv(&k->ctx, &m, &err);

	/* For whom it was did not wait for it. */
	if (r == 0 && m.type == WARDEN_PASSED)
		return;
	if (r < 0 || m.type != WARDEN_PROVED)
		tell(k, CONTEXT_FAILED, 0);
	else if (m.residue == RESIDUE_NONE && cgroup_populated(&k->ctx.plan.cgroup) != 0)
		tell(k, CONTEXT_PROVED, RESIDUE_PROCESS);
	else
		tell(k, CONTEXT_PROVED, m.residue);
}

bool keeper_is_at_rest(const struct keeper *k)
{
	return k->machine.state != CONTEXT_VERIFYING && k->machine.state != CONTEXT_ENDING;
}

int64_t keeper_wait(const struct keeper *k, struct pollfd *ret)
{
	*ret = (struct pollfd){ .fd = -1, .events = POLLIN };
	if (k->machine.state == CONTEXT_VERIFYING)
		ret->fd = k->ctx.control;
	else if (k->machine.state == CONTEXT_ENDING)
		ret->fd = k->ctx.warden.pidfd; /* -1 when it is reaped */
	return k->machine.due_ns;
}

void keeper_step(struct keeper *k, const struct pollfd *polled)
{
	if (polled->fd >= 0 && polled->revents && k->machine.state == CONTEXT_VERIFYING)
		on_message(k);
	else if (polled->fd >= 0 && polled->revents && k->machine.state == CONTEXT_ENDING)
		look_whether_reaped(k);
	if (clock_now_ns() >= k->machine.due_ns)
		tell(k, CONTEXT_DUE, 0);
}
