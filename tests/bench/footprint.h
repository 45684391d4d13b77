/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_FOOTPRINT_H
#define CLOCHE_BENCH_FOOTPRINT_H

#include <stdint.h>
#include <sys/types.h>

/* What the processes of one program's functions have in memory, each on the average, in KiB. */
struct footprint {
	unsigned n; /* so many were found; 0: none, and the rest is not known */
	double rss; /* resident */
	double pss; /* of that, what it shares counted by how many share it (proc_pid_smaps(5)) */
	double own; /* ... what it shares with nobody */
	double charged; /* to its memory cgroup; 0: not known */
};

/* Below the wardens of that launcher, those whose executable's name begins so. By root. */
void footprint_read(pid_t launcher, const char *program, struct footprint *ret);

#endif
