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

/*
 * Copies as much of text as fits into size bytes (at least 1) with the NUL, cut between characters,
 * for fields of records that hold one line of UTF-8 and no quotes: what is neither is '?' there.
 */
void quote_field(char *to, size_t size, const char *text);

/* JSON that was dumped, to be freed, or NULL: what is not harmless, which can only stand in a
 * string, is \u00NN. */
char *quote_json(const char *dumped);

#endif
