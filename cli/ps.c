/* SPDX-License-Identifier: MIT */
/* `cloche ps`: what contexts the daemon has now, as a table or as JSON. */
#include "cli/ps.h"

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "cli/verb_options.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "serve/listing.h"
#include "serve/remote.h"
#include "serve/request.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb_option options[] = {
	{ .text = "Options" },
	{ "json", VERB_JSON, NULL, NULL, "one JSON object a line" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_ps = {
	.name = "ps",
	.run = cmd_ps,
	.text = "contexts now: state, owner, memory, CPU",
	.usage = "Usage: cloche ps [--json]\n\n"
		 "What contexts the daemon has now. Root sees all of them, everybody else his "
		 "own.\n",
	.options = options,
	.tail = "CPU and INV count since the context was made, MEM is what it has now.\n"
		"\n"
		"Exit status: 0, 2 usage, 125 when no daemon answers.\n"
		"\n"
		"Examples:\n"
		"  cloche ps\n"
		"  cloche ps --json | jq -r 'select(.state == \"busy\") | .command'\n",
};

/* ---- what top needs, too --------------------------------------------------------------------- */

int ps_ask(const char *verb, struct listing **ret)
{
	const char *control = getenv("CLOCHE_CONTROL");
	struct cloche_err err = { 0 };
	int r;

	control = control ? control : CONTROL_PATH;
	r = remote_list(control, ret, &err);
	if (r == 0)
		return 0;
	if (r == -ENOENT || r == -ECONNREFUSED || r == -EACCES)
		show_line("cloche %s: no daemon can be reached at '%.200s'; have 'cloche serve' "
			  "started",
			  verb, control);
	else
		show_line("cloche %s: %s", verb, err.text);
	return EXIT_LAUNCH;
}

struct ps_text ps_bytes(uint64_t bytes)
{
	struct ps_text t = { "-" };
	uint64_t tenths = bytes / ((1 << 20) / 10);

	if (bytes == LISTING_UNKNOWN)
		return t;
	if (tenths < 10240)
		(void)snprintf(t.s, sizeof(t.s), "%" PRIu64 ".%" PRIu64 "M", tenths / 10,
			       tenths % 10);
	else
		(void)snprintf(t.s, sizeof(t.s), "%" PRIu64 ".%" PRIu64 "G", tenths / 10240,
			       tenths % 10240 / 1024);
	return t;
}

struct ps_text ps_age(int64_t ns)
{
	int64_t s = ns / NSEC_PER_SEC;
	struct ps_text t;

	if (s < 60)
		(void)snprintf(t.s, sizeof(t.s), "%" PRId64 "s", s);
	else if (s < 3600)
		(void)snprintf(t.s, sizeof(t.s), "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(t.s, sizeof(t.s), "%" PRId64 "h%02" PRId64 "m", s / 3600,
			       s % 3600 / 60);
	else
		(void)snprintf(t.s, sizeof(t.s), "%" PRId64 "d%02" PRId64 "h", s / 86400,
			       s % 86400 / 3600);
	return t;
}

struct ps_text ps_seconds(uint64_t ns)
{
	struct ps_text t = { "-" };

	if (ns != LISTING_UNKNOWN)
		(void)snprintf(t.s, sizeof(t.s), "%" PRIu64 ".%02" PRIu64 "s",
			       (uint64_t)(ns / NSEC_PER_SEC),
			       (uint64_t)(ns % NSEC_PER_SEC / (10 * NSEC_PER_MSEC)));
	return t;
}

void ps_what(const struct listed *row, char *ret, size_t size)
{
	quote_field(ret, size, row->function[0] ? row->function : row->command);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void show_table(const struct listing *l)
{
	(void)printf("%-8s  %-10s  %-8s  %7s  %5s  %9s  %9s  %s\n", "CONTEXT", "OWNER", "STATE",
		     "AGE", "INV", "MEM", "CPU", "COMMAND");
	for (uint32_t i = 0; i < l->n; i++) {
		const struct listed *row = &l->rows[i];
		char owner[24], what[LISTING_COMMAND_LEN];

		(void)snprintf(owner, sizeof(owner), "%u", row->uid);
		ps_what(row, what, sizeof(what));
		(void)printf("%-8.8s  %-10.10s  %-8s  %7s  %5" PRIu64 "  %9s  %9s  %s\n",
			     row->id[0] ? row->id : "-", row->owner[0] ? row->owner : owner,
			     listed_state_text(row->state), ps_age(row->age_ns).s, row->invocations,
			     ps_bytes(row->memory_bytes).s, ps_seconds(row->cpu_ns).s, what);
	}
}

static json_t *figure(uint64_t n)
{
	return n == LISTING_UNKNOWN ? json_null() : json_integer((json_int_t)n);
}

static json_t *text(const char *s)
{
	return s[0] ? json_string(s) : json_null();
}

static int show_rows(const struct listing *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct listed *row = &l->rows[i];
		char command[LISTING_COMMAND_LEN], function[OUTCOME_NAME_LEN];
		json_t *o;

		quote_field(command, sizeof(command), row->command);
		quote_field(function, sizeof(function), row->function);
		o = json_pack("{s:o, s:{s:I, s:o}, s:o, s:s, s:s, s:I, s:I, s:o, s:o}", "context",
			      text(row->id), "owner", "uid", (json_int_t)row->uid, "name",
			      text(row->owner), "function", text(function), "command", command,
			      "state", listed_state_text(row->state), "age_ns",
			      (json_int_t)row->age_ns, "invocations", (json_int_t)row->invocations,
			      "memory_bytes", figure(row->memory_bytes), "cpu_ns",
			      figure(row->cpu_ns));
		if (!o || show_json(o, JSON_COMPACT) < 0) {
			json_decref(o);
			show_line("cloche ps: no memory");
			return EXIT_LAUNCH;
		}
		json_decref(o);
		(void)putchar('\n');
	}
	return 0;
}

int cmd_ps(int argc, char **argv)
{
	cleanup_free struct listing *l = NULL;
	bool json;
	int status = verb_json_parse(&verb_ps, 0, argc, argv, &json);

	if (status >= 0)
		return status;
	status = ps_ask("ps", &l);
	if (status)
		return status;
	if (json)
		return show_rows(l);
	show_table(l);
	return 0;
}
