/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BOUNDS_TCP_H
#define CLOCHE_BOUNDS_TCP_H

/*
 * How many TCP connections a context has, both ends counted. A socket made by socket(2) is charged
 * to its maker; the one that a listener gets for a connection is made where the packet comes in, in
 * an interrupt, and charged to nobody, in 6.1 not even when it is accepted. Connect and close is
 * all that it takes to leave one with a listener that never accepts.
 *
 * A socket counts from the moment it begins to connect, or is made for a listener, until it is
 * closed for good; TIME_WAIT is another object, which net.ipv4.tcp_max_tw_buckets bounds. Every
 * such change is reported once, so the sum of the reports is the number. Over the loopback device
 * the packet comes in on the sender's own time: the current process is the one to kill. Where it is
 * not the context's, the next one pays.
 *
 * Included by bounds.bpf.c.
 */
#define IPPROTO_TCP    6
#define STATE_SYN_SENT 2
#define STATE_SYN_RECV 3
#define STATE_CLOSE    7
#define STATE_LISTEN   10

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(bounds_tcp, const struct sock *sk, const int old, const int new)
{
	bool begins = (old == STATE_CLOSE && new == STATE_SYN_SENT) ||
		      (old == STATE_LISTEN && new == STATE_SYN_RECV);
	bool ends = new == STATE_CLOSE &&old != STATE_CLOSE &&old != STATE_LISTEN;
	__u32 uid = sk->sk_uid.val, n = uid - BOUNDS_UID_BASE;
	struct bounds_slot *s;

	if (!is_ours(uid) || (!begins && !ends) || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	s = bounds_of(n);
	if (!s)
		return 0;
	__sync_fetch_and_add(&s->connections, begins ? 1 : -1);
	if (begins && *(volatile __s64 *)&s->connections > s->connections_max &&
	    (__u32)bpf_get_current_uid_gid() == uid)
		refuse(&s->connections_refused);
	return 0;
}

#endif
