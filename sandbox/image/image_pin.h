/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_PIN_H
#define CLOCHE_IMAGE_IMAGE_PIN_H

#include <stdint.h>

struct cloche_err;

/*
 * Keeps an image for who needs just that one, whatever becomes of its name: in another store, named
 * by its hash. Nobody writes to files of stores, so where both are on one file system it is one
 * file with two names and takes no disk until the other one is removed; else it is copied.
 *
 * -ENOENT: there is none of that name; -ESTALE: the name means another one; -EFBIG: it has more
 * bytes than most. What is there already stays.
 */
int image_pin(int from, const char *name, const char *sha256, uint64_t most, int to,
	      struct cloche_err *err);

#endif
