/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the block of a WARDEN_GO. What is accepted has its strings within the block, each
 * list with its NULL, and something to execute.
 */
#include "launch/order.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(char *const *list, const char *bytes, size_t len)
{
	for (; *list; list++)
		if (*list < bytes || *list + strlen(*list) >= bytes + len)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1);
	struct order o;

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	if (order_read(bytes, size, &o) == 0) {
		if (!o.argv[0] || !o.candidates[0] || o.timeout_ns <= 0)
			abort();
		check_list(o.argv, bytes, size);
		check_list(o.env, bytes, size);
		check_list(o.candidates, bytes, size);
		if (o.workdir < bytes || o.workdir + strlen(o.workdir) + 1 != bytes + size)
			abort();
	}
	free(bytes);
	return 0;
}
