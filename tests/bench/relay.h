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
/* A cgroup of its own in which a handler is frozen from one event to the next: by the relay, which
 * asks the kernel again and again whether it is. That, too, is a floor. Made by root; whoever has
 * it needs no rights. */
struct relay_freezer {
	char path[96];
	int procs, freeze, events; /* -1: there is none */
};

int relay_freezer_open(struct relay_freezer *ret, struct cloche_err *err);
void relay_freezer_close(struct relay_freezer *f);

struct relay {
	int socket; /* -1: there is none */
	pid_t relay, handler;
};

/* freezer: NULL: the handler is never frozen. */
int relay_open(const struct relay_freezer *freezer, struct relay *ret, struct cloche_err *err);
void relay_close(struct relay *r);

/* One event, there and back. */
int relay_call(const struct relay *r, const char *event, int64_t *ret_ns, struct cloche_err *err);

#endif
