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
 * A function's policy is a filter of its own with a JIT image of its own, which the kernel frees by
 * a work item of its own when the last process under it is gone. More than 1,024 of these at once
 * have deadlocked a kernel (6.18: they stand before the one that they wait for); and when the
 * launcher is killed all end at once. A context without a process holds none: its warden has but
 * the launcher's filter, which it inherited and shares. So idle ones do not count, and of what runs
 * there is less than half of that.
 */
#define RUNNING_MAX 480

/* Memory that the caller shares with all that it starts from here on; NULL: there is none. */
struct running *running_open(void);
struct running *running_close(struct running *r);

/* The context of that slot is to have one. -EBUSY: there are as many as may be, and it has none. Of
 * several at the same time who come to the bound all may be told so. r NULL, here and below: nobody
 * counts. */
int running_enter(struct running *r, unsigned slot, struct cloche_err *err);

/* It has none any more; also for one whose warden is dead. */
void running_leave(struct running *r, unsigned slot);

#endif
