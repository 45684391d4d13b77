/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_JSON_H
#define CLOCHE_FUNCTION_FUNCTION_JSON_H

#include "function/function.h"

#include <jansson.h>

struct cloche_err;

/*
 * A function's configuration as a JSON object: with all keys, so that two of the same text are the
 * same. What comes back is of the right types and lengths; whether it makes sense function_check()
 * says. Paths of the client's are not in it.
 */

/* NULL: no memory. */
json_t *function_to_json(const struct function_config *c);

/* -EBADMSG: it is none, and nothing is to be freed. */
int function_from_json(const json_t *o, struct function_config *ret, struct cloche_err *err);

/* Whether both are the same but for where their code came from. */
bool function_is_same(const struct function_config *a, const struct function_config *b);

/* A text of len bytes as JSON, with no key twice. -EBADMSG. */
json_t *function_parse(const char *text, size_t len, struct cloche_err *err);

#endif
