/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_LOAD_H
#define CLOCHE_BENCH_LOAD_H

#include "sample.h"

#include <stdint.h>

struct cloche_err;

/* So many clients of one function, each a process that stays, for a time. */
struct load {
	const char *control, *function;
	unsigned clients;
	double rate; /* a second, of all together, at random times; 0: each as soon as it can */
	int64_t for_ns;
};

/* How many a second were answered, and after how long: from when each was due, where there is a
 * rate, so that who waits behind others counts. */
int load_run(const struct load *load, double *ret_rate, struct quantiles *ret,
	     struct cloche_err *err);

#endif
