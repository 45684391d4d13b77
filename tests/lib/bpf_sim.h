/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_BPF_SIM_H
#define CLOCHE_TESTS_BPF_SIM_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Runs a seccomp filter over one call as the kernel would, without loading it. False: the kernel
 * would have refused the filter (an instruction that seccomp does not allow, an odd or outside
 * load, a jump or fall beyond the end); *ret_action is the returned value else. It is stricter
 * than needed in that only instructions that are reached are looked at.
 */
bool bpf_sim_run(const struct sock_fprog *prog, const struct seccomp_data *data,
		 uint32_t *ret_action);

#endif
