/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_GUARD_H
#define CLOCHE_TESTS_LIB_GUARD_H

#include <stddef.h>

/*
 * A copy of len bytes whose last byte is the last of a page and is followed by one that cannot be
 * read: a parser that looks one byte too far dies of SIGSEGV. Lives until guard_free.
 */
char *guard_copy(const void *data, size_t len);
void guard_free(char *copy, size_t len);

#endif
