/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUNTIME_RUNTIME_NATIVE_H
#define CLOCHE_RUNTIME_RUNTIME_NATIVE_H

#include "runtime/runtime_http.h"

struct cloche_err;

/*
 * The host's end of cloche_handler.h, for one context: what runtime_http.h is for the Runtime API,
 * with the same news and the same way to be driven, but that it says itself what it is polled for.
 * It never waits, and who is at the other end is hostile: what is out of turn or too long is
 * RUNTIME_INSISTED, and nothing more is read then. Descriptors that are sent by it are nobody's.
 */
struct runtime_native;

/* A connected stream socket, its own from now on. forks: reuse: fork. NULL: no memory. */
struct runtime_native *runtime_native_open(int socket, bool forks, struct cloche_err *err);
struct runtime_native *runtime_native_close(struct runtime_native *n);

int runtime_native_fd(const struct runtime_native *n);
short runtime_native_events(const struct runtime_native *n); /* POLLIN, POLLOUT */
void runtime_native_run(struct runtime_native *n);

int runtime_native_give(struct runtime_native *n, const struct runtime_event *event,
			struct cloche_err *err);
enum runtime_news runtime_native_news(struct runtime_native *n);
void runtime_native_answer(const struct runtime_native *n, struct runtime_answer *ret);

#endif
