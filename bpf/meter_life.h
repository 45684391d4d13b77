/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_LIFE_H
#define CLOCHE_METER_LIFE_H

/*
 * Births, execs, deaths, and the signals and refused calls that they come from. Part of
 * meter.bpf.c, whose theory of operation holds here, too; needs vmlinux.h and libbpf's headers
 * before it.
 */
#include "meter_event.h"
#include "meter_memory.h"
#include "meter_state.h"

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

#endif
