/* SPDX-License-Identifier: MIT */
/* Freezes and thaws a function process: see pause.h. */
#include "launch/pause.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "host/prompt.h"
#include "launch/cpu_time.h"
#include "launch/deadline.h"
#include "launch/function.h"
#include "launch/order.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int freezer_write(struct function *f, const char *what, struct cloche_err *err)
{
	struct pause *p = &f->pause;

	if (p->freezer < 0)
		p->freezer = openat(f->plan->cgroup.v2, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
	return p->freezer < 0 || pwrite(p->freezer, what, 1, 0) != 1
		       ? cloche_err_sys(err, errno, "write '%s' to cgroup.freeze", what)
		       : 0;
}

static int set_bound(struct function *f)
{
	f->clocked = false; /* it counts from here */
	f->start_ns = clock_now_ns();
	f->timeout_ns = PAUSE_MAX_NS;
	f->deadline_ns = f->start_ns + f->timeout_ns;
	return deadline_set(f);
}

/* Nothing runs: that its output is read, or its reader gone, is all that can come. Timers that go
 * off wake nobody, and are set anew when it goes on. */
static void come_to_rest(struct function *f)
{
	if (f->prompt)
		prompt_end();
	f->prompt = f->near = f->scarce = false;
	f->pause.state = PAUSE_FROZEN;
	f->pause.at_ns = clock_now_ns();
	f->watched[FUNCTION_EMPTY].fd = -1;
	f->watched[FUNCTION_DEADLINE].fd = f->watched[FUNCTION_CPU_TIME].fd = -1;
	function_watch_piles(f, true);
}

/* Once: to write it again would refill it, and what was used of it would be forgotten. Not before:
 * the last of it to freeze leaves its CPU a moment after that shows. */
static int have_quota(struct function *f, struct cloche_err *err)
{
	int r = f->pause.quota ? 0 : cgroup_set_quota(&f->plan->cgroup, &f->plan->cpu, err);

	f->pause.quota = true;
	return r;
}

/* Twice as long each time, to as long as the kernel's own word may take. */
#define LOOK_NS	      20000
#define LOOKS_LONGEST 9
#define LOOKS_AT_ONCE 8

int64_t pause_patience(const struct function *f)
{
	unsigned n = f->pause.looks < LOOKS_LONGEST ? f->pause.looks : LOOKS_LONGEST;

	return (int64_t)LOOK_NS << n;
}

int pause_look(struct function *f, struct cloche_err *err)
{
	int r = cgroup_frozen(&f->plan->cgroup);

	f->pause.looks++;
	if (r < 0)
		return cloche_err_sys(err, -r, "read cgroup.events");
	if (r)
		come_to_rest(f);
	return 0;
}

/* Who reads them looks whether it is frozen first. */
void pause_note(const struct plan *plan, int64_t resumed_ns, int64_t paused_ns)
{
	__atomic_store_n(&plan->shared->resumed_ns, resumed_ns, __ATOMIC_SEQ_CST);
	__atomic_store_n(&plan->shared->paused_ns, paused_ns, __ATOMIC_SEQ_CST);
}

int pause_begin(struct function *f, struct cloche_err *err)
{
	int r = freezer_write(f, "1", err);

	if (r < 0)
		return r;
	f->pause.state = PAUSE_FREEZING;
	f->pause.looks = 0;
	f->watched[FUNCTION_EMPTY].fd = f->plan->cgroup.events;
	/* Mostly it takes no longer than that; where both of us want one CPU, it has it. */
	for (int i = 0; r == 0 && i < LOOKS_AT_ONCE && f->pause.state == PAUSE_FREEZING; i++) {
		r = pause_look(f, err);
		if (f->pause.state == PAUSE_FREEZING)
			(void)sched_yield();
	}
	f->pause.looks = 0;
	if (r < 0 || f->pause.state != PAUSE_FREEZING)
		return r;
	r = set_bound(f);
	return r < 0 ? cloche_err_sys(err, -r, "set the time limit") : 0;
}

int pause_end(struct function *f, int64_t timeout_ns, struct cloche_err *err)
{
	int r = have_quota(f, err);

	if (r < 0)
		return r;
	f->pause.state = PAUSE_NONE;
	f->pause.at_ns = f->start_ns = clock_now_ns();
	f->timeout_ns = timeout_ns;
	f->deadline_ns = f->start_ns + timeout_ns;
	/* When it goes on is known by nobody better. */
	f->clocked = false;
	if (f->plan->order->cpu_time_ns)
		f->cpu_before_ns =
			cgroup_cpu_ns(&f->plan->cgroup) - (uint64_t)f->plan->shared->exec_cpu_ns;
	f->watched[FUNCTION_DEADLINE].fd = f->timer;
	r = deadline_set(f);
	if (r == 0)
		r = cpu_time_set(f);
	if (r < 0)
		return cloche_err_sys(err, -r, "set the time limit");
	/* Before: whoever ends us in between leaves nothing that went on and is not known to. */
	pause_note(f->plan, f->pause.at_ns, 0);
	return freezer_write(f, "0", err);
}

void pause_forget(struct function *f)
{
	if (f->pause.state != PAUSE_NONE)
		(void)freezer_write(f, "0", NULL);
	fd_close(&f->pause.freezer);
	f->pause.state = PAUSE_NONE;
}
