/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_KEPT_H
#define CLOCHE_FUNCTION_FUNCTION_KEPT_H

#include "function/function_store.h"

/* A store, as the two files see it that make it up: function_store.c changes it, and
 * function_reread.c makes it of what is on the disk. */
struct function_store {
	int dir;
	struct function **functions; /* owned; by owner and name */
	size_t n;
	uint64_t last_id;
	void (*say)(const char *line);
};

/* Takes it over; where there is no memory it is the caller's as before. */
int function_store_add(struct function_store *s, struct function *f, struct cloche_err *err);

struct function *function_free(struct function *f); /* NULL */

#endif
