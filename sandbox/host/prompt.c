/* SPDX-License-Identifier: MIT */
#include "host/prompt.h"

#include <sched.h>
#include <sys/resource.h>

void prompt_try_begin(bool heirs)
{
	const struct sched_param p = { .sched_priority = 1 };
	struct rlimit limit;

	/* Who uses more than that is killed. */
	if (getrlimit(RLIMIT_RTTIME, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY)
		return;
	(void)sched_setscheduler(0, heirs ? SCHED_FIFO : SCHED_FIFO | SCHED_RESET_ON_FORK, &p);
}

bool prompt_pause(void)
{
	if (sched_getscheduler(0) != SCHED_FIFO)
		return false;
	prompt_end();
	return true;
}

void prompt_end(void)
{
	const struct sched_param p = { 0 };

	(void)sched_setscheduler(0, SCHED_OTHER, &p);
}
