/* SPDX-License-Identifier: MIT */
/* Root's powers over a context, used in the process that made it: see powers.h. */
#include "run/powers.h"

#include "base/clock.h"
#include "launch/cgroup_counts.h"
#include "launch/launcher.h"
#include "run/metering.h"

static int local_begin(struct powers *p, const struct metering_trace *trace, const char *request_id,
		       bool *ret_clocked, struct cloche_err *err)
{
	struct powers_local *l = (struct powers_local *)p;
	int r = metering_begin(l->metering, trace, request_id, err);

	l->before = (struct cgroup_usage){ 0 };
	/* context_begin() has none counted. */
	l->refused_before = (struct bounds_refused){ 0 };
	l->parted_ns = 0;
	l->fresh_peak = false;
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

/* A peak is of this part alone where it is new, or has grown. */
static uint64_t peak_of(uint64_t now, uint64_t before, bool fresh)
{
	return fresh || (now != UINT64_MAX && before != UINT64_MAX && now > before) ? now
										    : UINT64_MAX;
}

static struct cgroup_usage used_since(const struct cgroup_usage *now,
				      const struct cgroup_usage *before, bool first, bool fresh)
{
	return (struct cgroup_usage){
		.cpu_ns = since(now->cpu_ns, before->cpu_ns),
		.user_ns = since(now->user_ns, before->user_ns),
		.system_ns = since(now->system_ns, before->system_ns),
		.throttled_ns = since(now->throttled_ns, before->throttled_ns),
		.throttled_periods = since(now->throttled_periods, before->throttled_periods),
		.memory_peak = peak_of(now->memory_peak, before->memory_peak, first || fresh),
		.oom_kills = since(now->oom_kills, before->oom_kills),
		.pids_denied = since(now->pids_denied, before->pids_denied),
		.pids_peak = peak_of(now->pids_peak, before->pids_peak, first),
	};
}

/* Returns what the cgroups have counted by now. */
static struct cgroup_usage count(struct powers_local *l, struct counted *ret)
{
	struct bounds_refused refused = context_refused(l->ctx);
	struct cgroup_usage now;

	cgroup_read(&l->ctx->plan.cgroup, &now);
	ret->usage = used_since(&now, &l->before, l->parted_ns == 0, l->fresh_peak);
	ret->refused = (struct bounds_refused){
		.locks = refused.locks - l->refused_before.locks,
		.connections = refused.connections - l->refused_before.connections,
		.read_only = refused.read_only - l->refused_before.read_only,
	};
	l->refused_before = refused;
	return now;
}

static bool local_counted(struct powers *p, struct counted *ret)
{
	struct powers_local *l = (struct powers_local *)p;

	metering_end(l->metering, l->parted_ns ? l->ctx->plan.shared->resumed_ns : 0,
		     &ret->metered);
	(void)count(l, ret);
	return true;
}

/* The last one that freezes is told to be frozen a moment before it leaves its CPU; one whose quota
 * ends in that moment, a period. */
#define REST_TRIES 100

static bool local_part(struct powers *p, struct counted *ret)
{
	struct powers_local *l = (struct powers_local *)p;
	const struct shared *shared = l->ctx->plan.shared;
	int64_t paused_ns = __atomic_load_n(&shared->paused_ns, __ATOMIC_SEQ_CST);

	if (!paused_ns || (!metering_at_rest(l->metering) && ++l->tries < REST_TRIES))
		return false;
	/* It is counted as often as it goes on. */
	if (!l->parted_ns)
		cgroup_counts_open_used(&l->ctx->plan.cgroup);
	metering_part(l->metering, l->parted_ns ? shared->resumed_ns : 0, paused_ns, &ret->metered);
	l->before = count(l, ret);
	l->fresh_peak = cgroup_new_peak(&l->ctx->plan.cgroup);
	l->parted_ns = clock_now_ns();
	l->tries = 0;
	return true;
}

/* Mostly it is a moment; the longest is a period of its quota. */
#define REST_NS	     (20 * NSEC_PER_USEC)
#define REST_DOUBLES 9

int64_t powers_local_patience(const struct powers_local *p)
{
	unsigned n = p->tries < REST_DOUBLES ? p->tries : REST_DOUBLES;

	return p->tries ? (int64_t)REST_NS << n : 0;
}

bool powers_local_owed(const struct powers_local *p)
{
	return !p->parted_ns || p->ctx->plan.shared->resumed_ns > p->parted_ns;
}

static bool local_empty(struct powers *p)
{
	return cgroup_populated(&((struct powers_local *)p)->ctx->plan.cgroup) <= 0;
}

void powers_local_init(struct powers_local *ret, struct context *ctx, struct metering *metering)
{
	*ret = (struct powers_local){ .powers = { .begin = local_begin,
						  .kill = local_kill,
						  .counted = local_counted,
						  .part = local_part,
						  .empty = local_empty },
				      .ctx = ctx,
				      .metering = metering };
}
