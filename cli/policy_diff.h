/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_POLICY_DIFF_H
#define CLOCHE_CLI_POLICY_DIFF_H

#include <stdbool.h>

/* `cloche policy diff A B`, each a name or a file. Returns 0: they do the same, 1: they do not, 2:
 * one of them is not valid or not there. */
int policy_diff(const char *a, const char *b, bool json);

#endif
