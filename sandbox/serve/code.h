/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CODE_H
#define CLOCHE_SERVE_CODE_H

#include "base/hash.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The code of functions as who may read an owner's store of it sees it (serve/stores.h): files of
 * one directory, each named by its hash.
 */

/* dir -1: there is none yet. */
bool code_is_there(int dir, const char *sha256);

/* A list of such names, owned; begins as zeros. What there is no memory for is not in it: nothing
 * but disk is lost by that. */
struct codes {
	char (*sha256)[HASH_HEX_LEN];
	size_t n;
};

/* "" is none, and one is there once. */
void codes_add(struct codes *c, const char *sha256);

/* All that were made some time ago: whoever sent one and deployed nothing did not want it. */
void codes_add_strays(struct codes *c, int dir);

const char *codes_last(const struct codes *c); /* NULL: none */
void codes_drop(struct codes *c);	       /* it */
void codes_free(struct codes *c);

#endif
