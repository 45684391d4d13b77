/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_VERB_OPTIONS_H
#define CLOCHE_CLI_VERB_OPTIONS_H

#include <stdbool.h>

struct cloche_err;
struct run_options;
struct verb;

/* Is told of each option on the command line, with optarg its value: 0, or *err is the usage error.
 */
typedef int verb_take(void *arg, int opt, struct cloche_err *err);

/* The command line of a verb that runs commands, from argv[1] on, into what take fills and options:
 * 0, 1 when help was printed, -errno. */
int verb_options_parse(const struct verb *verb, verb_take *take, void *arg, int argc, char **argv,
		       struct run_options *options, struct cloche_err *err);

/* What getopt_long returns for the option --json of a verb's table. */
#define VERB_JSON 256

/*
 * The command line of a verb that takes --json, help and at most so many arguments, which then
 * begin at optind. -1: go on; else an exit status: help was printed, or what is wrong has been
 * said.
 */
int verb_json_parse(const struct verb *verb, int arguments, int argc, char **argv, bool *ret_json);

#endif
