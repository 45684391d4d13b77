/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_COUNTING_H
#define CLOCHE_SERVE_COUNTING_H

struct cloche_err;
struct command;
struct launching;
struct place;

/*
 * The launcher's part in which it counts: what the kernel has of an invocation whose processes are
 * dead, or of the part of a kept one that is frozen. The front asks for it (COUNT, RECOUNT), or
 * the warden does (launch/notice.h); it is told once, as COUNTED or PARTED.
 */

/* Handlers of command.h. */
int counting_on_count(struct launching *l, struct place *p, const struct command *c,
		      struct cloche_err *err);
int counting_on_recount(struct launching *l, struct place *p, const struct command *c,
			struct cloche_err *err);

/* What wardens have written. */
void counting_hear(struct launching *l);

/* Of one that is COUNTING: whether it can be counted by now. */
void counting_try(struct launching *l, struct place *p);

/* COUNTING is over: p->last is what there is to say. */
void counting_done(struct launching *l, struct place *p);

#endif
