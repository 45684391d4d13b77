/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_OPTIONS_H
#define CLOCHE_CLI_RUN_OPTIONS_H

#include "launch/spec.h"

#include <stdbool.h>

struct cloche_err;

/* The command line of `cloche run`. Owns what spec points to. */
struct run_options {
	struct spec spec;
	const char *report; /* path, "-": standard error, NULL: none */
	bool quiet;
	unsigned repeat;
	char **env;
	size_t n_env, env_size;
	struct bind_spec *binds;
	size_t n_binds, binds_size;
	char **copies; /* strings that binds and environment point into */
	size_t n_copies, copies_size;
};

/* 0: run; 1: help was printed; -errno: *err is the usage error. */
int run_options_parse(int argc, char **argv, struct run_options *ret, struct cloche_err *err);
void run_options_free(struct run_options *options);

#endif
