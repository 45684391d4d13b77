/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_PS_H
#define CLOCHE_CLI_PS_H

#include <stddef.h>
#include <stdint.h>

struct listed;
struct listing;

/* What ps and top share. */

/* Asks the daemon. 0, or the exit status, and a line on standard error says why. *ret is the
 * caller's to free. */
int ps_ask(const char *verb, struct listing **ret);

/* Texts of figures; "-" for what is not known. */
struct ps_text {
	char s[24];
};
struct ps_text ps_bytes(uint64_t bytes);
struct ps_text ps_age(int64_t ns);
struct ps_text ps_seconds(uint64_t ns);

/* What it is called: its name, or its command, harmless; cut to width columns. */
void ps_what(const struct listed *row, char *ret, size_t size);

#endif
