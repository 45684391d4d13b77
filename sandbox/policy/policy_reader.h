/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_READER_H
#define CLOCHE_POLICY_POLICY_READER_H

#include "policy/policy_json.h"
#include "policy/policy_oci.h"
#include "policy/policy_words.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What policy_oci.c reads a JSON text with: it knows where in the text it is, and goes on after a
 * mistake. */
#define PATH_MAX_STEPS 8

struct policy_reader {
	const char *source, *text;
	size_t len;
	struct json_step path[PATH_MAX_STEPS];
	size_t depth;
	policy_problem_fn *problem;
	void *arg;
	struct cloche_err *err;
	size_t n_problems;
	bool no_memory;
};

/* Tells one mistake at a place, and at where the path points (at_key: at its last key). */
void policy_reader_report(struct policy_reader *r, struct json_place at, const char *text);
void policy_reader_complain(struct policy_reader *r, bool at_key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void policy_reader_push_key(struct policy_reader *r, const char *key);
void policy_reader_push_index(struct policy_reader *r, size_t index);
void policy_reader_pop(struct policy_reader *r);

/* Reads one member's value; the path points at it. */
typedef void policy_reader_fn(struct policy_reader *r, json_t *v, void *to);

struct policy_reader_member {
	const char *key;
	policy_reader_fn *read;
	bool required;
	bool may_be_null; /* Docker writes "args": null */
};

/* Every key must be in the table, every required one must be there. */
void policy_reader_object(struct policy_reader *r, json_t *v,
			  const struct policy_reader_member *members, void *to);

/* Calls read for each element, with the path at it. */
void policy_reader_array(struct policy_reader *r, json_t *v, policy_reader_fn *read, void *to);

/* The text of a string, or NULL after a complaint. */
const char *policy_reader_string(struct policy_reader *r, json_t *v);

/* False after a complaint. */
bool policy_reader_unsigned(struct policy_reader *r, json_t *v, uint64_t min, uint64_t max,
			    uint64_t *ret);
bool policy_reader_word(struct policy_reader *r, json_t *v, const struct policy_word *words,
			const char *noun, uint32_t *ret);

/* NULL, and noted: no memory. */
char *policy_reader_copy(struct policy_reader *r, const char *text);

#endif
