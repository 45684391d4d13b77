/* SPDX-License-Identifier: MIT */
/* Root's powers over a context, used in the process that made it: see powers.h. */
#include "run/powers.h"

#include "launch/launcher.h"
#include "run/metering.h"

static int local_begin(struct powers *p, const struct metering_trace *trace, const char *request_id,
		       bool *ret_clocked, struct cloche_err *err)
{
	struct powers_local *l = (struct powers_local *)p;
	int r = metering_begin(l->metering, trace, request_id, err);

	l->before = (struct cgroup_usage){ 0 };
	/* Of all other cgroups that stayed what counts reads as in a new one (cgroup_keep). */
	if (l->ctx->old & CGROUP_V2)
		cgroup_read_cpu(&l->ctx->plan.cgroup, &l->before);

	*ret_clocked = l->metering->begun;
	return r;
}

static bool local_kill(struct powers *p)
{
	return context_kill(((struct powers_local *)p)->ctx);
}

/* UINT64_MAX: it is not known. */
static uint64_t since(uint64_t now, uint64_t before)
{
	return now == UINT64_MAX || before == UINT64_MAX ? UINT64_MAX : now - before;
}

static bool local_counted(struct powers *p, struct counted *ret)
{
	struct powers_local *l = (struct powers_local *)p;

	metering_end(l->metering, &ret->metered);
	cgroup_read(&l->ctx->plan.cgroup, &ret->usage);
	ret->usage.cpu_ns = since(ret->usage.cpu_ns, l->before.cpu_ns);
	ret->usage.user_ns = since(ret->usage.user_ns, l->before.user_ns);
	ret->usage.system_ns = since(ret->usage.system_ns, l->before.system_ns);
	ret->refused = context_refused(l->ctx);
	return true;
}

static bool local_empty(struct powers *p)
{
	return cgroup_populated(&((struct powers_local *)p)->ctx->plan.cgroup) <= 0;
}

void powers_local_init(struct powers_local *ret, const struct context *ctx,
		       struct metering *metering)
{
	*ret = (struct powers_local){ .powers = { .begin = local_begin,
						  .kill = local_kill,
						  .counted = local_counted,
						  .empty = local_empty },
				      .ctx = ctx,
				      .metering = metering };
}
