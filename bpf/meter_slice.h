/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_SLICE_H
#define CLOCHE_METER_SLICE_H

/*
 * Arithmetic that the programs and user space must do alike: what the time since a slot's last
 * change was spent on, and how much of a slice a thread did not have. Needs the __u types, bool
 * and meter_abi.h.
 */

/* Books the time up to at_ns, which is not before the last change, by what the counts of threads
 * have said since then. */
static inline void slot_book_until(struct meter_slot *s, __u64 at_ns)
{
	__u64 d = at_ns - s->last_ns;

	if (s->running)
		s->now.busy_ns += d;
	else if (!s->queued)
		s->now.idle_ns += d;
	else if (s->throttled == s->queued)
		s->now.quota_ns += d;
	else {
		s->now.contention_ns += d;
		if (s->contended_until_ns != s->last_ns)
			s->contended_since_ns = s->last_ns;
		s->contended_until_ns = at_ns;
	}
	s->now.on_cpu_ns += d * s->running;
	s->now.runnable_ns += d * s->queued;
	s->last_ns = at_ns;
}

/* Since when, without a break until the last change, not all who waited were held by the quota;
 * that change itself when they were. Nobody who waits free is held again before somebody has run.
 */
static inline __u64 slot_free_since(const struct meter_slot *s)
{
	return s->contended_until_ns == s->last_ns ? s->contended_since_ns : s->last_ns;
}

/*
 * A thread turns out to have been on a CPU from start_ns to the last change, at_ns, after that time
 * was booked without it: as its waiting or, when its wake-up was missed too, as sleep (how long it
 * waited for the CPU is lost then). The partition is put right as far as nobody else was on a CPU,
 * and no figure of the invocation falls below zero. Returns how much became busy time.
 */
static inline __u64 slot_book_late(struct meter_slot *s, __u64 start_ns, __u64 at_ns, bool waited)
{
	struct meter_counters *now = &s->now;
	bool based = s->base_epoch == s->epoch;
	__u64 *from = &now->idle_ns, most, part = 0, since;

	now->unseen++;
	if (start_ns >= at_ns)
		return 0;
	now->on_cpu_ns += at_ns - start_ns;
	if (waited)
		now->runnable_ns -= at_ns - start_ns;
	if (start_ns < s->busy_until_ns)
		start_ns = s->busy_until_ns;
	if (s->running || start_ns >= at_ns)
		return 0;
	/* Others in the queue: all were held back by the quota, nobody knows since when. */
	if (!waited && s->queued && s->throttled == s->queued) {
		__sync_fetch_and_add(&now->untracked, 1);
		return 0;
	}
	/* They waited for this one, after it had been alone. */
	if (!waited && s->queued) {
		since = slot_free_since(s);
		if (since < start_ns)
			since = start_ns;
		most = now->contention_ns - (based ? s->base.contention_ns : 0);
		part = most < at_ns - since ? most : at_ns - since;
		now->contention_ns -= part;
		now->busy_ns += part;
		at_ns = since;
	}
	if (!waited) {
		most = now->idle_ns - (based ? s->base.idle_ns : 0);
	} else if (s->throttled == s->queued) {
		/* That the quota let it go was missed as well. */
		from = &now->quota_ns;
		most = now->quota_ns - (based ? s->base.quota_ns : 0);
	} else {
		from = &now->contention_ns;
		most = now->contention_ns - (based ? s->base.contention_ns : 0);
	}
	if (most > at_ns - start_ns)
		most = at_ns - start_ns;
	now->busy_ns += most;
	*from -= most;
	return part + most;
}

/* How a thread came to be on a CPU at in_ns. */
struct arrival {
	__u64 queued_ns; /* since when it waited */
	__u64 free_ns;	 /* since when the quota did not hold all who waited; in_ns: it did to the
			    last */
	__u64 alone_ns;	 /* since when nobody else was on a CPU; in_ns when somebody was */
	__u64 in_ns;
	bool slept_alone; /* when it woke up nobody else ran or waited */
};

/*
 * A slice that began as a says did so early_ns before in the kernel's book. Returns how much of
 * that was moved to the thread's CPU time: from its waiting, and from the sleep before, where it
 * slept alone. So much of it is the slot's busy time as well as nobody else was on a CPU; the rest,
 * at its beginning, is *ret_beside.
 */
static inline __u64 slot_book_early(struct meter_slot *s, const struct arrival *a, __u64 early_ns,
				    __u64 *ret_beside)
{
	struct meter_counters *now = &s->now;
	bool based = s->base_epoch == s->epoch;
	__u64 waited = a->in_ns > a->queued_ns ? a->in_ns - a->queued_ns : 0;
	__u64 part = early_ns < waited ? early_ns : waited, moved = part;
	__u64 alone = a->in_ns > a->alone_ns ? a->in_ns - a->alone_ns : 0, held, most;
	__u64 free = a->in_ns > a->free_ns ? a->in_ns - a->free_ns : 0;

	now->runnable_ns -= part;
	if (part > alone)
		part = alone;
	held = part > free ? part - free : 0;
	part -= held;
	most = now->quota_ns - (based ? s->base.quota_ns : 0);
	if (held > most)
		held = most;
	most = now->contention_ns - (based ? s->base.contention_ns : 0);
	if (part > most)
		part = most;
	now->quota_ns -= held;
	now->contention_ns -= part;
	part += held;
	now->busy_ns += part;
	*ret_beside = moved - part;
	if (a->slept_alone && early_ns > waited && part == waited && alone > waited) {
		part = early_ns - waited;
		if (part > alone - waited)
			part = alone - waited;
		most = now->idle_ns - (based ? s->base.idle_ns : 0);
		if (part > most)
			part = most;
		now->idle_ns -= part;
		now->busy_ns += part;
		moved += part;
	}
	now->on_cpu_ns += moved;
	return moved;
}

/* v * part / whole without overflow for part <= whole, to the microsecond or so. */
static inline __u64 slice_share(__u64 v, __u64 part, __u64 whole)
{
	if (part >= whole)
		return v;
	if (whole < 1024)
		return 0;
	return (v >> 10) * (part >> 10) / (whole >> 10) << 10;
}

/*
 * A slice from in_ns to at_ns on the monotonic clock, of which the kernel's CPU clock booked
 * runtime_ns: the difference is what a hypervisor or interrupts had (signed: the two clocks are
 * read some 100 ns apart, or much more when a hypervisor comes between the two readings at the
 * slice's beginning: then the CPU clock has more than there was). Of a slice across the edge of an
 * invocation only the part after the edge is booked, and the CPU clock is silent on which side the
 * theft was: it is shared out evenly. Charging it to one side would take from an invocation what
 * was lost before it began. What was too much at the beginning was so before the edge.
 */
static inline __s64 slice_stolen(__u64 in_ns, __u64 edge_ns, __u64 at_ns, __u64 runtime_ns)
{
	__u64 held = at_ns - in_ns;
	__u64 part = in_ns < edge_ns ? at_ns - edge_ns : held;

	if (edge_ns >= at_ns)
		return 0;
	if (held >= runtime_ns)
		return (__s64)slice_share(held - runtime_ns, part, held);
	return in_ns < edge_ns ? 0 : -(__s64)(runtime_ns - held);
}

#endif
