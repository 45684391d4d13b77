/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_H
#define CLOCHE_CLI_RUN_H

#include <stdint.h>

struct outcome;
struct run_options;

/*
 * For tune and learn: runs once what the options say, as `cloche run` does but for the REPORT line
 * and the report, and returns its exit status. The options must have passed run_options_check.
 * started_ns: when it was asked for. The signals that would end a program are blocked from here on;
 * one that came ends the invocation with 128 and its number.
 */
int run_once(const struct run_options *opt, int64_t started_ns, struct outcome *out);

#endif
