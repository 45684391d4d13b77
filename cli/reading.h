/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_READING_H
#define CLOCHE_CLI_READING_H

#include <stddef.h>
#include <stdio.h>

struct cloche_err;

/*
 * For verbs that read somebody's files and show what is in them: both are done by a confined
 * process (host/confined.h), which has those files and a pipe to us, and we put what it says where
 * it is to go.
 */
struct reading {
	FILE **files; /* what is read, open; in the confined process at the same places */
	size_t n_files;

	/* Reads it all; on failure a negative errno and *err. */
	int (*read)(void *arg, struct cloche_err *err);
	/* And then shows it; 0 or a negative errno. */
	int (*show)(void *arg, FILE *to);
	/* Here, between the two: where to. NULL and *err: not to be opened. */
	FILE *(*open)(void *arg, struct cloche_err *err);
	void *arg;
};

int reading_run(const struct reading *r, struct cloche_err *err);

#endif
