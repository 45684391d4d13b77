/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a client's request to the daemon, and behind them its order. As the front does it:
 * what passes the check is read, and what is read makes a spec whose texts lie in the two.
 */
#include "serve/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file = -1; /* in memory, one for all inputs */

static void order_put(const uint8_t *data, size_t size)
{
	if (file < 0)
		file = memfd_create("order", MFD_CLOEXEC);
	if (ftruncate(file, 0) < 0 || pwrite(file, data, size, 0) != (ssize_t)size)
		abort();
}

static void check_text(const char *text, const struct order_block *block, const struct request *r)
{
	const char *in = (const char *)r, *at = block->bytes;

	if (!((text >= in && text + strlen(text) < in + sizeof(*r)) ||
	      (text >= at && text + strlen(text) < at + block->len)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct order_block block = { .bytes = NULL };
	struct request r = { 0 };
	struct cloche_err err = { 0 };
	struct order order;
	struct spec spec;
	int code;

	memcpy(&r, data, size < sizeof(r) ? size : sizeof(r));
	/* Whoever has another version is told so, and that is all. */
	request_version(r.version);
	code = request_check(&r, &err);
	if ((code < 0) != (err.code != 0) || strchr(err.text, '\n'))
		abort();
	if (code < 0)
		return 0;
	order_put(data + (size < sizeof(r) ? size : sizeof(r)),
		  size < sizeof(r) ? 0 : size - sizeof(r));
	code = request_read(&r, NULL, file, &block, &order, &spec, &err);
	if (code == 0) {
		for (char *const *a = spec.argv; *a; a++)
			check_text(*a, &block, &r);
		for (char *const *e = spec.env; *e; e++)
			check_text(*e, &block, &r);
		check_text(spec.workdir, &block, &r);
		check_text(spec.policy, &block, &r);
		if (spec_check(&spec, &(struct spec_host){ .memory_bytes = 1ULL << 34, .cpus = 2 },
			       &err) < 0 &&
		    strchr(err.text, '\n'))
			abort();
	}
	order_free(&block);
	return 0;
}
