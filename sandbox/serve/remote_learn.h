/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REMOTE_LEARN_H
#define CLOCHE_SERVE_REMOTE_LEARN_H

#include "serve/learner.h"
#include "serve/lessons.h"

#include <stddef.h>

struct cloche_err;
struct remote;

/* Which system calls this user's contexts make, counted by the daemon: the client's side. */

/* It counts from now on, until *ret, the caller's, is closed. wanted[nr]: as of calls_open().
 * -ENOTCONN: no daemon can be reached. */
int remote_learn_open(const char *control, const uint8_t wanted[static CALLS_NR], int *ret,
		      struct cloche_err *err);

/* All that was counted, the caller's to free; of what had no room, *ret_lost. */
int remote_learn_read(int fd, struct learner_entry **ret, size_t *ret_n, uint64_t *ret_lost,
		      struct cloche_err *err);

/*
 * Which invocations of a function of his end meanwhile, by a connection of its own: remote_open,
 * remote_learn_function, then { poll remote->socket → remote_learn_next until it is 0 }.
 */
/* version: 0: that which counts. 0: each that ends from now on is told of. */
int remote_learn_function(const struct remote *r, const char *function, uint32_t version,
			  struct cloche_err *err);

/* 1: one; 0: none now; -errno: there will be no more, or one was missed. */
int remote_learn_next(const struct remote *r, struct learnt *ret, struct cloche_err *err);

#endif
