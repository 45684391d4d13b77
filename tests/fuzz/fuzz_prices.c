/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a price file. Beyond not crashing: what is taken can price an invocation, and a
 * refusal is one line that names the file.
 */
#include "base/err.h"
#include "ledger/prices.h"
#include "ledger/prices_file.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct prices_use use = { .memory_bytes = 1u << 30, .wall_ns = 1234567890 };
	struct cloche_err err = { 0 };
	struct prices_charge charge;
	struct prices prices;
	char path[64];
	int fd = memfd_create("prices", MFD_CLOEXEC);
	int r;

	if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = prices_file_load(path, &prices, &err);
	if (r < 0 && (strchr(err.text, '\n') || !strstr(err.text, path)))
		abort();
	if (r == 0 && (strlen(prices.sha256) != 64 || !prices.name[0] ||
		       prices_charge(&prices, &use, &charge, &err) < 0))
		abort();
	(void)close(fd);
	return 0;
}
