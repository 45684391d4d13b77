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
#include "meter_memory.h"
#include "meter_state.h"

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
			   dead		? METER_OFF_DEAD
			   : !runnable	? METER_OFF_SLEEP
			   : !throttled ? METER_OFF_PREEMPTED
			   : alone	? METER_OFF_THROTTLED
					: METER_OFF_THROTTLED_ALL,
			   early);
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

/* ---- what the policy refuses --------------------------------------------------------------- */

/*
 * A call about which the policy asks its listener is refused even when a signal takes the question
 * back before the listener has read it. Only the kernel's own counter of questions has it then.
 */
static __always_inline __u64 notif_of(struct task_struct *t)
{
	if (!bpf_core_field_exists(t->seccomp.filter))
		return 0;
	return (__u64)BPF_CORE_READ(t, seccomp.filter, notif);
}

static __always_inline __u64 notif_next(__u64 notif)
{
	__u64 id = 0;

	if (notif)
		bpf_probe_read_kernel(
			&id, sizeof(id),
			(void *)(notif + bpf_core_field_offset(struct notification, next_id)));
	return id;
}

/* ---- life and death ----------------------------------------------------------------------- */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(meter_fork, struct task_struct *parent, struct task_struct *child)
{
	__u64 id = task_cgroup_id(child), at;
	struct meter_target *target = bpf_map_lookup_elem(&by_cgroup, &id);
	struct thread r = { .state = ASLEEP, .entered = NEWBORN };
	struct meter_slot *s;
	struct meter_ctl *c;
	__u32 slot;
	bool live;

	if (!target)
		return 0;
	at = bpf_ktime_get_ns();
	r.gen = target->gen;
	r.slot = slot = target->slot;
	r.leader = child->pid == child->tgid;
	if (r.leader) {
		id = (__u64)child->signal;
		bpf_map_delete_elem(&gone, &id);
	}
	s = bpf_map_lookup_elem(&slots, &slot);
	c = bpf_map_lookup_elem(&ctl, &slot);
	if (!s || !c)
		return 0;
	if (!task_remember(child, &r)) {
		__sync_fetch_and_add(&s->now.untracked, 1);
		return 0;
	}
	bpf_spin_lock(&s->lock);
	live = s->gen == r.gen;
	if (live) {
		at = slot_settle(s, c, at);
		s->tasks++;
		if (r.leader) {
			s->now.started++;
			if (++s->processes > s->processes_peak)
				s->processes_peak = s->processes;
		}
	}
	bpf_spin_unlock(&s->lock);
	if (live)
		event_emit(slot, s, c, at, METER_EV_FORK, parent, child->pid, !r.leader);
	return 0;
}

/* Fires when the new image is in place and the next thing is its first instruction. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(meter_exec, struct task_struct *t, pid_t old_pid, struct linux_binprm *bprm)
{
	struct thread *r = task_thread(t);
	__u64 at, minor, major, rd, wr, notif, asked;
	struct meter_slot *s;
	struct meter_ctl *c;
	__u32 slot;
	bool live;

	if (!r)
		return 0;
	at = bpf_ktime_get_ns();
	slot = r->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	c = bpf_map_lookup_elem(&ctl, &slot);
	if (!s || !c)
		return 0;
	minor = t->min_flt;
	major = t->maj_flt;
	rd = t->ioac.read_bytes;
	wr = t->ioac.write_bytes;
	notif = notif_of(t);
	asked = notif_next(notif);
	bpf_spin_lock(&s->lock);
	live = s->gen == r->gen;
	if (live) {
		at = slot_settle(s, c, at);
		slot_book_task(s, r, minor, major, rd, wr);
		/* A second thread that calls execve(2) becomes the leader; the old one died. */
		r->leader = 1;
		if (c->flags & METER_BEGIN_AT_EXEC && s->base_epoch != s->epoch) {
			s->base_epoch = s->epoch;
			s->main_tgid = t->tgid;
			s->notif = notif;
			s->notif_begin = s->notif_end = asked;
			s->base_ns = at;
			s->base = s->now;
			s->base.started -= s->processes;
			s->processes_peak = s->processes;
			s->rss_peak_pages = s->rss_pages;
			slot_begin_memory(s);
		}
	}
	bpf_spin_unlock(&s->lock);
	memory_look(s, c, r->gen, t);
	if (live)
		event_emit_exec(slot, s, c, at, t, old_pid, bprm);
	return 0;
}

/* Still on its CPU: the last slice is booked at the last switch. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(meter_exit, struct task_struct *t)
{
	struct thread *r = task_thread(t);
	bool live, oom, last;
	struct meter_slot *s;
	struct meter_ctl *c;
	__u32 slot, one = 1;
	__u64 at, signal, asked;

	if (!r)
		return 0;
	at = bpf_ktime_get_ns();
	slot = r->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	c = bpf_map_lookup_elem(&ctl, &slot);
	if (!s || !c)
		return 0;
	/* The process ends with its last thread, which need not be its first. -EEXIST: another saw
	 * it. */
	signal = (__u64)t->signal;
	last = t->signal->live.counter == 0 &&
	       bpf_map_update_elem(&gone, &signal, &one, BPF_NOEXIST) != -17;
	/* mark_victim's argument is a task on new kernels and a bare number on old ones; what it
	 * leaves behind is the same on both, and names the victim for certain. */
	oom = last && t->signal->oom_mm;
	asked = notif_next(s->notif);
	memory_look(s, c, r->gen, t);
	bpf_spin_lock(&s->lock);
	live = s->gen == r->gen;
	if (live) {
		at = slot_settle(s, c, at);
		if (last && s->processes)
			s->processes--;
		s->now.oom_kills += oom;
		slot_note_asked(s, asked);
		if (oom && slot_is_main(s, t))
			s->main_fate |= METER_MAIN_OOM_VICTIM;
	}
	bpf_spin_unlock(&s->lock);
	if (live && oom)
		event_emit(slot, s, c, at, METER_EV_OOM, t, 0, 0);
	if (live)
		event_emit(slot, s, c, at, METER_EV_EXIT, t, t->exit_code, 0);
	return 0;
}

#define SIGKILL	    9
#define SIGSYS	    31
#define SI_KERNEL   0x80 /* si_code */
#define SYS_SECCOMP 1
#define RLIMIT_CPU  0

/* Numbers of x86-64: of what can give a signal any si_code. */
enum {
	NR_rt_sigqueueinfo = 129,
	NR_rt_tgsigqueueinfo = 297,
	NR_pidfd_send_signal = 424,
};

static __always_inline void signal_by_kernel(struct meter_slot *s, struct task_struct *t)
{
	bool limited = t->signal->rlim[RLIMIT_CPU].rlim_max != ~0UL;

	bpf_spin_lock(&s->lock);
	if (slot_is_main(s, t))
		s->main_fate |= METER_MAIN_KILLED | (limited ? METER_MAIN_CPU_LIMIT : 0);
	bpf_spin_unlock(&s->lock);
}

static __always_inline void signal_by_policy(__u32 slot, struct meter_slot *s,
					     const struct meter_ctl *c, struct task_struct *t)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(t);
	__u32 arch = call_arch(), nr = (__u32)regs->orig_ax;
	bool forged =
		arch == ARCH_X86_64 && (nr == NR_rt_sigqueueinfo || nr == NR_rt_tgsigqueueinfo ||
					nr == NR_pidfd_send_signal);
	__u64 args[6];

	call_args(regs, arch, args);
	bpf_spin_lock(&s->lock);
	slot_settle(s, c, s->last_ns);
	s->now.policy_kills++;
	/* Of another table's call a signal by one of these cannot say that it was that call. */
	if (!forged || !meter_foreign(s->killed_arch, s->killed_call)) {
		__builtin_memcpy(s->killed_args, args, sizeof(args));
		s->killed_arch = arch;
		s->killed_call = nr;
	}
	if (!forged && slot_is_main(s, t))
		s->main_fate |= METER_MAIN_POLICY;
	bpf_spin_unlock(&s->lock);
	if (c->flags & METER_TRACE)
		event_denied(slot, s, regs, 0);
}

SEC("tp_btf/signal_generate")
int BPF_PROG(meter_signal, int sig, struct kernel_siginfo *info, struct task_struct *t, int group,
	     int result)
{
	struct thread *r;
	struct meter_slot *s;
	struct meter_ctl *c;
	__u64 asked;
	__u32 slot;
	__s32 code;

	if (result || !task_is_near(t))
		return 0;
	r = task_thread(t);
	if (!r)
		return 0;
	slot = r->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	c = bpf_map_lookup_elem(&ctl, &slot);
	if (!s || !c || s->gen != r->gen)
		return 0;
	/* 0 and 1 are SEND_SIG_NOINFO and SEND_SIG_PRIV, not addresses. */
	if ((__u64)info > 1)
		code = BPF_CORE_READ(info, si_code);
	else
		code = (__u64)info ? SI_KERNEL : 0;
	asked = notif_next(s->notif);
	if (asked) {
		bpf_spin_lock(&s->lock);
		slot_note_asked(s, asked);
		bpf_spin_unlock(&s->lock);
	}
	/* SEND_SIG_PRIV; no process can send it. */
	if (sig == SIGKILL && code == SI_KERNEL)
		signal_by_kernel(s, t);
	/* From itself, by its policy: the registers are still those of the call. */
	if (sig == SIGSYS && code == SYS_SECCOMP && t == bpf_get_current_task_btf()) {
		r->entered |= TRAPPED;
		signal_by_policy(slot, s, c, t);
	}
	event_emit(slot, s, c, bpf_ktime_get_ns(), METER_EV_SIGNAL, t, sig,
		   (__u64)(__u32)code << 32 | (__u32)(bpf_get_current_pid_tgid() >> 32));
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

/* ---- what only a trace sees --------------------------------------------------------------- */

/* The slot of the calling process when it is being traced. */
static __always_inline struct meter_slot *traced_slot(__u32 *ret, const struct meter_ctl **ret_ctl)
{
	__u64 id = bpf_get_current_cgroup_id();
	struct meter_target *target = bpf_map_lookup_elem(&by_cgroup, &id);
	struct meter_slot *s;
	struct meter_ctl *c;
	__u32 slot;

	if (!target)
		return NULL;
	slot = target->slot;
	s = bpf_map_lookup_elem(&slots, &slot);
	c = bpf_map_lookup_elem(&ctl, &slot);
	if (!s || !c || s->gen != target->gen || !(c->flags & METER_TRACE))
		return NULL;
	*ret = slot;
	*ret_ctl = c;
	return s;
}

static __always_inline int trace_address(struct bpf_sock_addr *ctx, __u32 type, bool six)
{
	const struct meter_ctl *c;
	struct meter_event_addr *e;
	struct meter_slot *s;
	__u32 slot, *addr;
	struct thread *r;

	s = traced_slot(&slot, &c);
	if (!s)
		return 1;
	r = task_thread(bpf_get_current_task_btf());
	if (r)
		r->entered |= HOOKED;
	e = event_reserve(slot, s, sizeof(*e));
	if (!e)
		return 1;
	event_head(&e->ev, s, type);
	addr = (__u32 *)e->addr;
	e->family = six ? 10 : 2;
	e->port = bpf_ntohs((__u16)ctx->user_port);
	addr[0] = six ? ctx->user_ip6[0] : ctx->user_ip4;
	addr[1] = six ? ctx->user_ip6[1] : 0;
	addr[2] = six ? ctx->user_ip6[2] : 0;
	addr[3] = six ? ctx->user_ip6[3] : 0;
	bpf_ringbuf_submit(e, 0);
	return 1;
}

SEC("cgroup/connect4")
int meter_connect4(struct bpf_sock_addr *ctx)
{
	return trace_address(ctx, METER_EV_CONNECT, false);
}

SEC("cgroup/connect6")
int meter_connect6(struct bpf_sock_addr *ctx)
{
	return trace_address(ctx, METER_EV_CONNECT, true);
}

SEC("cgroup/bind4")
int meter_bind4(struct bpf_sock_addr *ctx)
{
	return trace_address(ctx, METER_EV_BIND, false);
}

SEC("cgroup/bind6")
int meter_bind6(struct bpf_sock_addr *ctx)
{
	return trace_address(ctx, METER_EV_BIND, true);
}

/* Numbers of x86-64. */
enum {
	NR_open = 2,
	NR_socket = 41,
	NR_connect = 42,
	NR_bind = 49,
	NR_creat = 85,
	NR_openat = 257,
	NR_openat2 = 437,
	NR_X32 = 0x40000000
};

/* Of netlink and ping, which the launcher makes in the function's place: nothing of it is hidden.
 */
static __always_inline bool socket_is_given(const struct pt_regs *regs)
{
	__u32 domain = regs->di, type = (__u32)regs->si & 15, protocol = regs->dx;

	if (call_arch() != ARCH_X86_64 || (__u32)regs->orig_ax != NR_socket)
		return false;
	return (domain == AF_NETLINK && !protocol) ||
	       (domain == AF_INET && type == SOCK_DGRAM && protocol == IPPROTO_ICMP) ||
	       (domain == AF_INET6 && type == SOCK_DGRAM && protocol == ICMPV6);
}

/*
 * These two are attached for as long as somebody traces: they make every system call of the host
 * take the slow way. A call that the seccomp filter answers is left before sys_enter and shows at
 * sys_exit only: that, with an error that is not a signal's, is a denial.
 */
SEC("tp_btf/sys_enter")
int BPF_PROG(trace_enter, struct pt_regs *regs, long id)
{
	struct thread *r = task_thread(bpf_get_current_task_btf());

	if (!r)
		return 0;
	r->entered = ENTERED;
	if (call_arch() == ARCH_X86_64 && ((__u32)id == NR_connect || (__u32)id == NR_bind))
		r->entered |= fd_kind((__u32)regs->di);
	return 0;
}

#define ENOTSOCK 88
#define EBADF	 9

/* connect(2) and bind(2), where no hook of the Internet's families was asked. Another thread may
 * have put another socket in the descriptor's place and have taken it away again. */
static __always_inline void trace_socket(__u32 slot, struct meter_slot *s, struct pt_regs *regs,
					 __u32 entered, bool bind, long ret)
{
	__u32 kinds = (entered & FD_ALL) | fd_kind((__u32)regs->di);
	bool reached = ret != -ENOTSOCK && ret != -EBADF;

	if (kinds & FD_UNIX)
		event_unix(slot, s, regs->si, (__u32)regs->dx, bind, ret);
	/* Of what was no socket or of several kinds, and yet was one for this call: which is not
	 * known. An Internet socket says "connected" without a hook at the second asking only. */
	else if (!(entered & HOOKED) &&
		 ((kinds == FD_INET && ret == 0) ||
		  ((kinds & FD_FILE || kinds == (FD_INET | FD_OTHER)) && reached)))
		__sync_fetch_and_add(&s->now.missed, 1);
}

#define WRITES 01103 /* O_WRONLY, O_RDWR, O_CREAT, O_TRUNC */

SEC("tp_btf/sys_exit")
int BPF_PROG(trace_exit, struct pt_regs *regs, long ret)
{
	struct thread *r = task_thread(bpf_get_current_task_btf());
	__u64 path = regs->di, flags = regs->si;
	__u32 nr = regs->orig_ax; /* the kernel looks at these bits only */
	const struct meter_ctl *c;
	struct meter_slot *s;
	__u32 slot, entered;
	bool hidden;

	if (!r)
		return 0;
	entered = r->entered;
	r->entered = 0;
	s = traced_slot(&slot, &c);
	if (!s)
		return 0;
	hidden = !(entered & ENTERED);
	/* Out of no call of its own, or of one that ended with a signal: that is on record. */
	if (hidden && entered & (NEWBORN | TRAPPED))
		return 0;
	/* A signal may come before the answer does: then there is none, and the call comes again or
	 * fails with EINTR. */
	if (hidden && ret < 0) {
		event_denied(slot, s, regs, ret);
		return 0;
	}
	/* Not denied by us, and yet not made: a filter of the function's own has answered, with any
	 * number that it liked, also to what the policy would have refused. Or its sys_enter was
	 * passed over, as happens to a program that is running already on this CPU. */
	if (hidden && !socket_is_given(regs))
		__sync_fetch_and_add(&s->now.missed, 1);
	/* After rt_sigreturn(2) there is no number. */
	if ((__s32)nr < 0)
		return 0;
	/* No policy of ours lets a call of the other two tables pass. */
	if (call_arch() != ARCH_X86_64 || (nr & NR_X32)) {
		if (!hidden)
			__sync_fetch_and_add(&s->now.missed, 1);
		return 0;
	}
	if (nr == NR_connect || nr == NR_bind) {
		trace_socket(slot, s, regs, entered, nr == NR_bind, ret);
		return 0;
	}
	if (nr == NR_creat) {
		flags = WRITES;
	} else if (nr == NR_openat || nr == NR_openat2) {
		path = regs->si;
		flags = regs->dx;
		if (nr == NR_openat2 && bpf_probe_read_user(&flags, sizeof(flags), (void *)flags))
			flags = 0;
	} else if (nr != NR_open) {
		return 0;
	}
	/* What openat2 was asked for lies in the function's memory, which another thread may have
	 * changed while it ran: all of its calls go on record. */
	if (!(flags & WRITES) && nr != NR_openat2)
		return 0;
	event_open(slot, s, path, flags, ret);
	return 0;
}
