/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_TAKEN_H
#define CLOCHE_SERVE_TAKEN_H

#include "serve/request.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct local;

/*
 * A client's standard streams as the front takes them, which hands them on to a warden and does
 * nothing else with them. What can be asked of a stranger's descriptor without a wait is little:
 * whoever has a pipe, a file or a terminal, too, can hold the locks that read(2), write(2),
 *lseek(2) and most of ioctl(2) take, for as long as he likes (his buffer may be a page that a file
 *system of his own has to bring). So they are known by statx(2) of what the kernel has at hand and,
 *once it is clear that they are files of the kernel's own, by fstatfs(2). What needs more than to
 *be handed on, its client copies (serve/remote_streams.h).
 *
 *	files	  on a mount that is known, of a kind that launch/streams.h lets pass
 *	pipes
 *	devices	  null, zero, full, random, urandom, and terminals, by their numbers
 *
 * With an output limit output is a pipe: the warden counts what comes out of another.
 */
struct taken {
	/* In bits: files on mounts that nobody here knows; terminals. */
	unsigned unknown, terminals;
};

/* *ret is set also when one is refused. */
int taken_look(struct local *local, const int fds[static REQUEST_STREAMS], bool limited,
	       struct taken *ret, struct cloche_err *err);

#endif
