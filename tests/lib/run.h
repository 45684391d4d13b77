/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_RUN_H
#define CLOCHE_TESTS_LIB_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lib/env.h"

/*
 * Runs a program as a user would and keeps all that it said. Fill in what comes first (zeroes are
 * good defaults), call RUN() or RUN_CLOCHE(), look at the rest, call run_free():
 *
 *	cleanup_run struct run run = { .input = "hello" };
 *
 *	RUN_CLOCHE(&run, "--timeout", "1s", "--", "/bin/cat");
 *	cr_assert_eq(run.status, 0);
 *	cr_assert_str_eq(report_text(&run, "verdict"), "ok");
 *
 * What the test environment itself lacks (no such program to start, no memory) fails the test.
 */
struct run {
	const char *input;	 /* standard input; NULL: /dev/null */
	size_t input_len;	 /* 0: strlen(input) */
	const char *const *envp; /* NULL: the test's own */
	int timeout_ms;		 /* 0: RUN_TIMEOUT_MS; the program's group is killed then */
	bool no_report;		 /* RUN_CLOCHE leaves --report away */
	const char *without;	 /* RUN_CLOCHE takes these features away: see features.h */

	int status; /* exit status; 128 + signal as a shell has it */
	int signal; /* what killed it, or 0 */
	bool timed_out;
	char *out, *err; /* owned, NUL behind the last byte */
	size_t out_len, err_len;
	json_t *reports; /* owned: one object a line of the report file; NULL: none was written */
	json_t *report;	 /* the first of them */
};

/* Far above what any test needs, below what a stuck test may cost. */
#define RUN_TIMEOUT_MS 60000

#define RUN(run, ...)	     run_argv((run), (const char *const[]){ __VA_ARGS__, NULL })
#define CLOCHE(run, ...)     RUN((run), env_need("CLOCHE"), __VA_ARGS__)
#define RUN_CLOCHE(run, ...) run_cloche((run), (const char *const[]){ __VA_ARGS__, NULL })
/* With the helper programs in /opt. */
#define RUN_INSIDE(run, ...) RUN_CLOCHE(run, "-b", helpers_bind(), __VA_ARGS__)

/* The helper that does what it is told. */
#define INSIDE "/opt/inside"
/* Options where memory is the matter: a small one buys so little CPU that a slow host takes
 * minutes. */
#define ROOMY "--cpu", "1", "-t", "60s"

/* Runs argv[0], found along PATH, to its end. */
void run_argv(struct run *run, const char *const argv[]);

/* Runs `$CLOCHE run --report FILE ARGS…` and parses the report. Without --timeout in ARGS the run
 * has 50 s, not the three that are the default. */
void run_cloche(struct run *run, const char *const args[]);

/* A member of the first report by its path, such as "time.wall_ns". An absent member, or one of
 * another type, fails the test. */
json_t *report_get(const struct run *run, const char *path);
const char *report_text(const struct run *run, const char *path);
int64_t report_int(const struct run *run, const char *path);
bool report_is_null(const struct run *run, const char *path);

/* How a run of RUN_CLOCHE ended; shows its standard error where it is otherwise. */
void expect_end(const struct run *run, int status, const char *verdict);

/* Ends the test where the text, which may be NULL, lacks the part. */
void expect_has(const char *text, const char *part);

size_t count_lines(const char *text);

/* HELPERS:/opt, for --bind; static. */
const char *helpers_bind(void);

/* Frees what run holds and makes it ready for the next program. */
void run_free(struct run *run);

#define cleanup_run __attribute__((cleanup(run_free)))

#endif
