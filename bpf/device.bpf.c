/* SPDX-License-Identifier: MIT */
/*
 * Which devices a function may open: those of the minimal /dev and no others. Attached once to the
 * parent cgroup of all contexts, so that every leaf below it is under it from its first moment.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("cgroup/dev")
int device_allow(struct bpf_cgroup_dev_ctx *ctx)
{
	/* Lower 16 bits: BPF_DEVCG_DEV_*; 2 is a character device. */
	if ((ctx->access_type & 0xffff) != 2)
		return 0;
	if (ctx->major == 1) /* null, zero, full, random, urandom */
		return ctx->minor == 3 || ctx->minor == 5 || ctx->minor == 7 || ctx->minor == 8 ||
		       ctx->minor == 9;
	return ctx->major == 5 && ctx->minor == 0; /* tty */
}

char LICENSE[] SEC("license") = "GPL";
