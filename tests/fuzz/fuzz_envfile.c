/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an environment file. What is accepted is a vector of NAME=VALUE with good names; a
 * refusal names the file and line and stays one line.
 */
#include "base/envfile.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envfile env = { 0 };
	struct cloche_err err = { 0 };
	size_t i;

	if (envfile_parse((const char *)data, size, "f", &env, &err) < 0) {
		if (strncmp(err.text, "f:", 2) != 0 || strchr(err.text, '\n') || env.vars)
			abort();
		return 0;
	}
	for (i = 0; i < env.count; i++)
		if (!strchr(env.vars[i], '=') || strchr(env.vars[i], '\n') ||
		    !envfile_name_ok(env.vars[i], strcspn(env.vars[i], "=")))
			abort();
	if (env.vars[i])
		abort();
	envfile_free(&env);
	return 0;
}
