/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_QUOTE_H
#define CLOCHE_BASE_QUOTE_H

#include <stddef.h>

/* Room for what an error line shows of a user's text, quotes and NUL included. */
#define QUOTE_LEN 160

/*
 * Writes text between single quotes into buf and returns buf, for messages that must stay one
 * line of valid UTF-8 whatever the text holds: control characters and bytes that are not UTF-8
 * become \n, \t or \xNN, a quote or a backslash gets a backslash, and a text that is too long
 * ends in "..." behind the closing quote.
 */
const char *quote(char buf[static QUOTE_LEN], const char *text);

/* The same for len bytes, NULs among them shown as \x00. Reads no byte beyond text + len. */
const char *quote_n(char buf[static QUOTE_LEN], const char *text, size_t len);

#endif
