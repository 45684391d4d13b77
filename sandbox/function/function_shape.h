/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_SHAPE_H
#define CLOCHE_FUNCTION_FUNCTION_SHAPE_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * The form of a cloche.yaml, for libcyaml, which knows no mapping whose keys are anybody's: names
 * of functions and of variables. So these are read first, by libyaml, and become a schema; what has
 * not this form is refused on the way, since libcyaml would not say what was expected.
 */
struct shape_concurrency {
	char *reserved, *provisioned, *wait;
};

/* What libcyaml makes of one function. */
struct shape_function {
	char *runtime, *code, *image, *memory, *timeout, *reuse, *tmp, *policy, *network, *workdir;
	char *handler; /* or: */
	char **command;
	uint32_t n_command;
	char **layers, **entrypoint;
	uint32_t n_layers, n_entrypoint;
	struct shape_concurrency *concurrency;
	char **env; /* values, as many as the shape has names */
};

struct shape_env {
	char **names; /* owned */
	size_t n;
	cyaml_schema_field_t *fields; /* owned */
};

struct shape {
	char **names; /* owned, of functions */
	size_t n;
	struct shape_env *envs;		 /* owned, n */
	cyaml_schema_field_t **fields;	 /* owned, of each */
	cyaml_schema_field_t *functions; /* owned */
	cyaml_schema_field_t root[2];
	cyaml_schema_value_t schema;
};

/* What the schema loads to. */
struct shape_root {
	struct shape_function *functions; /* n */
};

/* -EINVAL: "NAME:LINE: KEY: expected …". *ret is to be freed in any case. */
int shape_read(const char *text, size_t len, const char *name, struct shape *ret,
	       struct cloche_err *err);
void shape_free(struct shape *shape);

#endif
