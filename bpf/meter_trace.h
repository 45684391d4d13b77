/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_TRACE_H
#define CLOCHE_METER_TRACE_H

/*
 * What only a trace sees: addresses, and system calls at their beginning and end. Part of
 * meter.bpf.c; needs vmlinux.h and libbpf's headers before it.
 */
#include "meter_event.h"
#include "meter_state.h"

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

/* open(2) and its kin, where they may write. */
static __always_inline void trace_file(__u32 slot, struct meter_slot *s, struct pt_regs *regs,
				       __u32 nr, long ret)
{
	__u64 path = regs->di, flags = regs->si;

	if (nr == NR_creat) {
		flags = WRITES;
	} else if (nr == NR_openat || nr == NR_openat2) {
		path = regs->si;
		flags = regs->dx;
		if (nr == NR_openat2 && bpf_probe_read_user(&flags, sizeof(flags), (void *)flags))
			flags = 0;
	} else if (nr != NR_open) {
		return;
	}
	/* What openat2 was asked for lies in the function's memory, which another thread may have
	 * changed while it ran: all of its calls go on record. */
	if (flags & WRITES || nr == NR_openat2)
		event_open(slot, s, path, flags, ret);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(trace_exit, struct pt_regs *regs, long ret)
{
	struct thread *r = task_thread(bpf_get_current_task_btf());
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
	if (nr == NR_connect || nr == NR_bind)
		trace_socket(slot, s, regs, entered, nr == NR_bind, ret);
	else
		trace_file(slot, s, regs, nr, ret);
	return 0;
}

#endif
