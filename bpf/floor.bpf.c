/* SPDX-License-Identifier: MIT */
/*
 * Two programs that do nothing, on the hooks that the meter has in every switch: what the kernel
 * itself takes for calling a program, and so what no meter on these hooks can go below. For the
 * bench only.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("tp_btf/sched_switch")
int floor_switch(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_wakeup")
int floor_wakeup(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
