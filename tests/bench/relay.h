/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_RELAY_H
#define CLOCHE_BENCH_RELAY_H

#include <stdint.h>
#include <sys/types.h>

struct cloche_err;

/*
 * The floor of an invocation: three processes and two Unix sockets between them. This one asks a
 * relay, that asks a handler, and the answer, which is what was asked, comes back by both. Nobody
 * is isolated, limited, counted, recorded or frozen.
 */
struct relay {
	int socket; /* -1: there is none */
	pid_t relay, handler;
};

int relay_open(struct relay *ret, struct cloche_err *err);
void relay_close(struct relay *r);

/* One event, there and back. */
int relay_call(const struct relay *r, const char *event, int64_t *ret_ns, struct cloche_err *err);

#endif
