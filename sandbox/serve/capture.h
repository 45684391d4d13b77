/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CAPTURE_H
#define CLOCHE_SERVE_CAPTURE_H

#include <stddef.h>
#include <systemd/sd-event.h>

struct cloche_err;

/* What a function writes into a pipe of the front's, as it comes. It stays where it is from begin
 * to end. */
struct capture {
	int fd; /* -1: there is none */
	sd_event_source *heard;
	void (*take)(void *arg, const char *bytes, size_t len);
	void *arg;
};

#define CAPTURE_NONE ((struct capture){ .fd = -1 })

/* *ret_end: to be the function's, the caller's to close. The pipe is small: little is left to be
 * read at the function's end, whatever it floods. */
int capture_begin(struct capture *c, sd_event *event,
		  void (*take)(void *arg, const char *bytes, size_t len), void *arg, int *ret_end,
		  struct cloche_err *err);

/* Nobody writes now: what is there is all, and told. */
void capture_drain(struct capture *c);
void capture_end(struct capture *c);

#endif
