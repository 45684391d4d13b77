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
	/* Read before any branch: the verifier refuses a context pointer that clang has moved. */
	__u32 type = *(volatile __u32 *)&ctx->access_type & 0xffff;
	__u32 major = *(volatile __u32 *)&ctx->major;
	__u32 minor = *(volatile __u32 *)&ctx->minor;

	if (type != 2) /* BPF_DEVCG_DEV_CHAR */
		return 0;
	if (major == 1) /* null, zero, full, random, urandom */
		return minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9;
	return major == 5 && minor == 0; /* tty */
}

char LICENSE[] SEC("license") = "GPL";
