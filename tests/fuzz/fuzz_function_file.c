/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a cloche.yaml. What is refused is explained in one line; what is accepted passes the
 * checks that the daemon asks, and comes back from JSON as what it was.
 */
#include "function/function_file.h"
#include "function/function_json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct function_config *c, const struct spec_host *host)
{
	struct function_config back = { 0 };
	json_t *o = function_to_json(c);

	if (!o || function_from_json(o, &back, NULL) < 0 || !function_is_same(c, &back))
		abort();
	json_decref(o);
	/* Its code has no hash yet. */
	back.code.path = c->code.path ? strdup(c->code.path) : NULL;
	if (function_check(&back, host, NULL) < 0)
		abort();
	function_config_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct spec_host host = { .memory_bytes = 4ULL << 30, .cpus = 2 };
	struct cloche_err err = { 0 };
	struct function_file file = { 0 };

	if (function_file_read((const char *)data, size, "cloche.yaml", &host, &file, &err) < 0) {
		if (!err.code || strchr(err.text, '\n') || file.n || file.functions)
			abort();
		return 0;
	}
	for (size_t i = 0; i < file.n; i++)
		if (file.functions[i].n_layers == 0)
			look(&file.functions[i], &host);
	function_file_free(&file);
	return 0;
}
