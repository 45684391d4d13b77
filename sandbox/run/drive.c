/* SPDX-License-Identifier: MIT */
/* The loop around one invocation: see drive.h. */
#include "run/drive.h"

#include "base/clock.h"
#include "host/prompt.h"
#include "launch/launcher.h"
#include "launch/spec.h"
#include "run/invocation.h"

#include <poll.h>
#include <sched.h>
#include <stdbool.h>

struct place {
	bool prompt;
	cpu_set_t cpus; /* where prompt: ours, as usual */
};

/*
 * On a busy host a waking process waits for its turn for milliseconds; a limit of CPU time cannot.
 * And one that wakes on the function's CPU keeps the function from dying while it sees to it. Not
 * when this process begins to copy the function's streams, and not where it copies its trace: that
 * is work, which the function could pile up.
 */
static void try_be_prompt(struct place *at, const struct invocation *inv)
{
	cpu_set_t other;

	at->prompt = inv->spec->cpu_time_ns && !inv->traced &&
		     sched_getaffinity(0, sizeof(at->cpus), &at->cpus) == 0;
	if (!at->prompt) {
		prompt_end(); /* the launch is over */
		return;
	}
	prompt_try_begin(false);
	CPU_XOR(&other, &at->cpus, &inv->ctx->plan.affinity);
	CPU_AND(&other, &other, &at->cpus);
	if (CPU_COUNT(&other) > 0)
		(void)sched_setaffinity(0, sizeof(other), &other);
}

static void be_as_usual(struct place *at)
{
	if (!at->prompt)
		return;
	prompt_end();
	(void)sched_setaffinity(0, sizeof(at->cpus), &at->cpus);
	at->prompt = false;
}

/* Without a descriptor of its own for the time: the slack of a timer is nothing to a limit of CPU
 * time, which is looked at again anyway. */
static int wait_until(struct pollfd *fds, nfds_t n, int64_t until_ns)
{
	int64_t left_ns = until_ns - clock_now_ns();
	struct timespec left = ns_timespec(left_ns > 0 ? left_ns : 0);

	return ppoll(fds, n, until_ns == INVOCATION_NEVER ? NULL : &left, NULL);
}

static bool any_stream(const struct invocation *inv, const struct pollfd fds[static INVOCATION_FDS])
{
	bool any = false;

	for (int i = 0; i < INVOCATION_FDS; i++)
		any |= fds[i].fd >= 0 && fds[i].fd != inv->ctx->control && fds[i].revents;
	return any;
}

void drive_invocation(struct invocation *inv, int cancel_fd)
{
	struct pollfd fds[INVOCATION_FDS + 1];
	struct pollfd *cancel = &fds[INVOCATION_FDS];
	struct place at = { .prompt = false };
	bool launched = false;

	*cancel = (struct pollfd){ .fd = cancel_fd, .events = POLLIN };
	while (!invocation_done(inv)) {
		int64_t until_ns = invocation_wait(inv, fds);

		if (wait_until(fds, INVOCATION_FDS + 1, until_ns) < 0)
			continue;
		if (any_stream(inv, fds))
			be_as_usual(&at);
		invocation_step(inv, fds);
		if (cancel->revents) {
			cancel->fd = -1;
			invocation_cancel(inv);
		}
		if (!launched && inv->machine.state != INVOCATION_LAUNCHING) {
			launched = true;
			try_be_prompt(&at, inv);
		}
	}
	be_as_usual(&at);
	prompt_end();
}
