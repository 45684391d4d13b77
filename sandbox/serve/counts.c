/* SPDX-License-Identifier: MIT */
/* Counts, and says so: see counts.h. No system calls. */
#include "serve/counts.h"

#include "base/clock.h"
#include "run/outcome.h"
#include "serve/listing.h"

#include <inttypes.h>

/* Of a launch: from a warm context's to what nobody should see. */
static const int64_t bounds_ns[COUNTS_BUCKETS] = {
	500000,	  1000000,  2000000,   5000000,	   10000000,
	20000000, 50000000, 100000000, 1000000000, INT64_MAX,
};

void counts_outcome(struct counts *c, const struct outcome *out)
{
	if (out->verdict < COUNTS_VERDICTS)
		c->verdicts[out->verdict]++;
	c->records += !out->unrecorded;
	c->unrecorded += out->unrecorded;
	if (!out->ran)
		return;
	c->cpu_ns += out->on_cpu_ns;
	c->launch_ns += (uint64_t)out->launch_ns;
	for (int i = 0; i < COUNTS_BUCKETS; i++)
		c->launches[i] += out->launch_ns <= bounds_ns[i];
}

static void head(FILE *to, const char *name, const char *type, const char *help)
{
	(void)fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Exact: whole seconds and what is left. */
static void seconds(FILE *to, uint64_t ns)
{
	(void)fprintf(to, "%" PRIu64 ".%09" PRIu64, (uint64_t)(ns / NSEC_PER_SEC),
		      (uint64_t)(ns % NSEC_PER_SEC));
}

/* What is not known is not said to be 0. */
static void write_memory(FILE *to, const char *process, uint64_t bytes)
{
	if (bytes != LISTING_UNKNOWN)
		(void)fprintf(to, "cloche_daemon_memory_bytes{process=\"%s\"} %" PRIu64 "\n",
			      process, bytes);
}

static void write_contexts(const struct listing *all, FILE *to)
{
	uint64_t n[LISTED_STATES] = { 0 }, memory = 0;

	for (uint32_t i = 0; i < all->n; i++) {
		const struct listed *row = &all->rows[i];

		n[row->state]++;
		memory += row->memory_bytes == LISTING_UNKNOWN ? 0 : row->memory_bytes;
	}
	head(to, "cloche_contexts", "gauge", "Contexts that there are now, by state.");
	for (uint32_t i = 0; i < LISTED_STATES; i++)
		(void)fprintf(to, "cloche_contexts{state=\"%s\"} %" PRIu64 "\n",
			      listed_state_text(i), n[i]);
	head(to, "cloche_memory_bytes", "gauge", "Memory that they have now.");
	(void)fprintf(to, "cloche_memory_bytes %" PRIu64 "\n", memory);
	head(to, "cloche_memory_limit_bytes", "gauge", "Memory that their limits may come to.");
	(void)fprintf(to, "cloche_memory_limit_bytes %" PRIu64 "\n", all->memory_max_bytes);
	head(to, "cloche_daemon_cpu_seconds_total", "counter",
	     "CPU time of the daemon itself, launcher and front.");
	(void)fprintf(to, "cloche_daemon_cpu_seconds_total ");
	seconds(to, all->daemon_cpu_ns);
	(void)fprintf(to, "\n");
	head(to, "cloche_daemon_memory_bytes", "gauge",
	     "Memory that the daemon itself has, by process.");
	write_memory(to, "launcher", all->launcher_bytes);
	write_memory(to, "front", all->front_bytes);
}

static void write_launches(const struct counts *c, FILE *to)
{
	head(to, "cloche_launch_seconds", "histogram",
	     "From a request to its function's first instruction.");
	for (int i = 0; i + 1 < COUNTS_BUCKETS; i++)
		(void)fprintf(to, "cloche_launch_seconds_bucket{le=\"%.4g\"} %" PRIu64 "\n",
			      (double)bounds_ns[i] / 1e9, c->launches[i]);
	(void)fprintf(to, "cloche_launch_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n",
		      c->launches[COUNTS_BUCKETS - 1]);
	(void)fprintf(to, "cloche_launch_seconds_sum ");
	seconds(to, c->launch_ns);
	(void)fprintf(to, "\ncloche_launch_seconds_count %" PRIu64 "\n",
		      c->launches[COUNTS_BUCKETS - 1]);
}

void counts_write(const struct counts *c, const struct listing *all, FILE *to)
{
	head(to, "cloche_invocations_total", "counter", "Invocations that are over, by verdict.");
	for (int i = 0; i < COUNTS_VERDICTS; i++)
		(void)fprintf(to, "cloche_invocations_total{verdict=\"%s\"} %" PRIu64 "\n",
			      verdict_text((enum verdict)i), c->verdicts[i]);
	head(to, "cloche_refusals_total", "counter", "Requests that were refused, by limit.");
	for (int i = LIMIT_NONE + 1; i < LIMITS; i++)
		(void)fprintf(to, "cloche_refusals_total{limit=\"%s\"} %" PRIu64 "\n",
			      limit_name((enum limit)i), c->refused[i]);
	head(to, "cloche_ledger_records_total", "counter", "Records that were written.");
	(void)fprintf(to, "cloche_ledger_records_total %" PRIu64 "\n", c->records);
	head(to, "cloche_ledger_failures_total", "counter", "Records that could not be written.");
	(void)fprintf(to, "cloche_ledger_failures_total %" PRIu64 "\n", c->unrecorded);
	head(to, "cloche_function_cpu_seconds_total", "counter",
	     "CPU time of functions that have ended.");
	(void)fprintf(to, "cloche_function_cpu_seconds_total ");
	seconds(to, c->cpu_ns);
	(void)fprintf(to, "\n");
	write_launches(c, to);
	write_contexts(all, to);
}
