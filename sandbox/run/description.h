/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_DESCRIPTION_H
#define CLOCHE_RUN_DESCRIPTION_H

#include "run/outcome.h"

struct context;
struct spec;

/* What of an outcome is known before anything is run: the whole of it is set, as one of which
 * nothing ran. function: NULL: it has no name. */
void description_of_request(const struct spec *spec, const char *function, uint32_t owner,
			    const char *owner_name, struct outcome *ret);

/* The context that it ran in, but for what is in it by description_of_request. id: UUID_LEN. */
void description_of_context(const struct context *ctx, const char *id, uint32_t invocation,
			    struct outcome *out);

#endif
