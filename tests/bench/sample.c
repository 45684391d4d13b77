/* SPDX-License-Identifier: MIT */
/*
 * Samples and their quantiles. Everything that the bench says is a quantile: a mean would let one
 * hiccup of the machine speak for two hundred runs.
 */
#include "sample.h"

#include <errno.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/err.h"

int sample_add(struct sample *sample, int64_t ns, struct cloche_err *err)
{
	if (sample->len == sample->cap) {
		size_t cap = sample->cap ? sample->cap * 2 : 256;
		int64_t *grown = reallocarray(sample->ns, cap, sizeof(*grown));

		if (!grown)
			return cloche_err_sys(err, ENOMEM, "keep %zu samples", cap);
		sample->ns = grown;
		sample->cap = cap;
	}
	sample->ns[sample->len++] = ns;
	return 0;
}

static int compare_ns(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t sample_quantile(struct sample *sample, unsigned permille)
{
	size_t rank;

	if (!sample->len)
		return 0;
	qsort(sample->ns, sample->len, sizeof(*sample->ns), compare_ns);
	rank = (sample->len * permille + 999) / 1000;
	return sample->ns[rank ? rank - 1 : 0];
}

json_t *sample_json(struct sample *sample)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "n", (json_int_t)sample->len, "p50_ns",
			 (json_int_t)sample_quantile(sample, 500), "p95_ns",
			 (json_int_t)sample_quantile(sample, 950), "p99_ns",
			 (json_int_t)sample_quantile(sample, 990), "max_ns",
			 (json_int_t)sample_quantile(sample, 1000));
}

void sample_free(struct sample *sample)
{
	free(sample->ns);
	*sample = (struct sample){ 0 };
}
