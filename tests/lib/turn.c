/* SPDX-License-Identifier: MIT */
/* Which cases are ours: see turn.h. */
#include "tests/lib/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t turn_take(void *cases, size_t n, size_t size)
{
	const char *turn = getenv("TEST_TURN");
	unsigned at = 0, of = 1;
	size_t taken = 0;

	if (turn && (sscanf(turn, "%u/%u", &at, &of) != 2 || at >= of)) {
		(void)fprintf(stderr, "TEST_TURN='%s': I/N is expected, as in 0/2\n", turn);
		abort();
	}
	for (size_t i = at; i < n; i += of)
		memmove((char *)cases + taken++ * size, (char *)cases + i * size, size);
	return taken;
}
