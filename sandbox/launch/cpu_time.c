/* SPDX-License-Identifier: MIT */
/* Kills whoever has used the CPU time that it may: in the warden. See cpu_time.h. */
#include "launch/cpu_time.h"

#include "base/clock.h"
#include "launch/function.h"
#include "launch/order.h"
#include "launch/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* CPU time cannot grow faster than the CPUs that it may use. */
#define LATER_NS 100000

/* With so little left the warden goes before all others, also for what the function piles up: to
 * pile up much takes more CPU time than that. And so long before it looks, where it may have to
 * wait for its turn. */
#define SCARCE_NS (5 * NSEC_PER_MSEC)

static uint64_t used_ns(const struct function *f)
{
	const struct plan *p = f->plan;
	uint64_t ns, before = f->cpu_before_ns + (uint64_t)p->shared->exec_cpu_ns;

	if (f->clocked && p->clock.used(p->clock.fd, p->slot.n, &ns) > 0)
		return ns;
	ns = cgroup_cpu_ns(&p->cgroup);
	return ns > before ? ns - before : 0;
}

/* Until it could be over; 0: it is. */
static int64_t left_ns(const struct function *f)
{
	uint64_t used = used_ns(f), limit = (uint64_t)f->plan->order->cpu_time_ns;

	return used < limit ? (int64_t)((limit - used) / f->plan->cpu.cpus) + LATER_NS : 0;
}

static int look_again(struct function *f, int64_t left)
{
	struct itimerspec t;

	if (left < SCARCE_NS) {
		if (!f->scarce)
			function_be_prompt(f);
		f->scarce = true;
	} else if (!f->prompt) {
		left -= SCARCE_NS / 2;
	}
	t = (struct itimerspec){ .it_value = ns_timespec(left) };
	return timerfd_settime(f->cpu_timer, 0, &t, NULL) < 0 ? -errno : 0;
}

int cpu_time_set(struct function *f)
{
	int64_t left;

	if (!f->plan->order->cpu_time_ns)
		return 0;
	f->watched[FUNCTION_CPU_TIME].fd = f->cpu_timer;
	left = left_ns(f);
	return look_again(f, left ? left : LATER_NS);
}

void cpu_time_step(struct function *f)
{
	uint64_t expirations;
	int64_t left;

	if (read(f->cpu_timer, &expirations, sizeof(expirations)) < 0)
		return;
	left = left_ns(f);
	if (left == 0)
		function_kill(f, ENDED_BY_CPU_TIME);
	else if (look_again(f, left) < 0)
		_exit(EXIT_FAILURE);
}
