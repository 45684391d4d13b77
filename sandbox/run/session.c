/* SPDX-License-Identifier: MIT */
/*
 * Invocations one after another: makes a context, has it metered and observed, gives it streams,
 * runs, charges and writes down, proves the context clean or gives it up. See session.h.
 */
#include "run/session.h"

#include "base/err.h"
#include "base/uuid.h"
#include "base/clock.h"
#include "launch/spec.h"
#include "launch/stream_names.h"
#include "launch/stream_state.h"
#include "launch/streams.h"
#include "ledger/prices.h"
#include "run/booking.h"
#include "run/description.h"
#include "run/executed.h"
#include "run/invocation.h"
#include "run/keeper.h"
#include "run/observer.h"
#include "run/outcome.h"
#include "run/powers.h"
#include "run/owner.h"
#include "run/stdio.h"
#include "run/tracing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct session {
	struct session_options opt;
	struct launcher launcher;
	struct stdio stdio;
	struct cloche_err unfit; /* a stream may not be one: nothing is run */
	struct metering metering;
	struct powers_local powers;
	struct booking booking;
	struct tracing tracing;
	char owner[OWNER_NAME_LEN];

	/* the context */
	struct keeper keeper;
	char id[UUID_LEN];
	enum residue replaced;		/* why the one before was given up */
	struct stream_state streams[3]; /* as they were */

	struct invocation inv;
	bool begun; /* of the current invocation there is something to read */
};

static int open_streams(struct session *s, struct cloche_err *err)
{
	const struct spec *spec = s->opt.spec;
	struct stdio_options o = { .limit = spec->output_bytes,
				   .files = spec->fsize_bytes != UINT64_MAX };

	memcpy(o.given, s->opt.streams, sizeof(o.given));
	if (stdio_open(&s->stdio, &o, err) < 0)
		return cloche_err_stage(err, "streams");
	return 0;
}

int session_open(const struct session_options *options, struct session **ret,
		 struct cloche_err *err)
{
	struct session *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return cloche_err_sys(err, ENOMEM, "begin");
	*s = (struct session){
		.opt = *options,
		.launcher = LAUNCHER_NONE,
		.stdio = STDIO_NONE,
		.booking = { .dir = options->ledger,
			     .sync = options->ledger_sync,
			     .go_on = options->ledger_go_on,
			     .as = options->ledger_as },
		.tracing = { .dir = options->traces, .store = -1 },
		.keeper = { .machine = { .state = CONTEXT_GONE } },
	};
	owner_name(options->owner, s->owner);
	(void)open_streams(s, &s->unfit);
	r = launcher_open(&s->launcher, err);
	if (r == 0 && options->meter == METERING_OFF)
		metering_off(&s->metering, options->unmetered);
	else if (r == 0)
		r = metering_open(&s->metering, options->meter, s->launcher.hierarchy.v2, err);
	if (r < 0) {
		stdio_close(&s->stdio);
		launcher_close(&s->launcher);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* ---- the context ---------------------------------------------------------------------------- */

static bool stands(const struct session *s)
{
	return s->keeper.machine.state != CONTEXT_GONE;
}

/* The function's: the caller's own, or what leads to a bridge. */
static void keep_streams(struct session *s)
{
	int fds[3];

	for (int i = 0; i < 3; i++)
		fds[i] = stdio_inside(&s->stdio, i);
	stream_state_keep(s->streams, fds);
}

static int create(struct session *s, struct cloche_err *err)
{
	struct keeper_options o = { .spec = s->opt.spec,
				    .how = { .single = !s->opt.reused },
				    .launcher = &s->launcher,
				    .metering = &s->metering,
				    .observer = s->opt.observer };
	int r;

	for (int i = 0; i < 3; i++)
		o.how.terminals |= stream_is_foreign_terminal(stdio_inside(&s->stdio, i));
	r = uuid_v4(s->id, err);
	if (r == 0)
		r = keeper_make(&s->keeper, &o, err);
	if (r < 0)
		return r;
	stdio_try_give_names(&s->stdio, s->launcher.run_fd, s->keeper.ctx.plan.uid);
	keep_streams(s);
	return 0;
}

/* In the present context, so far. */
static uint32_t invocations(const struct session *s)
{
	return s->keeper.machine.invocations;
}

/* There is nothing else to do until then. */
static void wait_until_at_rest(struct session *s, struct session_notes *notes)
{
	while (!keeper_is_at_rest(&s->keeper)) {
		struct pollfd p;
		int64_t left_ns = keeper_wait(&s->keeper, &p) - clock_now_ns();
		struct timespec left = ns_timespec(left_ns > 0 ? left_ns : 0);

		if (ppoll(&p, 1, s->keeper.machine.due_ns == CONTEXT_NEVER ? NULL : &left, NULL) >=
		    0)
			keeper_step(&s->keeper, &p);
	}
	notes->left = s->keeper.left;
}

static void destroy(struct session *s, struct session_notes *notes)
{
	keeper_end(&s->keeper);
	wait_until_at_rest(s, notes);
}

void session_verify(struct session *s, const struct outcome *out, struct session_notes *notes)
{
	*notes = (struct session_notes){ 0 };
	if (!stands(s))
		return;
	keeper_answered(&s->keeper, out);
	wait_until_at_rest(s, notes);
	s->replaced = s->keeper.machine.residue;
}

/* ---- one invocation ------------------------------------------------------------------------- */

int session_ready(struct session *s, struct session_notes *notes, struct cloche_err *err)
{
	*notes = (struct session_notes){ 0 };
	return booking_ready(&s->booking, &notes->found, err);
}

/* What is known of it before it runs. */
static void describe(const struct session *s, struct outcome *out)
{
	description_of_request(s->opt.spec, s->opt.function, s->opt.owner, s->owner, out);
	out->context.warm = invocations(s) > 0;
	out->context.reused = s->opt.reused;
}

struct invocation *session_begin(struct session *s, const struct cloche_err *refused, FILE *trace,
				 bool trace_wanted, int64_t requested_ns, struct outcome *out)
{
	struct invocation_options o = { .spec = s->opt.spec,
					.stdio = &s->stdio,
					.powers = &s->powers.powers,
					.metering = &s->metering,
					.requested_ns = requested_ns };

	describe(s, out);
	if (!refused && s->unfit.code)
		refused = &s->unfit;
	if (refused)
		out->err = *refused;
	s->begun = !refused && (stands(s) || create(s, &out->err) == 0);
	if (!s->begun) {
		(void)uuid_v4(out->request_id, NULL);
		if (trace)
			(void)fclose(trace);
		return NULL;
	}
	keeper_invoked(&s->keeper);
	out->context.replaced = invocations(s) == 1 ? s->replaced : RESIDUE_NONE;
	tracing_begin(&s->tracing, s->launcher.run_fd, trace, trace_wanted, s->opt.function,
		      &o.trace);
	powers_local_init(&s->powers, &s->keeper.ctx, &s->metering);
	invocation_begin(&s->inv, &s->keeper.ctx, &o, out);
	return &s->inv;
}

void session_end(struct session *s, struct outcome *out, struct session_notes *notes)
{
	*notes = (struct session_notes){ 0 };
	if (s->begun) {
		stream_state_restore(s->streams);
		tracing_end(&s->tracing, out);
		notes->unkept = s->tracing.unkept;
		notes->trace_filed = s->tracing.filed;
	}
	if (stands(s))
		description_of_context(&s->keeper.ctx, s->id, invocations(s), out);
	(void)snprintf(out->metered.untraced, sizeof(out->metered.untraced), "%s", s->opt.untraced);
	booking_charge(s->opt.prices, out);
	out->code_wanted = s->opt.ledger != NULL;
	if (out->code_wanted && s->begun)
		executed_hash(s->launcher.run_fd, &s->keeper.ctx, &s->inv.executed, EXECUTED_MOST,
			      out->code_sha256);
	booking_enter(&s->booking, out, &notes->found);
	if (s->begun && out->verdict == VERDICT_LAUNCH_ERROR)
		destroy(s, notes);
	s->begun = false;
}

bool session_mid_line(const struct session *s)
{
	return !s->unfit.code && stdio_mid_line(&s->stdio);
}

struct session *session_close(struct session *s, struct session_notes *notes)
{
	*notes = (struct session_notes){ 0 };
	if (!s)
		return NULL;
	metering_close(&s->metering);
	if (stands(s))
		(void)context_leave(&s->launcher, &s->keeper.ctx, &notes->left);
	launcher_close(&s->launcher);
	booking_close(&s->booking);
	tracing_close(&s->tracing);
	stdio_close(&s->stdio);
	free(s);
	return NULL;
}
