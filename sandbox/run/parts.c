/* SPDX-License-Identifier: MIT */
/* The arithmetic of an invocation that began with an init: see parts.h. UINT64_MAX: not known. */
#include "run/parts.h"

#include "run/outcome.h"

#include <string.h>
#include <sys/time.h>

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a == UINT64_MAX || b == UINT64_MAX ? UINT64_MAX : a + b;
}

static uint64_t more(uint64_t a, uint64_t b)
{
	return a > b ? a : b; /* not known is more than all */
}

static void add_time(struct timeval *to, const struct timeval *t)
{
	struct timeval both;

	timeradd(to, t, &both);
	*to = both;
}

static void join_rusage(struct rusage *to, const struct rusage *init)
{
	add_time(&to->ru_utime, &init->ru_utime);
	add_time(&to->ru_stime, &init->ru_stime);
	if (init->ru_maxrss > to->ru_maxrss)
		to->ru_maxrss = init->ru_maxrss;
	to->ru_minflt += init->ru_minflt;
	to->ru_majflt += init->ru_majflt;
	to->ru_inblock += init->ru_inblock;
	to->ru_oublock += init->ru_oublock;
	to->ru_nvcsw += init->ru_nvcsw;
	to->ru_nivcsw += init->ru_nivcsw;
}

static void join_usage(struct cgroup_usage *to, const struct cgroup_usage *init)
{
	to->cpu_ns = sum(to->cpu_ns, init->cpu_ns);
	to->user_ns = sum(to->user_ns, init->user_ns);
	to->system_ns = sum(to->system_ns, init->system_ns);
	to->throttled_ns = sum(to->throttled_ns, init->throttled_ns);
	to->throttled_periods = sum(to->throttled_periods, init->throttled_periods);
	to->oom_kills = sum(to->oom_kills, init->oom_kills);
	to->pids_denied = sum(to->pids_denied, init->pids_denied);
	to->memory_peak = more(to->memory_peak, init->memory_peak);
	to->pids_peak = more(to->pids_peak, init->pids_peak);
}

static void join_times(struct meter_usage *to, const struct meter_usage *init)
{
	to->begin_ns = init->begin_ns;
	to->wall_ns += init->wall_ns;
	to->busy_ns += init->busy_ns;
	to->waiting_ns += init->waiting_ns;
	to->quota_ns += init->quota_ns;
	to->contention_ns += init->contention_ns;
	to->idle_ns += init->idle_ns;
	to->on_cpu_ns += init->on_cpu_ns;
	to->stolen_ns += init->stolen_ns;
	to->runnable_ns += init->runnable_ns;
}

static void join_policy(struct meter_usage *to, const struct meter_usage *init)
{
	if (!to->killed_arch) {
		to->killed_arch = init->killed_arch;
		to->killed_call = init->killed_call;
		to->killed_foreign = init->killed_foreign;
		memcpy(to->killed_args, init->killed_args, sizeof(to->killed_args));
	}
	to->policy_kills += init->policy_kills;
	to->listened &= init->listened;
	to->asked += init->asked;
}

/* What is there when init is over is there in the other part, too, but was started once. */
static void join_meter(struct meter_usage *to, const struct meter_usage *init)
{
	join_times(to, init);
	join_policy(to, init);
	to->complete &= init->complete;
	to->switches_voluntary += init->switches_voluntary;
	to->switches_forced += init->switches_forced;
	to->started += init->started;
	to->peak = more(to->peak, init->peak);
	to->faults += init->faults;
	to->faults_minor += init->faults_minor;
	to->faults_major += init->faults_major;
	to->read_bytes += init->read_bytes;
	to->write_bytes += init->write_bytes;
	to->oom_kills += init->oom_kills;
	to->rx_bytes += init->rx_bytes;
	to->tx_bytes += init->tx_bytes;
	to->lo_bytes += init->lo_bytes;
	to->rss_peak_bytes = more(to->rss_peak_bytes, init->rss_peak_bytes);
	to->memory_known &= init->memory_known;
	to->memory_peak_bytes = more(to->memory_peak_bytes, init->memory_peak_bytes);
	to->cache_peak_bytes = more(to->cache_peak_bytes, init->cache_peak_bytes);
	to->events += init->events;
	to->lost += init->lost;
	to->unseen += init->unseen;
}

void parts_join(struct outcome *out, const struct outcome *init)
{
	out->started_real_ns = init->started_real_ns;
	out->wall_ns += init->wall_ns;
	out->on_cpu_ns = sum(out->on_cpu_ns, init->on_cpu_ns);
	out->rusage_ns = sum(out->rusage_ns, init->rusage_ns);
	join_rusage(&out->rusage, &init->rusage);
	join_usage(&out->usage, &init->usage);
	out->charged_known &= init->charged_known;
	join_meter(&out->metered.usage, &init->metered.usage);
	if (out->metered.known && !init->metered.known) {
		out->metered.known = false;
		memcpy(out->metered.why, init->metered.why, sizeof(out->metered.why));
	}
	out->refused.locks += init->refused.locks;
	out->refused.connections += init->refused.connections;
	out->refused.read_only += init->refused.read_only;
	denials_join(&out->denials, &init->denials);
}
