/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_KEPT_H
#define CLOCHE_FUNCTION_FUNCTION_KEPT_H

#include "function/function_store.h"

/* A store, as the files see it that make it up: function_store.c has it, function_reread.c makes it
 * of what is on the disk, and function_change.c changes it. */
struct function_store {
	int dir;
	struct function **functions; /* owned; by owner and name */
	size_t n;
	uint64_t last_id;
	void (*say)(const char *line);
};

/* Takes it over; where there is no memory it is the caller's as before. */
int function_store_add(struct function_store *s, struct function *f, struct cloche_err *err);

/* Where it is among the store's; takes it out: it is the caller's then. */
size_t function_store_place(const struct function_store *s, const struct function *f);
void function_store_take_out(struct function_store *s, const struct function *f);

/* Whether a version of it has this code, or layer. */
bool function_has_code(const struct function *f, const char *sha256);

struct function *function_free(struct function *f); /* NULL */

#endif
