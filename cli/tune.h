/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_TUNE_H
#define CLOCHE_CLI_TUNE_H

#include "ledger/prices.h"
#include "ledger/sizing.h"
#include "run/invocation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUNE_SIZES_MAX 32
#define TUNE_RUNS_MAX  1000

/* The runs at one memory size. The first that fails is the last there. */
struct tune_size {
	uint64_t memory_bytes;
	uint64_t vcpu_micro; /* 0: not known, since nothing could be launched */
	unsigned n;	     /* successful runs */
	unsigned cold;	     /* successful, too, but of no use: they found no warm context */
	/* with nobody beside it (ledger/sizing.h): what all else is computed from */
	int64_t times_ns[TUNE_RUNS_MAX];
	struct tune_run {
		int64_t wall_ns, init_ns; /* as measured; what is billed is both */
		int64_t contention_ns;	  /* of wall_ns; -1: not measured */
		int64_t on_cpu_ns;
	} runs[TUNE_RUNS_MAX];
	uint64_t peak_bytes; /* the largest that was measured; 0: none was */
	bool failed, left_out;
	enum verdict verdict; /* of the run that failed */
	int status;	      /* what its exit status would have been */
	char why[200];	      /* what it said last, on one line */
	/* unless it failed: */
	int64_t median_ns;
	struct prices_charge charge; /* of a run that takes the median */
	/* of all runs together, of those whose contention is known: */
	int64_t contention_ns, contended_ns; /* the latter: of so much */
};

struct tune {
	struct tune_size sizes[TUNE_SIZES_MAX]; /* in ascending order */
	size_t n;
	unsigned runs; /* wanted at each size */
	struct prices prices;
	char *const *argv; /* a command; NULL: a function: */
	const char *function;
	uint64_t deployed_bytes; /* the size that it has */
	struct sizing_choice choice;
};

/* The table and the picture on standard output; colours when told so. */
void tune_show(const struct tune *tune, bool colour);

/* The same as one JSON object. -ENOMEM, -EIO. */
int tune_json(const struct tune *tune);

#endif
