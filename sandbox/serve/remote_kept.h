/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REMOTE_KEPT_H
#define CLOCHE_SERVE_REMOTE_KEPT_H

#include "serve/showing.h"

#include <stdio.h>

struct cloche_err;
struct remote;

/*
 * The traces that the daemon keeps for who asks: open → { next → the bytes behind it }* until there
 * is none.
 */

/* id: the beginning of one's; NULL: a list of all. *ret_pipe is the caller's. */
int remote_kept_open(const struct remote *remote, const char *id, int *ret_pipe,
		     struct cloche_err *err);

/* 1: one, ret->len bytes of which are to be read next from the pipe; 0: there are no more. -ENOENT,
 * -EEXIST: there is none of that id, or several. */
int remote_kept_next(int pipe, struct shown *ret, struct cloche_err *err);

/* So many of the bytes behind it, or all as a file of its own, at its beginning. NULL: *err says
 * why. */
int remote_kept_read(int pipe, void *bytes, size_t len, struct cloche_err *err);
FILE *remote_kept_part(int pipe, const struct shown *shown, struct cloche_err *err);

#endif
