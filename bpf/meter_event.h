/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_EVENT_H
#define CLOCHE_METER_EVENT_H

/*
 * Events of a trace: from the kernel's structures and the function's memory into the slot's ring,
 * each counted, be it that it found room or that it did not. For meter.bpf.c. Needs vmlinux.h and
 * libbpf's headers before it.
 */
#include "meter_state.h"

#define AF_UNIX	     1
#define AF_INET	     2
#define AF_INET6     10
#define AF_NETLINK   16
#define ICMPV6	     58
#define SUN_PATH_MAX 108
#define S_IFMT	     0170000
#define S_IFSOCK     0140000

static __always_inline void event_fill(struct meter_event *e, struct meter_slot *s, __u64 at,
				       __u32 type, struct task_struct *t, __u32 arg, __u64 value)
{
	e->at_ns = at;
	e->type = type;
	e->epoch = s->epoch;
	e->pid = t ? t->pid : 0;
	e->tgid = t ? t->tgid : 0;
	e->cpu = bpf_get_smp_processor_id();
	e->arg = arg;
	e->value = value;
	__builtin_memset(e->comm, 0, sizeof(e->comm));
	if (t)
		bpf_probe_read_kernel_str(e->comm, sizeof(e->comm), t->comm);
}

/* Room in the slot's ring, counted as an event; NULL: counted as lost. */
static __always_inline void *event_reserve(__u32 slot, struct meter_slot *s, __u64 size)
{
	void *ring = bpf_map_lookup_elem(&rings, &slot), *e = NULL;

	if (ring)
		e = bpf_ringbuf_reserve(ring, size, 0);
	/* One test of e only, here and where this is inlined: 6.1's verifier forgets the first at
	 * the second. */
	if (!e) {
		__sync_fetch_and_add(&s->now.lost, 1);
		return NULL;
	}
	__sync_fetch_and_add(&s->now.events, 1);
	return e;
}

static __always_inline void event_emit(__u32 slot, struct meter_slot *s, const struct meter_ctl *c,
				       __u64 at, __u32 type, struct task_struct *t, __u32 arg,
				       __u64 value)
{
	struct meter_event *e;

	if (!(c->flags & METER_TRACE))
		return;
	e = event_reserve(slot, s, sizeof(*e));
	if (!e)
		return;
	event_fill(e, s, at, type, t, arg, value);
	bpf_ringbuf_submit(e, 0);
}

/* The strings lie in user memory that the kernel wrote a moment ago; should they be gone all the
 * same, the lengths say so. */
static __always_inline void event_emit_exec(__u32 slot, struct meter_slot *s,
					    const struct meter_ctl *c, __u64 at,
					    struct task_struct *t, __u32 old_pid,
					    struct linux_binprm *bprm)
{
	struct meter_event_exec *e;
	__u64 start, len;
	long n;

	if (!(c->flags & METER_TRACE))
		return;
	e = event_reserve(slot, s, sizeof(*e));
	if (!e)
		return;
	event_fill(&e->ev, s, at, METER_EV_EXEC, t, old_pid, 0);
	e->pad = 0;
	n = bpf_probe_read_kernel_str(e->path, sizeof(e->path), bprm->filename);
	e->path_len = n > 0 ? n : 0;
	start = t->mm->arg_start;
	len = t->mm->arg_end - start;
	e->args_all = len > 0xffffffffU ? 0xffffffffU : len;
	e->args_len = 0;
	if (len > METER_ARGS_MAX)
		len = METER_ARGS_MAX;
	if (len > 0 && len <= METER_ARGS_MAX && !bpf_probe_read_user(e->args, len, (void *)start))
		e->args_len = len;
	bpf_ringbuf_submit(e, 0);
}

static __always_inline void event_head(struct meter_event *e, struct meter_slot *s, __u32 type)
{
	__u64 id = bpf_get_current_pid_tgid();

	e->at_ns = bpf_ktime_get_ns();
	e->type = type;
	e->epoch = s->epoch;
	e->pid = (__u32)id;
	e->tgid = id >> 32;
	e->cpu = bpf_get_smp_processor_id();
	e->arg = 0;
	e->value = 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
}

/* linux/audit.h */
#define ARCH_X86_64 0xc000003eU
#define ARCH_I386   0x40000003U
#define TS_COMPAT   0x2 /* arch/x86/include/asm/thread_info.h: in a call of the i386 table */

static __always_inline __u32 call_arch(void)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return t->thread_info.status & TS_COMPAT ? ARCH_I386 : ARCH_X86_64;
}

/* What the kernel took for the call's arguments. */
static __always_inline void call_args(const struct pt_regs *regs, __u32 arch, __u64 ret[6])
{
	if (arch == ARCH_I386) {
		ret[0] = (__u32)regs->bx;
		ret[1] = (__u32)regs->cx;
		ret[2] = (__u32)regs->dx;
		ret[3] = (__u32)regs->si;
		ret[4] = (__u32)regs->di;
		ret[5] = (__u32)regs->bp;
	} else {
		ret[0] = regs->di;
		ret[1] = regs->si;
		ret[2] = regs->dx;
		ret[3] = regs->r10;
		ret[4] = regs->r8;
		ret[5] = regs->r9;
	}
}

static __always_inline void event_denied(__u32 slot, struct meter_slot *s, struct pt_regs *regs,
					 long ret)
{
	struct meter_event_denied *e = event_reserve(slot, s, sizeof(*e));

	if (!e)
		return;
	event_head(&e->ev, s, METER_EV_DENIED);
	e->ev.arg = (__u32)regs->orig_ax;
	e->ev.value = ret;
	e->arch = call_arch();
	e->pad = 0;
	call_args(regs, e->arch, e->args);
	bpf_ringbuf_submit(e, 0);
}

static __always_inline void event_open(__u32 slot, struct meter_slot *s, __u64 path, __u64 flags,
				       long ret)
{
	struct meter_event_open *e = event_reserve(slot, s, sizeof(*e));
	long n;

	if (!e)
		return;
	event_head(&e->ev, s, METER_EV_OPEN);
	e->ev.value = ret;
	e->flags = (__u32)flags;
	n = bpf_probe_read_user_str(e->path, sizeof(e->path), (void *)path);
	e->path_len = n > 0 ? n : 0;
	bpf_ringbuf_submit(e, 0);
}

/* By the kernel's own structures: the family in an address is only what the function's memory says
 * by now. */
static __always_inline __u32 fd_kind(__u32 fd)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(t, files, fdt);
	struct file **at = BPF_CORE_READ(table, fd), *file = NULL;
	struct socket *sock;
	__u16 family;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return FD_FILE;
	bpf_probe_read_kernel(&file, sizeof(file), at + fd);
	if (!file)
		return FD_UNIX;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return FD_FILE;
	sock = BPF_CORE_READ(file, private_data);
	if (!sock)
		return FD_OTHER;
	family = BPF_CORE_READ(sock, sk, __sk_common.skc_family);
	return family == AF_UNIX			 ? FD_UNIX
	       : family == AF_INET || family == AF_INET6 ? FD_INET
							 : FD_OTHER;
}

/* What is behind the family of a Unix socket's address. Another thread may have changed it since
 * the kernel read it: an address that is none any more is empty. */
static __always_inline void event_unix(__u32 slot, struct meter_slot *s, __u64 addr, __u64 len,
				       bool bind, long ret)
{
	struct meter_event_open *e;
	__u16 family = 0;

	bpf_probe_read_user(&family, sizeof(family), (void *)addr);
	e = event_reserve(slot, s, sizeof(*e));
	if (!e)
		return;
	event_head(&e->ev, s, METER_EV_UNIX);
	e->ev.value = ret;
	e->flags = bind;
	e->path_len = 0;
	/* Compared as it is used: the verifier knows no other form of it to be bounded. */
	len -= sizeof(family);
	barrier_var(len);
	if (len <= SUN_PATH_MAX && family == AF_UNIX &&
	    !bpf_probe_read_user(e->path, len, (void *)(addr + sizeof(family))))
		e->path_len = len;
	bpf_ringbuf_submit(e, 0);
}

#endif
