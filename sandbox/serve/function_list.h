/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_FUNCTION_LIST_H
#define CLOCHE_SERVE_FUNCTION_LIST_H

#include <jansson.h>
#include <sys/types.h>

struct cloche_err;
struct front;

/*
 * What the front says of functions, as JSON. A user sees his own, root all.
 *
 *	list  [{"owner": {"uid", "name"}, "version", "deployed_ns", "contexts": {"warm", "busy"},
 *	        "config": …}]: the version of each that counts; of its configuration
 *(function_json.h) all but the environment show  {"owner", "current", "contexts", "versions":
 *[{"version", "deployed_ns", "config"}]}
 */

/* NULL: no memory. */
json_t *function_list(const struct front *f, uid_t uid);

/* NULL, and *err: there is none. Of several of that name root sees his own, or else the first. */
json_t *function_show(const struct front *f, uid_t uid, const char *name, struct cloche_err *err);

#endif
