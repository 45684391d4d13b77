/* SPDX-License-Identifier: MIT */
/*
 * How long a whole process takes, one at a time: back to back, after idleness, with an
 * interpreter inside, and repeated in one context. All subjects of a table take turns within each
 * round, in an order drawn anew, so that neither the machine's moods nor what a neighbour leaves
 * behind (namespaces are torn down after their owner has gone) meet one of them only.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "run.h"
#include "sample.h"

struct turn {
	enum subject_id id;
	bool present;
	char why_not[sizeof(((struct cloche_err *)NULL)->text)]; /* when it is not */
	struct command command;
	struct sample sample;
};

struct table {
	const char *key, *title;
	enum work work;
	unsigned rounds, quick_rounds;
	int64_t idle_ns;
	enum subject_id ids[SUBJECT_COUNT];
	unsigned n_ids;
};

static const struct table tables[] = {
	{
		.key = "noop",
		.title = "Static no-op, whole process, back to back",
		.work = WORK_NOOP,
		.rounds = 200,
		.quick_rounds = 25,
		.ids = { SUBJECT_BARE, SUBJECT_BWRAP, SUBJECT_BWRAP_SECCOMP, SUBJECT_CLOCHE,
			 SUBJECT_CLOCHE_REPORT, SUBJECT_CRUN, SUBJECT_RUNC },
		.n_ids = 7,
	},
	{
		.key = "noop_idle",
		.title = "The same, each after 250 ms of idleness",
		.work = WORK_NOOP,
		.rounds = 40,
		.quick_rounds = 8,
		.idle_ns = 250 * NSEC_PER_MSEC,
		.ids = { SUBJECT_BARE, SUBJECT_BWRAP, SUBJECT_CLOCHE, SUBJECT_CRUN, SUBJECT_RUNC },
		.n_ids = 5,
	},
	{
		.key = "python",
		.title = "python3 -c pass, whole process, back to back",
		.work = WORK_PYTHON,
		.rounds = 100,
		.quick_rounds = 20,
		.ids = { SUBJECT_BARE, SUBJECT_BWRAP, SUBJECT_CLOCHE },
		.n_ids = 3,
	},
	/* In pairs by themselves: beside others that run from the host's /usr, its pages are
	 * found in the processor's caches more often. */
	{
		.key = "image_noop",
		.title = "Static no-op, in the host's /usr and in an image",
		.work = WORK_NOOP,
		.rounds = 100,
		.quick_rounds = 20,
		.ids = { SUBJECT_CLOCHE, SUBJECT_CLOCHE_IMAGE },
		.n_ids = 2,
	},
	{
		.key = "image_python",
		.title = "python3 -c pass, of the host's /usr and of an image",
		.work = WORK_PYTHON,
		.rounds = 100,
		.quick_rounds = 20,
		.ids = { SUBJECT_CLOCHE, SUBJECT_CLOCHE_IMAGE },
		.n_ids = 2,
	},
	{
		.key = "tree_python",
		.title = "The host's python3 -c pass, in a directory DIR and in an image",
		.work = WORK_PYTHON,
		.rounds = 100,
		.quick_rounds = 20,
		.ids = { SUBJECT_CLOCHE_TREE, SUBJECT_CLOCHE_TREE_IMAGE },
		.n_ids = 2,
	},
};

static void turns_shuffle(struct turn **order, unsigned n)
{
	for (unsigned i = n; i > 1; i--) {
		unsigned j = bench_random(i);
		struct turn *t = order[i - 1];

		order[i - 1] = order[j];
		order[j] = t;
	}
}

/* One uncounted run of each: it warms the page cache and makes what is made once. A peer that
 * refuses this host (crun does under hybrid cgroups) is left out with its own words; cloche and
 * the floor have no such excuse. */
static int turns_prepare(struct bench *bench, const struct table *table, struct turn *turns,
			 struct cloche_err *err)
{
	for (unsigned i = 0; i < table->n_ids; i++) {
		struct turn *turn = &turns[i];
		const char *why;
		int64_t ns;
		int r;

		turn->id = table->ids[i];
		why = subject_missing(turn->id, &bench->stage);
		if (why) {
			snprintf(turn->why_not, sizeof(turn->why_not), "%s", why);
			continue;
		}
		r = command_make(turn->id, table->work, &bench->stage, &turn->command, err);
		if (r < 0)
			return r;
		r = run_once(&turn->command, &bench->stage, &ns, err);
		if (r < 0 && !subject_is_peer(turn->id))
			return r;
		if (r < 0)
			snprintf(turn->why_not, sizeof(turn->why_not), "%s", err->text);
		turn->present = r == 0;
	}
	return 0;
}

static int turns_run(struct bench *bench, const struct table *table, struct turn *turns,
		     struct cloche_err *err)
{
	unsigned rounds = bench->quick ? table->quick_rounds : table->rounds, n = 0;
	struct turn *order[SUBJECT_COUNT];
	int64_t ns;
	int r;

	for (unsigned i = 0; i < table->n_ids; i++) {
		if (turns[i].present)
			order[n++] = &turns[i];
	}
	for (unsigned round = 0; round < rounds; round++) {
		turns_shuffle(order, n);
		for (unsigned i = 0; i < n; i++) {
			struct timespec idle = ns_timespec(table->idle_ns);

			if (table->idle_ns)
				(void)nanosleep(&idle, NULL);
			r = run_once(&order[i]->command, &bench->stage, &ns, err);
			if (r == 0)
				r = sample_add(&order[i]->sample, ns, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static struct turn *turn_find(struct turn *turns, unsigned n, enum subject_id id)
{
	for (unsigned i = 0; i < n; i++) {
		if (turns[i].id == id && turns[i].sample.len)
			return &turns[i];
	}
	return NULL;
}

static void ratio_print(struct turn *turn, struct turn *base)
{
	if (base)
		printf("%9.2f",
		       (double)sample_median(&turn->sample) / (double)sample_median(&base->sample));
	else
		printf("%9s", "-");
}

static int turns_print(struct bench *bench, const struct table *table, struct turn *turns,
		       struct cloche_err *err)
{
	struct turn *bare = turn_find(turns, table->n_ids, SUBJECT_BARE);
	struct turn *bwrap = turn_find(turns, table->n_ids, SUBJECT_BWRAP);
	json_t *rows = json_object();

	printf("\n%s (ms)\n  %-26s%6s%9s%9s%9s%9s%9s\n", table->title, "", "runs", "p50", "p95",
	       "p99", "x bare", "x bwrap");
	for (unsigned i = 0; i < table->n_ids; i++) {
		struct sample *s = &turns[i].sample;

		if (!turns[i].present) {
			printf("  %-26s  not measured: %s\n", subject_name(turns[i].id),
			       turns[i].why_not);
			continue;
		}
		printf("  %-26s%6zu%9.3f%9.3f%9.3f", turns[i].command.name, s->len,
		       (double)sample_median(s) / 1e6, (double)sample_quantile(s, 950) / 1e6,
		       (double)sample_quantile(s, 990) / 1e6);
		ratio_print(&turns[i], bare);
		ratio_print(&turns[i], bwrap);
		printf("\n");
		json_object_set_new(rows, turns[i].command.name, sample_json(s));
	}
	fflush(stdout);
	if (json_object_set_new(bench->root, table->key, rows) < 0)
		return cloche_err_sys(err, ENOMEM, "keep the figures of '%s'", table->key);
	return 0;
}

static int64_t turns_median(struct turn *turns, unsigned n, enum subject_id id)
{
	struct turn *turn = turn_find(turns, n, id);

	return turn ? sample_median(&turn->sample) : 0;
}

static void figures_take(const struct table *table, struct turn *turns, struct figures *figures)
{
	int64_t cloche = turns_median(turns, table->n_ids, SUBJECT_CLOCHE);
	int64_t image = turns_median(turns, table->n_ids, SUBJECT_CLOCHE_IMAGE);
	int64_t tree = turns_median(turns, table->n_ids, SUBJECT_CLOCHE_TREE);

	if (image) {
		bool noop = table->work == WORK_NOOP;

		*(noop ? &figures->host_noop_ns : &figures->host_python_ns) = cloche;
		*(noop ? &figures->image_noop_ns : &figures->image_python_ns) = image;
	} else if (tree) {
		figures->tree_ns = tree;
		figures->tree_image_ns =
			turns_median(turns, table->n_ids, SUBJECT_CLOCHE_TREE_IMAGE);
	} else if (table->idle_ns) {
		figures->bwrap_idle_ns = turns_median(turns, table->n_ids, SUBJECT_BWRAP);
		figures->cloche_idle_ns = cloche;
	} else if (table == &tables[0]) {
		figures->bwrap_ns = turns_median(turns, table->n_ids, SUBJECT_BWRAP);
		figures->cloche_ns = cloche;
		figures->runc_ns = turns_median(turns, table->n_ids, SUBJECT_RUNC);
	}
}

static int table_measure(struct bench *bench, const struct table *table, struct figures *figures,
			 struct cloche_err *err)
{
	struct turn turns[SUBJECT_COUNT] = { 0 };
	int r = turns_prepare(bench, table, turns, err);

	if (r == 0)
		r = turns_run(bench, table, turns, err);
	if (r == 0)
		r = turns_print(bench, table, turns, err);
	if (r == 0)
		figures_take(table, turns, figures);
	for (unsigned i = 0; i < table->n_ids; i++) {
		command_free(&turns[i].command);
		sample_free(&turns[i].sample);
	}
	return r;
}

/* What one more invocation in a context that is there costs: (N in a row − 1) / (N − 1). */
static int repeat_measure(struct bench *bench, struct cloche_err *err)
{
	cleanup_command struct command once = { 0 }, repeat = { 0 };
	cleanup_sample struct sample one = { 0 }, many = { 0 };
	unsigned rounds = bench->quick ? 5 : 30;
	int64_t each, ns = 0;
	int r;

	printf("\nInvocations in one context (--repeat %d)\n", SUBJECT_REPEAT);
	if (subject_missing(SUBJECT_CLOCHE, &bench->stage)) {
		printf("  not measured: %s\n", subject_missing(SUBJECT_CLOCHE, &bench->stage));
		return 0;
	}
	r = command_make(SUBJECT_CLOCHE, WORK_NOOP, &bench->stage, &once, err);
	if (r == 0)
		r = command_make(SUBJECT_CLOCHE_REPEAT, WORK_NOOP, &bench->stage, &repeat, err);
	for (unsigned i = 0; i < rounds && r == 0; i++) {
		r = run_once(&once, &bench->stage, &ns, err);
		if (r == 0)
			r = sample_add(&one, ns, err);
		if (r == 0)
			r = run_once(&repeat, &bench->stage, &ns, err);
		if (r == 0)
			r = sample_add(&many, ns, err);
	}
	if (r < 0)
		return r;
	each = (sample_median(&many) - sample_median(&one)) / (SUBJECT_REPEAT - 1);
	printf("  first %.3f ms (whole process), each further one %.3f ms\n",
	       (double)sample_median(&one) / 1e6, (double)each / 1e6);
	json_object_set_new(bench->root, "repeat",
			    json_pack("{s:o, s:o, s:I}", "once", sample_json(&one), "repeated",
				      sample_json(&many), "each_further_ns", (json_int_t)each));
	return 0;
}

int latency_measure(struct bench *bench, struct figures *figures, struct cloche_err *err)
{
	int r = 0;

	stage_images_make(&bench->stage);
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables) && r == 0; i++)
		r = table_measure(bench, &tables[i], figures, err);
	stage_images_remove(&bench->stage);
	return r < 0 ? r : repeat_measure(bench, err);
}
