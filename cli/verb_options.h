/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_VERB_OPTIONS_H
#define CLOCHE_CLI_VERB_OPTIONS_H

#include "cli/run_options.h"

#include <getopt.h>
#include <stddef.h>

struct cloche_err;

/* The command line of a verb that runs commands: its own options and those of `cloche run` that
 * make sense there. */
struct verb_options {
	const char *shorts; /* all short ones, "+:" first: getopt_long(3) */
	const struct option *own;
	size_t n_own;
	const char *const *not_here; /* of `cloche run`, by their long names */
	size_t n_not_here;
	const char *help;
	/* What it is told of each option, optarg its value: 0 or *err is the usage error. */
	int (*take)(void *arg, int opt, struct cloche_err *err);
};

/* From argv[1] on, into what take fills and options: 0, 1 when help was printed, -errno. */
int verb_options_parse(const struct verb_options *verb, void *arg, int argc, char **argv,
		       struct run_options *options, struct cloche_err *err);

#endif
