/* SPDX-License-Identifier: MIT */
/* From poll(2)'s wishes to sd-event's sources: see watch.h. */
#include "serve/watch.h"

#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static void tell(struct watch *w, int at, short revents)
{
	struct pollfd fds[WATCH_FDS];

	memcpy(fds, w->fds, sizeof(fds));
	for (int i = 0; i < WATCH_FDS; i++)
		fds[i].revents = i == at ? revents : 0;
	w->step(w->arg, fds);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct watch *w = arg;

	for (int i = 0; i < WATCH_FDS; i++)
		if (w->io[i] == s) {
			tell(w, i, (short)revents);
			break;
		}
	return 0;
}

static int on_time(sd_event_source *s, uint64_t usec, void *arg)
{
	tell(arg, -1, 0);
	return 0;
}

/* One of them; the next comes when the loop has seen to others. */
static int on_now(sd_event_source *s, void *arg)
{
	struct watch *w = arg;

	for (int i = 0; i < WATCH_FDS; i++)
		if (w->at_once[i]) {
			tell(w, i, w->at_once[i]);
			break;
		}
	return 0;
}

void watch_init(struct watch *w, sd_event *event,
		void (*step)(void *arg, const struct pollfd fds[static WATCH_FDS]), void *arg)
{
	*w = (struct watch){ .event = event, .step = step, .arg = arg };
	for (int i = 0; i < WATCH_FDS; i++)
		w->fds[i].fd = -1;
}

static int set_fd(struct watch *w, int i, const struct pollfd *want)
{
	int r = 0;

	if (want->fd == w->fds[i].fd && want->events == w->fds[i].events)
		return 0;
	w->io[i] = sd_event_source_disable_unref(w->io[i]);
	w->at_once[i] = 0;
	w->fds[i] = *want;
	if (want->fd >= 0)
		r = sd_event_add_io(w->event, &w->io[i], want->fd, (uint32_t)want->events, on_io,
				    w);
	if (r != -EPERM)
		return r;
	w->at_once[i] = want->events;
	return 0;
}

static int set_time(struct watch *w, int64_t until_ns)
{
	uint64_t usec =
		until_ns <= 0 ? 0 : ((uint64_t)until_ns + NSEC_PER_USEC - 1) / NSEC_PER_USEC;
	int r;

	if (until_ns == INT64_MAX)
		return w->time ? sd_event_source_set_enabled(w->time, SD_EVENT_OFF) : 0;
	if (!w->time)
		return sd_event_add_time(w->event, &w->time, CLOCK_MONOTONIC, usec, 1, on_time, w);
	r = sd_event_source_set_time(w->time, usec);
	return r < 0 ? r : sd_event_source_set_enabled(w->time, SD_EVENT_ONESHOT);
}

static int set_now(struct watch *w)
{
	bool any = false;

	for (int i = 0; i < WATCH_FDS; i++)
		any |= w->at_once[i] != 0;
	if (any && !w->now)
		return sd_event_add_defer(w->event, &w->now, on_now, w);
	return w->now ? sd_event_source_set_enabled(w->now, any ? SD_EVENT_ONESHOT : SD_EVENT_OFF)
		      : 0;
}

int watch_set(struct watch *w, const struct pollfd fds[static WATCH_FDS], int64_t until_ns)
{
	int r = 0;

	for (int i = 0; r >= 0 && i < WATCH_FDS; i++)
		r = set_fd(w, i, &fds[i]);
	if (r >= 0)
		r = set_time(w, until_ns);
	return r < 0 ? r : set_now(w);
}

void watch_end(struct watch *w)
{
	for (int i = 0; i < WATCH_FDS; i++)
		w->io[i] = sd_event_source_disable_unref(w->io[i]);
	w->time = sd_event_source_disable_unref(w->time);
	w->now = sd_event_source_disable_unref(w->now);
}
