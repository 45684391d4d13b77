/* SPDX-License-Identifier: MIT */
/*
 * What a context may have of things that the kernel charges to nobody's memory and has no limit
 * for: file locks (bounds_locks.h) and TCP connections (bounds_tcp.h). No hook that could refuse
 * them is open to us on every host, so they are counted where the kernel reports them, after the
 * fact, and who has made one too many is killed, whereby it goes.
 *
 * Whose they are is told by the uid, which no other context has at that time. Attached once for the
 * host; of everybody else's a uid is looked at.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "bounds_abi.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define SIGKILL 9

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BOUNDS_SLOTS);
	__type(key, __u32);
	__type(value, struct bounds_slot);
} slots SEC(".maps");

static __always_inline bool is_ours(__u32 uid)
{
	return uid - BOUNDS_UID_BASE < BOUNDS_SLOTS;
}

/* NULL: not begun by bounds_begin(), so another version's context, which has bounds of its own. */
static __always_inline struct bounds_slot *bounds_of(__u32 slot)
{
	struct bounds_slot *s = bpf_map_lookup_elem(&slots, &slot);

	return s && s->connections_max ? s : NULL;
}

static __always_inline void refuse(__u64 *count)
{
	__sync_fetch_and_add(count, 1);
	(void)bpf_send_signal(SIGKILL);
}

#include "bounds_locks.h"
#include "bounds_tcp.h"
