/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_H
#define CLOCHE_CLI_RUN_H

#include <stdint.h>

struct run_options;

/*
 * Runs what the options say, as `cloche run` does, and returns its exit status. They must have
 * passed run_options_check. started_ns: when it was asked for. The signals that would end a program
 * are blocked from here on; one that came ends the invocation with 128 and its number.
 */
int run_execute(const struct run_options *opt, int64_t started_ns);

#endif
