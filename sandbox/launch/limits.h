/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_LIMITS_H
#define CLOCHE_LAUNCH_LIMITS_H

#include <stdint.h>

/*
 * Memory buys CPU: vcpu = memory / 1769 MiB, at most what the host has (AWS Lambda, "Configure
 * Lambda function memory": one vCPU at 1,769 MB). Pure arithmetic; the cgroup code writes it.
 */
#define LIMITS_VCPU_BYTES (1769ULL << 20)

enum cpu_mode {
	CPU_CAPPED, /* quota from the memory */
	CPU_SHARED, /* weight only: idle CPU may be used */
	CPU_FIXED,  /* quota of so many vCPUs, whatever the memory */
};

struct cpu_limits {
	uint64_t micro;	    /* the vCPU share in millionths */
	uint64_t quota_us;  /* 0: no quota (CPU_SHARED) */
	uint64_t period_us; /* 20 ms; longer where the quota would fall below 1 ms */
	uint64_t weight;    /* cgroup2 cpu.weight, 1-10000; one vCPU is 100 */
	uint64_t shares;    /* v1 cpu.shares, 2-262144; one vCPU is 1024 */
	unsigned cpus;	    /* CPUs to show and use: ceil(vcpu), at least 1 */
};

/* host_cpus: the number of CPUs that this process may use, at least 1. milli: only CPU_FIXED. */
struct cpu_limits cpu_limits_of(enum cpu_mode mode, uint64_t memory_bytes, uint64_t milli,
				unsigned host_cpus);

#endif
