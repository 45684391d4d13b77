/* SPDX-License-Identifier: MIT */
/* Where a key stands in a text of which libcyaml has said something. */
#include "base/yaml_error.h"

#include "tests/lib/guard.h"

#include <criterion/criterion.h>
#include <string.h>

Test(yaml_error, where_a_key_stands)
{
	static const struct {
		const char *text, *key;
		unsigned from, line;
	} table[] = {
		{ "a: 1\nb: 2\na: 3\n", "a", 1, 1 },
		{ "a: 1\nb: 2\na: 3\n", "a", 2, 3 },
		{ "a: 1\nb: 2\na: 3\n", "a", 4, 0 },
		{ "aa: 1\nba: 2\n a : 3\n", "a", 0, 3 },
		{ "{b: 1,\n 'a': 2}", "a", 1, 2 },
		{ "- \"a\": 2", "a", 1, 1 },
		{ "b: a\na", "a", 1, 0 },
		{ "a", "a", 1, 0 },
		{ "a:", "a", 1, 1 },
		{ "a:", "", 1, 0 },
		{ "", "a", 1, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t len = strlen(table[i].text);
		char *text = guard_copy(table[i].text, len);

		cr_expect_eq(yaml_error_line(text, len, table[i].key, strlen(table[i].key),
					     table[i].from),
			     table[i].line, "'%s' '%s' %u", table[i].text, table[i].key,
			     table[i].from);
		guard_free(text, len);
	}
}
