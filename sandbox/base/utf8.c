/* SPDX-License-Identifier: MIT */
/* Text from strangers, a character at a time. */
#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>

/* The bytes of a valid character, and which it is; 0 when it is none. */
static size_t decode(const unsigned char *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : 4;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fU >> n);

	if ((n == 4 && s[0] >> 3 != 30) || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

static bool is_harmless(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	return !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff;
}

size_t utf8_harmless(const char *s, size_t len)
{
	uint32_t c = 0;
	size_t n = decode((const unsigned char *)s, len, &c);

	return n && is_harmless(c) ? n : 0;
}

size_t utf8_width(const char *s, size_t len)
{
	uint32_t c = 0;

	return decode((const unsigned char *)s, len, &c);
}

unsigned utf8_code(const char *s, size_t len)
{
	uint32_t c = 0;

	(void)decode((const unsigned char *)s, len, &c);
	return c;
}
