/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REMOTE_WATCH_H
#define CLOCHE_SERVE_REMOTE_WATCH_H

#include "base/err.h"
#include "base/uuid.h"
#include "run/outcome.h"

struct remote;

/*
 * Has the daemon tell of each of this user's invocations that begins: remote_open, remote_watch,
 * then { poll remote->socket → remote_watch_next until it is 0 }.
 */
struct watched {
	char request_id[UUID_LEN], function[OUTCOME_NAME_LEN]; /* "": it has no name */
	int socket;	       /* the caller's, as trace/trace_live.h has it; -1: */
	struct cloche_err why; /* ... its lines do not come */
};

/* 0: all that begin from now on are seen. */
int remote_watch(const struct remote *r, struct cloche_err *err);

/* 1: one; 0: none now; -errno: there will be no more. */
int remote_watch_next(const struct remote *r, struct watched *ret, struct cloche_err *err);

#endif
