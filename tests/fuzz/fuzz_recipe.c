/* SPDX-License-Identifier: MIT */
/*
 * Any text as the recipe of an image. What is accepted are names that no program takes for an
 * option or a path; the rest is refused with one line.
 */
#include "image/image_recipe.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/texts.h"

#define ROOM 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *buf = malloc(ROOM), **names = NULL;
	struct cloche_err err = { 0 };
	size_t len, n = 0;

	if (!text || !buf)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (recipe_parse(text, buf, ROOM, &len, &err) < 0) {
		if (!err.code || strchr(err.text, '\n'))
			abort();
	} else if (texts_take(buf, len, ROOM, &names, &n, &err) < 0 || n == 0) {
		abort();
	}
	for (size_t i = 0; i < n; i++)
		if (!names[i][0] || strpbrk(names[i], "-/. \t\n") == names[i] ||
		    strchr(names[i], '/'))
			abort();
	free(names);
	free(buf);
	free(text);
	return 0;
}
