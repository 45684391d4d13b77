/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_FILE_H
#define CLOCHE_FUNCTION_FUNCTION_FILE_H

#include "function/function.h"

struct cloche_err;

/*
 * A cloche.yaml: the functions that somebody deploys together, all of them or none.
 *
 *	functions:
 *	  thumbnail:
 *	    runtime: python3     # or Lambda's names; python3 | nodejs | provided | native | exec
 *	    code: ./thumbnail    # a directory or a zip
 *	    handler: app.handler # exec: a list
 *	    layers: [./deps]
 *	    # image: NAME        instead of runtime and code
 *	    # entrypoint: [run]  these two instead of what the image says;
 *	    # workdir: /app      handler: instead of its command
 *	    memory: 512
 *	    timeout: 10s
 *	    environment: {STAGE: dev}
 *	    reuse: process       # none | context | fork | process
 *	    concurrency: {reserved: 4, provisioned: 1, wait: 1s}
 *	    tmp: 512M
 *	    policy: default
 *	    network: none
 *
 * Relative paths are relative to where the file is. Its form libcyaml knows, by a schema that is
 * made of the names that stand in it.
 */
#define FUNCTION_FILE_MAX  (1U << 20)
#define FUNCTION_FILE_FUNS 256

struct function_file {
	struct function_config *functions; /* owned; in the file's order */
	size_t n;
};

/* -EINVAL: *err names file, line, key and what was expected, and there is nothing in *ret. */
int function_file_load(const char *path, const struct spec_host *host, struct function_file *ret,
		       struct cloche_err *err);

/* The same of a text; path: where it would be. */
int function_file_read(const char *text, size_t len, const char *path, const struct spec_host *host,
		       struct function_file *ret, struct cloche_err *err);

/* What is found out later about a function of that file: *err, which begins with its key, gets
 * where that stands in front, if the file can still be read. */
void function_file_place(const char *path, const char *name, struct cloche_err *err);

void function_file_free(struct function_file *file);

#endif
