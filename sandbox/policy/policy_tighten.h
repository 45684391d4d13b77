/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_TIGHTEN_H
#define CLOCHE_POLICY_POLICY_TIGHTEN_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Makes a filter shorter that means the same: returns how many instructions are left of n, at most
 * BPF_MAXINSNS. The first ones, up to `from`, stay as they are; they must have refused every call
 * of another architecture than `arch` and every number from x32's on.
 */
size_t policy_tighten(struct sock_filter *insns, size_t n, size_t from, uint32_t arch);

#endif
