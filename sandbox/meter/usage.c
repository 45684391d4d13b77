/* SPDX-License-Identifier: MIT */
/*
 * From two snapshots of a slot to the figures of one invocation. Here is all the arithmetic that
 * user space does, so that it can be tested without a kernel.
 */
#include "meter/usage.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <string.h>

#include "bpf/meter_abi.h"
#include "bpf/meter_slice.h"

uint64_t usage_settle(struct meter_slot *s, uint64_t at_ns)
{
	if (at_ns < s->last_ns)
		at_ns = s->last_ns;
	slot_book_until(s, at_ns);
	return at_ns;
}

/*
 * The kernel kills by the OOM killer, and whoever uses more than his limit of CPU time. Of the
 * first kind are a victim and who shares its memory, and only a victim is marked as one. A mark
 * without a kill: it was on its way out already, by its own doing, when memory ran out.
 */
static bool oom_killed(uint32_t fate)
{
	return fate & METER_MAIN_KILLED &&
	       (fate & METER_MAIN_OOM_VICTIM || !(fate & METER_MAIN_CPU_LIMIT));
}

/* What the policy and the kernel did to it; is: something happened in this epoch, without which all
 * of that is still of an earlier one. */
static void usage_add_killed(struct meter_usage *ret, const struct meter_slot *end, bool is)
{
	if (is) {
		ret->main_oom = oom_killed(end->main_fate);
		ret->main_policy = end->main_fate & METER_MAIN_POLICY;
		ret->listened = end->notif != 0;
		ret->asked = end->notif_end - end->notif_begin;
	}
	ret->killed_arch = is ? end->killed_arch : 0;
	ret->killed_call = end->killed_call;
	ret->killed_foreign = meter_foreign(ret->killed_arch, ret->killed_call);
	for (int i = 0; i < 6; i++)
		ret->killed_args[i] = end->killed_args[i];
}

/* The peaks; is: as above. */
static void usage_add_peaks(struct meter_usage *ret, const struct meter_slot *end, bool is,
			    uint64_t page_bytes)
{
	int64_t pages = is ? end->rss_peak_pages : end->rss_pages;

	ret->peak = is ? end->processes_peak : end->processes;
	ret->rss_peak_bytes = pages > 0 ? (uint64_t)pages * page_bytes : 0;
	ret->memory_known = is && end->used_peak_pages > 0;
	if (ret->memory_known) {
		ret->memory_peak_bytes = (uint64_t)end->used_peak_pages * page_bytes;
		ret->cache_peak_bytes = (uint64_t)end->droppable_peak_pages * page_bytes;
	}
}

void usage_between(const struct meter_slot *begin, uint64_t begin_ns, const struct meter_slot *end,
		   uint64_t end_ns, uint32_t epoch, bool at_exec, uint64_t page_bytes,
		   struct meter_usage *ret)
{
	const struct meter_counters *a = &begin->now, *b = &end->now;
	uint64_t since_empty = 0;

	memset(ret, 0, sizeof(*ret));
	ret->began = true;
	if (at_exec && end->base_epoch == epoch) {
		a = &end->base;
		begin_ns = end->base_ns;
	} else if (at_exec) {
		ret->began = false;
	}
	/* Nobody left: since then it can only have been idle. */
	if (!end->tasks && end->empty_ns >= begin_ns && end->empty_ns <= end_ns) {
		ret->ended = true;
		since_empty = end_ns - end->empty_ns;
	}
	ret->begin_ns = begin_ns;
	ret->end_ns = end_ns - since_empty;
	ret->busy_ns = b->busy_ns - a->busy_ns;
	ret->quota_ns = b->quota_ns - a->quota_ns;
	ret->contention_ns = b->contention_ns - a->contention_ns;
	ret->waiting_ns = ret->quota_ns + ret->contention_ns;
	ret->idle_ns = b->idle_ns - a->idle_ns - since_empty;
	ret->wall_ns = ret->end_ns - ret->begin_ns;
	ret->stolen_ns = (int64_t)(b->stolen_ns - a->stolen_ns);
	ret->on_cpu_ns = b->on_cpu_ns - a->on_cpu_ns - (uint64_t)ret->stolen_ns;
	ret->runnable_ns = b->runnable_ns - a->runnable_ns;
	ret->switches_voluntary = b->switches_voluntary - a->switches_voluntary;
	ret->switches_forced = b->switches_forced - a->switches_forced;
	ret->started = b->started - a->started;
	ret->faults = b->faults - a->faults;
	ret->faults_minor = b->faults_minor - a->faults_minor;
	ret->faults_major = b->faults_major - a->faults_major;
	ret->read_bytes = b->read_bytes - a->read_bytes;
	ret->write_bytes = b->write_bytes - a->write_bytes;
	ret->oom_kills = b->oom_kills - a->oom_kills;
	ret->rx_bytes = b->rx_bytes - a->rx_bytes;
	ret->tx_bytes = b->tx_bytes - a->tx_bytes;
	ret->lo_bytes = b->lo_bytes - a->lo_bytes;
	/* The trace begins where the invocation was asked for, not where it is billed from. */
	ret->events = b->events - begin->now.events;
	ret->lost = b->lost - begin->now.lost;
	ret->missed = b->missed - a->missed;
	ret->unseen = b->unseen - a->unseen;
	ret->complete = b->untracked == begin->now.untracked;
	ret->policy_kills = b->policy_kills - a->policy_kills;
	usage_add_killed(ret, end, end->epoch == epoch);
	usage_add_peaks(ret, end, end->epoch == epoch, page_bytes);
}

void usage_take_out(struct meter_usage *u, uint64_t frozen_ns)
{
	uint64_t out = frozen_ns < u->idle_ns ? frozen_ns : u->idle_ns;

	u->idle_ns -= out;
	u->wall_ns -= out;
	u->end_ns = u->begin_ns + u->wall_ns;
}
