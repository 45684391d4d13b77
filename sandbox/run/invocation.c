/* SPDX-License-Identifier: MIT */
/*
 * Between the pure machine of an invocation (invocation_machine.h) and the kernel: turns what the
 * warden, the streams and the clock say into events, and does what is wanted. Nothing here waits.
 */
#include "run/invocation.h"

#include "base/clock.h"
#include "launch/launcher.h"
#include "launch/spec.h"
#include "run/outcome.h"
#include "run/powers.h"
#include "run/stdio.h"
#include "trace/trace_live.h"

#include <errno.h>
#include <string.h>

enum { WATCH_CONTROL, WATCH_EMPTY, WATCH_STREAM /* three of them */ };

/* Events are taken by the clock, not one by one: to wake for a switch of the function's processes
 * makes the next one. */
#define TRACE_PERIOD_NS (5 * NSEC_PER_MSEC)

/* The event may have come before anybody waited for it. */
#define DYING_PERIOD_NS (10 * NSEC_PER_MSEC)

static void tell(struct invocation *inv, enum invocation_event event, uint64_t value);

/* Something of ours failed while the function ran: no success of it. The first reason stands. */
static void tell_lost(struct invocation *inv, const struct cloche_err *why)
{
	if (!inv->machine.killed && !inv->out->err.code)
		inv->out->err = *why;
	tell(inv, INVOCATION_LOST, 0);
}

/* ---- what is wanted ------------------------------------------------------------------------- */

static void watch(struct invocation *inv)
{
	executed_see(inv->ctx, &inv->executed);
	inv->out->started_real_ns = clock_real_ns() - (clock_now_ns() - inv->seen.start_ns);
}

static void take_counted(struct invocation *inv, const struct counted *c)
{
	inv->out->metered = c->metered;
	inv->seen.after = c->usage;
	inv->out->refused = c->refused;
}

/* When all of it is dead. */
static bool read_counted(struct invocation *inv)
{
	struct counted counted;

	if (!inv->seen.dead_ns)
		inv->seen.dead_ns = clock_now_ns();
	if (!inv->powers->counted(inv->powers, &counted))
		return false;
	take_counted(inv, &counted);
	return true;
}

static void drain(struct invocation *inv)
{
	bool left = stdio_drain(inv->stdio, &inv->out->stream_err);

	tell(inv, left ? INVOCATION_MOVED : INVOCATION_DRAINED, 0);
}

static void lose(struct invocation *inv)
{
	struct cloche_err *first = &inv->out->stream_err;

	stdio_lose(inv->stdio, first);
	if (inv->machine.more && !first->code)
		(void)cloche_err_set(first, ETIMEDOUT,
				     "nobody reads the output: what its limit's pipe held is lost");
}

static void do_wanted(struct invocation *inv, unsigned wanted)
{
	bool read = false;

	if (wanted & INVOCATION_DO_WATCH)
		watch(inv);
	if (wanted & INVOCATION_DO_KILL && !inv->powers->kill(inv->powers))
		tell(inv, INVOCATION_SPARED, 0);
	if (wanted & INVOCATION_DO_READ)
		read = read_counted(inv);
	if (wanted & INVOCATION_DO_DRAIN)
		drain(inv);
	if (wanted & INVOCATION_DO_LOSE)
		lose(inv);
	if (read)
		tell(inv, INVOCATION_READ, 0);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void finish(struct invocation *inv)
{
	const struct invocation_machine *m = &inv->machine;
	struct outcome *out = inv->out;
	const char *verdict;

	stdio_end(inv->stdio);
	inv->seen.ran = m->ran;
	inv->seen.killed = m->killed;
	inv->seen.cause = m->cause;
	inv->seen.output_cut = m->cut;
	inv->seen.policy_kills = inv->ctx->plan.policy.kills;
	if (m->ran)
		out->denials = inv->ctx->plan.shared->denials;
	figures_of(&inv->seen, out);
	verdict = verdict_text(out->verdict);
	if (inv->metering)
		metering_finish(inv->metering, verdict, &out->metered);
	if (inv->live)
		trace_live_end(inv->live, verdict, out->ran ? out->wall_ns : -1,
			       out->metered.known ? &out->metered.usage : NULL);
}

static void tell(struct invocation *inv, enum invocation_event event, uint64_t value)
{
	do_wanted(inv, invocation_machine_step(&inv->machine, event, clock_now_ns(), value));
	/* Once: of several that led to each other the innermost. */
	if (invocation_done(inv) && !inv->finished) {
		inv->finished = true;
		finish(inv);
	}
}

bool invocation_done(const struct invocation *inv)
{
	return inv->machine.state == INVOCATION_DONE;
}

/* ---- what happens --------------------------------------------------------------------------- */

/* 0: not by the warden, for a reason of its own. */
static uint64_t warden_ended_for(const struct invocation *inv)
{
	switch (shared_ended_by(inv->ctx->plan.shared)) {
	case ENDED_BY_DEADLINE:
		return INVOCATION_BY_DEADLINE;
	case ENDED_BY_CPU_TIME:
		return INVOCATION_BY_CPU_TIME;
	case ENDED_BY_DENIALS:
		return INVOCATION_BY_DENIALS;
	case ENDED_BY_OUTPUT:
		return INVOCATION_BY_OUTPUT;
	default:
		return 0;
	}
}

static void on_ended(struct invocation *inv, const struct warden_msg *m)
{
	uint64_t how = warden_ended_for(inv) | (m->dead_ns ? 0 : INVOCATION_NOT_ALL) |
		       (m->flags & WARDEN_CUT ? INVOCATION_WAS_CUT : 0) |
		       (m->flags & WARDEN_MORE ? INVOCATION_MORE : 0);

	inv->seen.told = true;
	inv->seen.status = m->status;
	inv->seen.rusage = m->usage;
	inv->seen.end_ns = m->at_ns;
	inv->seen.dead_ns = m->dead_ns;
	inv->seen.deadline_ns = m->deadline_ns;
	inv->seen.left_processes = m->flags & WARDEN_LEFT;
	inv->seen.with_warden = !m->dead_ns;
	/* Where another process kills, it may have come too late. */
	if (inv->machine.killed && shared_ended_by(inv->ctx->plan.shared) != ENDED_BY_LAUNCHER)
		tell(inv, INVOCATION_SPARED, 0);
	tell(inv, INVOCATION_ENDED, how);
}

/* Where there is no cgroup.kill the warden ends all by its own end. */
static void on_lost(struct invocation *inv, const struct cloche_err *why)
{
	uint64_t how = warden_ended_for(inv);

	inv->seen.with_warden = true;
	if (!inv->machine.ran || !how) {
		tell_lost(inv, why);
		return;
	}
	inv->seen.deadline_ns = inv->ctx->plan.shared->deadline_ns;
	tell(inv, INVOCATION_ENDED, how | INVOCATION_NOT_ALL);
}

static void on_message(struct invocation *inv)
{
	struct cloche_err err = { 0 };
	struct warden_msg m;

	int r = context_recv(inv->ctx, &m, &err);

	/* No more output comes; where it did not say so, not all of it came. */
	if (inv->machine.state == INVOCATION_DRAINING) {
		if (r < 0 && !inv->out->stream_err.code)
			inv->out->stream_err = err;
		tell(inv, INVOCATION_PASSED, 0);
		return;
	}
	if (r < 0) {
		on_lost(inv, &err);
		return;
	}
	switch (m.type) {
	case WARDEN_STARTED:
		/* The call of execve: the warden may be told before the new image is in place (the
		 * kernel ends a vfork early in the exec), and so before the meter sees the first
		 * instruction. */
		inv->seen.start_ns = m.at_ns;
		inv->seen.launch_cpu_ns = (uint64_t)m.cpu_ns;
		tell(inv, INVOCATION_STARTED, 0);
		break;
	case WARDEN_FAILED:
		inv->out->err = inv->ctx->plan.shared->err;
		tell(inv, INVOCATION_FAILED, 0);
		break;
	case WARDEN_ENDED:
		on_ended(inv, &m);
		break;
	default:
		(void)cloche_err_set(&err, EPROTO, "pid 1 of the context spoke out of turn");
		tell_lost(inv, &err);
	}
}

static void look_whether_empty(struct invocation *inv)
{
	if (inv->machine.state == INVOCATION_DYING && inv->powers->empty(inv->powers))
		tell(inv, INVOCATION_EMPTY, 0);
}

void invocation_step(struct invocation *inv, const struct pollfd fds[static INVOCATION_FDS])
{
	if (inv->traced)
		inv->more = metering_drain(inv->metering);
	/* The end first: what ended before its limit was looked at did not reach it. */
	if (fds[WATCH_CONTROL].revents)
		on_message(inv);
	look_whether_empty(inv);
	if (clock_now_ns() >= inv->machine.due_ns)
		tell(inv, INVOCATION_DUE, 0);
	if (inv->machine.state == INVOCATION_DRAINING) {
		if (fds[WATCH_STREAM + 1].revents || fds[WATCH_STREAM + 2].revents)
			drain(inv);
	} else if (inv->machine.state != INVOCATION_READING && !invocation_done(inv)) {
		stdio_move(inv->stdio, fds + WATCH_STREAM, &inv->out->stream_err);
	}
}

int64_t invocation_wait(const struct invocation *inv, struct pollfd fds[static INVOCATION_FDS])
{
	enum invocation_state state = inv->machine.state;
	bool alive = state == INVOCATION_LAUNCHING || state == INVOCATION_RUNNING;
	int64_t until_ns = inv->machine.due_ns, again_ns = INVOCATION_NEVER;

	for (int i = 0; i < INVOCATION_FDS; i++)
		fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	if (alive || (state == INVOCATION_DRAINING && inv->machine.more))
		fds[WATCH_CONTROL].fd = inv->ctx->control;
	if (state == INVOCATION_DYING) {
		fds[WATCH_EMPTY] =
			(struct pollfd){ .fd = inv->ctx->plan.cgroup.events, .events = POLLPRI };
		if (fds[WATCH_EMPTY].fd >= 0)
			again_ns = clock_now_ns() + DYING_PERIOD_NS;
	}
	if (state != INVOCATION_READING)
		stdio_wait(inv->stdio, alive, alive || inv->machine.more, fds + WATCH_STREAM);
	if (inv->traced && alive)
		again_ns = inv->more ? 0 : clock_now_ns() + TRACE_PERIOD_NS;
	return again_ns < until_ns ? again_ns : until_ns;
}

void invocation_cancel(struct invocation *inv)
{
	tell(inv, INVOCATION_CANCELLED, 0);
}

void invocation_counted(struct invocation *inv, const struct counted *counted)
{
	if (inv->machine.state == INVOCATION_DYING)
		tell(inv, INVOCATION_EMPTY, 0);
	take_counted(inv, counted);
	tell(inv, INVOCATION_READ, 0);
}

static int begin(struct invocation *inv, const struct metering_trace *trace, struct cloche_err *err)
{
	bool clocked = false;
	int r = inv->out->request_id[0] ? 0 : uuid_v4(inv->out->request_id, err);

	if (r < 0)
		return r;
	if (inv->live)
		trace_live_begin(inv->live, inv->out->request_id, trace->function, inv->spec->argv);
	r = inv->powers->begin(inv->powers, trace, inv->out->request_id, &clocked, err);
	if (r == 0)
		r = context_go(inv->ctx, inv->spec, inv->stdio->inside, clocked, err);
	inv->traced = inv->metering && inv->metering->recorder;
	return r;
}

void invocation_begin(struct invocation *inv, struct context *ctx,
		      const struct invocation_options *options, struct outcome *out)
{
	const struct spec *spec = options->spec;
	struct cloche_err err = { 0 };

	*inv = (struct invocation){ .ctx = ctx,
				    .spec = spec,
				    .stdio = options->stdio,
				    .powers = options->powers,
				    .metering = options->metering,
				    .live = options->trace.live,
				    .out = out };
	inv->machine = invocation_machine_new(BRIDGE_STALL_NS);
	inv->seen.requested_ns = options->requested_ns;
	out->started_real_ns = clock_real_ns();
	stdio_begin(inv->stdio);
	/* Its cgroups are new (context_create, context_renew): all that they count is its own. */
	inv->seen.fresh_peak = true;
	if (begin(inv, &options->trace, &err) < 0) {
		tell_lost(inv, &err);
		look_whether_empty(inv);
	}
}
