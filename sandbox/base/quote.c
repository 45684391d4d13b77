/* SPDX-License-Identifier: MIT */
/*
 * Users' text inside error messages. An argument may hold a newline, an escape sequence that
 * rewrites the terminal, or bytes that no JSON writer accepts; the line that complains about it
 * must not. Nothing here allocates.
 */
#include "base/quote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* One character of the text as it is shown, into out; returns how many bytes of text it took. */
static size_t show_char(char out[static 8], const unsigned char *p, size_t left)
{
	size_t n;

	if (p[0] == '\n' || p[0] == '\t') {
		(void)snprintf(out, 8, "\\%c", p[0] == '\n' ? 'n' : 't');
		return 1;
	}
	if (p[0] == '\'' || p[0] == '\\') {
		(void)snprintf(out, 8, "\\%c", p[0]);
		return 1;
	}
	n = utf8_harmless((const char *)p, left);
	if (n) {
		memcpy(out, p, n);
		out[n] = '\0';
		return n;
	}
	(void)snprintf(out, 8, "\\x%02x", p[0]);
	return 1;
}

const char *quote_n(char buf[static QUOTE_LEN], const char *text, size_t len)
{
	static const char cut[] = "'...";
	size_t used = 0, taken = 0;

	buf[used++] = '\'';
	while (taken < len) {
		char shown[8];
		size_t took = show_char(shown, (const unsigned char *)text + taken, len - taken);
		size_t n = strlen(shown);

		if (used + n + sizeof(cut) > QUOTE_LEN) {
			memcpy(buf + used, cut, sizeof(cut));
			return buf;
		}
		memcpy(buf + used, shown, n);
		used += n;
		taken += took;
	}
	buf[used++] = '\'';
	buf[used] = '\0';
	return buf;
}

const char *quote(char buf[static QUOTE_LEN], const char *text)
{
	return quote_n(buf, text, strlen(text));
}

void quote_field(char *to, size_t size, const char *text)
{
	const char *p = text;
	size_t left = strlen(text), used = 0;

	while (left) {
		size_t n = utf8_harmless(p, left);
		size_t took = n ? n : 1;

		if (used + took >= size)
			break;
		if (n)
			memcpy(to + used, p, n);
		else
			to[used] = '?';
		used += took;
		p += took;
		left -= took;
	}
	to[used] = '\0';
}

char *quote_json(const char *dumped)
{
	size_t left = strlen(dumped), used = 0;
	char *to = malloc(6 * left + 1);

	while (to && left) {
		size_t n = utf8_harmless(dumped, left), took = utf8_width(dumped, left);

		/* A dump may be indented. */
		if (n || *dumped == '\n' || !took) {
			n = n ? n : 1;
			memcpy(to + used, dumped, n);
			used += n;
			took = n;
		} else {
			used += (size_t)snprintf(to + used, 7, "\\u%04x", utf8_code(dumped, left));
		}
		dumped += took;
		left -= took;
	}
	if (to)
		to[used] = '\0';
	return to;
}
