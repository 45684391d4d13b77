/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_FUNCTION_H
#define CLOCHE_LAUNCH_FUNCTION_H

#include "launch/listener.h"
#include "launch/output.h"
#include "launch/pause.h"
#include "launch/plan.h"
#include "launch/warden.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cloche_err;

/*
 * One function process and all that it makes, as the warden sees it: from its birth to the moment
 * when nothing of it is left. Its deadline and its limits of CPU time and of output are kept and
 * its denied calls are answered here, outside of the function's limits, by a process that nobody
 * but root can stop.
 *
 *   open → [ start → (poll watched, step)* until step says that it is over; then end ]*
 */
enum {
	FUNCTION_END,	   /* the pidfd of the function's own process */
	FUNCTION_ORPHANS,  /* a signalfd: somebody has died */
	FUNCTION_DEADLINE, /* a timerfd */
	FUNCTION_CPU_TIME, /* a timerfd, where that is limited */
	FUNCTION_EMPTY,	   /* cgroup.events, once all are to be dead, or frozen */
	FUNCTION_ASKED,	   /* its policy's listener */
	FUNCTION_MADE,	   /* what the listener's maker says */
	FUNCTION_OUTPUT,   /* OUTPUT_FDS of them, where that is limited */
	FUNCTION_WATCHED = FUNCTION_OUTPUT + OUTPUT_FDS
};

struct function {
	const struct plan *plan;
	struct pollfd watched[FUNCTION_WATCHED];
	int orphans, timer, cpu_timer; /* open for as long as the warden is there */
	pid_t pid;		       /* 0: reaped */
	int pidfd;
	int64_t start_ns, deadline_ns, timeout_ns;
	unsigned waits;		/* deadlines that came before it had begun */
	uint64_t cpu_before_ns; /* of the cgroup, when it began; where CPU time is limited */
	bool clocked;		/* plan->clock knows of it */
	bool prompt, near;	/* goes before all others; awaits nothing but the deadline */
	bool scarce;		/* hardly any CPU time is left, and it stays prompt */
	bool more;		/* orphans that are dead already */
	bool killed;		/* by us */
	bool dying;		/* all of them, by now */
	struct pause pause;
	int api; /* told with its start, and closed then; -1 */
	struct listener listener;
	struct output output;  /* opened before start, drained and closed after the end */
	struct warden_msg end; /* what there is to tell when it is over */
};

int function_open(struct function *ret, const struct plan *plan, struct cloche_err *err);

/* A new one, of plan->order, in plan->cgroup, with what is open as 0 to 2. Tells the launcher when
 * it has started. False: it is over; end says why. */
bool function_start(struct function *f, bool clocked);

/* Whether it is waited for what the function could pile up: orphans, questions of its policy, what
 * it writes where that is limited. */
void function_watch_piles(struct function *f, bool watched);

/* Goes before all others, and away from the function's CPUs: see host/prompt.h. On a busy host a
 * waking process waits for its turn for milliseconds; a limit cannot. And one that wakes on the
 * function's CPU keeps the function from dying while it sees to it. */
void function_be_prompt(struct function *f);

/* Where it could not be passed on, and none of it may be lost without a word: ends the warden. */
void function_check_output(const struct function *f);

/* Kills all that runs, and says why where nobody was first. */
void function_kill(struct function *f, enum ended_by why);

/* How long to wait at most, ns; FUNCTION_NO_END: until something happens. */
#define FUNCTION_NO_END INT64_MAX
int64_t function_patience(const struct function *f);

/* After poll(2). True: it is over; end is complete. */
bool function_step(struct function *f);

#endif
