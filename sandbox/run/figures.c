/* SPDX-License-Identifier: MIT */
/* The arithmetic of an invocation's end: see figures.h. No system calls. UINT64_MAX: not known. */
#include "run/figures.h"

#include "base/clock.h"
#include "host/bounds.h"
#include "run/outcome.h"

#include <signal.h>

static uint64_t minus(uint64_t now, uint64_t before)
{
	return now == UINT64_MAX || before == UINT64_MAX || now < before ? UINT64_MAX
									 : now - before;
}

static uint64_t less(uint64_t v, uint64_t by)
{
	return v == UINT64_MAX ? v : v > by ? v - by : 0;
}

static uint64_t rusage_ns(const struct rusage *u)
{
	return (uint64_t)(timeval_ns(u->ru_utime) + timeval_ns(u->ru_stime));
}

struct cgroup_usage figures_since(const struct cgroup_usage *now, const struct cgroup_usage *before,
				  uint64_t ours_ns)
{
	struct cgroup_usage u = *now;
	uint64_t user = minus(now->user_ns, before->user_ns);
	uint64_t system = minus(now->system_ns, before->system_ns);

	u.cpu_ns = less(minus(now->cpu_ns, before->cpu_ns), ours_ns);
	u.user_ns = user;
	u.system_ns = system;
	/* The kernel knows their ratio only, sampled by ticks; the sum is exact. */
	if (u.cpu_ns != UINT64_MAX && user != UINT64_MAX && system != UINT64_MAX) {
		double part = user + system ? (double)user / (double)(user + system) : 1;

		u.user_ns = (uint64_t)((double)u.cpu_ns * part);
		u.system_ns = u.cpu_ns - u.user_ns;
	}
	u.throttled_ns = minus(now->throttled_ns, before->throttled_ns);
	u.throttled_periods = minus(now->throttled_periods, before->throttled_periods);
	u.oom_kills = minus(now->oom_kills, before->oom_kills);
	u.pids_denied = minus(now->pids_denied, before->pids_denied);
	return u;
}

static void add_usage(const struct observed *seen, struct outcome *out)
{
	out->usage = figures_since(&seen->after, &seen->before, seen->launch_cpu_ns);
	/* Where the peak cannot be reset it is this invocation's only when it has grown. */
	out->charged_known =
		seen->after.memory_peak != UINT64_MAX &&
		(seen->fresh_peak || seen->after.memory_peak > seen->before.memory_peak);
	out->rusage_ns = less(rusage_ns(&seen->rusage), seen->launch_cpu_ns);
	out->on_cpu_ns = out->metered.known ? out->metered.usage.on_cpu_ns : out->usage.cpu_ns;
}

static void add_times(const struct observed *seen, struct outcome *out)
{
	int64_t start_ns = seen->start_ns;

	out->overshoot_ns = -1;
	if (!seen->ran) {
		out->launch_ns = seen->dead_ns - seen->requested_ns;
		return;
	}
	if (out->metered.known) {
		out->wall_ns = (int64_t)out->metered.usage.wall_ns;
		start_ns = (int64_t)out->metered.usage.begin_ns;
	} else {
		out->wall_ns = (seen->told ? seen->end_ns : seen->dead_ns) - start_ns;
	}
	out->launch_ns = start_ns - seen->requested_ns;
	if (seen->killed && seen->cause == VERDICT_TIMEOUT)
		out->overshoot_ns = seen->dead_ns - seen->deadline_ns;
}

/* The last ones may have been taken back, and so may all: the meter knows how many there were, but
 * for what ended with the warden, and so after the listener. */
static void add_overtaken(const struct observed *seen, struct denials *d, struct metered *m)
{
	m->usage.listened &= !seen->with_warden;
	if (m->known && m->usage.listened && m->usage.asked > denials_all(d) + d->made)
		d->overtaken = m->usage.asked - d->total - d->made;
}

static enum verdict find_verdict(const struct observed *seen, const struct outcome *out)
{
	const struct meter_usage *m = out->metered.known ? &out->metered.usage : NULL;

	return verdict_of(
		&(struct ending){ .killed = seen->killed,
				  .cause = seen->cause,
				  .output_cut = seen->output_cut,
				  .denied_most = denials_all(&out->denials) > DENIALS_MAX,
				  .metered = m != NULL,
				  .main_oom = m && (m->main_oom || seen->forked),
				  .main_policy = m && (m->main_policy || seen->forked),
				  .oom_kills = out->usage.oom_kills,
				  .pids_denied = out->usage.pids_denied,
				  .policy_kills = seen->policy_kills || (m && m->killed_foreign),
				  .refused = bounds_refused_all(&out->refused),
				  .ran = seen->ran,
				  .status = out->status });
}

void figures_of(const struct observed *seen, struct outcome *out)
{
	out->ran = seen->ran;
	out->killed = seen->killed;
	out->left_processes = seen->left_processes;
	/* Where it was ended together with the warden, nobody was left to tell how. */
	out->told = seen->told;
	out->status = seen->told ? seen->status : SIGKILL;
	out->rusage = seen->rusage;
	add_usage(seen, out);
	add_times(seen, out);
	add_overtaken(seen, &out->denials, &out->metered);
	out->verdict = find_verdict(seen, out);
}
