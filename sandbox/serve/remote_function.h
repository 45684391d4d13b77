/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REMOTE_FUNCTION_H
#define CLOCHE_SERVE_REMOTE_FUNCTION_H

#include <jansson.h>
#include <stdint.h>

struct cloche_err;

/*
 * What is asked of the daemon about functions, the client's side. -ENOTCONN: none can be reached,
 * and *err says so to people; else what the daemon refused. What it answers is JSON, the caller's
 * to decref, as serve/function_visit.c and serve/function_list.h have it.
 */

/* functions: a list of what function_to_json() made, whose code is all there (code.h). -ESTALE: it
 * is not. */
int remote_deploy(const char *control, const json_t *functions, json_t **ret,
		  struct cloche_err *err);

/* name NULL: all. */
int remote_functions(const char *control, const char *name, json_t **ret, struct cloche_err *err);

/* version 0: the one before. */
int remote_rollback(const char *control, const char *name, uint32_t version, json_t **ret,
		    struct cloche_err *err);
int remote_forget(const char *control, const char *name, struct cloche_err *err);

/* As remote_stores(). */
int remote_function_images(const char *control, int ret[static 2], struct cloche_err *err);

/* The directory of the code that there is of this user's functions, the caller's, into *ret; -1:
 * there is none yet. */
int remote_codes(const char *control, int *ret, struct cloche_err *err);

#endif
