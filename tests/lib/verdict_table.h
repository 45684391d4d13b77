/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_VERDICT_TABLE_H
#define CLOCHE_TESTS_VERDICT_TABLE_H

#include "policy/policy_expect.h"

/* Reads a table (policies/NAME.table) or fails the test with a message: a table that cannot be read
 * is a broken test. To be freed by policy_expects_free. */
struct policy_expects verdict_table_read(const char *path);

/* "ALLOW", "KILL_PROCESS", "EPERM"...; in a buffer that the next call overwrites. */
const char *verdict_name(uint32_t action);

#endif
