/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_TEXTS_H
#define CLOCHE_BASE_TEXTS_H

#include <stddef.h>

struct cloche_err;

/*
 * A list of texts as bytes, to come from another process: one behind the other, each with the NUL
 * at its end.
 */

/* -E2BIG: they are more than size bytes. */
int texts_pack(char *const *texts, size_t n, char *buf, size_t size, size_t *ret_len,
	       struct cloche_err *err);

/* The list of what is in len bytes of anything, with a NULL behind it: the caller frees it, and its
 * texts are those of buf. -EBADMSG: there are more than max, or the last has no end. */
int texts_take(char *buf, size_t len, size_t max, char ***ret, size_t *ret_n,
	       struct cloche_err *err);

#endif
