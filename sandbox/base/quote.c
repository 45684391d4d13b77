/* SPDX-License-Identifier: MIT */
/*
 * Users' text inside error messages. An argument may hold a newline, an escape sequence that
 * rewrites the terminal, or bytes that no JSON writer accepts; the line that complains about it
 * must not. Nothing here allocates.
 */
#include "base/quote.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The length of the well-formed UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF, and no C1 control character, which terminals obey); 0 if there is none.
 */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
	static const struct {
		unsigned char mask, lead;
		unsigned int min;
	} forms[] = { { 0xe0, 0xc0, 0xa0 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };
	size_t i, n;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		unsigned int c = p[0] & (unsigned char)~forms[i].mask;

		if ((p[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (left < i + 2)
			return 0;
		for (n = 1; n < i + 2; n++) {
			if ((p[n] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (p[n] & 0x3f);
		}
		if (c < forms[i].min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return 0;
		return i + 2;
	}
	return 0;
}

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
	if (p[0] >= 0x20 && p[0] < 0x7f) {
		(void)snprintf(out, 8, "%c", p[0]);
		return 1;
	}
	n = utf8_sequence(p, left);
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
	const unsigned char *p = (const unsigned char *)text;
	size_t left = strlen(text), used = 0;

	while (left) {
		size_t n = *p >= 0x80 ? utf8_sequence(p, left) : *p >= 0x20 && *p != 0x7f;
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
