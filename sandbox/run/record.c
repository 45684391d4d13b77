/* SPDX-License-Identifier: MIT */
/*
 * From an invocation to its record in the ledger. Nothing is measured or computed here; a figure
 * that nobody measured is null there as it is in the report.
 */
#include "run/record.h"

#include "base/quote.h"
#include "ledger/ledger_record.h"
#include "run/outcome.h"

#include <string.h>
#include <sys/wait.h>

#define FIELD(field, text) quote_field((field), sizeof(field), (text))

static int64_t figure(uint64_t v)
{
	return v > INT64_MAX ? LEDGER_NULL : (int64_t)v;
}

static void add_figures(const struct outcome *out, struct ledger_record *ret)
{
	const struct meter_usage *m = outcome_metered(out);
	uint64_t peak;

	ret->init_ns = out->init_ns; /* a command has no init phase */
	ret->wall_ns = out->wall_ns;
	ret->on_cpu_ns = figure(out->on_cpu_ns);
	ret->user_ns = figure(out->usage.user_ns);
	ret->system_ns = figure(out->usage.system_ns);
	ret->throttled_ns = figure(out->usage.throttled_ns);
	if (m) {
		ret->busy_ns = figure(m->busy_ns);
		ret->waiting_ns = figure(m->waiting_ns);
		ret->idle_ns = figure(m->idle_ns);
		ret->contention_ns = figure(m->contention_ns);
	}
	if (outcome_memory_peak(out, &peak))
		ret->memory_peak_bytes = figure(peak);
	if (WIFEXITED(out->status))
		ret->exit_code = WEXITSTATUS(out->status);
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

void record_make(const struct outcome *out, struct ledger_record *ret)
{
	ledger_record_init(ret);
	FIELD(ret->request_id, out->request_id);
	FIELD(ret->function, out->function);
	ret->owner_uid = out->owner.uid;
	FIELD(ret->owner_name, out->owner.name);
	FIELD(ret->verdict, verdict_text(out->verdict));
	FIELD(ret->reuse, outcome_reuse(out));
	ret->cold = !out->context.warm;
	ret->started_ns = out->started_real_ns;
	ret->launch_ns = out->launch_ns;
	ret->memory_limit_bytes = figure(out->limits.memory_bytes);
	if (out->ran)
		add_figures(out, ret);
	if (out->charged)
		add_charge(&out->charge, ret);
	FIELD(ret->code_sha256, out->code_sha256);
	FIELD(ret->prices, out->prices);
	FIELD(ret->prices_sha256, out->prices_sha256);
	FIELD(ret->policy, out->policy.name);
	FIELD(ret->policy_sha256, out->policy.sha256);
}
