/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_CHANGE_H
#define CLOCHE_FUNCTION_FUNCTION_CHANGE_H

#include "function/function_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * A change of what an owner has deployed, in three parts, for a disk takes milliseconds, or as long
 * as it likes, and whoever has the store has others to serve:
 *
 *	change_put │ change_rollback │ change_remove → change_write → change_end
 *
 * The first judges and has all in memory that is to be written; the second writes it and knows
 * nothing of the store, so that any thread may do it; with the third it counts, or all is as it
 * was. Meanwhile the store shows what was before, and what is to be removed not any more: what
 *began in it then would leave something in its directory. Of one owner there may be one at a time:
 *the caller's to see to; those of several owners may go side by side.
 */
struct function_change;

/* All of them or none; no name twice. What is new is taken out of *config, after an error, too.
 * now_ns: CLOCK_REALTIME. *ret, here and below, NULL: nothing is to be written. */
int change_put(struct function_store *s, uint32_t owner, struct function_put *puts, size_t n,
	       int64_t now_ns, struct function_change **ret, struct cloche_err *err);

/* Version *version is to count; 0: the one before that which does. -ENOENT: there is none. */
int change_rollback(struct function_store *s, uint32_t owner, const char *name, uint32_t *version,
		    struct function_change **ret, struct cloche_err *err);

/* With all its versions, and all else that is in its directory. -ENOENT. */
int change_remove(struct function_store *s, uint32_t owner, const char *name,
		  struct function_change **ret, struct cloche_err *err);

/* 0: it will be there after a loss of power, too; else all that is there was before. */
int change_write(const struct function_change *c, struct cloche_err *err);

/* written: what that returned. c is freed, and may be NULL. -ENOMEM: the store is not what is on
 * the disk any more. */
int change_end(struct function_store *s, struct function_change *c, int written);

/* Whether what it brings has this code, or layer. */
bool change_uses(const struct function_change *c, const char *sha256);

#endif
