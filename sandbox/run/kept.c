/* SPDX-License-Identifier: MIT */
/*
 * Between the pure machine of a kept process (kept_machine.h) and the kernel: turns what the warden
 * and the caller say into events, and does what is wanted. Nothing here waits.
 */
#include "run/kept.h"

#include "base/clock.h"
#include "launch/launcher.h"
#include "launch/pause.h"
#include "launch/spec.h"
#include "run/outcome.h"
#include "run/powers.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum { WATCH_CONTROL, WATCH_EMPTY };

/* The event may have come before anybody waited for it; or what is asked for may not be there yet.
 */
#define AGAIN_NS (10 * NSEC_PER_MSEC)

static void tell(struct kept *k, enum kept_event event, uint64_t value);

/* The first reason stands. */
static void tell_lost(struct kept *k, const struct cloche_err *why)
{
	if (!k->machine.killed && k->out && !k->out->err.code)
		k->out->err = *why;
	tell(k, KEPT_LOST, 0);
}

/* ---- a part that is whole ------------------------------------------------------------------- */

/* What of the process's end is known is known of all its parts together. */
static void finish(struct kept *k)
{
	const struct kept_machine *m = &k->machine;
	struct outcome *out = k->out;
	bool ended = m->state == KEPT_OVER;

	if (!out)
		return;
	k->seen.ran = m->ran;
	k->seen.killed = m->killed;
	k->seen.cause = m->cause;
	k->seen.policy_kills = k->ctx->plan.policy.kills;
	k->seen.forked = k->zygote && !m->init;
	out->denials = k->ctx->plan.shared->denials;
	figures_of(&k->seen, out);
	out->context.kept = true;
	out->context.forked = k->zygote;
	out->told = false;
	out->status = ended && k->seen.told ? k->seen.status : ended ? SIGKILL : 0;
	out->verdict = kept_machine_verdict(m, out->verdict);
	k->whole = true;
	k->out = NULL;
}

static void take_counted(struct kept *k, const struct counted *c)
{
	if (!k->out)
		return;
	k->out->metered = c->metered;
	k->seen.after = c->usage;
	k->out->refused = c->refused;
}

/* ---- what is wanted ------------------------------------------------------------------------- */

static void watch(struct kept *k)
{
	executed_see(k->ctx, &k->executed);
	k->out->started_real_ns = clock_real_ns() - (clock_now_ns() - k->seen.start_ns);
}

/* Of a zygote the warden has more to say. */
static bool wants_notice(const struct kept *k)
{
	return k->powers->parts_are_told && !k->zygote;
}

static void ask_warden(struct kept *k, unsigned wanted)
{
	struct cloche_err err = { 0 };
	uint32_t flags = wants_notice(k) ? WARDEN_NOTICE : 0;
	int r = wanted & KEPT_DO_PAUSE ? context_pause(k->ctx, flags, &err)
				       : context_resume(k->ctx, k->timeout_ns, k->dismissed, &err);

	/* It may have said why before it closed its end: that is heard. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		tell_lost(k, &err);
}

static bool read_counted(struct kept *k)
{
	struct counted counted;

	if (!k->seen.dead_ns)
		k->seen.dead_ns = clock_now_ns();
	if (!k->powers->counted(k->powers, &counted))
		return false;
	take_counted(k, &counted);
	return true;
}

static bool read_part(struct kept *k)
{
	struct counted counted;

	if (!k->powers->part(k->powers, &counted))
		return false;
	take_counted(k, &counted);
	return true;
}

static void do_wanted(struct kept *k, unsigned wanted)
{
	if (wanted & KEPT_DO_WATCH)
		watch(k);
	if (wanted & KEPT_DO_KILL && !k->powers->kill(k->powers))
		tell(k, KEPT_SPARED, 0);
	if (wanted & (KEPT_DO_PAUSE | KEPT_DO_RESUME))
		ask_warden(k, wanted);
	if (wanted & KEPT_DO_PART && read_part(k))
		tell(k, KEPT_PARTED, 0);
	if (wanted & KEPT_DO_READ && read_counted(k))
		tell(k, KEPT_READ, 0);
}

static void tell(struct kept *k, enum kept_event event, uint64_t value)
{
	enum kept_state before = k->machine.state;

	do_wanted(k, kept_machine_step(&k->machine, event, value));
	/* Once: of several that led to each other the innermost. */
	if (k->machine.state != before &&
	    (k->machine.state == KEPT_IDLE || k->machine.state == KEPT_OVER))
		finish(k);
}

/* ---- what happens --------------------------------------------------------------------------- */

static enum verdict limit_of(const struct kept *k)
{
	switch (shared_ended_by(k->ctx->plan.shared)) {
	case ENDED_BY_DEADLINE:
		return VERDICT_TIMEOUT;
	case ENDED_BY_CPU_TIME:
		return VERDICT_CPU_TIMEOUT;
	case ENDED_BY_DENIALS:
		return VERDICT_DENIED;
	case ENDED_BY_OUTPUT:
		return VERDICT_OUTPUT_LIMIT;
	default:
		return VERDICT_OK;
	}
}

/* It is on the shared page, before the warden tells anything else of this part. */
static int64_t resumed_ns(const struct kept *k)
{
	int64_t ns = __atomic_load_n(&k->ctx->plan.shared->resumed_ns, __ATOMIC_SEQ_CST);

	return k->asked_ns && ns >= k->asked_ns ? ns : 0;
}

/* Until we have it go on. */
static int64_t paused_ns(const struct kept *k)
{
	return __atomic_load_n(&k->ctx->plan.shared->paused_ns, __ATOMIC_SEQ_CST);
}

int64_t kept_began_ns(const struct kept *k)
{
	return k->at_ns ? k->at_ns : resumed_ns(k);
}

static void see_when_it_went_on(struct kept *k)
{
	if (k->at_ns)
		return;
	k->seen.start_ns = k->at_ns = resumed_ns(k);
	if (k->out && k->at_ns)
		k->out->started_real_ns = clock_real_ns() - (clock_now_ns() - k->at_ns);
}

static void on_ended(struct kept *k, const struct warden_msg *m)
{
	see_when_it_went_on(k);
	k->seen.told = true;
	k->seen.status = m->status;
	k->seen.end_ns = m->at_ns;
	k->seen.dead_ns = m->dead_ns;
	k->seen.deadline_ns = m->deadline_ns;
	k->seen.left_processes = m->flags & WARDEN_LEFT;
	k->seen.output_cut = m->flags & WARDEN_CUT;
	k->seen.with_warden = !m->dead_ns;
	/* It was frozen, of which we have not heard yet: what was asked for comes. But in an
	 * earlier part that has come. */
	if (m->flags & WARDEN_NOTICED && k->machine.state == KEPT_PAUSING &&
	    paused_ns(k) >= k->asked_ns)
		k->powers->asked = true;
	/* Where another process kills, it may have come too late. */
	if (k->machine.killed && shared_ended_by(k->ctx->plan.shared) != ENDED_BY_LAUNCHER)
		tell(k, KEPT_SPARED, 0);
	tell(k, KEPT_ENDED, limit_of(k) | (m->dead_ns ? 0 : KEPT_NOT_ALL));
}

/* Where there is no cgroup.kill the warden ends all by its own end. */
static void on_lost(struct kept *k, const struct cloche_err *why)
{
	enum verdict limit = limit_of(k);

	k->powers->unsure = k->machine.state == KEPT_PAUSING && wants_notice(k);
	see_when_it_went_on(k);
	k->seen.with_warden = true;
	if (!k->machine.ran || limit == VERDICT_OK) {
		tell_lost(k, why);
		return;
	}
	k->seen.deadline_ns = k->ctx->plan.shared->deadline_ns;
	tell(k, KEPT_ENDED, limit | KEPT_NOT_ALL);
}

static void on_started(struct kept *k, const struct warden_msg *m)
{
	k->seen.start_ns = k->at_ns = m->at_ns;
	k->seen.launch_cpu_ns = (uint64_t)m->cpu_ns;
	tell(k, KEPT_STARTED, 0);
}

static void see_when_it_paused(struct kept *k, int64_t at_ns)
{
	see_when_it_went_on(k);
	k->seen.end_ns = k->seen.dead_ns = at_ns;
}

static void on_paused(struct kept *k, const struct warden_msg *m)
{
	see_when_it_paused(k, m->at_ns);
	k->residue = m->residue < RESIDUE_UNKNOWN ? (enum residue)m->residue : RESIDUE_UNKNOWN;
	tell(k, KEPT_PAUSED, 0);
}

static void on_message(struct kept *k)
{
	struct cloche_err err = { 0 };
	struct warden_msg m;

	if (context_recv(k->ctx, &m, &err) < 0) {
		on_lost(k, &err);
		return;
	}
	switch (m.type) {
	case WARDEN_STARTED:
		on_started(k, &m);
		break;
	case WARDEN_PAUSED:
		on_paused(k, &m);
		break;
	case WARDEN_FAILED:
		if (k->out)
			k->out->err = k->ctx->plan.shared->err;
		tell(k, KEPT_FAILED, 0);
		break;
	case WARDEN_ENDED:
		on_ended(k, &m);
		break;
	default:
		(void)cloche_err_set(&err, EPROTO, "pid 1 of the context spoke out of turn");
		tell_lost(k, &err);
	}
}

static void look_whether_empty(struct kept *k)
{
	if (k->machine.state == KEPT_DYING && k->powers->empty(k->powers))
		tell(k, KEPT_EMPTY, 0);
}

static bool is_driven(const struct kept *k)
{
	return k->machine.state < KEPT_DYING;
}

int64_t kept_wait(const struct kept *k, struct pollfd fds[static KEPT_FDS])
{
	enum kept_state state = k->machine.state;

	for (int i = 0; i < KEPT_FDS; i++)
		fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	if (is_driven(k))
		fds[WATCH_CONTROL].fd = k->ctx->control;
	if (state == KEPT_DYING)
		fds[WATCH_EMPTY] =
			(struct pollfd){ .fd = k->ctx->plan.cgroup.events, .events = POLLPRI };
	return state == KEPT_DYING || (state == KEPT_PARTING && !k->powers->parts_are_told)
		       ? clock_now_ns() + AGAIN_NS
		       : KEPT_NEVER;
}

void kept_step(struct kept *k, const struct pollfd fds[static KEPT_FDS])
{
	if (is_driven(k) && fds[WATCH_CONTROL].revents)
		on_message(k);
	look_whether_empty(k);
	if (k->machine.state == KEPT_PARTING && read_part(k))
		tell(k, KEPT_PARTED, 0);
}

void kept_counted(struct kept *k, const struct counted *counted, bool parted)
{
	if (k->machine.state == KEPT_DYING)
		tell(k, KEPT_EMPTY, 0);
	/* It was frozen, or else nobody would have had it counted by then. */
	if (k->machine.state == KEPT_PAUSING)
		see_when_it_paused(k, paused_ns(k));
	take_counted(k, counted);
	tell(k, parted ? KEPT_PARTED : KEPT_READ, 0);
}

/* ---- what the caller says ------------------------------------------------------------------- */

/* What is seen of it begins anew; all that its cgroups tell is this part's alone (powers->part). */
static void begin_part(struct kept *k, int64_t timeout_ns, int64_t requested_ns,
		       struct outcome *out)
{
	k->seen = (struct observed){ .requested_ns = requested_ns, .fresh_peak = true };
	k->timeout_ns = timeout_ns;
	k->at_ns = k->asked_ns = 0;
	k->out = out;
	k->whole = false;
	out->started_real_ns = clock_real_ns();
	out->limits.timeout_ns = timeout_ns;
}

void kept_begin(struct kept *k, struct context *ctx, const struct kept_options *options,
		struct outcome *out)
{
	static const struct metering_trace none = { .file = NULL };
	struct cloche_err err = { 0 };
	bool clocked = false;
	int r;

	*k = (struct kept){ .machine = kept_machine_new(),
			    .ctx = ctx,
			    .powers = options->powers,
			    .zygote = options->spec->zygote };
	begin_part(k, options->spec->timeout_ns, options->requested_ns, out);
	r = out->request_id[0] ? 0 : uuid_v4(out->request_id, &err);
	if (r == 0)
		r = k->powers->begin(k->powers, &none, out->request_id, &clocked, &err);
	if (r == 0)
		r = context_go(ctx, options->spec, options->streams, clocked, &err);
	if (r < 0) {
		tell_lost(k, &err);
		look_whether_empty(k);
	}
}

/* It says nothing before it is spoken to: it has ended. */
static bool is_there(struct kept *k)
{
	struct pollfd gone = { .fd = k->ctx->control, .events = POLLIN };

	if (k->machine.state == KEPT_IDLE && poll(&gone, 1, 0) != 0)
		on_message(k);
	return k->machine.state == KEPT_IDLE;
}

static bool end_it(struct kept *k, int64_t grace_ns, uint32_t how)
{
	if (!is_there(k))
		return false;
	k->timeout_ns = grace_ns;
	k->dismissed = how;
	k->asked_ns = clock_now_ns();
	tell(k, KEPT_RESUME, 0);
	return true;
}

bool kept_dismiss(struct kept *k, int64_t grace_ns)
{
	return end_it(k, grace_ns, WARDEN_DISMISS);
}

/* Only what the kernel holds takes time. */
bool kept_stop(struct kept *k)
{
	return end_it(k, PAUSE_MAX_NS, WARDEN_STOP);
}

bool kept_resume(struct kept *k, int64_t timeout_ns, int64_t requested_ns, struct outcome *out)
{
	if (!is_there(k))
		return false;
	begin_part(k, timeout_ns, requested_ns, out);
	k->asked_ns = clock_now_ns();
	tell(k, KEPT_RESUME, 0);
	return true;
}

void kept_pause(struct kept *k, enum verdict answered)
{
	tell(k, KEPT_ANSWERED, answered);
}

void kept_cancel(struct kept *k)
{
	tell(k, KEPT_CANCELLED, 0);
}
