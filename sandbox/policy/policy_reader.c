/* SPDX-License-Identifier: MIT */
/* Reads values of a JSON text with the place of each mistake: see policy_reader.h. It knows nothing
 * of profiles. */
#include "policy/policy_reader.h"

#include "base/err.h"
#include "base/quote.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void policy_reader_report(struct policy_reader *r, struct json_place at, const char *text)
{
	char raw[600], line[600];

	(void)snprintf(raw, sizeof(raw), "%s:%u:%u: %s", r->source, at.line, at.column, text);
	/* The text may quote the file, which may hold anything: one line, no terminal codes. */
	quote_field(line, sizeof(line), raw);
	if (r->n_problems++ == 0)
		(void)cloche_err_set(r->err, EINVAL, "%s", line);
	if (r->problem)
		r->problem(r->arg, line);
}

void policy_reader_complain(struct policy_reader *r, bool at_key, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	policy_reader_report(r, json_locate(r->text, r->len, r->path, r->depth, at_key), text);
}

void policy_reader_push_key(struct policy_reader *r, const char *key)
{
	r->path[r->depth++] = (struct json_step){ .key = key };
}

void policy_reader_push_index(struct policy_reader *r, size_t index)
{
	r->path[r->depth++] = (struct json_step){ .index = index };
}

void policy_reader_pop(struct policy_reader *r)
{
	r->depth--;
}

static const char *type_name(const json_t *v)
{
	static const char *const names[] = { "an object",     "an array", "a string",
					     "an integer",    "a number", "true or false",
					     "true or false", "null" };

	return names[json_typeof(v)];
}

void policy_reader_object(struct policy_reader *r, json_t *v,
			  const struct policy_reader_member *members, void *to)
{
	const char *key;
	json_t *child;

	if (!json_is_object(v)) {
		policy_reader_complain(r, false, "expected an object, found %s", type_name(v));
		return;
	}
	json_object_foreach (v, key, child) {
		const struct policy_reader_member *m = members;

		while (m->key && strcmp(m->key, key) != 0)
			m++;
		policy_reader_push_key(r, key);
		if (!m->key)
			policy_reader_complain(r, true, "unknown key '%s'", key);
		else if (!json_is_null(child) || !m->may_be_null)
			m->read(r, child, to);
		policy_reader_pop(r);
	}
	for (const struct policy_reader_member *m = members; m->key; m++)
		if (m->required && !json_object_get(v, m->key))
			policy_reader_complain(r, false, "'%s' is missing", m->key);
}

const char *policy_reader_string(struct policy_reader *r, json_t *v)
{
	if (!json_is_string(v)) {
		policy_reader_complain(r, false, "expected a string, found %s", type_name(v));
		return NULL;
	}
	return json_string_value(v);
}

bool policy_reader_unsigned(struct policy_reader *r, json_t *v, uint64_t min, uint64_t max,
			    uint64_t *ret)
{
	if (!json_is_integer(v)) {
		policy_reader_complain(r, false, "expected an integer, found %s", type_name(v));
		return false;
	}
	if (json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) < min ||
	    (uint64_t)json_integer_value(v) > max) {
		policy_reader_complain(r, false, "%lld is out of range: %" PRIu64 " to %" PRIu64,
				       (long long)json_integer_value(v), min, max);
		return false;
	}
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

void policy_reader_array(struct policy_reader *r, json_t *v, policy_reader_fn *read, void *to)
{
	size_t i;
	json_t *child;

	if (!json_is_array(v)) {
		policy_reader_complain(r, false, "expected an array, found %s", type_name(v));
		return;
	}
	json_array_foreach (v, i, child) {
		policy_reader_push_index(r, i);
		read(r, child, to);
		policy_reader_pop(r);
	}
}

bool policy_reader_word(struct policy_reader *r, json_t *v, const struct policy_word *words,
			const char *noun, uint32_t *ret)
{
	const char *text = policy_reader_string(r, v);
	const struct policy_word *w = text ? policy_word_find(words, text) : NULL;

	if (text && !w)
		policy_reader_complain(r, false, "unknown %s '%s'", noun, text);
	if (w)
		*ret = w->value;
	return w;
}

char *policy_reader_copy(struct policy_reader *r, const char *text)
{
	char *copy = strdup(text);

	r->no_memory |= !copy;
	return copy;
}
