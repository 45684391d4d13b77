/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a function that a client sends, or that lies on the disk. What is taken is within
 * its bounds and comes back as what it was; what is refused is explained in one line.
 */
#include "function/function_json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct function_config *c)
{
	const struct spec_host host = { .memory_bytes = 4ULL << 30, .cpus = 2 };
	struct function_config back = { 0 };
	struct cloche_err err = { 0 };
	json_t *o = function_to_json(c);

	if (!memchr(c->name, '\0', sizeof(c->name)) ||
	    !memchr(c->policy, '\0', sizeof(c->policy)) || c->n_layers > FUNCTION_LAYERS_MAX ||
	    !o || function_from_json(o, &back, NULL) < 0 || !function_is_same(c, &back))
		abort();
	if (function_check(c, &host, &err) < 0 && (!err.code || strchr(err.text, '\n')))
		abort();
	json_decref(o);
	function_config_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct function_config c = { 0 };
	struct cloche_err err = { 0 };
	json_t *o = function_parse((const char *)data, size, &err);

	if (!o && (!err.code || strchr(err.text, '\n')))
		abort();
	if (o && function_from_json(o, &c, &err) == 0) {
		look(&c);
		function_config_free(&c);
	}
	json_decref(o);
	return 0;
}
