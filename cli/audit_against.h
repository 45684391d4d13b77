/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_AUDIT_AGAINST_H
#define CLOCHE_CLI_AUDIT_AGAINST_H

#include <stddef.h>

struct cloche_err;

/*
 * What --against names: a line itself, or a file of lines, opened with the caller's rights and read
 * by a confined process. Each becomes a value of `size` bytes, without pointers.
 */
struct against {
	const char *word; /* that such a line begins with */
	size_t size;
	/* number: in its file; 0: it is the argument itself. */
	int (*parse)(const char *line, size_t number, void *ret, struct cloche_err *err);
};

/* *ret: *ret_n of these, the caller's to free. Of a file nothing in them is believed: whoever reads
 * it may have been taken over. */
int against_load(const char *given, const struct against *form, void **ret, size_t *ret_n,
		 struct cloche_err *err);

#endif
