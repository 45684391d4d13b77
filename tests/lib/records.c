/* SPDX-License-Identifier: MIT */
#include "tests/lib/records.h"

#include "tests/lib/env.h"
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <string.h>

json_t *records_read(const char *dir)
{
	cleanup_run struct run run = { 0 };
	json_t *list = json_array();
	char *save = NULL;

	RUN(&run, env_need("CLOCHE"), "audit", "show", "--json", "--ledger", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (char *line = strtok_r(run.out, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		cr_assert_eq(
			json_array_append_new(list, json_loads(line, JSON_REJECT_DUPLICATES, NULL)),
			0, "%s", line);
	return list;
}

const char *record_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	cr_assert(text, "no text '%s'", key);
	return text;
}

json_int_t record_number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	cr_assert(json_is_integer(v), "no number '%s'", key);
	return json_integer_value(v);
}
