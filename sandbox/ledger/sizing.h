/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_SIZING_H
#define CLOCHE_LEDGER_SIZING_H

#include "ledger/money.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What was measured of one command at one memory size, and which of several sizes to take. Pure.
 */
struct sizing {
	uint64_t memory_bytes;
	bool ok; /* every run there succeeded; else time and cost say nothing */
	int64_t time_ns;
	money_t cost;
};

/*
 *   cheapest  the least cost; of equals the faster, then the smaller
 *   fastest   the least time; of equals the cheaper, then the smaller
 *   knee      where more memory begins to buy little time: of the sizes between the smallest and
 *             the largest, the one farthest below the straight line between these two, memory and
 *             time both taken from 0 to 1. There is none with fewer than three sizes, where the
 *             slowest takes less than a tenth longer than the fastest (memory makes no
 *             difference), and where no size lies clearly (a twentieth) below that line.
 *
 * Indices into what was given; -1: none.
 */
struct sizing_choice {
	int cheapest, fastest, knee;
	bool flat; /* memory makes no difference to the time */
};

/* sizes in ascending order of memory. */
struct sizing_choice sizing_choose(const struct sizing *sizes, size_t n);

/* The median of n times (n > 0, none negative); of an even number the mean of the two in the
 * middle, rounded down. */
int64_t sizing_median(const int64_t *times_ns, size_t n);

/* One run, as it was measured. */
struct sizing_run {
	int64_t wall_ns;
	int64_t contention_ns; /* runnable and kept off the CPUs by others; negative: not measured
				*/
	int64_t on_cpu_ns;
	uint64_t vcpu_micro; /* its quota, in millionths of a CPU; 0: not known */
};

/* The quota that memory buys where nothing else is said (launch/limits.h). */
#define SIZING_VCPU_BYTES (1769ULL << 20)
uint64_t sizing_vcpu_micro(uint64_t memory_bytes);

/*
 * How long it would have taken with nobody beside it: without the contention, but no less than what
 * its own quota lets it have. While others keep it off the CPUs it uses up no quota, and is
 * throttled the less for it: on an idle host that time would have been the quota's. What has had
 * more CPU time than the quota lets anybody have was not held by it. Between 0 and the wall time;
 * that itself where contention was not measured.
 *
 * Contention is where none of its threads was on a CPU: of one that uses several CPUs at a time,
 * what kept some of them off while others ran is not known and stays in.
 */
int64_t sizing_uncontended(const struct sizing_run *run);

/* So much contention is worth a word: a tenth of the time. */
bool sizing_is_much(int64_t contention_ns, int64_t wall_ns);

#endif
