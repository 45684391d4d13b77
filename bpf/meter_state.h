/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_STATE_H
#define CLOCHE_METER_STATE_H

/*
 * What the meter's programs remember: a slot for each armed cgroup, a struct thread for each of its
 * threads, and the moves between asleep, queued and running that keep the slot's sums. meter.bpf.c
 * says how it all works; it includes this file, and nobody else does. Needs vmlinux.h and libbpf's
 * headers before it.
 */
#include "core_fixes.h"
#include "meter_abi.h"
#include "meter_slice.h"

#define TASKS_MAX 32768
#define MMS_MAX	  16384
#define NEAR_SIZE 16384

/* Inside a system call that the filter let pass; of connect and bind also what the descriptor was
 * when it began, and whether the kernel has asked the hook that knows Internet addresses. */
enum {
	ENTERED = 1,
	FD_UNIX = 2, /* or gone, and so unknown */
	FD_INET = 4,
	FD_OTHER = 8, /* a socket of another family */
	FD_FILE = 16, /* no socket */
	FD_ALL = FD_UNIX | FD_INET | FD_OTHER | FD_FILE,
	HOOKED = 32,
	NEWBORN = 64,  /* comes out of a call that its parent made */
	TRAPPED = 128, /* a filter has answered with SIGSYS: there is no result */
};

enum thread_state { ASLEEP, QUEUED, RUNNING };

/* One thread. Written by that thread's own events only. */
struct thread {
	__u64 gen;
	__u32 slot;
	__u32 state;
	__u32 leader;
	__u32 throttled; /* while QUEUED, and only with the right epoch: see meter_slot */
	__u32 throttle_epoch;
	__u32 entered;	   /* while traced: the flags above */
	__u32 slept_alone; /* when it woke up nobody else ran or waited */
	__u32 pad;
	__u64 queued_ns;
	__u64 in_ns;	    /* since when RUNNING */
	__u64 alone_ns;	    /* since when nobody else was, before that; in_ns when somebody was */
	__u64 free_ns;	    /* slot_free_since at in_ns */
	__u64 runtime;	    /* at the last switch in or out that was seen */
	__u64 faults_minor; /* what has been booked of the task's own counters */
	__u64 faults_major;
	__u64 read_bytes;
	__u64 write_bytes;
};

struct mm_pages {
	__u64 gen;
	__u32 slot;
	__u32 pad;
	__s64 pages;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, METER_SLOTS);
	__type(key, __u32);
	__type(value, struct meter_slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, METER_SLOTS);
	__type(key, __u32);
	__type(value, struct meter_ctl);
} ctl SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * METER_SLOTS);
	__type(key, __u64);
	__type(value, struct meter_target);
} by_cgroup SEC(".maps");

/* Threads live where near_index says, one an entry, since a look into a hash costs 60 ns and there
 * are three in a switch. Who finds the entry taken goes into the hash behind it. */
struct front {
	struct bpf_spin_lock lock; /* for claiming */
	__u32 pad;
	__u64 task; /* 0: free */
	struct thread r;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NEAR_SIZE);
	__type(key, __u32);
	__type(value, struct front);
} fronts SEC(".maps");

/* Keyed by the kernel address: it is the only name that execve(2) by a second thread keeps. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TASKS_MAX);
	__type(key, __u64);
	__type(value, struct thread);
} tasks SEC(".maps");

/* Processes whose last thread is at its end, by their signal_struct: several threads may see that
 * they are all at their end, and the process is gone once. Deleted when the address is born again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TASKS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} gone SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MMS_MAX);
	__type(key, __u64);
	__type(value, struct mm_pages);
} mms SEC(".maps");

/* hrtimer's address → slot. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * METER_SLOTS);
	__type(key, __u64);
	__type(value, __u32);
} timers SEC(".maps");

/* A ring buffer for each slot that is being traced, made by who reads it. */
struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, METER_SLOTS);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

__u32 near_task[NEAR_SIZE];
__u32 throttles_pending; /* slots with throttled threads; an over-count costs a look-up */

/* ---- small things ------------------------------------------------------------------------- */

/* By the task's stack canary: a random number that a thread keeps from fork to its last switch,
 * while its pid is traded by an execve(2) in a second thread, and which, unlike the task's address,
 * the verifier lets us compute with. A kernel without canaries uses one entry: slower, still right.
 */
static __always_inline __u32 near_index(const struct task_struct *t)
{
	if (!bpf_core_field_exists(t->stack_canary))
		return 0;
	return t->stack_canary >> 20 & (NEAR_SIZE - 1);
}

static __always_inline bool task_is_near(const struct task_struct *t)
{
	return *(volatile __u32 *)&near_task[near_index(t)] != 0;
}

static __always_inline struct thread *task_thread(const struct task_struct *t)
{
	__u32 i = near_index(t);
	__u64 key = (__u64)t;
	struct front *f;

	/* What the verifier knows of i is gone once its address was taken: near_index again. */
	if (!task_is_near(t))
		return NULL;
	f = bpf_map_lookup_elem(&fronts, &i);
	if (f && f->task == key)
		return &f->r;
	return bpf_map_lookup_elem(&tasks, &key);
}

/* For a newborn, before its first wake-up looks for it. */
static __always_inline bool task_remember(const struct task_struct *t, const struct thread *r)
{
	__u32 i = near_index(t);
	__u64 key = (__u64)t;
	bool mine = false;
	struct front *f;

	__sync_fetch_and_add(&near_task[near_index(t)], 1);
	f = bpf_map_lookup_elem(&fronts, &i);
	if (f) {
		bpf_spin_lock(&f->lock);
		if (!f->task) {
			f->r = *r;
			f->task = key;
			mine = true;
		}
		bpf_spin_unlock(&f->lock);
	}
	if (mine || !bpf_map_update_elem(&tasks, &key, r, BPF_NOEXIST))
		return true;
	__sync_fetch_and_add(&near_task[near_index(t)], -1);
	return false;
}

/* At its last switch. */
static __always_inline void task_forget(const struct task_struct *t)
{
	__u32 i = near_index(t);
	__u64 key = (__u64)t;
	struct front *f = bpf_map_lookup_elem(&fronts, &i);

	if (f && f->task == key)
		*(volatile __u64 *)&f->task = 0;
	else if (bpf_map_delete_elem(&tasks, &key))
		return;
	__sync_fetch_and_add(&near_task[near_index(t)], -1);
}

static __always_inline __u64 task_cgroup_id(struct task_struct *t)
{
	return t->cgroups->dfl_cgrp->kn->id;
}

/* The group's own quota holds this thread; a parent's quota does not count, it is not ours. */
static __always_inline bool task_is_throttled(struct task_struct *t)
{
	struct cfs_rq *rq;

	if (task_throttles_itself() && !BPF_CORE_READ((struct task_struct___618 *)t, throttled))
		return false;
	rq = t->se.cfs_rq;
	return rq && cfs_rq_is_throttled(rq);
}

/* ---- the slot's state: all of it under the lock ------------------------------------------- */

/* Peaks are the epoch's own: the next look at the memory is its first. */
static __always_inline void slot_begin_memory(struct meter_slot *s)
{
	s->used_peak_pages = 0;
	s->droppable_peak_pages = 0;
	s->charged_pages = -1;
}

/* At the first event of it, which is at_ns. */
static __always_inline void slot_begin_epoch(struct meter_slot *s, const struct meter_ctl *c,
					     __u32 epoch, __u64 at)
{
	__u64 edge = *(volatile const __u64 *)&c->epoch_ns;

	if (edge < s->last_ns)
		edge = s->last_ns;
	slot_book_until(s, edge < at ? edge : at);
	s->epoch = epoch;
	s->processes_peak = s->processes;
	s->rss_peak_pages = s->rss_pages;
	slot_begin_memory(s);
	s->killed_arch = 0;
	s->main_fate = 0;
	s->notif = 0;
	if (!(*(volatile const __u32 *)&c->flags & METER_GOES_ON) || s->base_epoch + 1 != epoch)
		return;
	/* What is not to become less than it was at the beginning, and what is asked for between
	 * two ends (meter_used); main_tgid stays. */
	s->base_epoch = epoch;
	s->base_ns = edge;
	s->base.idle_ns = s->now.idle_ns;
	s->base.quota_ns = s->now.quota_ns;
	s->base.contention_ns = s->now.contention_ns;
	s->base.on_cpu_ns = s->now.on_cpu_ns;
	s->base.stolen_ns = s->now.stolen_ns;
}

/* Books the time since the last change and returns the date of this event. */
static __always_inline __u64 slot_settle(struct meter_slot *s, const struct meter_ctl *c, __u64 at)
{
	__u64 floor = *(volatile const __u64 *)&c->floor_ns;
	__u32 epoch = *(volatile const __u32 *)&c->epoch;

	if (at < floor)
		at = floor;
	if (at < s->last_ns)
		at = s->last_ns;
	if (s->epoch != epoch)
		slot_begin_epoch(s, c, epoch, at);
	slot_book_until(s, at);
	return at;
}

static __always_inline void slot_count_throttles(struct meter_slot *s, __u32 before)
{
	if (!before && s->throttled)
		__sync_fetch_and_add(&throttles_pending, 1);
	else if (before && !s->throttled)
		__sync_fetch_and_add(&throttles_pending, -1);
}

/* Moves a thread from its state to another one; *was_throttled for the trace. */
static __always_inline void slot_move(struct meter_slot *s, struct thread *r, __u32 state,
				      bool throttled)
{
	if (r->state == RUNNING && s->running && !--s->running)
		s->busy_until_ns = s->last_ns;
	if (r->state == QUEUED) {
		__u32 mark =
			r->throttle_epoch == s->throttle_epoch ? r->throttled : s->throttle_all;

		if (mark && s->throttled)
			s->throttled--;
		if (s->queued)
			s->queued--;
		r->throttled = mark;
	}
	if (state == RUNNING)
		s->running++;
	if (state == QUEUED) {
		s->queued++;
		s->throttled += throttled;
		r->throttled = throttled;
		r->throttle_epoch = s->throttle_epoch;
	}
	r->state = state;
}

/* Of the process whose end is the invocation's. */
static __always_inline bool slot_is_main(const struct meter_slot *s, const struct task_struct *t)
{
	return s->base_epoch == s->epoch && s->main_tgid == (__u32)t->tgid;
}

/* asked: read before the lock was taken. */
static __always_inline void slot_note_asked(struct meter_slot *s, __u64 asked)
{
	if (s->notif && (__s64)(asked - s->notif_end) > 0)
		s->notif_end = asked;
}

/* Where this invocation began: by user space's word, or at its exec. */
static __always_inline __u64 slot_edge(const struct meter_slot *s, const struct meter_ctl *c)
{
	__u64 edge = *(volatile const __u64 *)&c->epoch_ns;

	return s->base_epoch == s->epoch && s->base_ns > edge ? s->base_ns : edge;
}

#define EARLY_MAX 1000000000ULL

/*
 * The end of a slice. A CPU that a wake-up finds idle reads its clock when it is woken and not
 * again until the thread is on it (the kernel's rq_clock_skip_update): the 15 us or so that this
 * takes, the kernel has booked as the thread's CPU time, and so do we. Returns the value of its
 * METER_EV_OFF.
 */
static __always_inline __u64 slot_book_slice(struct meter_slot *s, const struct thread *r,
					     const struct meter_ctl *c, __u64 at, __u64 runtime)
{
	__u64 used = runtime - r->runtime, edge = slot_edge(s, c), held = at - r->in_ns;
	__u64 early = 0, beside = 0;

	if (used > held && r->in_ns > edge && r->queued_ns) {
		struct arrival a = { .queued_ns = r->queued_ns < edge ? edge : r->queued_ns,
				     .free_ns = r->free_ns,
				     .alone_ns = r->alone_ns < edge ? edge : r->alone_ns,
				     .in_ns = r->in_ns,
				     .slept_alone = r->slept_alone };

		early = used - held < EARLY_MAX ? used - held : EARLY_MAX;
		early = slot_book_early(s, &a, early, &beside);
	}
	s->now.stolen_ns += slice_stolen(r->in_ns - early, edge, at, used);
	return beside << 32 | early;
}

/*
 * A thread leaves a CPU that we did not see it enter: a tracepoint is not always reported (the
 * kernel passes over a program that is running already; some hosts hide the switches of processes
 * of their own). Its CPU clock says how long it was there, which is this one slice. Of one that
 * began before the invocation did, the launch's figures stay as they were: nobody reports those.
 * Returns the value of its METER_EV_OFF.
 */
static __always_inline __u64 slot_book_unseen(struct meter_slot *s, const struct thread *r,
					      const struct meter_ctl *c, __u64 at, __u64 runtime)
{
	__u64 floor = *(volatile const __u64 *)&c->floor_ns, edge = slot_edge(s, c);
	__u64 start = at - (runtime - r->runtime), busy;

	if (start < floor)
		start = floor;
	if (start < edge)
		start = edge;
	if (r->state == QUEUED && start < r->queued_ns)
		start = r->queued_ns;
	busy = slot_book_late(s, start, at, r->state == QUEUED);
	if (start >= at)
		return 0;
	/* More than the event has room for. */
	if (at - start > 0xffffffffU) {
		__sync_fetch_and_add(&s->now.missed, 1);
		start = at - 0xffffffffU;
		busy = at - start;
	}
	return (at - start - busy) << 32 | (at - start);
}

/* All queued threads become throttled, or free, at once. */
static __always_inline void slot_mark_all(struct meter_slot *s, bool throttled)
{
	s->throttle_epoch++;
	s->throttle_all = throttled;
	s->throttled = throttled ? s->queued : 0;
}

/* Takes over what the task's own counters have gained since it was last booked. */
static __always_inline void slot_book_task(struct meter_slot *s, struct thread *r, __u64 minor,
					   __u64 major, __u64 rd, __u64 wr)
{
	s->now.faults_minor += minor - r->faults_minor;
	s->now.faults_major += major - r->faults_major;
	s->now.read_bytes += rd - r->read_bytes;
	s->now.write_bytes += wr - r->write_bytes;
	r->faults_minor = minor;
	r->faults_major = major;
	r->read_bytes = rd;
	r->write_bytes = wr;
}

#endif
