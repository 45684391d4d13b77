/* SPDX-License-Identifier: MIT */
/*
 * Counts the system calls of the processes of one cgroup that are under a seccomp filter of ours,
 * by number, caller's name and those arguments that a policy has conditions on.
 *
 * It only looks on: no call waits for anybody. (To be asked about each call by user notification
 * would be simpler, but a signal that comes before the question is taken has the call fail with
 * EINTR, which pipe(2) and the like never do otherwise; programs break on it.)
 *
 * sys_enter comes after seccomp: what it sees, the filter let pass. A call that the filter answers
 * shows at sys_exit only, with an error. So do calls that failed in the kernel; user space, which
 * knows the filter, tells the two apart. A call that it kills for shows there with its number as
 * the result, as of a call that is to be made again; those of other tables are known to be refused.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "calls_abi.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define TS_COMPAT     0x2 /* arch/x86/include/asm/thread_info.h */
#define ERRNO_MAX     4095
#define ERESTARTSYS   512 /* include/linux/errno.h: 512 to 516 never reach user space */
#define ERESTART_LAST 516

#define X32_BIT		    0x40000000
#define SYS_CLOSE_RANGE	    436 /* arch/x86/entry/syscalls/syscall_64.tbl */
#define SYS_SOCKET	    41
#define AF_NETLINK	    16
#define ICMP		    1
#define ICMPV6		    58
#define CLOSE_RANGE_UNSHARE 2 /* include/uapi/linux/close_range.h */

/* Filters that were there before: a host's own, which our set-up before exec is under, too. */
const volatile __s32 outer_filters = 0;
/* What is under a filter is counted wherever it is below this one, each cgroup for itself; its id;
 * 0: what is in the one that is armed. */
const volatile __u64 group = 0;
/* One bit for each argument to be kept. */
const volatile __u8 wanted_args[CALLS_NR];

__u64 cgroup; /* its id; 0: nobody is watched */
__u64 lost;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CALLS_KINDS);
	__type(key, struct calls_key);
	__type(value, __u64);
} counts SEC(".maps");

#define KEEP_ARG(n, reg)                     \
	do {                                 \
		if (wanted & (1U << (n)))    \
			key.args[n] = (reg); \
	} while (0)

static __always_inline void count(struct task_struct *task, struct pt_regs *regs, long nr,
				  __u16 fate)
{
	struct calls_key key = { .nr = (__s32)nr, .fate = fate };
	__u64 one = 1, *n;
	__u32 wanted = 0;

	if (group) {
		key.cgroup = bpf_get_current_cgroup_id();
		key.filters = (__u32)task->seccomp.filter_count.counter;
	}
	if (nr >= 0 && nr < CALLS_NR)
		wanted = wanted_args[nr & (CALLS_NR - 1)];
	key.compat = (task->thread_info.status & TS_COMPAT) != 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	KEEP_ARG(0, regs->di);
	KEEP_ARG(1, regs->si);
	KEEP_ARG(2, regs->dx);
	KEEP_ARG(3, regs->r10);
	KEEP_ARG(4, regs->r8);
	KEEP_ARG(5, regs->r9);
	n = bpf_map_lookup_elem(&counts, &key);
	if (!n && bpf_map_update_elem(&counts, &key, &one, BPF_NOEXIST) == 0)
		return;
	if (!n)
		n = bpf_map_lookup_elem(&counts, &key); /* another thread was first */
	__sync_fetch_and_add(n ? n : &lost, 1);
}

/* The launch's own, between the loading of the policy and exec, which passes whatever the policy
 * says (policy_report). */
static __always_inline bool leaves_fds(struct pt_regs *regs, long nr)
{
	return nr == SYS_CLOSE_RANGE && (__u32)regs->di == 3 && (__u32)regs->si == ~0U &&
	       (__u32)regs->dx == CLOSE_RANGE_UNSHARE;
}

/* As deep as it may be, and the root is no group. */
#define DEPTH_MAX 16

static __always_inline bool is_below(__u64 id)
{
	for (int level = 1; level < DEPTH_MAX; level++)
		if (bpf_get_current_ancestor_cgroup_id(level) == id)
			return true;
	return false;
}

static __always_inline bool watched(struct task_struct *task)
{
	if (task->seccomp.filter_count.counter <= outer_filters)
		return false;
	return group ? is_below(group) : cgroup && bpf_get_current_cgroup_id() == cgroup;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(calls_enter, struct pt_regs *regs, long nr)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (watched(task) && !leaves_fds(regs, nr))
		count(task, regs, nr, CALLS_PASSED);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(calls_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	long nr = (long)regs->orig_ax;
	__u32 domain = regs->di, protocol = regs->dx;
	bool foreign = task->thread_info.status & TS_COMPAT || nr & X32_BIT;

	/* The launcher made it in the function's place (policies/floor-loopback.json). */
	if (nr == SYS_SOCKET && ret >= 0 && !foreign && watched(task) &&
	    (domain == AF_NETLINK || protocol == ICMP || protocol == ICMPV6)) {
		count(task, regs, nr, CALLS_PASSED);
		return 0;
	}
	/* What is to be restarted comes again. After rt_sigreturn there is no number, and the
	 * result is some other call's. */
	if (nr < 0 || (!foreign && (ret >= 0 || ret < -ERRNO_MAX ||
				    (ret <= -ERESTARTSYS && ret >= -ERESTART_LAST))))
		return 0;
	if (watched(task))
		count(task, regs, nr, CALLS_FAILED);
	return 0;
}
