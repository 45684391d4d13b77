/* SPDX-License-Identifier: MIT */
/*
 * Kills at the deadline: in the warden, whose life hangs on nobody but root, so that whoever stops
 * or kills the supervisor stretches none. See deadline.h.
 */
#include "launch/deadline.h"

#include "base/clock.h"
#include "launch/function.h"
#include "launch/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* So long before a deadline the warden does nothing else any more; and when it goes before nobody
 * until then, and so may wait for its turn. */
#define NEAR_NS	       NSEC_PER_MSEC
#define NEAR_IN_ROW_NS (5 * NSEC_PER_MSEC)

/* An exec that takes so many times the limit is not waited for any longer. */
#define MAX_WAITS 10

/* Not for what the function could pile up: from here on nothing is reaped and nothing answered. */
static void come_near(struct function *f)
{
	function_be_prompt(f);
	f->near = true;
	function_watch_piles(f, false);
}

int deadline_set(struct function *f)
{
	int64_t at_ns = f->deadline_ns, near_ns = f->prompt ? NEAR_NS : NEAR_IN_ROW_NS;
	struct itimerspec t;

	f->near = false;
	function_watch_piles(f, true);
	if (at_ns - clock_now_ns() > 2 * near_ns)
		at_ns -= near_ns;
	else
		come_near(f);
	t = (struct itimerspec){ .it_value = ns_timespec(at_ns > 0 ? at_ns : 1) };
	return timerfd_settime(f->timer, TFD_TIMER_ABSTIME, &t, NULL) < 0 ? -errno : 0;
}

/* A kernel without cgroup.kill, before 5.14: with the warden goes all of the namespace. */
void deadline_kill(const struct function *f)
{
	if (cgroup_kill(&f->plan->cgroup) < 0)
		_exit(EXIT_FAILURE);
}

/*
 * The limit counts from the first instruction, which the clock knows. When even the exec is not
 * done yet (a small share of a slow CPU), it cannot be over before the same time has passed once
 * more. What the clock knows of an earlier invocation is no beginning of this one.
 */
static int64_t begin_of(struct function *f)
{
	const struct plan_clock *clock = &f->plan->clock;
	int64_t begin_ns;
	int began = f->clocked ? clock->began(clock->fd, f->plan->slot.n, &begin_ns) : -ENODATA;

	if (began > 0 && begin_ns >= f->plan->shared->exec_ns)
		return begin_ns;
	if (began >= 0 && f->waits++ < MAX_WAITS)
		return clock_now_ns();
	return f->start_ns;
}

static void on_deadline(struct function *f)
{
	f->start_ns = begin_of(f);
	f->deadline_ns = f->start_ns + f->timeout_ns;
	if (clock_now_ns() < f->deadline_ns) {
		if (deadline_set(f) < 0)
			_exit(EXIT_FAILURE);
		return;
	}
	f->plan->shared->deadline_ns = f->deadline_ns;
	function_kill(f, ENDED_BY_DEADLINE);
}

void deadline_step(struct function *f)
{
	uint64_t expirations;

	if (read(f->timer, &expirations, sizeof(expirations)) < 0)
		return;
	if (f->near) {
		on_deadline(f);
	} else {
		come_near(f);
		if (timerfd_settime(f->timer, TFD_TIMER_ABSTIME,
				    &(struct itimerspec){ .it_value = ns_timespec(f->deadline_ns) },
				    NULL) < 0)
			_exit(EXIT_FAILURE);
	}
}
