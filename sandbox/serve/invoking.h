/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_INVOKING_H
#define CLOCHE_SERVE_INVOKING_H

#include <stdbool.h>

struct visit;

/*
 * A client that invokes a deployed function: between its request and its answer what is not as for
 * a command (client.c). Its context is one of that version of the function, which has its process
 * (resident.h), or is a new one and begins one; the invocation is the resident's to drive.
 */

/* So many events of an owner may wait for contexts of his functions. What they are stays in his own
 * memory meanwhile. */
#define INVOKING_QUEUED 100

/* INVOKE has come, with the event in v->order_fd: visit_begin() for it. */
void invoking_begin(struct visit *v);

/* No context of its function is idle: whether a new one may be made for it now. Else it waits, or
 * has been refused. */
bool invoking_may_start(struct visit *v);

/* It has a context; and where it asked for that, somebody traces it, or does not. */
void invoking_run(struct visit *v);
void invoking_traced(struct visit *v);

/* What ran for it is over: the record, the log and the answer. */
void invoking_finish(struct visit *v);

/* Its trace is written, too. */
void invoking_answer(struct visit *v);

/* Its request is over, however: its context is for others, or nobody; what it has of a function
 * goes. */
void invoking_let_go(struct visit *v);
void invoking_leave(struct visit *v);

/* Functions have changed: what is idle for a version that does not count any more goes. */
struct front;
void invoking_retire(struct front *f);

/* v->version: of the function that the request names. -ENOENT. */
struct cloche_err;
int invoking_find(struct visit *v, struct cloche_err *err);

/* LOGS has come. */
void invoking_show_logs(struct visit *v);

#endif
