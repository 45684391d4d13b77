/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what an image says of how it is run. What is accepted can be an environment, a
 * command and a directory; a refusal is one line.
 */
#include "launch/image_config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "launch/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_config c = { 0 };
	struct cloche_err err = { 0 };
	char *text = malloc(size + 1), *record = malloc(IMAGE_CONFIG_SIZE);
	size_t sum = 0, len = 0;
	int r;

	if (!text || !record)
		abort();
	/* As the record itself, which a reader might make that somebody has taken over. */
	if (image_config_take(data, size, &c, &err) == 0)
		image_config_free(&c);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	r = image_config_parse(text, record, IMAGE_CONFIG_SIZE, &len, &err);
	if (r == 0 && image_config_take(record, len, &c, &err) < 0)
		abort();
	free(text);
	free(record);
	if (r < 0) {
		if (c.texts || c.env || !err.text[0] || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	if (count(c.entrypoint) > IMAGE_CONFIG_TEXTS_MAX || count(c.cmd) > IMAGE_CONFIG_TEXTS_MAX)
		abort();
	for (char *const *e = c.env; *e; e++) {
		if (**e == '=' || !strchr(*e, '='))
			abort();
		sum += strlen(*e) + 1;
	}
	if (sum > SPEC_ENV_MAX || (c.workdir && *c.workdir != '/'))
		abort();
	image_config_free(&c);
	return 0;
}
