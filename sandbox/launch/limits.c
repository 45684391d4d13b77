/* SPDX-License-Identifier: MIT */
/* From memory to CPU share, quota and weight: arithmetic without a kernel. */
#include "launch/limits.h"

/*
 * Lambda's observed period. At the kernel's default of 100 ms a 128 MB function would stall for
 * 93 ms at a time.
 */
#define PERIOD_US 20000ULL
/* The kernel's bounds: kernel/sched/core.c, min_cfs_quota_period and max_cfs_quota_period. */
#define MIN_QUOTA_US  1000ULL
#define MAX_PERIOD_US 1000000ULL

static uint64_t clamp(uint64_t v, uint64_t lo, uint64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

struct cpu_limits cpu_limits_of(enum cpu_mode mode, uint64_t memory_bytes, uint64_t milli,
				unsigned host_cpus)
{
	struct cpu_limits l = { 0 };
	uint64_t host = (uint64_t)host_cpus * 1000000;

	/* In MiB/1000 steps, so that petabytes do not overflow 64 bits. */
	l.micro = mode == CPU_FIXED ? milli * 1000
				    : (memory_bytes >> 10) * 1000000 / (LIMITS_VCPU_BYTES >> 10);
	l.micro = clamp(l.micro, 1, host);
	l.weight = clamp(l.micro / 10000, 1, 10000);
	l.shares = clamp(l.micro * 1024 / 1000000, 2, 262144);
	l.cpus = (unsigned)((l.micro + 999999) / 1000000);
	if (mode == CPU_SHARED) {
		l.cpus = host_cpus;
		return l;
	}
	l.period_us = PERIOD_US;
	l.quota_us = l.micro * l.period_us / 1000000;
	if (l.quota_us < MIN_QUOTA_US) {
		l.quota_us = MIN_QUOTA_US;
		l.period_us = clamp(MIN_QUOTA_US * 1000000 / l.micro, PERIOD_US, MAX_PERIOD_US);
	}
	return l;
}
