/* SPDX-License-Identifier: MIT */
/*
 * Any text through every number parser. Beyond not crashing: what is accepted consists of digits,
 * at most one point and a unit, and a refusal leaves the result alone and explains itself in one
 * line.
 */
#include "base/parse.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void result_check(int r, int changed, const struct cloche_err *err, const char *text)
{
	if (r == 0) {
		if (!*text || strspn(text, "0123456789.KMGTkmgtIBibunsh") != strlen(text))
			abort();
		return;
	}
	if (changed || err->code != -r || !err->text[0] || strchr(err->text, '\n'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of the exact size, so that the sanitizer sees a read behind the NUL. */
	char *text = malloc(size + 1);
	struct cloche_err err = { 0 };
	uint64_t value = 42;
	int64_t ns = 42;
	int r;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	r = parse_size(text, &value, &err);
	result_check(r, value != 42, &err, text);
	r = parse_duration(text, &ns, &err);
	result_check(r, ns != 42, &err, text);
	if (r == 0 && ns < 0)
		abort();
	value = 42;
	r = parse_milli(text, &value, &err);
	result_check(r, value != 42, &err, text);
	value = 42;
	r = parse_count(text, 3, 1000, &value, &err);
	result_check(r, value != 42, &err, text);
	if (value < 3 || value > 1000)
		abort();
	free(text);
	return 0;
}
