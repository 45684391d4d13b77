/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_OWN_LINE_H
#define CLOCHE_CLI_OWN_LINE_H

#include <stdbool.h>

/*
 * Whatever is said to standard error after a function had it begins a line of its own: behind an
 * unfinished one of the function's it could be taken for something that the function never was told
 * to say, and a forged beginning of a REPORT line for a true one. Whoever says something calls
 * own_line() before.
 */

/* mid_line: what comes next may come behind an unfinished line. */
void own_line_after(bool mid_line);

/* Ends it, once. */
void own_line(void);

#endif
