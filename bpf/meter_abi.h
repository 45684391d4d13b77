/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_ABI_H
#define CLOCHE_METER_ABI_H

/*
 * What the BPF programs and sandbox/meter say to each other: the values of the shared maps and
 * the events of the ring buffers. Fixed width, no padding, sizes asserted: both sides are compiled
 * by different compilers. Whoever includes this has struct bpf_spin_lock and the __u types from
 * vmlinux.h (BPF) or <linux/bpf.h> (user space).
 *
 * All times are CLOCK_MONOTONIC in ns. All counters only grow while a slot is armed; what one
 * invocation used is the difference of two snapshots, each taken under the slot's lock.
 */

#define METER_SLOTS    4096
#define METER_CPU_NONE 0xffffffffU
#define METER_COMM_LEN 16
#define METER_PATH_MAX 256
#define METER_ARGS_MAX 1024

/* ctl.flags */
#define METER_TRACE	    1U /* events go to the slot's ring buffer */
#define METER_BEGIN_AT_EXEC 2U /* the first exec of this epoch is the beginning */
#define METER_GOES_ON	    4U /* the process of the epoch before stays the main one */

/*
 * The sums. wall = busy + quota + contention + idle since arming, exactly.
 *   busy        at least one thread is on a CPU
 *   quota       none is, some could run, and the group's own quota holds every one of them
 *   contention  none is, and at least one is kept out by others
 *   idle        all sleep, or there are none
 */
struct meter_counters {
	__u64 busy_ns;
	__u64 quota_ns;
	__u64 contention_ns;
	__u64 idle_ns;
	__u64 on_cpu_ns;   /* between switching in and out, summed over threads */
	__u64 stolen_ns;   /* of that, what the kernel's CPU clocks leave out: a hypervisor's steal,
			      interrupts where they are accounted apart. Signed: the two clocks are
			      read some 100 ns apart. Booked at the end of a slice */
	__u64 runnable_ns; /* time on a run queue without running, summed over threads */
	__u64 switches_voluntary;
	__u64 switches_forced;
	__u64 started; /* processes, not threads */
	__u64 faults;  /* page faults taken in user mode, at the instant of the fault */
	__u64 faults_minor;
	__u64 faults_major;
	__u64 read_bytes; /* from storage, as task I/O accounting has it */
	__u64 write_bytes;
	__u64 oom_kills;
	__u64 policy_kills; /* calls that the policy answered with SIGSYS */
	__u64 rx_bytes;	    /* without the loopback device */
	__u64 tx_bytes;
	__u64 lo_bytes;
	__u64 events;	 /* put into the ring buffer */
	__u64 lost;	 /* did not fit into it */
	__u64 missed;	 /* calls of a traced process that were not reported */
	__u64 unseen;	 /* switches to a thread that were not reported; by its CPU clock */
	__u64 untracked; /* threads that found no room in the task table, and slices of which
			    nothing was seen but the end: the figures are short */
};

/* Map "slots". Written by the programs under the lock; user space reads and resets it with
 * BPF_F_LOCK. rx, tx, lo, events and lost are atomic instead: they do not take the lock. */
struct meter_slot {
	struct bpf_spin_lock lock;
	__u32 epoch; /* of ctl, as of the last event */
	__u64 gen; /* who armed it; 0: nobody. A thread of an earlier generation changes nothing */
	__u64 cgroup_id;
	__u64 last_ns;
	__u64 busy_until_ns;	  /* when running last became 0 */
	__u64 contended_since_ns; /* the last stretch of contention, */
	__u64 contended_until_ns; /* as far as it has been booked */
	__u32 running;
	__u32 queued;
	__u32 throttled;      /* of the queued ones */
	__u32 throttle_epoch; /* a thread's own "throttled" mark counts only with this number ... */
	__u32 throttle_all;   /* ... with another one, this is its mark */
	__u32 tasks;
	__u32 processes;
	__u32 processes_peak;
	__s64 rss_pages;
	__s64 rss_peak_pages;
	/* Of the memory cgroup: meter_memory.h. */
	__s64 used_peak_pages; /* without what can be dropped; 0: not looked at in this epoch */
	__s64 droppable_peak_pages;
	__s64 charged_pages;	  /* at the last look; -1: none in this epoch, with the next two */
	__s64 charged_peak_pages; /* ... the kernel's watermark */
	__s64 droppable_pages;
	__s64 memory_full_pages; /* a charge from here on may be at the limit */
	__u64 memcg;		 /* kernel address; 0: not known yet */
	__u64 empty_ns;		 /* when the last thread left its CPU for good */
	__u64 timer[2]; /* kernel addresses of the group's bandwidth timers, keys of map "timers" */
	__u64 throttled_rq;
	__u64 base_ns; /* the beginning by exec, valid when base_epoch is ctl's epoch */
	__u32 base_epoch;
	__u32 killed_arch; /* AUDIT_ARCH_* of the call that the policy killed for in this epoch; 0:
			      there was none */
	__u32 killed_call;
	__u32 main_tgid; /* the process whose exec began this epoch, when base_epoch says so */
	__u32 main_fate; /* METER_MAIN_*, what it met in this epoch */
	__u32 pad;
	__u64 killed_args[6];
	/* What the policy asks its listener about, each question with a number one higher; the
	 * kernel's address of the counter (0: no listener), what it was when this epoch began, and
	 * when a process last ended or got a signal. It is there as long as the listener is. */
	__u64 notif;
	__u64 notif_begin;
	__u64 notif_end;
	struct meter_counters now;
	struct meter_counters base;
};

/* What the process met that was started first, whose end is the invocation's. */
#define METER_MAIN_KILLED     1U /* SIGKILL by the kernel itself, not by any process */
#define METER_MAIN_CPU_LIMIT  2U /* ... while it had a limit of CPU time, which is ended so, too */
#define METER_MAIN_OOM_VICTIM 4U /* the OOM killer chose it */
#define METER_MAIN_POLICY     8U /* its policy answered a call with SIGSYS */

/* Whether a call is of another table than x86-64's, as which no policy lets it pass: i386's, or
 * x32's, which has its numbers above 2^30. */
static inline _Bool meter_foreign(__u32 arch, __u32 nr)
{
	return arch == 0x40000003U /* AUDIT_ARCH_I386 */ ||
	       (arch && nr - 0x40000000U < 0x40000000U);
}

/* Map "ctl": written by user space only. */
struct meter_ctl {
	__u64 floor_ns; /* events are never dated before this: the last edge */
	__u64 epoch_ns; /* when this epoch began */
	__u32 epoch;	/* number of the invocation, from 1 */
	__u32 flags;
};

/* Map "by_cgroup": cgroup2 id → this. */
struct meter_target {
	__u64 gen;
	__u32 slot;
	__u32 pad;
};

enum meter_event_type {
	METER_EV_FORK = 1, /* arg: new thread's id, value: 1 when it is a thread only */
	METER_EV_EXEC,	 /* a struct meter_event_exec. arg: the number that the thread had before */
	METER_EV_EXIT,	 /* arg: wait status of the thread */
	METER_EV_SIGNAL, /* arg: number; value: si_code in the upper half, sender's pid below */
	METER_EV_OOM,	 /* seen when the victim exits */
	METER_EV_ON,	 /* arg: METER_ON_*; value: runnable since, 0 unknown */
	METER_EV_OFF,	 /* arg: enum meter_off; value, lower half: how much before its ON the
			    slice began, in the kernel's book; upper half: how much of that, at its
			    beginning, is the thread's CPU time and not the slot's */
	METER_EV_UNTHROTTLE,
	METER_EV_OPEN,	  /* for writing; a struct meter_event_open. value: what it returned */
	METER_EV_CONNECT, /* a struct meter_event_addr; tried, whatever came of it */
	METER_EV_BIND,
	METER_EV_DENIED, /* a struct meter_event_denied. arg: number, value: what it returned, 0:
			    nothing, it was answered with SIGSYS */
	METER_EV_UNIX,	 /* a struct meter_event_open with the address behind its family, path_len
			    bytes; flags: 1 for bind(2), 0 for connect(2). value: what it returned */
	METER_EV_TYPES
};

/* Of the wait before it. */
#define METER_ON_HELD	    1U /* the quota held the thread to the last */
#define METER_ON_BEGAN_HELD 2U /* ... held it already when it woke up or left its CPU */
/* Not reported by the kernel: dated as its OFF, which says how much before that it was. */
#define METER_ON_UNSEEN 4U

enum meter_off {
	METER_OFF_SLEEP,
	METER_OFF_PREEMPTED,
	METER_OFF_THROTTLED, /* it alone, others that wait may find out later */
	METER_OFF_DEAD,
	METER_OFF_THROTTLED_ALL /* and with it whoever waits, and wakes until METER_EV_UNTHROTTLE */
};

struct meter_event {
	__u64 at_ns;
	__u32 type;
	__u32 epoch;
	__u32 pid; /* host's numbers: thread, process */
	__u32 tgid;
	__u32 cpu;
	__u32 arg;
	__u64 value;
	char comm[METER_COMM_LEN];
};

struct meter_event_exec {
	struct meter_event ev;
	__u32 path_len; /* with the NUL; 0: not readable */
	__u32 args_len; /* bytes of args[]: NUL-terminated strings, one behind the other */
	__u32 args_all; /* what it would take: larger than args_len when they were cut */
	__u32 pad;
	char path[METER_PATH_MAX];
	char args[METER_ARGS_MAX];
};

/* The path as the caller wrote it, read when the call was over: another thread may have changed it
 * since the kernel read it. */
struct meter_event_open {
	struct meter_event ev;
	__u32 flags;	/* of open(2) */
	__u32 path_len; /* with the NUL; 0: not readable */
	char path[METER_PATH_MAX];
};

struct meter_event_addr {
	struct meter_event ev;
	__u32 family; /* 2 or 10 */
	__u32 port;   /* host's byte order */
	__u8 addr[16];
};

struct meter_event_denied {
	struct meter_event ev;
	__u32 arch; /* AUDIT_ARCH_*: which table the number is of */
	__u32 pad;
	__u64 args[6];
};

_Static_assert(sizeof(struct meter_counters) == 200, "meter_counters has padding");
_Static_assert(sizeof(struct meter_slot) == 296 + 2 * 200, "meter_slot has padding");
_Static_assert(sizeof(struct meter_ctl) == 24, "meter_ctl has padding");
_Static_assert(sizeof(struct meter_target) == 16, "meter_target has padding");
_Static_assert(sizeof(struct meter_event) == 56, "meter_event has padding");
_Static_assert(sizeof(struct meter_event_open) == 64 + 256, "meter_event_open has padding");
_Static_assert(sizeof(struct meter_event_addr) == 80, "meter_event_addr has padding");
_Static_assert(sizeof(struct meter_event_denied) == 112, "meter_event_denied has padding");
_Static_assert(sizeof(struct meter_event_exec) == 72 + 256 + 1024, "meter_event_exec has padding");

#endif
