/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_SPAWN_H
#define CLOCHE_TESTS_LIB_SPAWN_H

#include <sys/types.h>

/* A program that runs beside the test, and dies with it; for one to be waited for there is run.h.
 */
pid_t spawn_argv(const char *const argv[], int out, int err);

/* All text of a file, to be freed. */
char *contents(const char *path);

#endif
