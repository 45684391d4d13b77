/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_YAML_LINE_H
#define CLOCHE_BASE_YAML_LINE_H

#include <stddef.h>

/* The line, from 1 on, where a key stands in a YAML text: "owners/2/memory", numbers count from 0
 * in a list. Where a part of it is missing, that of what it was looked for in. */
unsigned yaml_line(const char *text, size_t len, const char *key);

#endif
