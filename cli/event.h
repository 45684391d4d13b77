/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_EVENT_H
#define CLOCHE_CLI_EVENT_H

#include <stddef.h>

struct cloche_err;
struct rights;

/*
 * The event of a command line: text as it is, @FILE, opened with the rights of as (NULL: our own),
 * or - for standard input; NULL: {}. *ret is the caller's, with a NUL behind it. -EFBIG: it is
 * longer than any event may be.
 */
int event_read(const char *payload, const struct rights *as, char **ret, size_t *ret_len,
	       struct cloche_err *err);

#endif
