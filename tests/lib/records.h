/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_RECORDS_H
#define CLOCHE_TESTS_RECORDS_H

#include <jansson.h>

/* A ledger's records as `cloche audit show --json` gives them. What is not there or of another type
 * fails the test. */

/* All of them, an array for the caller to give back. */
json_t *records_read(const char *dir);

const char *record_text(const json_t *record, const char *key);
json_int_t record_number(const json_t *record, const char *key);

#endif
