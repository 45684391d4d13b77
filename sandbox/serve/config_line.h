/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CONFIG_LINE_H
#define CLOCHE_SERVE_CONFIG_LINE_H

#include <stddef.h>

/* The line, from 1 on, of what a YAML text has at a key: "owners/2/memory", numbers count from 0 in
 * a list. Where a part of it is missing, that of what it was looked for in. */
unsigned config_line(const char *text, size_t len, const char *key);

#endif
