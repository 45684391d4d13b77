/* SPDX-License-Identifier: MIT */
/*
 * How late a deadline is: a busy loop and a fork bomb under a limit of 50 ms. Twice: what the
 * report says, and what a clock outside says of the whole process, launch and clean-up included,
 * which is an upper bound that the program cannot talk down. After every run nothing of the
 * function may be alive.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "census.h"
#include "run.h"
#include "sample.h"

#define LIMIT_NS (50 * NSEC_PER_MSEC)

static int report_overshoot(const char *path, int64_t *ret_ns, struct cloche_err *err)
{
	json_error_t why;
	json_t *report = json_load_file(path, JSON_DISABLE_EOF_CHECK, &why), *value;
	const char *verdict;
	int r = 0;

	if (!report)
		return cloche_err_set(err, EBADMSG, "read '%s': line %d: %s", path, why.line,
				      why.text);
	verdict = json_string_value(json_object_get(report, "verdict"));
	value = json_object_get(json_object_get(report, "time"), "timeout_overshoot_ns");
	if (!verdict || strcmp(verdict, "timeout") != 0)
		r = cloche_err_set(err, EBADMSG, "the report's verdict is '%s' instead of timeout",
				   verdict ? verdict : "none");
	else if (!json_is_integer(value))
		r = cloche_err_set(err, EBADMSG, "the report has no time.timeout_overshoot_ns");
	else
		*ret_ns = json_integer_value(value);
	json_decref(report);
	return r;
}

static int run_late(struct bench *bench, struct command *command, struct sample *said,
		    struct sample *seen, struct cloche_err *err)
{
	cleanup_census struct census alive = { 0 };
	int64_t wall_ns = 0, late_ns = 0;
	int r;

	(void)unlink(bench->stage.report);
	r = run_once(command, &bench->stage, &wall_ns, err);
	if (r < 0)
		return r;
	r = census_survivors(&alive, err);
	if (r < 0)
		return r;
	if (alive.lists[CENSUS_PROCESS].len) {
		bench->leaked = true;
		printf("  survived: %s\n", alive.lists[CENSUS_PROCESS].names[0]);
	}
	r = report_overshoot(bench->stage.report, &late_ns, err);
	if (r == 0)
		r = sample_add(said, late_ns, err);
	return r == 0 ? sample_add(seen, wall_ns - LIMIT_NS, err) : r;
}

static void row_print(struct bench *bench, const char *name, struct sample *s)
{
	printf("  %-36s%6zu%9.3f%9.3f%9.3f\n", name, s->len, (double)sample_median(s) / 1e6,
	       (double)sample_quantile(s, 990) / 1e6, (double)sample_quantile(s, 1000) / 1e6);
	json_object_set_new(json_object_get(bench->root, "overshoot"), name, sample_json(s));
}

int overshoot_measure(struct bench *bench, struct figures *figures, struct cloche_err *err)
{
	static const enum work bad[] = { WORK_BURN, WORK_FORKBOMB };
	cleanup_sample struct sample burn = { 0 }, burn_out = { 0 }, bomb = { 0 }, bomb_out = { 0 };
	cleanup_sample struct sample floor = { 0 };
	struct command commands[2] = { 0 };
	unsigned runs = bench->quick ? 30 : 200;
	int64_t floor_ns;
	int r = 0;

	printf("\nLateness of a 50 ms limit (ms)\n  %-36s%6s%9s%9s%9s\n", "", "runs", "p50", "p99",
	       "max");
	if (subject_missing(SUBJECT_CLOCHE_50MS, &bench->stage)) {
		printf("  not measured: %s\n", subject_missing(SUBJECT_CLOCHE_50MS, &bench->stage));
		return 0;
	}
	for (int i = 0; i < 2 && r == 0; i++)
		r = command_make(SUBJECT_CLOCHE_50MS, bad[i], &bench->stage, &commands[i], err);
	for (unsigned i = 0; i < runs && r == 0; i++) {
		r = run_late(bench, &commands[0], &burn, &burn_out, err);
		if (r == 0)
			r = run_late(bench, &commands[1], &bomb, &bomb_out, err);
		if (r == 0)
			r = floor_measure(bench->stage.helpers, &floor_ns, err);
		if (r == 0)
			r = sample_add(&floor, floor_ns, err);
	}
	for (int i = 0; i < 2; i++)
		command_free(&commands[i]);
	if (r < 0)
		return r;
	json_object_set_new(bench->root, "overshoot", json_object());
	row_print(bench, "busy loop, by the report", &burn);
	row_print(bench, "busy loop, whole process outside", &burn_out);
	row_print(bench, "fork bomb, by the report", &bomb);
	row_print(bench, "floor: cgroup.kill of such a crowd", &floor);
	row_print(bench, "fork bomb, whole process outside", &bomb_out);
	printf("  alive after any of these runs: %s\n",
	       bench->leaked ? "SURVIVORS, see above" : "nothing");
	fflush(stdout);
	figures->overshoot_burn_p99_ns = sample_quantile(&burn, 990);
	figures->overshoot_bomb_p99_ns = sample_quantile(&bomb, 990);
	return 0;
}
