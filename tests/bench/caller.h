/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_CALLER_H
#define CLOCHE_BENCH_CALLER_H

#include "serve/remote.h"

#include <stdint.h>

struct cloche_err;

/* A client of the daemon that stays, and invokes one deployed function again and again. */
struct caller {
	struct remote remote;
	const char *function; /* borrowed */
};

int caller_open(const char *control, const char *function, struct caller *ret,
		struct cloche_err *err);
void caller_close(struct caller *c);

/* One event. *ret_own: the number that its answer is, 0 where it is none. An invocation that does
 * not succeed is an error. */
int caller_call(struct caller *c, const char *event, int64_t *ret_ns, int64_t *ret_own,
		struct cloche_err *err);

#endif
