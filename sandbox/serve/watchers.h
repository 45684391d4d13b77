/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_WATCHERS_H
#define CLOCHE_SERVE_WATCHERS_H

#include <sys/types.h>

struct cloche_err;
struct front;
struct outcome;
struct packet_fds;
struct visit;

/*
 * Clients who watch what their user's invocations do (`cloche trace`). Each gets a socket for each
 * that begins, by which its lines come from the scribe (scribe.h): nothing of them goes through
 * here, and who does not read has them lost.
 */

/* WATCH. */
void watchers_join(struct visit *v);

/* Of that user, SCRIBE_WATCHERS at most. */
unsigned watchers_of(const struct front *f, uid_t uid);

/* Each is told of one that begins: with one of fds, from that one on, or why there is none. */
void watchers_show(const struct front *f, uid_t uid, const struct outcome *of,
		   const struct packet_fds *fds, unsigned from, const struct cloche_err *why);

#endif
