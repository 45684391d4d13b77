/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_ENV_H
#define CLOCHE_TESTS_LIB_ENV_H

#include <stdbool.h>

/*
 * What tests/run.sh gives a test: CLOCHE (the program), HELPERS (the folder of the small programs
 * that run inside contexts), CLOCHE_MUST_RUN (skips are failures).
 */

/* The variable's value; an unset one fails the test and says how to run it. */
const char *env_need(const char *name);

/* The path of a helper program, to be freed. One that was not built fails the test. */
char *env_helper(const char *name);

/* Whether 'make check-without' has taken the feature (of features.h) away from the program. */
bool env_without(const char *feature);

/*
 * Ends the test as skipped, because the machine lacks what is named: test_skip("no KVM here").
 * Under CLOCHE_MUST_RUN=1 that is a failure: there, nothing may be missing.
 */
_Noreturn void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Skips a test that is about the feature where that was taken away. */
void test_needs(const char *feature);

#endif
