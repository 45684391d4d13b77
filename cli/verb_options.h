/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_VERB_OPTIONS_H
#define CLOCHE_CLI_VERB_OPTIONS_H

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

#endif
