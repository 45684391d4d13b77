/* SPDX-License-Identifier: MIT */
/*
 * `cloche doctor`: what this host offers, as a table for people or JSON for scripts. What is
 * needed and how it is tried is sandbox/host/probe.c's; here it is only shown. The exit status
 * says whether `cloche run` can do its work.
 */
#include "cli/cli.h"
#include "cli/doctor_daemon.h"
#include "cli/doctor_meter.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "cli/verb_options.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/probe.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct verb_option options[] = {
	{ .text = "Options" },
	{ "json", VERB_JSON, NULL, NULL, "one JSON object" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_doctor = {
	.name = "doctor",
	.run = cmd_doctor,
	.text = "what this host offers, what is missing, how to mend it",
	.usage =
		"Usage: cloche doctor [--json]\n\n"
		"What this host offers to Cloche: each feature is tried, not guessed. For what is\n"
		"missing: what follows, and the command that mends it. Whether the daemon serves.\n"
		"Leaves nothing behind but the loaded meter, which `cloche run` would load too.\n",
	.options = options,
	.tail = "Colours only on a terminal, and not when NO_COLOR is set.\n"
		"\n"
		"Exit status: 0 when contexts can be made here, or are made by the daemon for who\n"
		"has no right to, 1 when something essential is missing, 2 usage, 125 when the\n"
		"probes could not be run.\n"
		"\n"
		"Examples:\n"
		"  sudo cloche doctor\n"
		"  cloche doctor --json | jq -r '.checks[] | select(.ok | not) | .mend'\n",
};

/* The launch's probes, and the meter behind them. */
static size_t check_count(void)
{
	return probe_count() + 1;
}

static const struct probe *check_at(size_t i)
{
	return i < probe_count() ? probe_at(i) : &doctor_meter_probe;
}

static bool all_essential(const struct probe_result *results)
{
	for (size_t i = 0; i < check_count(); i++)
		if (check_at(i)->essential && results[i].code)
			return false;
	return true;
}

static json_t *meter_json(const struct doctor_meter *m)
{
	const struct meter_state *s = &m->state;

	if (!m->known)
		return json_null();
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:o}", "version", s->version, "path",
			 s->path, "programs", (int)s->programs, "slots", (int)s->slots,
			 "slots_armed", (int)s->slots_armed, "other_versions", (int)s->others,
			 "event_ns", m->event_ns < 0 ? json_null() : json_real(m->event_ns));
}

static int json_show(const struct probe_result *results, const struct doctor_meter *meter,
		     const struct doctor_daemon *daemon)
{
	json_t *checks = json_array();
	json_t *top = json_pack("{s:s, s:b, s:o, s:o, s:o}", "schema", "cloche.doctor/1", "ok",
				all_essential(results), "checks", checks, "meter",
				meter_json(meter), "daemon", doctor_daemon_json(daemon));
	int r = top ? 0 : -1;

	for (size_t i = 0; i < check_count() && r == 0; i++) {
		const struct probe *p = check_at(i);
		bool ok = results[i].code == 0;

		r = json_array_append_new(
			checks, json_pack("{s:s, s:b, s:b, s:s, s:s, s:s?}", "name", p->name,
					  "essential", p->essential, "ok", ok, "detail",
					  results[i].detail, "consequence", p->consequence, "mend",
					  ok ? NULL : results[i].mend));
	}
	if (r == 0)
		r = show_json(top, JSON_COMPACT);
	putchar('\n');
	json_decref(top);
	return r;
}

struct paint {
	const char *good, *bad, *warn, *end;
};

static struct paint paint_for(FILE *f)
{
	const char *no = getenv("NO_COLOR");

	if (!show_on_terminal(f) || (no && *no))
		return (struct paint){ "", "", "", "" };
	return (struct paint){ show_style(STYLE_GREEN), show_style(STYLE_RED),
			       show_style(STYLE_YELLOW), show_style(STYLE_OFF) };
}

static void row_show(const struct probe *p, const struct probe_result *r, int width,
		     const struct paint *paint)
{
	const char *colour = r->code == 0 ? paint->good : p->essential ? paint->bad : paint->warn;

	printf("%-*s  %-9s  %s%-7s%s  %s\n", width, p->name, p->essential ? "essential" : "better",
	       colour, r->code ? "missing" : "ok", paint->end, r->detail);
	if (r->code == 0)
		return;
	printf("%*s  so:   %s\n", width, "", p->consequence);
	printf("%*s  mend: %s\n", width, "", r->mend);
}

static void table_show(const struct probe_result *results, bool for_us)
{
	struct paint paint = paint_for(stdout);
	size_t essential = 0, other = 0;
	int width = 0;

	for (size_t i = 0; i < check_count(); i++) {
		int len = (int)strlen(check_at(i)->name);

		width = len > width ? len : width;
		if (results[i].code)
			++*(check_at(i)->essential ? &essential : &other);
	}
	printf("%-*s  %-9s  %-7s  %s\n", width, "CHECK", "NEED", "STATE", "DETAIL");
	for (size_t i = 0; i < check_count(); i++)
		row_show(check_at(i), &results[i], width, &paint);
	if (essential && for_us)
		printf("\n%sContexts are made by the daemon:%s you yourself lack %zu essentials, "
		       "%zu other.\n",
		       paint.good, paint.end, essential, other);
	else if (essential)
		printf("\n%sContexts cannot be made here:%s %zu essential missing, %zu other.\n",
		       paint.bad, paint.end, essential, other);
	else
		printf("\n%sContexts can be made here:%s nothing essential is missing, %zu "
		       "other.\n",
		       paint.good, paint.end, other);
}

int cmd_doctor(int argc, char **argv)
{
	cleanup_free struct probe_result *results = NULL;
	struct cloche_err err = { 0 };
	struct doctor_daemon daemon;
	struct doctor_meter meter;
	bool json, for_us;
	int r = verb_json_parse(&verb_doctor, 0, argc, argv, &json);

	if (r >= 0)
		return r;
	results = calloc(check_count(), sizeof(*results));
	if (!results) {
		fputs("cloche doctor: out of memory\n", stderr);
		return EXIT_LAUNCH;
	}
	for (size_t i = 0; i < probe_count(); i++)
		if (probe_run(i, &results[i], &err) < 0) {
			fprintf(stderr, "cloche doctor: %s: %s\n", check_at(i)->name, err.text);
			return EXIT_LAUNCH;
		}
	doctor_meter_run(&meter, &results[probe_count()]);
	doctor_daemon_ask(&daemon);
	for_us = daemon.serves && geteuid() != 0;
	r = 0;
	if (json) {
		r = json_show(results, &meter, &daemon);
	} else {
		table_show(results, for_us);
		doctor_daemon_show(&daemon);
	}
	if (r < 0 || fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "cloche doctor: write to standard output: %m\n");
		return EXIT_LAUNCH;
	}
	return all_essential(results) || for_us ? 0 : 1;
}
