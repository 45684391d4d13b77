/* SPDX-License-Identifier: MIT */
/* `cloche show`: one deployed function, and its versions. */
#include "cli/cli.h"
#include "cli/functions.h"
#include "cli/interpreter.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "cli/verb_options.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "function/function.h"
#include "serve/remote_function.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb_option options[] = {
	{ .text = "What" },
	{ .arg = "FUNCTION", .text = "its name, or NAME@N for that version of it" },

	{ .text = "Options" },
	{ "json", VERB_JSON, NULL, NULL, "one JSON object" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_show = {
	.name = "show",
	.run = cmd_show,
	.text = "one deployed function: its configuration and versions",
	.usage = "Usage: cloche show [--json] FUNCTION[@N]\n\n"
		 "The configuration of a deployed function, as it counts or as version N has it,\n"
		 "and which versions there are.\n",
	.options = options,
	.tail = "Exit status: 0, 1 when there is none of that name, 2 usage, 125 when no\n"
		"daemon answers.\n"
		"\n"
		"Examples:\n"
		"  cloche show thumbnail\n"
		"  cloche show --json thumbnail | jq '.versions[].version'\n",
	.values = "@function",
};

struct shown {
	const json_t *function, *config;
	uint32_t version;
	json_int_t deployed_ns;
};

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *versions_json(const struct shown *s)
{
	const json_t *versions = json_object_get(s->function, "versions");
	json_int_t current = functions_number(s->function, "current");
	json_t *list = json_array();

	for (size_t i = 0; list && i < json_array_size(versions); i++) {
		const json_t *v = json_array_get(versions, i);
		json_int_t number = functions_number(v, "version");
		json_t *o =
			json_pack("{s:I, s:b}", "version", number, "current", number == current);

		if (!o ||
		    functions_add_json(o, json_object_get(v, "config"),
				       functions_number(v, "deployed_ns")) < 0 ||
		    json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *interpreter_json(const json_t *config)
{
	struct interpreter is;

	if (!interpreter_find(json_string_value(json_object_get(config, "runtime")), &is))
		return json_null();
	return json_pack("{s:s, s:s?}", "path", is.path, "version",
			 is.version[0] ? is.version : NULL);
}

/* All of a configuration, by the names of `functions --json` where it has them. */
static int show_as_json(const struct shown *s)
{
	static const char *const rest[] = { "environment", "layers", "concurrency",
					    "tmp_bytes",   "policy", "network" };
	json_t *o = json_pack("{s:O?, s:O?, s:i, s:O?, s:O?}", "name",
			      json_object_get(s->config, "name"), "owner",
			      json_object_get(s->function, "owner"), "version", (int)s->version,
			      "current", json_object_get(s->function, "current"), "contexts",
			      json_object_get(s->function, "contexts"));
	const json_t *start = json_object_get(s->config, "start");
	json_t *versions = versions_json(s);
	int r = o && versions ? functions_add_json(o, s->config, s->deployed_ns) : -1;

	for (size_t i = 0; r == 0 && i < sizeof(rest) / sizeof(rest[0]); i++)
		r = json_object_set(o, rest[i], json_object_get(s->config, rest[i]));
	if (r == 0)
		r = json_object_set_new(
			o, "start", start ? json_incref((json_t *)(uintptr_t)start) : json_null());
	if (r == 0)
		r = json_object_set_new(o, "interpreter", interpreter_json(s->config));
	if (r == 0)
		r = json_object_set(o, "versions", versions);
	if (r == 0)
		r = show_json(o, JSON_COMPACT);
	if (r == 0)
		(void)putchar('\n');
	json_decref(versions);
	json_decref(o);
	if (r < 0)
		show_line("cloche show: no memory");
	return r < 0 ? EXIT_LAUNCH : 0;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void line(const char *name, const char *text)
{
	(void)printf("%-12s  %s\n", name, text);
}

/* What the runtime's name has become. */
static void show_interpreter(const json_t *config)
{
	struct interpreter is;
	char text[sizeof(is.path) + sizeof(is.version) + 32];

	if (!interpreter_find(json_string_value(json_object_get(config, "runtime")), &is))
		return;
	(void)snprintf(text, sizeof(text), "%s, %s", is.path,
		       !is.is_there    ? "which is not there"
		       : is.version[0] ? is.version
				       : "which does not say its version");
	line("interpreter", text);
}

static void show_limits(const json_t *config)
{
	const json_t *concurrency = json_object_get(config, "concurrency");
	json_int_t tmp = functions_number(config, "tmp_bytes");
	json_int_t reserved = functions_number(concurrency, "reserved");
	char text[160], most[32] = "unreserved";

	(void)snprintf(text, sizeof(text), "%" PRId64 "M",
		       (int64_t)functions_number(config, "memory_mb"));
	line("memory", text);
	line("timeout", functions_duration(functions_number(config, "timeout_ns")).s);
	(void)snprintf(text, sizeof(text), "%" PRId64 "M", (int64_t)(tmp >> 20));
	line("tmp", tmp ? text : "half its memory, up to 512M");
	line("reuse", functions_string(config, "reuse").s);
	if (reserved)
		(void)snprintf(most, sizeof(most), "reserved %" PRId64, (int64_t)reserved);
	(void)snprintf(text, sizeof(text), "%s, provisioned %" PRId64 ", wait %s", most,
		       (int64_t)functions_number(concurrency, "provisioned"),
		       functions_duration(functions_number(concurrency, "wait_ns")).s);
	line("concurrency", text);
	line("policy", functions_string(config, "policy").s);
	line("network", functions_string(config, "network").s);
}

static void show_environment(json_t *config)
{
	json_t *env = json_object_get(config, "environment"), *value;
	const char *name, *head = "environment";

	json_object_foreach (env, name, value) {
		(void)printf("%-12s  %s=%s\n", head, name, json_string_value(value));
		head = "";
	}
}

static void show_versions(const struct shown *s)
{
	static const bool right[FUNCTIONS_COLUMNS] = { [1] = true };
	const json_t *versions = json_object_get(s->function, "versions");
	json_int_t current = functions_number(s->function, "current");
	size_t n = json_array_size(versions);
	cleanup_free struct functions_text(*rows)[FUNCTIONS_COLUMNS] = calloc(n + 1, sizeof(*rows));

	if (!rows)
		return;
	rows[0][1] = (struct functions_text){ "VERSION" };
	rows[0][2] = (struct functions_text){ "DEPLOYED" };
	rows[0][3] = (struct functions_text){ "CODE" };
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(versions, i);
		json_int_t number = functions_number(v, "version");

		(void)snprintf(rows[i + 1][0].s, sizeof(rows[0][0].s), "%s",
			       number == current ? "*" : "");
		(void)snprintf(rows[i + 1][1].s, sizeof(rows[0][1].s), "%" PRId64, (int64_t)number);
		rows[i + 1][2] = functions_when(functions_number(v, "deployed_ns"));
		rows[i + 1][3] = functions_string(json_object_get(v, "config"), "code");
		rows[i + 1][3].s[12] = '\0';
	}
	functions_table(rows, n + 1, 4, right);
}

/* Of an image what its name meant when it was deployed. */
static void show_code(const json_t *config)
{
	const json_t *start = json_object_get(config, "start");
	const char *image = json_string_value(json_object_get(config, "image"));
	bool made = image && *image;

	line(made ? "digest" : "code", functions_string(config, "code").s);
	if (!made)
		return;
	line("command", functions_words(json_object_get(start, "command")).s);
	line("workdir", functions_string(start, "workdir").s);
}

static int show_as_text(const struct shown *s)
{
	json_t *config = (json_t *)(uintptr_t)s->config;
	const json_t *layers = json_object_get(config, "layers");
	char text[80];

	line("name", functions_string(config, "name").s);
	line("owner", functions_owner(json_object_get(s->function, "owner")).s);
	(void)snprintf(text, sizeof(text), "%u%s", s->version,
		       s->version == functions_number(s->function, "current") ? ""
									      : " (not the one "
										"that counts)");
	line("version", text);
	line("deployed", functions_when(s->deployed_ns).s);
	line("runtime", functions_runtime(config).s);
	show_interpreter(config);
	line("handler", functions_handler(config).s);
	show_code(config);
	for (size_t i = 0; i < json_array_size(layers); i++)
		line(i ? "" : "layers", json_string_value(json_array_get(layers, i)));
	show_limits(config);
	show_environment(config);
	(void)putchar('\n');
	show_versions(s);
	return 0;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int choose(struct shown *s, const char *name, uint32_t version, struct cloche_err *err)
{
	const json_t *versions = json_object_get(s->function, "versions");

	s->version = version ? version : (uint32_t)functions_number(s->function, "current");
	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *v = json_array_get(versions, i);

		if (functions_number(v, "version") != s->version)
			continue;
		s->config = json_object_get(v, "config");
		s->deployed_ns = functions_number(v, "deployed_ns");
		return 0;
	}
	return cloche_err_set(err, ENOENT, "function '%s' has no version %u", name, s->version);
}

static int show(const char *ref, bool json)
{
	struct cloche_err err = { 0 };
	char name[FUNCTION_NAME_LEN];
	struct shown s = { 0 };
	json_t *o = NULL;
	uint32_t version = 0;
	int status;

	if (function_ref_parse(ref, name, &version, &err) < 0) {
		show_line("cloche show: %s; see 'cloche show --help'", err.text);
		return EXIT_USAGE;
	}
	if (remote_functions(functions_control(), name, &o, &err) < 0)
		return functions_fail("show", &err);
	s.function = o;
	if (choose(&s, name, version, &err) < 0)
		status = functions_fail("show", &err);
	else
		status = json ? show_as_json(&s) : show_as_text(&s);
	json_decref(o);
	return status;
}

int cmd_show(int argc, char **argv)
{
	bool json;
	int status = verb_json_parse(&verb_show, 1, argc, argv, &json);

	if (status >= 0)
		return status;
	if (optind == argc) {
		show_line("cloche show: expected a function's name; see 'cloche show --help'");
		return EXIT_USAGE;
	}
	return show(argv[optind], json);
}
