/* SPDX-License-Identifier: MIT */
/*
 * From an invocation to its record in the ledger. Nothing is measured or computed here; a figure
 * that nobody measured is null there as it is in the report.
 */
#include "run/record.h"

#include "base/quote.h"
#include "launch/launcher.h"
#include "launch/spec.h"
#include "ledger/ledger_record.h"
#include "ledger/prices.h"
#include "run/invocation.h"
#include "run/owner.h"
#include "run/report.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIELD(field, text) quote_field((field), sizeof(field), (text))

static int64_t figure(uint64_t v)
{
	return v > INT64_MAX ? LEDGER_NULL : (int64_t)v;
}

static void add_figures(const struct invocation *inv, struct ledger_record *ret)
{
	const struct cgroup_usage *u = &inv->usage;
	const struct meter_usage *m = &inv->metered.usage;
	uint64_t peak;

	ret->init_ns = 0; /* a command has no init phase */
	ret->wall_ns = inv->wall_ns;
	ret->on_cpu_ns = figure(inv->on_cpu_ns);
	ret->user_ns = figure(u->user_ns);
	ret->system_ns = figure(u->system_ns);
	ret->throttled_ns = figure(u->throttled_ns);
	if (!inv->metered.why) {
		ret->busy_ns = figure(m->busy_ns);
		ret->waiting_ns = figure(m->waiting_ns);
		ret->idle_ns = figure(m->idle_ns);
		ret->contention_ns = figure(m->contention_ns);
	}
	if (invocation_memory_peak(inv, &peak))
		ret->memory_peak_bytes = figure(peak);
	if (WIFEXITED(inv->status))
		ret->exit_code = WEXITSTATUS(inv->status);
}

static void add_charge(const struct prices_charge *c, struct ledger_record *ret)
{
	ret->duration_ns = c->duration_ns;
	ret->billed_ms = c->billed_ms;
	ret->gbs_nano = c->gbs_nano;
	ret->charge = c->charge;
	ret->request = c->request;
	ret->fair = c->fair;
}

void record_make(const struct report *r, const struct prices *prices, struct ledger_record *ret)
{
	const struct invocation *inv = r->inv;

	ledger_record_init(ret);
	FIELD(ret->request_id, inv->request_id);
	FIELD(ret->function, r->function ? r->function : "");
	ret->owner_uid = getuid();
	owner_name(getuid(), ret->owner_name);
	FIELD(ret->verdict, verdict_text(inv->verdict));
	FIELD(ret->reuse, r->context->reuse);
	ret->cold = strcmp(r->context->start, "cold") == 0;
	ret->started_ns = inv->started_real_ns;
	ret->launch_ns = inv->launch_ns;
	ret->memory_limit_bytes = figure(r->spec->memory_bytes);
	if (inv->ran)
		add_figures(inv, ret);
	if (r->charge)
		add_charge(r->charge, ret);
	if (r->code_sha256)
		FIELD(ret->code_sha256, r->code_sha256);
	FIELD(ret->prices, prices->name);
	FIELD(ret->prices_sha256, prices->sha256);
	if (r->ctx) {
		FIELD(ret->policy, r->ctx->plan.policy.name);
		FIELD(ret->policy_sha256, r->ctx->plan.policy.sha256);
	}
}
