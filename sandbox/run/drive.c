/* SPDX-License-Identifier: MIT */
/* The loop around one invocation: see drive.h. */
#include "run/drive.h"

#include "base/clock.h"
#include "host/prompt.h"
#include "run/invocation.h"

#include <poll.h>
#include <stdbool.h>

/* Without a descriptor of its own for the time: what is waited for so may be late by the slack of a
 * timer. */
static int wait_until(struct pollfd *fds, nfds_t n, int64_t until_ns)
{
	int64_t left_ns = until_ns - clock_now_ns();
	struct timespec left = ns_timespec(left_ns > 0 ? left_ns : 0);

	return ppoll(fds, n, until_ns == INVOCATION_NEVER ? NULL : &left, NULL);
}

void drive_invocation(struct invocation *inv, int cancel_fd)
{
	struct pollfd fds[INVOCATION_FDS + 1];
	struct pollfd *cancel = &fds[INVOCATION_FDS];
	bool launched = false;

	*cancel = (struct pollfd){ .fd = cancel_fd, .events = POLLIN };
	while (!invocation_done(inv)) {
		int64_t until_ns = invocation_wait(inv, fds);

		if (wait_until(fds, INVOCATION_FDS + 1, until_ns) < 0)
			continue;
		invocation_step(inv, fds);
		if (cancel->revents) {
			cancel->fd = -1;
			invocation_cancel(inv);
		}
		if (!launched && inv->machine.state != INVOCATION_LAUNCHING) {
			launched = true;
			prompt_end();
		}
	}
	prompt_end();
}
