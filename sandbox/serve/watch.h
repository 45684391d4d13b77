/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_WATCH_H
#define CLOCHE_SERVE_WATCH_H

#include <poll.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/*
 * What is written for poll(2), "what do you wait for, until when", in sd-event's loop: after each
 * step the wishes are given anew, and what changed is told the loop. One event at a time is told,
 * by a pollfd of which the others have no revents; when the time has come, none has.
 */
#define WATCH_FDS 5

struct watch {
	sd_event *event; /* borrowed */
	void (*step)(void *arg, const struct pollfd fds[static WATCH_FDS]);
	void *arg;
	struct pollfd fds[WATCH_FDS];
	sd_event_source *io[WATCH_FDS], *time, *now;
	short at_once[WATCH_FDS]; /* what epoll does not take, files, is always so */
};

void watch_init(struct watch *w, sd_event *event,
		void (*step)(void *arg, const struct pollfd fds[static WATCH_FDS]), void *arg);

/* until_ns: CLOCK_MONOTONIC; INT64_MAX: no end. 0 or -errno. */
int watch_set(struct watch *w, const struct pollfd fds[static WATCH_FDS], int64_t until_ns);

/* Before the descriptors are closed. */
void watch_end(struct watch *w);

#endif
