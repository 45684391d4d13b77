/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_STREAM_STATE_H
#define CLOCHE_LAUNCH_STREAM_STATE_H

#include "launch/terminal.h"

#include <fcntl.h>
#include <stdbool.h>

/*
 * What is common to all who have an open file (an open file description, open(2)): a function that
 * got the caller's standard streams can change it for the caller and for the next invocation:
 * O_NONBLOCK and the other flags, who gets which signal for it, locks, of a pipe the size, of a
 * terminal what terminal.h says. Kept before the first invocation and set back after each.
 *
 * Not set back, as it is what streams are for: the offset in a file, what is in a pipe.
 */
struct stream_state {
	int fd;	   /* borrowed */
	int flags; /* F_GETFL; -1: it is not open */
	int signal, pipe_size;
	struct f_owner_ex owner;
	struct terminal terminal;
	bool locked; /* the caller holds a lock by it, which is not ours to give up */
};

/* fds: what the function gets as its streams. */
void stream_state_keep(struct stream_state ret[static 3], const int fds[static 3]);
void stream_state_restore(const struct stream_state state[static 3]);

#endif
