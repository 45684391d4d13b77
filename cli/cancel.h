/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_CANCEL_H
#define CLOCHE_CLI_CANCEL_H

struct cloche_err;

/* Whatever would end this program ends the invocation instead: there is a report to give, and a
 * record to write. *ret, the caller's, is readable then. */
int cancel_open(int *ret, struct cloche_err *err);

/* The exit status for it: 128 and the signal. */
int cancel_status(int fd);

#endif
