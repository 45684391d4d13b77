/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_TRACED_H
#define CLOCHE_SERVE_TRACED_H

#include <stdbool.h>

struct packet_fds;
struct reply;
struct visit;

/*
 * The trace of a client's invocation, which others make (serve/tracer.h), as the front asks for it:
 *
 *	traced_ask → TRACED: traced_begin → (the invocation, and its record) → traced_conclude →
 *	CONCLUDED: traced_end → the answer
 *
 * An invocation is worth more than its trace: why there is none is told with the answer. One is
 *also made where others of its user watch (watchers.h); its client hears nothing of that.
 */

/* One is wanted, and was not given up. */
bool traced_wanted(const struct visit *v);

/* Of what it has, and will begin. */
void traced_ask(struct visit *v);

/* v->traced: there is one. */
void traced_begin(struct visit *v, const struct reply *reply, const struct packet_fds *fds);

/* Of what never ran there is nothing to see. */
void traced_conclude(struct visit *v);
void traced_end(struct visit *v, const struct reply *reply);

/* What was to be traced, or is, has died. */
void traced_lose(struct visit *v, const char *why);

#endif
