/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_RUNNING_H
#define CLOCHE_LAUNCH_RUNNING_H

struct cloche_err;
struct running;

/*
 * In how many contexts of one launcher there are function processes, for a bound that holds even
 * where all of them are started by somebody who was taken over: each warden asks before it starts
 * one.
 *
 * Theory of operation. A function's policy is a filter of its own with a JIT image of its own,
 * which the kernel frees by a work item of its own when the last process under it is gone. More
 * than RUNNING_DANGER of these at once have deadlocked a kernel (6.18: they stand before the one
 * that they wait for); and when the launcher is killed all functions end at once. A context without
 * a process holds none: its warden has but the launcher's filter, which it inherited and shares. So
 * what is idle does not count; a process that is kept, frozen, does.
 *
 * What may stand in that queue when all end: for each of them the image that goes with it; before
 * it, in a context that is used over and over, the one of the invocation before, which the worker
 * has not come to yet; and those of processes that are no functions and have filters of their own
 * (RUNNING_OTHERS: who parses for the launcher, BUILDS_MAX, TRACERS_MAX and SHOWINGS_MAX of
 * serve/, launcher and front). The danger is the kernel's and not the host's: neither memory nor
 * CPUs change it, so that the bound is a constant, of which the configuration may take less.
 */
#define RUNNING_DANGER 1024
#define RUNNING_EACH   2
#define RUNNING_OTHERS 64
#define RUNNING_MAX    ((RUNNING_DANGER - RUNNING_OTHERS) / RUNNING_EACH)

/* Memory that the caller shares with all that it starts from here on; NULL: there is none. */
struct running *running_open(void);
struct running *running_close(struct running *r);

/* No more than so many for who asks from now on; more than RUNNING_MAX, which is what counts before
 * the first call, are that many. */
void running_bound(struct running *r, unsigned most);

/* The context of that slot is to have one. -EBUSY: there are as many as may be, and it has none. Of
 * several at the same time who come to the bound all may be told so. r NULL, here and below: nobody
 * counts. */
int running_enter(struct running *r, unsigned slot, struct cloche_err *err);

/* What is said then, whoever has counted: -EBUSY. */
int running_full(unsigned most, struct cloche_err *err);

/* It has none any more; also for one whose warden is dead. */
void running_leave(struct running *r, unsigned slot);

#endif
