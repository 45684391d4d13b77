/* SPDX-License-Identifier: MIT */
/*
 * Finds the line and column of a value in a JSON text by its path. jansson parses and checks the
 * text but keeps no positions in what it builds; a profile's author needs them for every mistake,
 * not only for a missing comma. It must never decide whether a text is valid.
 */
#include "policy/policy_json.h"

#include <string.h>

struct cursor {
	const char *p, *end;
};

static void skip_space(struct cursor *c)
{
	while (c->p < c->end && strchr(" \t\r\n", *c->p) && *c->p)
		c->p++;
}

static bool eat(struct cursor *c, char ch)
{
	skip_space(c);
	if (c->p == c->end || *c->p != ch)
		return false;
	c->p++;
	return true;
}

static void skip_string(struct cursor *c)
{
	c->p++;
	while (c->p < c->end && *c->p != '"')
		c->p += *c->p == '\\' && c->p + 1 < c->end ? 2 : 1;
	if (c->p < c->end)
		c->p++;
}

/* Brackets inside strings are skipped with their string, so counting depth is enough. */
static void skip_value(struct cursor *c)
{
	size_t depth = 0;

	skip_space(c);
	while (c->p < c->end) {
		char ch = *c->p;

		if (depth == 0 && strchr(",]}", ch) && ch)
			return;
		if (ch == '"') {
			skip_string(c);
		} else {
			depth += ch == '[' || ch == '{';
			depth -= ch == ']' || ch == '}';
			c->p++;
		}
	}
}

/* Moves to the value of the key; *key is where the key itself begins. */
static bool enter_key(struct cursor *c, const char *name, const char **key)
{
	size_t len = strlen(name);

	if (!eat(c, '{'))
		return false;
	do {
		skip_space(c);
		if (c->p == c->end || *c->p != '"')
			return false;
		*key = c->p;
		skip_string(c);
		bool same = (size_t)(c->p - *key) == len + 2 && !memcmp(*key + 1, name, len);

		if (!eat(c, ':'))
			return false;
		skip_space(c);
		if (same)
			return true;
		skip_value(c);
	} while (eat(c, ','));
	return false;
}

static bool enter_index(struct cursor *c, size_t index)
{
	if (!eat(c, '['))
		return false;
	for (; index > 0; index--) {
		skip_value(c);
		if (!eat(c, ','))
			return false;
	}
	skip_space(c);
	return c->p < c->end;
}

static struct json_place place_of(const char *text, const char *at)
{
	struct json_place place = { 1, 1 };

	for (const char *p = text; p < at; p++) {
		if (*p == '\n') {
			place.line++;
			place.column = 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) { /* not inside a UTF-8 sequence */
			place.column++;
		}
	}
	return place;
}

struct json_place json_locate(const char *text, size_t len, const struct json_step *steps,
			      size_t n_steps, bool at_key)
{
	struct cursor c = { text, text + len };
	const char *at, *key = NULL;

	skip_space(&c);
	at = c.p;
	for (size_t i = 0; i < n_steps; i++) {
		bool found = steps[i].key ? enter_key(&c, steps[i].key, &key)
					  : enter_index(&c, steps[i].index);

		if (!found)
			break;
		at = at_key && i + 1 == n_steps && steps[i].key ? key : c.p;
	}
	return place_of(text, at);
}
