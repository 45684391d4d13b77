/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_JSON_H
#define CLOCHE_POLICY_POLICY_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* One step into a JSON text: an object's key, or (key NULL) an array's element. */
struct json_step {
	const char *key;
	size_t index;
};

struct json_place {
	unsigned int line, column; /* from 1; columns count characters */
};

/*
 * Where the value (or, at_key, the last step's key) that the steps lead to begins. jansson's
 * values do not know their place, so this walks the text again; it is for error messages only.
 * The text must be valid JSON. When a step is not found, the place of its parent is returned.
 */
struct json_place json_locate(const char *text, size_t len, const struct json_step *steps,
			      size_t n_steps, bool at_key);

#endif
