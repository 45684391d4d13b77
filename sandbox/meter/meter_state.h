/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_METER_STATE_H
#define CLOCHE_METER_METER_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/* For `cloche doctor`. Loads nothing and changes nothing. */
struct meter_state {
	bool mounted;  /* a BPF file system is at /sys/fs/bpf */
	bool loaded;   /* this build's programs are pinned there */
	bool counting; /* kernel.bpf_stats_enabled: the next three figures move */
	uint64_t runs;
	uint64_t run_ns;
	uint64_t missed; /* runs that the kernel skipped because the program ran already */
	uint32_t programs;
	uint32_t slots;
	uint32_t slots_armed;
	uint32_t others; /* other versions pinned */
	char version[17];
	char path[128];
};

int meter_state(struct meter_state *ret, const char *name, struct cloche_err *err);

#endif
