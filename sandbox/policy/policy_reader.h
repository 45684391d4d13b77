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

struct reader {
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
void reader_report(struct reader *r, struct json_place at, const char *text);
void reader_complain(struct reader *r, bool at_key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void reader_push_key(struct reader *r, const char *key);
void reader_push_index(struct reader *r, size_t index);
void reader_pop(struct reader *r);

/* Reads one member's value; the path points at it. */
typedef void reader_fn(struct reader *r, json_t *v, void *to);

struct reader_member {
	const char *key;
	reader_fn *read;
	bool required;
	bool may_be_null; /* Docker writes "args": null */
};

/* Every key must be in the table, every required one must be there. */
void reader_object(struct reader *r, json_t *v, const struct reader_member *members, void *to);

/* Calls read for each element, with the path at it. */
void reader_array(struct reader *r, json_t *v, reader_fn *read, void *to);

/* The text of a string, or NULL after a complaint. */
const char *reader_string(struct reader *r, json_t *v);

/* False after a complaint. */
bool reader_unsigned(struct reader *r, json_t *v, uint64_t min, uint64_t max, uint64_t *ret);
bool reader_word(struct reader *r, json_t *v, const struct policy_word *words, const char *noun,
		 uint32_t *ret);

/* NULL, and noted: no memory. */
char *reader_copy(struct reader *r, const char *text);

#endif
