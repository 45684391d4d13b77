/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_TRACERS_H
#define CLOCHE_SERVE_TRACERS_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct command;
struct launching;
struct place;
struct tracers;

/*
 * The launcher's side of traced invocations: for each a child has the ring (tracer.h), from TRACE
 * until who asked has all of it. While one has a ring, its context's slot is not given up. At a
 * time there are so many of all owners, and of one as many as the configuration says: whatever is
 * attached for one of them is so for every process of the host.
 */
#define TRACERS_MAX 16

/* The handlers of TRACE and CONCLUDE. */
int tracers_on_trace(struct launching *l, struct place *p, const struct command *c,
		     struct cloche_err *err);
int tracers_on_conclude(struct launching *l, struct place *p, const struct command *c,
			struct cloche_err *err);

/* Its invocation has ended, and p->last is what was counted. True: counting_done() comes when
 * what its tracer knows is in there. */
bool tracers_count(struct place *p);
bool tracers_counting(const struct place *p);

/* Its context is not this invocation's any more. */
void tracers_leave(struct place *p);

/* Somebody has its ring. */
bool tracers_hold(const struct place *p);

/* As launching_wait() and launching_step() have it, for TRACERS_MAX of fds. */
int64_t tracers_wait(struct launching *l, struct pollfd *fds);
void tracers_step(struct launching *l);
/* There is no front any more: what its clients still take they are to take soon. */
void tracers_drop(struct launching *l);
bool tracers_idle(const struct launching *l);

struct tracers *tracers_open(void);
/* When they are idle. */
struct tracers *tracers_close(struct tracers *t);

#endif
