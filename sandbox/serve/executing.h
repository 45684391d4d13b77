/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_EXECUTING_H
#define CLOCHE_SERVE_EXECUTING_H

#include "serve/resident.h"

struct cloche_err;
struct executing;
struct visit;

/*
 * An event for a function that is a command (the family exec): a process of its own, which has the
 * event as its standard input; what it writes to standard output is the response, and to standard
 * error its log's. Its invocation is one as of any command (client.c); here are the streams.
 */

/* Before its context is sought: v->stdio and v->streams are for it. */
int executing_open(struct visit *v, struct cloche_err *err);
struct executing *executing_close(struct executing *e); /* NULL */

/* It begins: the log says so. */
void executing_start(struct visit *v);

/* It is over, and *out whole but for what came of the response: one that is too long is an error,
 * and was its end. Before the record. */
void executing_settle(struct visit *v);

/* Behind the record: its last lines, and what there is to answer. */
void executing_report(struct visit *v, struct resident_answer *ret);

#endif
