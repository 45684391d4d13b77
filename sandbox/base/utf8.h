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

#endif
