/* SPDX-License-Identifier: MIT */
/*
 * Which devices a function may open: those of the minimal /dev and no others; of terminals those
 * whose names and modes let it, which are the caller's and its own. Attached once to the parent
 * cgroup of all contexts, so that every leaf below it is under it from its first moment. The name
 * of the program tells one version from another (sandbox/host/hierarchy.c): raise its number with
 * every change.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("cgroup/dev")
int device_allow_2(struct bpf_cgroup_dev_ctx *ctx)
{
	/* Read before any branch: the verifier refuses a context pointer that clang has moved. */
	__u32 type = *(volatile __u32 *)&ctx->access_type & 0xffff;
	__u32 major = *(volatile __u32 *)&ctx->major;
	__u32 minor = *(volatile __u32 *)&ctx->minor;

	if (type != 2) /* BPF_DEVCG_DEV_CHAR */
		return 0;
	if (major == 1) /* null, zero, full, random, urandom */
		return minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9;
	if (major == 5) /* tty, ptmx */
		return minor == 0 || minor == 2;
	return major >= 136 && major <= 143; /* /dev/pts (UNIX98_PTY_SLAVE_MAJOR) */
}

char LICENSE[] SEC("license") = "GPL";
