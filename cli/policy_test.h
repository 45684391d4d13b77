/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_POLICY_TEST_H
#define CLOCHE_CLI_POLICY_TEST_H

#include "policy/policy_stack.h"

#include <stdbool.h>

/* `cloche policy test PROFILE [TABLE]`: a name or a file; a file, "-" for standard input, or NULL
 * for the table beside the profile. Returns 0: each call as expected, 1: not, 2: one of the two is
 * not valid or not there. */
int policy_test(const char *profile, const char *table, enum policy_walls walls, bool json);

#endif
