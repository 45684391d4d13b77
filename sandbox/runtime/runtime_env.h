/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUNTIME_RUNTIME_ENV_H
#define CLOCHE_RUNTIME_RUNTIME_ENV_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/* What runs a function's code. */
enum runtime_family {
	RUNTIME_PROVIDED, /* a bootstrap of its own */
	RUNTIME_PYTHON3,
	RUNTIME_NODEJS,
	RUNTIME_IMAGE, /* what a container image starts, with libraries of its own */
	RUNTIME_FAMILIES
};

/* The files to execute, in this order the first that is there, NULL behind the last. */
const char *const *runtime_candidates(enum runtime_family family);

/* What a runtime is told of its function by its environment. A text that is NULL is left out. */
struct runtime_about {
	enum runtime_family family;
	const char *function, *version, *handler;
	const char *region, *log_group, *log_stream;
	const char *execution_env; /* AWS_Lambda_python3.11 */
	const char *api;	   /* HOST:PORT of the Runtime API */
	uint32_t memory_mb;
	bool provisioned;	/* it was made before anybody asked for it */
	bool forks;		/* reuse: fork */
	const char *const *own; /* NAME=VALUE, the function's own, NULL behind the last; or NULL */
};

/*
 * The environment, as Lambda makes it: a list with NULL behind the last, to be freed as one. Of the
 * function's own variables those with a reserved name are left out; others come instead of ours.
 */
int runtime_env_make(const struct runtime_about *about, char ***ret, struct cloche_err *err);

/* Whether it is one that no function may set. name: up to '=' or its end. */
bool runtime_env_reserved(const char *name);

#endif
