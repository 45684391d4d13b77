/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CHANGING_H
#define CLOCHE_SERVE_CHANGING_H

struct changing;
struct cloche_err;
struct front;
struct function_change;

/*
 * Changes of what is deployed (function/function_change.h), written beside the loop: a disk takes
 * milliseconds for each, and one that is busy as long as it likes. A few threads do it, in the
 * order in which they come. Whoever deploys much holds up himself, for of one user there is one at
 * a time; and not those who close what he sends (closer.h).
 */

/* Before the filter of system calls, and before there may be no more threads. It lives as long as
 * the process. */
int changing_open(struct front *f, struct changing **ret, struct cloche_err *err);

/* done is called when it counts, or is undone: *err says why. The change, the one of its user at a
 * time, is taken over, and lives until then. */
typedef void changing_done(void *arg, int written, const struct cloche_err *err);
void changing_begin(struct changing *c, struct function_change *change, changing_done *done,
		    void *arg);

#endif
