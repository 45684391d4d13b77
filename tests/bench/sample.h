/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_SAMPLE_H
#define CLOCHE_BENCH_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct json_t;

/* Measured durations in ns; all-zero is empty. sample_free gives the memory back. */
struct sample {
	int64_t *ns;
	size_t len, cap;
};

int sample_add(struct sample *sample, int64_t ns, struct cloche_err *err);

/* The value that permille/1000 of the sample do not exceed (nearest rank: always one that was
 * measured, never an interpolation); 0 when empty. Sorts the sample. */
int64_t sample_quantile(struct sample *sample, unsigned permille);

static inline int64_t sample_median(struct sample *sample)
{
	return sample_quantile(sample, 500);
}

/* What is said of most samples; 0: not measured. */
struct quantiles {
	int64_t p50, p99;
};

static inline struct quantiles sample_quantiles(struct sample *sample)
{
	return (struct quantiles){ sample_median(sample), sample_quantile(sample, 990) };
}

/* {"n", "p50_ns", "p95_ns", "p99_ns", "max_ns"}; a new reference, NULL without memory. */
struct json_t *sample_json(struct sample *sample);
void sample_free(struct sample *sample);

#define cleanup_sample __attribute__((cleanup(sample_free)))

#endif
