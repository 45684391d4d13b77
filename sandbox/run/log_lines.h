/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_LOG_LINES_H
#define CLOCHE_RUN_LOG_LINES_H

#include <stdint.h>
#include <stdio.h>

struct outcome;

/*
 * What a deployed function's log has of its invocations beside what the function writes, as AWS
 * Lambda's has it (its documentation, "Lambda log formats"; the REPORT line: run/report.h). Each
 * with its newline.
 */

/* version: 0: the newest, which is called $LATEST. */
void log_line_start(const struct outcome *out, uint32_t version, FILE *to);

/* Before END, where it is so; at real_ns. */
void log_line_timed_out(const struct outcome *out, int64_t real_ns, FILE *to);
/* The same, of VERDICT_LAUNCH_ERROR: why. */
void log_line_not_started(const struct outcome *out, FILE *to);
void log_line_end(const struct outcome *out, FILE *to);

/*
 * The error object of an invocation that gave no answer of its own, for whoever waits for one:
 * {"errorType":…,"errorMessage":…}. The caller's to free; NULL: no memory, or it was no failure.
 */
char *failure_object(const struct outcome *out);

/* Types of answers that were given and are not handed on. */
#define FAILURE_TOO_LARGE "Function.ResponseSizeTooLarge"
#define FAILURE_CUT	  "Runtime.TruncatedResponse"
#define FAILURE_MODE	  "Runtime.InvalidResponseModeHeader"

/* Of one that never began for another reason than its own program. */
#define FAILURE_LAUNCH "Cloche.LaunchError"

#endif
