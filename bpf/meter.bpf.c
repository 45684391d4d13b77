/* SPDX-License-Identifier: MIT */
/*
 * The meter: who was on which CPU when, for the processes of armed cgroups and nobody else.
 *
 * Theory of operation. User space arms a slot for a cgroup2 id before the first process is born
 * there (CLONE_INTO_CGROUP). From then on every thread of that cgroup gets a struct thread at its
 * birth and loses it at its last switch; the scheduler's events move it between asleep, queued and
 * running, and the slot counts how many threads are in each. Whenever one of these counts is about
 * to change, the time since the last change is booked by what they said until then (slot_settle).
 * So the sums are integrals over one and the same clock and add up exactly.
 *
 * Clocks and order. Events of one thread are ordered by the scheduler's own locks. Events of
 * different threads meet at the slot's lock; each brings the time that it read before, and one
 * that waited for the lock is dated forward to the slot's last event. User space sets an edge by
 * writing ctl.floor_ns and then copying the slot under the lock: what comes later is dated at the
 * floor at least. Time therefore never runs backwards in a slot and no difference is negative; a
 * date is off by no more than the wait for the lock.
 *
 * The rest of the host pays one look into a small table (near_task) per event. It counts the
 * threads that fall on an entry; zero, nearly always, means that nobody asked.
 *
 * Only tp_btf and cgroup_skb: fentry, LSM and kprobes are refused on some hosts. No loop anywhere.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "meter_abi.h"
#include "meter_event.h"
#include "meter_life.h"
#include "meter_memory.h"
#include "meter_state.h"
#include "meter_trace.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define STATE_DEAD	 0x80 /* TASK_DEAD, the same since 4.14 */
#define LOOPBACK_IFINDEX 1    /* in every network namespace */

/* ---- scheduler ---------------------------------------------------------------------------- */

/* Remembers whose timers end the throttling, and on which queue to look whether they did. */
static __always_inline void throttle_watch(__u32 slot, struct meter_slot *s, struct task_struct *t)
{
	struct task_group *tg = t->sched_task_group;
	__u64 period =
		(__u64)tg + bpf_core_field_offset(struct task_group, cfs_bandwidth.period_timer);
	__u64 slack =
		(__u64)tg + bpf_core_field_offset(struct task_group, cfs_bandwidth.slack_timer);

	s->throttled_rq = (__u64)t->se.cfs_rq;
	if (s->timer[0] == period)
		return;
	s->timer[0] = period;
	s->timer[1] = slack;
	bpf_map_update_elem(&timers, &period, &slot, BPF_ANY);
	bpf_map_update_elem(&timers, &slack, &slot, BPF_ANY);
}

static __always_inline __u32 off_reason(bool dead, bool runnable, bool throttled, bool alone)
{
	if (dead)
		return METER_OFF_DEAD;
	if (!runnable)
		return METER_OFF_SLEEP;
	if (!throttled)
		return METER_OFF_PREEMPTED;
	return alone ? METER_OFF_THROTTLED : METER_OFF_THROTTLED_ALL;
}

static __always_inline void switch_out(struct task_struct *t, struct thread *r, bool preempt,
				       __u64 at)
{
	__u32 slot = r->slot;
	struct meter_slot *s = bpf_map_lookup_elem(&slots, &slot);
	struct meter_ctl *c = bpf_map_lookup_elem(&ctl, &slot);
	__u64 minor = t->min_flt, major = t->maj_flt;
	__u64 rd = t->ioac.read_bytes, wr = t->ioac.write_bytes;
	__u64 runtime = t->se.sum_exec_runtime;
	/* Read afresh: when a signal keeps a thread from sleeping, 6.1 hands the tracepoint the
	 * state that it gave up. A remote waker cannot have changed it yet (it waits for on_cpu
	 * or the run queue's lock). */
	__u32 state = t->__state;
	bool runnable = preempt || !state, dead = state & STATE_DEAD && !preempt, live;
	bool throttled = runnable && task_is_throttled(t), alone = task_throttles_itself();
	bool unseen = r->state != RUNNING;
	__u64 early = 0, since = r->state == QUEUED ? r->queued_ns : 0;
	__u32 before, held = 0;

	if (!s || !c)
		return;
	if (throttled)
		throttle_watch(slot, s, t);
	bpf_spin_lock(&s->lock);
	live = s->gen == r->gen;
	if (live) {
		at = slot_settle(s, c, at);
		before = s->throttled;
		if (unseen) {
			early = slot_book_unseen(s, r, c, at, runtime);
			slot_move(s, r, RUNNING, false);
			held = since && r->throttled ? METER_ON_HELD : 0;
		} else {
			early = slot_book_slice(s, r, c, at, runtime);
		}
		r->runtime = runtime;
		slot_move(s, r, runnable ? QUEUED : ASLEEP, throttled);
		/* Kernels that take off the whole queue: who waits there waits with it. */
		if (throttled && !alone)
			slot_mark_all(s, true);
		slot_count_throttles(s, before);
		slot_book_task(s, r, minor, major, rd, wr);
		if (runnable)
			s->now.switches_forced++;
		else
			s->now.switches_voluntary++;
		if (dead && s->tasks && !--s->tasks)
			s->empty_ns = at;
	}
	bpf_spin_unlock(&s->lock);
	memory_look(s, c, r->gen, t);
	r->queued_ns = runnable ? at : 0;
	r->slept_alone = false;
	if (live && unseen)
		event_emit(slot, s, c, at, METER_EV_ON, t, METER_ON_UNSEEN | held, since);
	if (live)
		event_emit(slot, s, c, at, METER_EV_OFF, t,
			   off_reason(dead, runnable, throttled, alone), early);
	if (dead)
		task_forget(t);
}

static __always_inline void switch_in(struct task_struct *t, struct thread *r, __u64 at)
{
	__u32 slot = r->slot;
	struct meter_slot *s = bpf_map_lookup_elem(&slots, &slot);
	struct meter_ctl *c = bpf_map_lookup_elem(&ctl, &slot);
	__u64 runtime = t->se.sum_exec_runtime;
	__u32 before, began_held;
	bool live;

	if (!s || !c)
		return;
	began_held = r->state == QUEUED && r->throttled ? METER_ON_BEGAN_HELD : 0;
	bpf_spin_lock(&s->lock);
	live = s->gen == r->gen;
	if (live) {
		at = slot_settle(s, c, at);
		before = s->throttled;
		r->alone_ns = s->running ? at : s->busy_until_ns;
		r->free_ns = slot_free_since(s);
		slot_move(s, r, RUNNING, false);
		r->in_ns = at;
		r->runtime = runtime;
		slot_count_throttles(s, before);
	}
	bpf_spin_unlock(&s->lock);
	if (live)
		event_emit(slot, s, c, at, METER_EV_ON, t,
			   (r->throttled ? METER_ON_HELD : 0) | began_held, r->queued_ns);
	r->throttled = 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(meter_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	bool near_prev = task_is_near(prev), near_next = task_is_near(next);
	struct thread *r;
	__u64 at;

	if (!near_prev && !near_next)
		return 0;
	at = bpf_ktime_get_ns();
	if (near_prev) {
		r = task_thread(prev);
		if (r)
			switch_out(prev, r, preempt, at);
	}
	if (near_next) {
		r = task_thread(next);
		if (r)
			switch_in(next, r, at);
	}
	return 0;
}

static __always_inline int wakeup(struct task_struct *t)
{
	struct thread *r = task_thread(t);
	struct meter_slot *s;
	struct meter_ctl *c;
	bool throttled;
	__u32 slot, before;
	__u64 at;

	/* A thread that wakes before it has left its CPU was never asleep. */
	if (!r || r->state != ASLEEP)
		return 0;
	at = bpf_ktime_get_ns();
	slot = r->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	c = bpf_map_lookup_elem(&ctl, &slot);
	if (!s || !c)
		return 0;
	/* Where threads throttle themselves, one that wakes has yet to find out. */
	throttled = !task_throttles_itself() && task_is_throttled(t);
	if (throttled)
		throttle_watch(slot, s, t);
	bpf_spin_lock(&s->lock);
	if (s->gen == r->gen) {
		at = slot_settle(s, c, at);
		before = s->throttled;
		r->slept_alone = !s->running && !s->queued;
		slot_move(s, r, QUEUED, throttled);
		slot_count_throttles(s, before);
	}
	bpf_spin_unlock(&s->lock);
	r->queued_ns = at;
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(meter_wakeup, struct task_struct *t)
{
	return wakeup(t);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(meter_wakeup_new, struct task_struct *t)
{
	return wakeup(t);
}

/* The end of a bandwidth timer: nothing else lets a throttled group go on (but rewriting the
 * quota, and then the next switch shows it). From here on waiting is somebody else's doing. */
SEC("tp_btf/hrtimer_expire_exit")
int BPF_PROG(meter_timer, struct hrtimer *timer)
{
	__u64 key = (__u64)timer, at;
	struct meter_slot *s;
	struct meter_ctl *c;
	struct cfs_rq *rq;
	__u32 *slot, before;
	bool freed = false;

	if (!*(volatile __u32 *)&throttles_pending)
		return 0;
	slot = bpf_map_lookup_elem(&timers, &key);
	if (!slot)
		return 0;
	at = bpf_ktime_get_ns();
	s = bpf_map_lookup_elem(&slots, slot);
	c = bpf_map_lookup_elem(&ctl, slot);
	if (!s || !c)
		return 0;
	/* Other CPUs are told by interrupt since 6.3: the flag falls later than the debt. */
	rq = (struct cfs_rq *)s->throttled_rq;
	if (!rq || (cfs_rq_is_throttled(rq) && BPF_CORE_READ(rq, runtime_remaining) <= 0))
		return 0;
	bpf_spin_lock(&s->lock);
	if (s->throttled && (s->timer[0] == key || s->timer[1] == key)) {
		at = slot_settle(s, c, at);
		before = s->throttled;
		slot_mark_all(s, false);
		slot_count_throttles(s, before);
		freed = true;
	}
	bpf_spin_unlock(&s->lock);
	if (freed)
		event_emit(*slot, s, c, at, METER_EV_UNTHROTTLE, NULL, 0, 0);
	return 0;
}

/* ---- memory ------------------------------------------------------------------------------- */

SEC("tp_btf/page_fault_user")
int BPF_PROG(meter_fault)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct thread *r = task_thread(t);
	struct meter_slot *s;
	__u64 minor, major, rd, wr;
	__u32 slot;

	if (!r)
		return 0;
	slot = r->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	if (!s)
		return 0;
	/* Books the faults before this one, so that a thread that never leaves its CPU is behind
	 * by one and not by thousands. */
	minor = t->min_flt;
	major = t->maj_flt;
	rd = t->ioac.read_bytes;
	wr = t->ioac.write_bytes;
	bpf_spin_lock(&s->lock);
	if (s->gen == r->gen) {
		s->now.faults++;
		slot_book_task(s, r, minor, major, rd, wr);
	}
	bpf_spin_unlock(&s->lock);
	return 0;
}

SEC("tp_btf/rss_stat")
int BPF_PROG(meter_rss, struct mm_struct *mm)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct thread *r = task_thread(t);
	struct mm_pages fresh = {}, *m;
	__u64 key = (__u64)mm;
	struct meter_slot *s;
	struct meter_ctl *c;
	__u32 slot;
	__s64 pages;

	if (!r)
		return 0;
	slot = r->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	c = bpf_map_lookup_elem(&ctl, &slot);
	if (!s || !c)
		return 0;
	memory_look(s, c, r->gen, t);
	m = bpf_map_lookup_elem(&mms, &key);
	if (m && m->gen != r->gen)
		return 0; /* somebody else's memory, written from here */
	pages = mm_resident_pages(mm);
	/* The common part moves by batches: most events end here. */
	if (m ? m->pages == pages : !pages)
		return 0;
	/* Until its exec the first process may share the launcher's memory (vfork). */
	if (c->flags & METER_BEGIN_AT_EXEC && s->base_epoch != *(volatile const __u32 *)&c->epoch)
		return 0;
	if (!m) {
		fresh.gen = r->gen;
		fresh.slot = slot;
		bpf_map_update_elem(&mms, &key, &fresh, BPF_NOEXIST);
		m = bpf_map_lookup_elem(&mms, &key);
		if (!m)
			return 0;
	}
	bpf_spin_lock(&s->lock);
	if (s->gen == m->gen) {
		/* A stale epoch's peak goes before a new one is set. */
		slot_settle(s, c, s->last_ns);
		s->rss_pages += pages - m->pages;
		m->pages = pages;
		if (s->rss_pages > s->rss_peak_pages)
			s->rss_peak_pages = s->rss_pages;
	}
	bpf_spin_unlock(&s->lock);
	return 0;
}

/* Files of a tmpfs are cut short or go: the last moment at which their pages are there. */
SEC("tp_btf/mm_filemap_delete_from_page_cache")
int BPF_PROG(meter_file_gone)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct thread *r = task_thread(t);
	struct meter_slot *s;
	struct meter_ctl *c;
	__u32 slot;

	if (!r)
		return 0;
	slot = r->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	c = bpf_map_lookup_elem(&ctl, &slot);
	if (s && c)
		memory_look(s, c, r->gen, t);
	return 0;
}

/* Whoever drops the last reference: the memory was the slot's until now. */
SEC("tp_btf/exit_mmap")
int BPF_PROG(meter_mm_gone, struct mm_struct *mm)
{
	__u64 key = (__u64)mm;
	__u32 slot;
	struct mm_pages *m;
	struct meter_slot *s;

	m = bpf_map_lookup_elem(&mms, &key);
	if (!m)
		return 0;
	slot = m->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	if (!s)
		return 0;
	bpf_spin_lock(&s->lock);
	if (s->gen == m->gen)
		s->rss_pages -= m->pages;
	bpf_spin_unlock(&s->lock);
	bpf_map_delete_elem(&mms, &key);
	return 0;
}

SEC("raw_tp")
int meter_cpus(void *ctx)
{
	memory_find_cpus();
	return 0;
}

/* ---- network ------------------------------------------------------------------------------ */

static __always_inline int count_bytes(struct __sk_buff *skb, bool out)
{
	__u64 id = bpf_skb_cgroup_id(skb);
	struct meter_target *target = bpf_map_lookup_elem(&by_cgroup, &id);
	struct meter_slot *s;
	__u32 slot;

	if (!target)
		return 1;
	slot = target->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	if (!s || s->gen != target->gen)
		return 1;
	if (skb->ifindex == LOOPBACK_IFINDEX) {
		/* Both ends are ours: counted once, on the way out. */
		if (out)
			__sync_fetch_and_add(&s->now.lo_bytes, skb->len);
	} else if (out) {
		__sync_fetch_and_add(&s->now.tx_bytes, skb->len);
	} else {
		__sync_fetch_and_add(&s->now.rx_bytes, skb->len);
	}
	return 1;
}

SEC("cgroup_skb/egress")
int meter_egress(struct __sk_buff *skb)
{
	return count_bytes(skb, true);
}

SEC("cgroup_skb/ingress")
int meter_ingress(struct __sk_buff *skb)
{
	return count_bytes(skb, false);
}
