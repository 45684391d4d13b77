/* SPDX-License-Identifier: MIT */
/* What the front counts, as Prometheus reads it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "run/outcome.h"
#include "serve/counts.h"
#include "serve/listing.h"

static char *text_of(const struct counts *c, const struct listing *all)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	cr_assert(to != NULL);
	counts_write(c, all, to);
	cr_assert_eq(fclose(to), 0);
	return text;
}

static void expect(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	cr_expect(at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n', "'%s' in\n%s",
		  line, text);
}

Test(counts, each_figure_has_its_line)
{
	static const struct {
		enum verdict verdict;
		int64_t launch_ns;
		bool ran, unrecorded;
	} outcomes[] = { { VERDICT_OK, 400000, true, false },
			 { VERDICT_OK, 500000, true, false },
			 { VERDICT_OOM, 500001, true, true },
			 { VERDICT_LAUNCH_ERROR, 7, false, false },
			 { VERDICT_TIMEOUT, 2000000000, true, false } };
	struct listing *all = calloc(1, listing_size(2));
	cleanup_free char *text = NULL;
	struct counts c = { 0 };

	cr_assert(all != NULL);
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		struct outcome out = { .verdict = outcomes[i].verdict,
				       .launch_ns = outcomes[i].launch_ns,
				       .ran = outcomes[i].ran,
				       .unrecorded = outcomes[i].unrecorded,
				       .on_cpu_ns = 250000001 };

		counts_outcome(&c, &out);
	}
	c.refused[LIMIT_OWNER_MEMORY] = 3;
	all->n = 2;
	all->memory_max_bytes = 1000;
	all->daemon_cpu_ns = 1000000001;
	all->launcher_bytes = 4096;
	all->front_bytes = LISTING_UNKNOWN;
	all->rows[0] = (struct listed){ .state = LISTED_BUSY, .memory_bytes = 100 };
	all->rows[1] = (struct listed){ .state = LISTED_READY, .memory_bytes = LISTING_UNKNOWN };
	text = text_of(&c, all);
	free(all);
	expect(text, "cloche_invocations_total{verdict=\"ok\"} 2");
	expect(text, "cloche_invocations_total{verdict=\"oom\"} 1");
	expect(text, "cloche_invocations_total{verdict=\"cancelled\"} 0");
	expect(text, "cloche_refusals_total{limit=\"per_owner.memory\"} 3");
	expect(text, "cloche_refusals_total{limit=\"contexts\"} 0");
	expect(text, "cloche_ledger_records_total 4");
	expect(text, "cloche_ledger_failures_total 1");
	expect(text, "cloche_function_cpu_seconds_total 1.000000004");
	expect(text, "cloche_launch_seconds_bucket{le=\"0.0005\"} 2");
	expect(text, "cloche_launch_seconds_bucket{le=\"0.001\"} 3");
	expect(text, "cloche_launch_seconds_bucket{le=\"1\"} 3");
	expect(text, "cloche_launch_seconds_bucket{le=\"+Inf\"} 4");
	expect(text, "cloche_launch_seconds_sum 2.001400001");
	expect(text, "cloche_launch_seconds_count 4");
	expect(text, "cloche_contexts{state=\"busy\"} 1");
	expect(text, "cloche_contexts{state=\"ready\"} 1");
	expect(text, "cloche_contexts{state=\"ending\"} 0");
	expect(text, "cloche_memory_bytes 100");
	expect(text, "cloche_memory_limit_bytes 1000");
	expect(text, "cloche_daemon_cpu_seconds_total 1.000000001");
	expect(text, "cloche_daemon_memory_bytes{process=\"launcher\"} 4096");
	cr_expect_null(strstr(text, "process=\"front\""));
}

/* Each family has its two lines of comment before it, once, and each line a name and a number. */
Test(counts, the_form_is_prometheus_s)
{
	struct listing *all = calloc(1, listing_size(0));
	struct counts c = { 0 };
	cleanup_free char *text = NULL;
	char family[100] = "";

	cr_assert(all != NULL);
	text = text_of(&c, all);
	free(all);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char name[100], type[20], *end;

		if (sscanf(line, "# TYPE %99s %19s", name, type) == 2) {
			(void)snprintf(family, sizeof(family), "%s", name);
			continue;
		}
		if (line[0] == '#')
			continue;
		cr_expect_eq(strncmp(line, family, strlen(family)), 0, "%s is not of %s", line,
			     family);
		end = strrchr(line, ' ');
		cr_assert(end != NULL, "%s", line);
		(void)strtod(end + 1, &end);
		cr_expect_eq(*end, '\0', "%s", line);
	}
}
