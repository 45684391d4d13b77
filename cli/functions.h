/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_FUNCTIONS_H
#define CLOCHE_CLI_FUNCTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/* What the verbs about deployed functions share. */

/* Where the daemon is. */
const char *functions_control(void);

/* A line on standard error; the exit status: no daemon, or it refused. */
int functions_fail(const char *verb, const struct cloche_err *err);

/* Of a function's configuration (function/function_json.h): texts in a buffer, "-" where there is
 * none; they are harmless. */
struct functions_text {
	char s[96];
};
struct functions_text functions_runtime(const json_t *config);
/* Of a command, one behind the other. */
struct functions_text functions_words(const json_t *list);
struct functions_text functions_handler(const json_t *config);
struct functions_text functions_duration(json_int_t ns);
struct functions_text functions_when(json_int_t ns);
struct functions_text functions_owner(const json_t *owner);
struct functions_text functions_string(const json_t *o, const char *key);
json_int_t functions_number(const json_t *o, const char *key);

/* What of a configuration is in `functions --json`, added to *o; 0, or -1: no memory. */
int functions_add_json(json_t *o, const json_t *config, json_int_t deployed_ns);

/* A table, on standard output: rows of n columns, the first of headings; as wide as it must be. */
#define FUNCTIONS_COLUMNS 11
void functions_table(const struct functions_text (*rows)[FUNCTIONS_COLUMNS], size_t n_rows,
		     size_t n_columns, const bool *right);

#endif
