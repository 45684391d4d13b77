/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what the daemon's front, taken over, says to its launcher; the first says with how
 * many descriptors. What is accepted makes a spec, or none with one line.
 */
#include "serve/command.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "launch/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of the exact size, so that the sanitizer sees a read behind the end. */
	size_t len = size ? size - 1 : 0;
	uint8_t *bytes = malloc(len + !len);
	struct cloche_err err = { 0 };
	struct command c;
	struct spec spec;
	int r;

	if (!bytes)
		return 0;
	if (len)
		memcpy(bytes, data + 1, len);
	r = command_read(bytes, len, size ? data[0] % 4U : 0, &c, &err);
	if ((r < 0) != (err.code != 0) || strchr(err.text, '\n'))
		abort();
	if (r == 0 && c.kind == COMMAND_MAKE && command_to_spec(&c.make, &spec, &err) < 0 &&
	    (!err.code || strchr(err.text, '\n')))
		abort();
	free(bytes);
	return 0;
}
