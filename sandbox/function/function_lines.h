/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_LINES_H
#define CLOCHE_FUNCTION_FUNCTION_LINES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Lines out of what comes in pieces by a pipe. A line is told when its newline has come, when it is
 * as long as an entry of the log may be, or when somebody wants what there is of it
 * (function_lines_flush): the end of an invocation ends its lines.
 */
struct function_lines {
	void (*line)(void *arg, const char *text, size_t len); /* without its newline */
	void *arg;
	char *text; /* of an unfinished one; owned */
	size_t len, size;
	bool cut; /* the last one was told for its length: its newline ends nothing */
};

/* What there is no memory for is told as a line of its own, so nothing is lost. */
void function_lines_take(struct function_lines *l, const char *bytes, size_t len);
void function_lines_flush(struct function_lines *l);
void function_lines_free(struct function_lines *l);

#endif
