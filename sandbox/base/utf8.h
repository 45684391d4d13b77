/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_UTF8_H
#define CLOCHE_BASE_UTF8_H

#include <stddef.h>

/*
 * Bytes of the character at s (len ≥ 1 are there) when it is valid UTF-8 (RFC 3629) that may be
 * shown anywhere: no control character, no line end, nothing that turns the direction of the text
 * behind it or has no width (Unicode Technical Report 36, 2.5 and 3.1). 0 when it is not.
 */
size_t utf8_harmless(const char *s, size_t len);

/* Bytes of the character at s when it is valid, harmless or not; else 0. And which one it is. */
size_t utf8_width(const char *s, size_t len);
unsigned utf8_code(const char *s, size_t len);

#endif
