/* SPDX-License-Identifier: MIT */
/* `cloche functions`: what is deployed, as a table or as JSON; and what its like share. */
#include "cli/functions.h"

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "cli/verb_options.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "serve/remote_function.h"
#include "serve/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb_option options[] = {
	{ .text = "Options" },
	{ "json", VERB_JSON, NULL, NULL, "one JSON object a line" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_functions = {
	.name = "functions",
	.run = cmd_functions,
	.text = "deployed functions: version, runtime, limits, contexts",
	.usage = "Usage: cloche functions [--json]\n\n"
		 "What functions are deployed, each in the version that counts. Root sees those\n"
		 "of everybody, everybody else his own.\n",
	.options = options,
	.tail = "WARM contexts wait for an invocation, BUSY ones have one.\n"
		"\n"
		"Exit status: 0, 2 usage, 125 when no daemon answers.\n"
		"\n"
		"Examples:\n"
		"  cloche functions\n"
		"  cloche functions --json | jq -r .name\n",
};

/* ---- what others need, too ------------------------------------------------------------------- */

const char *functions_control(void)
{
	const char *control = getenv("CLOCHE_CONTROL");

	return control ? control : CONTROL_PATH;
}

int functions_fail(const char *verb, const struct cloche_err *err)
{
	show_line("cloche %s: %s", verb, err->text);
	return err->code == ENOTCONN || err->code == ETIMEDOUT || err->code == EPROTO ||
			       err->code == EPIPE
		       ? EXIT_LAUNCH
		       : 1;
}

static struct functions_text text_of(const char *s)
{
	struct functions_text t = { "-" };

	if (s && *s)
		quote_field(t.s, sizeof(t.s), s);
	return t;
}

struct functions_text functions_string(const json_t *o, const char *key)
{
	return text_of(json_string_value(json_object_get(o, key)));
}

json_int_t functions_number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

struct functions_text functions_runtime(const json_t *config)
{
	const char *runtime = json_string_value(json_object_get(config, "runtime"));
	const char *image = json_string_value(json_object_get(config, "image"));
	struct functions_text t = text_of(runtime);

	if ((!runtime || !*runtime) && image)
		(void)snprintf(t.s, sizeof(t.s), "image %.80s", text_of(image).s);
	return t;
}

struct functions_text functions_words(const json_t *list)
{
	char whole[sizeof(struct functions_text)] = "";
	size_t len = 0;

	for (size_t i = 0; i < json_array_size(list) && len < sizeof(whole) - 1; i++) {
		const char *word = json_string_value(json_array_get(list, i));

		(void)snprintf(whole + len, sizeof(whole) - len, "%s%s", i ? " " : "",
			       word ? word : "");
		len = strlen(whole);
	}
	return text_of(whole);
}

struct functions_text functions_handler(const json_t *config)
{
	return functions_words(json_object_get(config, "handler"));
}

struct functions_text functions_duration(json_int_t ns)
{
	struct functions_text t;

	if (ns % NSEC_PER_SEC == 0)
		(void)snprintf(t.s, sizeof(t.s), "%" PRId64 "s", (int64_t)(ns / NSEC_PER_SEC));
	else
		(void)snprintf(t.s, sizeof(t.s), "%" PRId64 "ms", (int64_t)(ns / NSEC_PER_MSEC));
	return t;
}

/* To the second. */
struct functions_text functions_when(json_int_t ns)
{
	struct functions_text t;
	char iso[CLOCK_ISO_LEN];

	clock_format_iso(ns, iso);
	(void)snprintf(t.s, sizeof(t.s), "%.19sZ", iso);
	return t;
}

struct functions_text functions_owner(const json_t *owner)
{
	struct functions_text t = functions_string(owner, "name");

	if (strcmp(t.s, "-") == 0)
		(void)snprintf(t.s, sizeof(t.s), "%" PRId64,
			       (int64_t)functions_number(owner, "uid"));
	return t;
}

/* "" is nothing. */
static json_t *string_or_null(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && *s ? json_string(s) : json_null();
}

/* One word, but a command. */
static json_t *handler_json(const json_t *config)
{
	const json_t *list = json_object_get(config, "handler");
	const char *runtime = json_string_value(json_object_get(config, "runtime"));

	if (json_array_size(list) == 0)
		return json_null();
	if (runtime && (strcmp(runtime, "exec") == 0 || !*runtime))
		return json_deep_copy(list);
	return json_incref(json_array_get(list, 0));
}

int functions_add_json(json_t *o, const json_t *config, json_int_t deployed_ns)
{
	char iso[CLOCK_ISO_LEN];
	json_t *more;
	int r;

	clock_format_iso(deployed_ns, iso);
	more = json_pack("{s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:s}", "runtime",
			 string_or_null(config, "runtime"), "handler", handler_json(config),
			 "image", string_or_null(config, "image"), "memory_mb",
			 functions_number(config, "memory_mb"), "timeout_ns",
			 functions_number(config, "timeout_ns"), "reuse",
			 string_or_null(config, "reuse"), "code_sha256",
			 string_or_null(config, "code"), "deployed_at", iso);
	r = more ? json_object_update(o, more) : -1;
	json_decref(more);
	return r;
}

/* Characters, not bytes. */
static int width_of(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

void functions_table(const struct functions_text (*rows)[FUNCTIONS_COLUMNS], size_t n_rows,
		     size_t n_columns, const bool *right)
{
	bool bold = show_on_terminal(stdout);
	int widths[FUNCTIONS_COLUMNS] = { 0 };

	for (size_t i = 0; i < n_rows; i++)
		for (size_t j = 0; j < n_columns; j++)
			if (width_of(rows[i][j].s) > widths[j])
				widths[j] = width_of(rows[i][j].s);
	for (size_t i = 0; i < n_rows; i++) {
		if (i == 0 && bold)
			fputs(show_style(STYLE_BOLD), stdout);
		for (size_t j = 0; j < n_columns; j++) {
			const char *s = rows[i][j].s;
			int pad = widths[j] - width_of(s);
			bool last = j + 1 == n_columns;

			if (right[j])
				(void)printf("%*s%s", pad, "", s);
			else
				(void)printf("%s%*s", s, last ? 0 : pad, "");
			fputs(last ? "" : "  ", stdout);
		}
		if (i == 0 && bold)
			fputs(show_style(STYLE_OFF), stdout);
		(void)putchar('\n');
	}
}

/* ---- the verb -------------------------------------------------------------------------------- */

static void fill_row(const json_t *f, struct functions_text row[static FUNCTIONS_COLUMNS])
{
	const json_t *config = json_object_get(f, "config");
	const json_t *contexts = json_object_get(f, "contexts");

	row[0] = functions_string(config, "name");
	row[1] = functions_owner(json_object_get(f, "owner"));
	(void)snprintf(row[2].s, sizeof(row[2].s), "%" PRId64,
		       (int64_t)functions_number(f, "version"));
	row[3] = functions_runtime(config);
	row[4] = functions_handler(config);
	(void)snprintf(row[5].s, sizeof(row[5].s), "%" PRId64 "M",
		       (int64_t)functions_number(config, "memory_mb"));
	row[6] = functions_duration(functions_number(config, "timeout_ns"));
	row[7] = functions_string(config, "reuse");
	(void)snprintf(row[8].s, sizeof(row[8].s), "%" PRId64,
		       (int64_t)functions_number(contexts, "warm"));
	(void)snprintf(row[9].s, sizeof(row[9].s), "%" PRId64,
		       (int64_t)functions_number(contexts, "busy"));
	row[10] = functions_when(functions_number(f, "deployed_ns"));
}

static int no_memory(void)
{
	show_line("cloche functions: no memory");
	return EXIT_LAUNCH;
}

static int show_table(const json_t *list)
{
	static const char *const heads[FUNCTIONS_COLUMNS] = { "NAME",	 "OWNER",   "VERSION",
							      "RUNTIME", "HANDLER", "MEMORY",
							      "TIMEOUT", "REUSE",   "WARM",
							      "BUSY",	 "DEPLOYED" };
	static const bool right[FUNCTIONS_COLUMNS] = {
		[2] = true, [5] = true, [6] = true, [8] = true, [9] = true
	};
	size_t n = json_array_size(list);
	cleanup_free struct functions_text(*rows)[FUNCTIONS_COLUMNS] = calloc(n + 1, sizeof(*rows));

	if (!rows)
		return no_memory();
	for (size_t j = 0; j < FUNCTIONS_COLUMNS; j++)
		(void)snprintf(rows[0][j].s, sizeof(rows[0][j].s), "%s", heads[j]);
	for (size_t i = 0; i < n; i++)
		fill_row(json_array_get(list, i), rows[i + 1]);
	functions_table(rows, n + 1, FUNCTIONS_COLUMNS, right);
	return 0;
}

static int show_rows(const json_t *list)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *f = json_array_get(list, i);
		const json_t *config = json_object_get(f, "config");
		json_t *o = json_pack(
			"{s:O?, s:O?, s:O?, s:O?}", "name", json_object_get(config, "name"),
			"owner", json_object_get(f, "owner"), "version",
			json_object_get(f, "version"), "contexts", json_object_get(f, "contexts"));

		r = o ? functions_add_json(o, config, functions_number(f, "deployed_ns")) : -1;
		if (r == 0)
			r = show_json(o, JSON_COMPACT);
		json_decref(o);
		(void)putchar('\n');
	}
	return r < 0 ? no_memory() : 0;
}

int cmd_functions(int argc, char **argv)
{
	struct cloche_err err = { 0 };
	json_t *list = NULL;
	bool json;
	int status = verb_json_parse(&verb_functions, 0, argc, argv, &json);

	if (status >= 0)
		return status;
	if (remote_functions(functions_control(), NULL, &list, &err) < 0)
		return functions_fail("functions", &err);
	status = json ? show_rows(list) : show_table(list);
	json_decref(list);
	return status;
}
